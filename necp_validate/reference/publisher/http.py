"""``POST /v1/events/<topic>`` beside ``/health``: who may publish, and how answers go out."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Final

import msgspec

from necp_validate.reference.health import JsonHandler, Report, health_handler
from necp_validate.reference.publisher.wire import BODY_MAX, Answer

PATH: Final = "/v1/events/"
SENDER_HEADER: Final = "Producer-Id"
_SENDER_MAX: Final = 64
_IDLE_S: Final = 60.0


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """An answer on its way out."""

    status: HTTPStatus
    answer: Answer
    headers: Mapping[str, str] = {}


Publish = Callable[[str, str, bytes, Callable[[Reply], None]], None]
"""Takes topic, sender, body, and what sends the answer."""


def publishing_handler(report: Report, *, token: str, publish: Publish) -> type[JsonHandler]:
    """Make the handler of the publisher's HTTP endpoint.

    Args:
        report: for ``/health``.
        token: what those who publish must show, as ``Authorization: Bearer``.
        publish: takes what they bring.
    """
    expected = f"Bearer {token}".encode()

    class Handler(health_handler(report)):  # type: ignore[misc]  # made at run time
        timeout = _IDLE_S

        def do_POST(self) -> None:
            """Take a batch."""
            path = self.path.partition("?")[0]
            length = self.headers.get("Content-Length", "")
            if not length.isascii() or not length.isdigit():
                self._refuse(HTTPStatus.LENGTH_REQUIRED, "Content-Length is missing")
            elif int(length) > BODY_MAX:
                self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a body has at most {BODY_MAX:,} bytes")
            elif not hmac.compare_digest(self.headers.get("Authorization", "").encode(), expected):
                self._refuse(HTTPStatus.UNAUTHORIZED, "the token is missing or wrong")
            elif not path.startswith(PATH):
                self._refuse(HTTPStatus.NOT_FOUND, f"events go to {PATH}<topic>")
            else:
                self._take(path.removeprefix(PATH), self.rfile.read(int(length)), int(length))

        def _take(self, topic: str, body: bytes, length: int) -> None:
            if len(body) < length:  # whoever sent it is gone
                self.close_connection = True
                return
            sender = f"{self.client_address[0]}/{self.headers.get(SENDER_HEADER, '')[:_SENDER_MAX]}"
            publish(topic, sender, body, lambda reply: self.answer(reply.status, reply.answer, reply.headers))

        def _refuse(self, status: HTTPStatus, error: str) -> None:
            # The body has not been read: what follows on this connection could not be told from it.
            self.close_connection = True
            self.answer(status, Answer(accepted=0, refused=0, error=error), {"Connection": "close"})

    return Handler
