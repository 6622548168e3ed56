"""The players' connections: UDP sockets that groups of them share, as behind one NAT, and a WebSocket for each.

Imported by the players' process only, after gevent has replaced the blocking calls of the standard library.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import ssl
import time
from collections.abc import Callable
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

import gevent
import websocket

from necp_validate.players.plan import TlsFiles
from necp_validate.realtime.frames import BadFrame, read_header
from necp_validate.realtime.messages import GatewayMessage, decode_gateway

_RECEIVE_BUFFER: Final = 4 << 20
_AT_ONCE: Final = 64
_AWAY: Final = frozenset({errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH})
LOGIN_TIMEOUT_S: Final = 10.0


class Receiver(Protocol):
    """Who gets the datagrams of a session."""

    def datagram(self, datagram: bytes, now_us: int) -> bool:
        """Take one."""


class SharedSocket:
    """A UDP socket of several players; whose a datagram is says the session in its header.

    Args:
        address: the gateway's.
        count: told the length of every datagram that came, and why one was of nobody (else ``""``).
    """

    def __init__(self, address: tuple[str, int], count: Callable[[int, str], None]) -> None:
        family = socket.getaddrinfo(*address, type=socket.SOCK_DGRAM)[0][0]
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        try:  # beyond the system's limit where that is allowed: datagrams that this process drops are no finding
            self._socket.setsockopt(socket.SOL_SOCKET, getattr(socket, "SO_RCVBUFFORCE", socket.SO_RCVBUF), 4 << 20)
        except OSError:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        # Connected, so that the system itself drops what comes from anywhere else.
        self._socket.connect(address)
        self._count = count
        self.sessions: dict[int, Receiver] = {}
        self.reader = gevent.spawn(self._read)

    def send(self, datagram: bytes) -> None:
        """Send a datagram; one that the system does not take counts as lost on its way."""
        try:
            self._socket.send(datagram)
        except OSError:
            self._count(0, "not-sent")

    def _read(self) -> None:
        sessions, receive, count = self.sessions, self._socket.recv, self._count
        while True:
            for _ in range(_AT_ONCE):
                try:
                    datagram = receive(2048)
                except OSError as error:
                    if error.errno not in _AWAY:
                        raise
                    continue  # nobody listens there just now; the gateway is expected back
                now_us = time.time_ns() // 1000
                try:
                    session = sessions.get(read_header(datagram).session)
                except BadFrame as error:
                    count(len(datagram), error.reason)
                    continue
                count(len(datagram), "" if session is not None else "session")
                if session is not None:
                    session.datagram(datagram, now_us)
            gevent.sleep(0)

    def close(self) -> None:
        """Close it."""
        self.reader.kill()
        self._socket.close()


class Refusal(Exception):
    """The gateway does not want this client: because of its certificate, or of what it said."""


class Broken(Exception):
    """A connection could not be made, or ended."""


def tls_context(tls: TlsFiles) -> ssl.SSLContext:
    """A client's TLS settings.

    Raises:
        OSError: a file cannot be read.
    """
    context = ssl.create_default_context(cafile=tls.ca)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if tls.certificate:
        context.load_cert_chain(tls.certificate, tls.key)
    return context


class Line:
    """One WebSocket.

    Raises:
        Refusal: the gateway refused the certificate.
        Broken: there was no connection.
    """

    def __init__(self, url: str, context: ssl.SSLContext, *, timeout_s: float = LOGIN_TIMEOUT_S) -> None:
        try:
            self._socket: Any = websocket.create_connection(
                url, timeout=timeout_s, sslopt={"context": context}, skip_utf8_validation=True, redirect_limit=0
            )
        except (ssl.SSLError, websocket.WebSocketException, OSError) as error:
            raise _problem(error) from error

    def send(self, text: bytes) -> None:
        """Send a message.

        Raises:
            Broken: the connection has ended.
        """
        try:
            self._socket.send(text, opcode=websocket.ABNF.OPCODE_TEXT)
        except (ssl.SSLError, websocket.WebSocketException, OSError) as error:
            raise _problem(error) from error

    def receive(self, timeout_s: float | None = None) -> GatewayMessage:
        """Wait for a message; returns it.

        Raises:
            Broken: the connection has ended, or nothing came in time.
            Refusal: it ended because of the certificate.
            BadMessage: what came is no message.
        """
        try:
            self._socket.settimeout(timeout_s)
            data = self._socket.recv()
        except (ssl.SSLError, websocket.WebSocketException, OSError) as error:
            raise _problem(error) from error
        if not data:
            raise Broken("closed by the gateway")
        return decode_gateway(data)

    def close(self) -> None:
        """Close the connection; without waiting for the other side."""
        with contextlib.suppress(websocket.WebSocketException, OSError):  # gone already is what was wanted
            self._socket.shutdown()


def _problem(error: Exception) -> Refusal | Broken:
    reason = str(getattr(error, "reason", "") or "")
    text = str(error) or type(error).__name__
    if isinstance(error, ssl.SSLError) and any(word in f"{reason} {text}".upper() for word in _ALERTS):
        return Refusal(text)
    return Broken(text)


_ALERTS: Final = ("ALERT", "CERTIFICATE_REQUIRED")
"""TLS alerts: the other side said why it ends the connection."""


def port_of(url: str) -> int:
    """The port in a gateway's URL."""
    return urlsplit(url).port or 443
