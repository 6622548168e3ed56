"""WebSocket connections: from the TLS handshake to the goodbye."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections import deque
from typing import Final

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from necp_validate.realtime.constants import LOGIN_TIMEOUT_S, MAX_MESSAGE_BYTES
from necp_validate.realtime.messages import (
    Action,
    BadMessage,
    Error,
    Login,
    Message,
    Ping,
    decode_client,
    encode,
)
from necp_validate.reference.gateway.config import Tls
from necp_validate.reference.gateway.gateway import Gateway, LoginRefused
from necp_validate.reference.gateway.sessions import MAX_SESSIONS, Address, Session

log: Final = logging.getLogger(__name__)

MAX_QUEUED: Final = 1_000
"""Messages that may wait for one client, beside what the kernel takes; one that leaves more is disconnected."""

MAX_QUEUED_BYTES: Final = 512 << 10
"""The same in bytes."""

MAX_CONNECTIONS: Final = MAX_SESSIONS + 500
PING_S: Final = 20.0
CLOSE_TIMEOUT_S: Final = 2.0
HANDSHAKE_TIMEOUT_S: Final = 10.0

_POLICY_VIOLATION: Final = 1008
_NORMAL: Final = 1000


class Outbox:
    """Messages on their way to one client; a bounded queue with a task that empties it.

    Args:
        connection: the connection.
        gateway: counts slow clients.
    """

    def __init__(self, connection: ServerConnection, gateway: Gateway) -> None:
        self._connection = connection
        self._gateway = gateway
        self._queue: deque[bytes] = deque()
        self._bytes = 0
        self._filled = asyncio.Event()
        self._closing = False
        self._task = asyncio.create_task(self._write())

    def send(self, message: Message) -> None:
        """Send a message, some time."""
        self.send_encoded(encode(message))

    def send_encoded(self, text: bytes) -> None:
        """Send a message that is encoded already."""
        if self._closing:
            return
        if len(self._queue) >= MAX_QUEUED or self._bytes >= MAX_QUEUED_BYTES:
            self._closing = True
            self._gateway.tally.disconnects["slow-reader"] += 1
            self._connection.transport.abort()
            return
        self._queue.append(text)
        self._bytes += len(text)
        self._filled.set()

    def finish(self, message: Message) -> None:
        """Send a last message and close."""
        self.send(message)
        self._closing = True
        self._filled.set()

    async def close(self) -> None:
        """Take no more messages, and wait until the last one is sent, for a moment at most."""
        self._closing = True
        self._filled.set()
        await asyncio.wait([self._task], timeout=CLOSE_TIMEOUT_S)
        self._task.cancel()

    async def _write(self) -> None:
        queue, filled, send = self._queue, self._filled, self._connection.send
        try:
            while queue or not self._closing:
                if not queue:
                    filled.clear()
                    await filled.wait()
                while queue:
                    text = queue.popleft()
                    self._bytes -= len(text)
                    await send(text, text=True)
            await self._connection.close(_NORMAL)
        except ConnectionClosed:
            self._closing = True


class WebSockets:
    """Accepts clients.

    Args:
        gateway: the gateway.
        tls: files for TLS.
    """

    def __init__(self, gateway: Gateway, tls: Tls) -> None:
        self._gateway = gateway
        self._context = tls_context(tls)
        self._server: Server | None = None
        self._connections = 0
        self.port = 0

    async def start(self, address: Address) -> None:
        """Begin to listen.

        Raises:
            OSError: the address is not to be had.
        """
        self._server = await serve(
            self._serve,
            address[0],
            address[1],
            ssl=self._context,
            ssl_handshake_timeout=HANDSHAKE_TIMEOUT_S,
            compression=None,  # messages are short, and a window for each client would be most of its memory
            max_size=MAX_MESSAGE_BYTES,
            max_queue=16,
            open_timeout=HANDSHAKE_TIMEOUT_S,
            ping_interval=PING_S,
            ping_timeout=PING_S,
            close_timeout=CLOSE_TIMEOUT_S,
            server_header=None,
            logger=_quiet_logger(),
        )
        self.port = next(iter(self._server.sockets)).getsockname()[1]

    def stop_listening(self) -> None:
        """Take no new clients; those who are there stay."""
        if self._server is not None:
            self._server.close(close_connections=False)

    async def close(self) -> None:
        """Close whatever connections are left."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _serve(self, connection: ServerConnection) -> None:
        if self._connections >= MAX_CONNECTIONS:
            self._gateway.tally.disconnects["full"] += 1
            connection.transport.abort()
            return
        self._connections += 1
        outbox = Outbox(connection, self._gateway)
        session: Session | None = None
        try:
            session = self._login(await asyncio.wait_for(connection.recv(), LOGIN_TIMEOUT_S), outbox)
            async for text in connection:
                if session.closed:
                    break
                self._take(session, text)
                if session.limit.flooding:
                    raise _Dismissed("flood", "far too many requests")
        except _Dismissed as reason:
            self._gateway.tally.disconnects[reason.code] += 1
            outbox.finish(Error(code=reason.code, message=str(reason)))
        except TimeoutError:
            self._gateway.tally.disconnects["login-timeout"] += 1
            outbox.finish(Error(code="login-timeout", message=f"no login within {LOGIN_TIMEOUT_S:.0f} s"))
        except ConnectionClosed:
            pass
        finally:
            self._connections -= 1
            if session is not None:
                self._gateway.lost(session)
            await outbox.close()

    def _login(self, text: str | bytes, outbox: Outbox) -> Session:
        message = _decode(text)
        if not isinstance(message, Login):
            raise _Dismissed("not-logged-in", "the first message must be a login")
        try:
            return self._gateway.login(message, outbox)
        except LoginRefused as refused:
            raise _Dismissed(refused.code, str(refused)) from None

    def _take(self, session: Session, text: str | bytes) -> None:
        message = _decode(text)
        if isinstance(message, Action):
            self._gateway.act(session, message, udp=False)
        elif isinstance(message, Ping):
            self._gateway.ping(session, message)
        elif isinstance(message, Login):
            raise _Dismissed("logged-in", "there is a login already")
        else:
            self._gateway.end(session, "logout")


class _Dismissed(Exception):
    """A client is told why, and disconnected."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def _decode(text: str | bytes) -> Message:
    if isinstance(text, bytes):
        raise _Dismissed("bad-message", "a binary frame; messages are JSON in text frames")
    try:
        return decode_client(text)
    except BadMessage as error:
        raise _Dismissed("bad-message", str(error)) from None


def tls_context(tls: Tls) -> ssl.SSLContext:
    """Make the context of the listener: TLS 1.2 or newer, and a client certificate unless none is wanted.

    Raises:
        OSError: a file is not a certificate or key, or they do not belong together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(tls.cert, tls.key)
    if tls.client_ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(tls.client_ca)
    return context


def _quiet_logger() -> logging.Logger:
    """Whatever strangers send to a port is not worth a traceback each."""
    logger = logging.getLogger(f"{__name__}.connections")
    logger.setLevel(logging.CRITICAL)
    return logger
