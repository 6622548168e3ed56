"""``/health``: 200 when the service is what it should be (it says what that is), else 503."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import MappingProxyType
from typing import Any, Final

import msgspec

Report = Callable[[], tuple[bool, dict[str, Any]]]
"""Tells whether the service is healthy, and describes it."""

_ENCODE: Final = msgspec.json.Encoder().encode


class JsonHandler(BaseHTTPRequestHandler):
    """Answers in JSON and keeps connections."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: object) -> None:
        """Requests are not logged: something asks every second."""

    def answer(self, status: HTTPStatus, description: Any, headers: Mapping[str, str] = MappingProxyType({})) -> None:
        """Send an answer.

        Args:
            status: its status.
            description: its body, ready for JSON.
            headers: further headers.
        """
        body = _ENCODE(description)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def health_handler(report: Report) -> type[JsonHandler]:
    """Make the handler that answers ``/health``; ``report`` is asked at every request."""

    class Handler(JsonHandler):
        def do_GET(self) -> None:
            """Answer."""
            if self.path.partition("?")[0] != "/health":
                self.answer(HTTPStatus.NOT_FOUND, {"error": "there is only /health here"})
                return
            healthy, description = report()
            self.answer(HTTPStatus.OK if healthy else HTTPStatus.SERVICE_UNAVAILABLE, description)

    return Handler


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


class HealthServer:
    """Serves ``/health`` from a thread of its own.

    Args:
        port: port to listen on; 0 takes a free one.
        report: says how the service is.
        handler: makes the handler of a report, for a service that answers more than ``/health``.
        host: address to listen at; empty for all interfaces.

    Raises:
        OSError: the port is not to be had.
    """

    def __init__(
        self,
        port: int,
        report: Report,
        handler: Callable[[Report], type[JsonHandler]] = health_handler,
        *,
        host: str = "",
    ) -> None:
        self._server = _Server((host, port), handler(report))
        self._thread = Thread(target=self._server.serve_forever, name="health", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """Port that it listens on."""
        return int(self._server.server_address[1])

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
