"""One connection to one broker, on which requests of Kafka's protocol are made by hand."""

from __future__ import annotations

import socket
import ssl
import struct

from scramp import ScramClient, ScramException

_SASL_HANDSHAKE, _SASL_AUTHENTICATE = 17, 36
CLIENT_ID = "necp"


class LoginRefused(ConnectionError):
    """The broker does not let this user in; the message is the broker's own."""


class Fields:
    """Reads the fields of an answer, one after the other."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._at = 0

    def number(self, size: int) -> int:
        """A signed integer of so many bytes."""
        return int.from_bytes(self.raw(size), "big", signed=True)

    def raw(self, size: int) -> bytes:
        """So many bytes.

        Raises:
            ConnectionError: the answer is shorter.
        """
        self._at += size
        if self._at > len(self._content):
            raise ConnectionError("the answer is shorter than it should be")
        return self._content[self._at - size : self._at]

    def numbers(self) -> tuple[int, ...]:
        """An array of 32-bit integers."""
        return tuple(self.number(4) for _ in range(self.number(4)))

    def text(self) -> str:
        """A string of 16 bits' length; empty for none."""
        return self.raw(max(self.number(2), 0)).decode()

    def unsigned(self) -> int:
        """An unsigned integer of variable length, as newer versions of requests have it."""
        value, shift = 0, 0
        while True:
            byte = self.raw(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    def compact_text(self) -> str:
        """A string of variable length's length; empty for none."""
        return self.raw(max(self.unsigned() - 1, 0)).decode()


def text(value: str) -> bytes:
    """A string as the protocol has it."""
    return struct.pack(">h", len(value.encode())) + value.encode()


class Connection:
    """A connection to a broker, in clear until it is secured.

    Args:
        address: host and port.
        timeout_s: for connecting, and for each answer.

    Raises:
        OSError: there is no connection.
    """

    def __init__(self, address: str, *, timeout_s: float = 1.0) -> None:
        self._host, _, port = address.rpartition(":")
        self._socket = socket.create_connection((self._host, int(port)), timeout=timeout_s)
        self.local_port: int = self._socket.getsockname()[1]
        self.session_ms = 0
        """How long a login holds without being renewed; 0: for as long as the connection."""

    def secure(self, context: ssl.SSLContext, *, name: str | None = None) -> None:
        """Speak TLS from now on.

        Args:
            context: TLS settings.
            name: the name that the broker's certificate must be valid for; by default the host's.

        Raises:
            ssl.SSLError: the broker, or its certificate, is not accepted, or does not accept us.
            OSError: it closed the connection.
        """
        self._socket = context.wrap_socket(self._socket, server_hostname=name or self._host)

    def ask(self, key: int, version: int, body: bytes, *, tagged: bool = False) -> Fields:
        """Send one request and return the fields of its answer, the header left out.

        Args:
            key: the request's number.
            version: its version.
            body: its fields.
            tagged: whether this version's headers end with tags.

        Raises:
            OSError: the broker did not answer.
        """
        header = struct.pack(">hhi", key, version, 1) + text(CLIENT_ID) + (b"\0" if tagged else b"")
        return self.exchange(header + body, skip=5 if tagged else 4)

    def exchange(self, request: bytes, *, skip: int = 4) -> Fields:
        """Send a request, header and all, and return the fields of its answer.

        Args:
            request: without its length.
            skip: bytes of the answer's header.

        Raises:
            OSError: the broker did not answer.
        """
        self._socket.sendall(struct.pack(">i", len(request)) + request)
        length = struct.unpack(">i", self._read(4))[0]
        if not 4 <= length <= 1 << 26:
            raise ConnectionError("what came is no answer of Kafka's")
        return Fields(self._read(length)[skip:])

    def log_in(self, user: str, password: str, mechanism: str) -> None:
        """Log in by SCRAM.

        Args:
            user: who.
            password: with what.
            mechanism: ``SCRAM-SHA-512`` or ``SCRAM-SHA-256``.

        Raises:
            LoginRefused: the broker does not know the mechanism, the user, or another password.
            OSError: it did not answer.
        """
        self.choose_mechanism(mechanism)
        client = ScramClient([mechanism], user, password)
        try:
            client.set_server_first(self._authenticate(client.get_client_first()))
            client.set_server_final(self._authenticate(client.get_client_final()))
        except ScramException as error:
            raise LoginRefused(f"the broker's part of the exchange is wrong: {error}") from error

    def choose_mechanism(self, mechanism: str) -> None:
        """Say by which mechanism one wants to log in.

        Raises:
            LoginRefused: the broker does not have it.
            OSError: it did not answer.
        """
        fields = self.ask(_SASL_HANDSHAKE, 1, text(mechanism))
        if fields.number(2):
            offered = ", ".join(fields.text() for _ in range(fields.number(4)))
            raise LoginRefused(f"{mechanism} is not offered, only {offered}")

    def _authenticate(self, message: str) -> str:
        content = message.encode()
        fields = self.ask(_SASL_AUTHENTICATE, 1, struct.pack(">i", len(content)) + content)
        error, words = fields.number(2), fields.text()
        if error:
            raise LoginRefused(words or f"error {error}")
        said = fields.raw(max(fields.number(4), 0)).decode()
        self.session_ms = fields.number(8)
        return said

    def _read(self, length: int) -> bytes:
        content = b""
        while len(content) < length:
            part = self._socket.recv(length - len(content))
            if not part:
                raise ConnectionError("the broker closed the connection")
            content += part
        return content

    def close(self) -> None:
        """Close it."""
        self._socket.close()

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
