"""What the gateway needs of the event backbone; Kafka is one way to have it, tests have another."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

from necp_validate.events.receipts import Receipt


class Delivered(NamedTuple):
    """What became of one event that was sent.

    Args:
        token: what was given along with it.
        error: why it was not acknowledged; empty if it was.
        topic: where it is.
        partition: where it is.
        offset: where it is.
    """

    token: Any
    error: str
    topic: str
    partition: int
    offset: int


class ChatRecord(NamedTuple):
    """One record of the chat topic: messages ``(event id, sender, language, text)`` of a channel, in order."""

    region: str
    channel: str
    messages: list[tuple[str, str, str, str]]
    partition: int
    offset: int


class Listener(Protocol):
    """Whom a backbone tells what has happened, in the thread of the event loop."""

    def on_delivered(self, reports: list[Delivered]) -> None:
        """Take delivery reports, in the order of each partition."""

    def on_receipts(self, receipts: list[Receipt]) -> None:
        """Take receipts."""

    def on_chat(self, records: list[ChatRecord]) -> None:
        """Take chat records, in the order of each partition."""


class Backbone(Protocol):
    """Takes events, tells what became of them."""

    @property
    def ready(self) -> bool:
        """Whether receipts of what is sent from now on will be seen."""

    def start(self, listener: Listener) -> None:
        """Begin; to be called in a running event loop, whose thread the listener is called in."""

    def send(self, topic: str, key: bytes, value: bytes, token: object) -> bool:
        """Send an event; False if there is no room for it at present."""

    def close(self, timeout_s: float) -> None:
        """Wait for what is on its way, and end; blocks."""
