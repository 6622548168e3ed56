"""What master and workers tell each other beside Locust's own messages: sealed, and files in pieces.

Locust's protocol has neither encryption nor a login, and a worker is sent the credentials of every service: whatever
is not Locust's own is sealed (Fernet: AES-128-CBC and HMAC-SHA-256) with a key that both sides were given beforehand.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from cryptography.fernet import Fernet, InvalidToken

from necp_validate.core import SuiteError, UsageError

JOIN: Final = "necp-join"  # worker: let me in
REFUSED: Final = "necp-refused"  # master: no, and why; the only one that is not sealed
PLAN: Final = "necp-plan"  # master: this is yours
READY: Final = "necp-ready"  # worker: I have everything, and reach the brokers
FAILED: Final = "necp-failed"  # worker: I cannot, and why
PING: Final = "necp-ping"  # master: what time is it?
PONG: Final = "necp-pong"
START: Final = "necp-start"  # master: second 0 is at this time, by your clock
ROWS: Final = "necp-rows"  # worker: timeline rows of the last second
PASSWORD: Final = "necp-password"  # master: a password has been changed
FILE: Final = "necp-file"  # worker: a piece of a file of the history
RECEIVED: Final = "necp-received"  # master: I have that file
STOP: Final = "necp-stop"  # master: the run is over, and why

KEY_VARIABLE = "NECP_JOIN_KEY"
"""Environment variable that holds the key, on both sides."""
KEY_LENGTH = 16
PIECE_BYTES = 256 * 1024
_MOST_BYTES = 1 << 30


class Unsealed(Exception):
    """A message was not sealed with our key, or was changed on its way."""


class Seal:
    """Seals messages and opens them.

    Args:
        key: the secret that both sides know.

    Raises:
        UsageError: it is too short to be one.
    """

    def __init__(self, key: str) -> None:
        if len(key) < KEY_LENGTH:
            raise UsageError(
                f"the join key has {len(key)} characters, {KEY_LENGTH} are the least",
                hint=f"set {KEY_VARIABLE} to the one that the master printed, on both sides",
            )
        self._fernet = Fernet(base64.urlsafe_b64encode(hashlib.sha256(key.encode()).digest()))

    def seal(self, value: Any) -> dict[str, Any]:
        """Return a message's data that nobody else can read or change."""
        return {"sealed": self._fernet.encrypt(msgspec.msgpack.encode(value))}

    def open(self, data: Any) -> Any:
        """Return what was sealed.

        Raises:
            Unsealed: this was not, or with another key.
        """
        try:
            return msgspec.msgpack.decode(self._fernet.decrypt(data["sealed"]))
        except (InvalidToken, KeyError, TypeError, msgspec.DecodeError) as error:
            raise Unsealed("a message that is not sealed with the join key") from error


def pieces(name: str, content: bytes, size: int = PIECE_BYTES) -> Iterator[dict[str, Any]]:
    """Cut a file into pieces that fit a message; an empty file is one empty piece.

    Args:
        name: of the file, relative to the run directory.
        content: all of it.
        size: of a piece, in bytes.
    """
    count = max(-(-len(content) // size), 1)
    digest = hashlib.sha256(content).hexdigest()
    for number in range(count):
        part = content[number * size : (number + 1) * size]
        yield {"name": name, "number": number, "count": count, "sha256": digest, "content": part}


@dataclass(slots=True)
class Inbox:
    """Puts the pieces of one sender's files together, in whatever order they come and however often.

    Args:
        allowed: names of files that this sender may send.
    """

    allowed: frozenset[str]
    _parts: dict[str, dict[int, bytes]] = field(default_factory=dict)

    def add(self, piece: dict[str, Any]) -> tuple[str, bytes] | None:
        """Take a piece; returns name and content of the file that it completes, None while pieces are missing.

        Raises:
            SuiteError: it is of a file that the sender may not send, it is too much, or it is not what was sent.
        """
        name = piece["name"]
        if name not in self.allowed:
            raise SuiteError(f"a load worker sent {name!r}, which is not its file")
        parts = self._parts.setdefault(name, {})
        parts[piece["number"]] = piece["content"]
        if sum(len(part) for one in self._parts.values() for part in one.values()) > _MOST_BYTES:
            raise SuiteError(f"a load worker sent more than {_MOST_BYTES >> 20} MiB of history")
        if len(parts) < piece["count"]:
            return None
        content = b"".join(parts[number] for number in sorted(parts))
        del self._parts[name]
        if hashlib.sha256(content).hexdigest() != piece["sha256"]:
            raise SuiteError(f"{name} of a load worker did not arrive as it was sent", hint="run it again")
        return name, content
