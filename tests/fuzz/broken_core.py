"""Parts of an event core with one defect each."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from necp_validate.events.base import Event, EventData, InvalidEvent
from necp_validate.events.combat import HealV1
from necp_validate.events.economy import RewardV1
from necp_validate.events.envelope import Decoder
from necp_validate.events.registry import event_types
from necp_validate.events.topics import Domain
from necp_validate.fuzz.handlers import Parts
from necp_validate.reference.eventcore.combat import CombatHandler
from necp_validate.reference.eventcore.economy import EconomyHandler
from necp_validate.reference.eventcore.handling import Handle, Output, dead_letter_outputs
from necp_validate.reference.eventcore.social import SocialHandler

SOUND = Parts()


class ThrowsOnARareValue(CombatHandler):
    """Divides by one less than what is healed."""

    def open(self, partition: int) -> Handle:
        handle = super().open(partition)

        def broken(event: Event[EventData]) -> str | None:
            if isinstance(event.data, HealV1):
                assert 1 // (event.data.amount - 1) >= 0
            return handle(event)

        return broken


class BooksAndFails(EconomyHandler):
    """Books a reward, then fails: what is dead-lettered has changed something."""

    def open(self, partition: int) -> Handle:
        handle = super().open(partition)

        def broken(event: Event[EventData]) -> str | None:
            reason = handle(event)
            if isinstance(event.data, RewardV1):
                raise RuntimeError("after the booking")
            return reason

        return broken


class SwapsMessages(SocialHandler):
    """Gives the chat of a channel in the wrong order."""

    def collect(self) -> tuple[list[Output], dict[str, Any]]:
        outputs, results = super().collect()
        swapped = []
        for output in outputs:
            chat = json.loads(output.value or b"")
            swapped.append(replace(output, value=json.dumps({**chat, "messages": chat["messages"][::-1]}).encode()))
        return swapped, results


def with_handler(domain: Domain, handler: Callable[[], Any]) -> Parts:
    """A sound core but for one handler."""
    return replace(SOUND, handlers={**SOUND.handlers, domain: handler})


def without_bound() -> Parts:
    """A validator of the economy that has forgotten how much may be paid at once."""
    sound = Decoder(event_types(Domain.ECONOMY)).decode

    def decode(value: bytes) -> Event[EventData]:
        try:
            return sound(value)
        except InvalidEvent as error:
            if "<= 100000000000000000" not in error.detail or b'"economy.reward"' not in value:
                raise
            event = json.loads(value)
            return Event(**{**event, "data": RewardV1(**event["data"])})

    return replace(SOUND, decoders={**SOUND.decoders, Domain.ECONOMY: decode})


def dead_letters(change: Callable[[Output], Output]) -> Parts:
    """A sound core but for what it makes of its dead letters."""

    def made(*given: Any, **named: Any) -> list[Output]:
        return [change(output) for output in dead_letter_outputs(*given, **named)]

    return replace(SOUND, dead_letters=made)


def no_reason(output: Output) -> Output:
    """Drop the reason."""
    return replace(output, headers=[(name, value) for name, value in output.headers if name != "reason"])


def as_text(output: Output) -> Output:
    """Take the value for text: bytes that are none are replaced."""
    return replace(output, value=(output.value or b"").decode(errors="replace").encode())


def no_headers(output: Output) -> Output:
    """Keep only what is said of the record, not its own headers."""
    return replace(output, headers=output.headers[-5:])
