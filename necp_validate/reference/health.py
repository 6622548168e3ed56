"""``/health``: 200 when the service is what it should be (it says what that is), else 503."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Final

import msgspec

Report = Callable[[], tuple[bool, dict[str, Any]]]
"""Tells whether the service is healthy, and describes it."""

_ENCODE: Final = msgspec.json.Encoder().encode


class HealthServer:
    """Serves ``/health`` from a thread of its own.

    Args:
        port: port to listen on; 0 takes a free one.
        report: asked at every request.

    Raises:
        OSError: the port is not to be had.
    """

    def __init__(self, port: int, report: Report) -> None:
        self._server = ThreadingHTTPServer(("", port), _handler(report))
        self._server.daemon_threads = True
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


def _handler(report: Report) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            """Answer."""
            if self.path.partition("?")[0] != "/health":
                self._answer(HTTPStatus.NOT_FOUND, {"error": "there is only /health here"})
                return
            healthy, description = report()
            self._answer(HTTPStatus.OK if healthy else HTTPStatus.SERVICE_UNAVAILABLE, description)

        def log_message(self, format: str, *args: object) -> None:
            """Requests are not logged: something asks every second."""

        def _answer(self, status: HTTPStatus, description: dict[str, Any]) -> None:
            body = _ENCODE(description)
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return Handler
