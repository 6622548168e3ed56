"""Datagrams: header, tag, the window against replay, and the bodies that are not world state."""

from __future__ import annotations

from enum import IntEnum, StrEnum
from hashlib import blake2s
from hmac import compare_digest
from struct import Struct
from typing import Final, NamedTuple

MAGIC: Final = 0x474E
VERSION: Final = 1
MAX_DATAGRAM: Final = 1_200
"""Longest payload of a datagram in bytes: fits every path without fragments."""

KEY_BYTES: Final = 32
TAG_BYTES: Final = 8
WINDOW: Final = 64
ACK_BITS: Final = 32
MAX_SEQ: Final = 2**32 - 1

_FRONT: Final = Struct("<HBBQI")
_ACK: Final = Struct("<II")
_INPUT: Final = Struct("<IIIBhhH")
FRONT_BYTES: Final = _FRONT.size
HEADER_BYTES: Final = FRONT_BYTES + TAG_BYTES
MAX_BODY: Final = MAX_DATAGRAM - HEADER_BYTES
ACK_BYTES: Final = _ACK.size
_WINDOW_MASK: Final = (1 << WINDOW) - 1
_ACK_MASK: Final = (1 << ACK_BITS) - 1


class Kind(IntEnum):
    """What a datagram is."""

    HELLO = 1
    INPUT = 2
    ACK = 3
    ACTION = 4
    STATE = 16


class Direction(StrEnum):
    """Which way a datagram goes; part of the tag, so that none can be sent back as an answer."""

    TO_GATEWAY = "c2s"
    TO_CLIENT = "s2c"


class BadFrame(Exception):
    """A datagram is not to be used.

    Args:
        reason: one word for counting: ``length``, ``magic``, ``version``, ``kind``, ``tag``, ``replayed``, ``old``
            or ``body``.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Header(NamedTuple):
    """Header of a datagram without its tag."""

    kind: int
    session: int
    seq: int


class Input(NamedTuple):
    """What a player wants to do from now on: number of the input, how and how fast it moves, where it looks.

    ``vx`` and ``vy`` are in world units a second, ``yaw`` in 1/65,536 of a turn.
    """

    number: int
    mode: int
    vx: int
    vy: int
    yaw: int


class Ack(NamedTuple):
    """Newest datagram received, and bit i for the one ``i + 1`` before it; 0 and 0 when there is none."""

    newest: int
    bits: int

    def covers(self, seq: int) -> bool:
        """Tell whether a datagram was received."""
        behind = self.newest - seq
        return behind == 0 or (0 < behind <= ACK_BITS and bool(self.bits >> (behind - 1) & 1))


def read_header(datagram: bytes) -> Header:
    """Read the header of a datagram; its tag is not checked.

    Raises:
        BadFrame: length, magic or version is wrong.
    """
    if not HEADER_BYTES <= len(datagram) <= MAX_DATAGRAM:
        raise BadFrame("length")
    magic, version, kind, session, seq = _FRONT.unpack_from(datagram)
    if magic != MAGIC:
        raise BadFrame("magic")
    if version != VERSION:
        raise BadFrame("version")
    return Header(kind, session, seq)


class Window:
    """Sequence numbers received: the newest one, and which of the 64 up to it.

    Numbers begin at 1; number 0 is never used, so that it can mean "none yet".
    """

    __slots__ = ("bits", "newest")

    def __init__(self) -> None:
        self.newest = 0
        self.bits = 0

    def status(self, seq: int) -> str | None:
        """Say why a number is not to be accepted: ``old`` or ``replayed``; None if it is new."""
        behind = self.newest - seq
        if behind < 0:
            return None
        if behind >= WINDOW or seq <= 0:
            return "old"
        return "replayed" if self.bits >> behind & 1 else None

    def add(self, seq: int) -> bool:
        """Note a number that :meth:`status` has nothing against; tell whether it is the newest."""
        ahead = seq - self.newest
        if ahead > 0:
            self.bits = (self.bits << ahead | 1) & _WINDOW_MASK if ahead < WINDOW else 1
            self.newest = seq
            return True
        self.bits |= 1 << -ahead
        return False

    def ack(self) -> Ack:
        """Say what was received, as an ack block says it."""
        return Ack(self.newest, self.bits >> 1 & _ACK_MASK)


class Sealer:
    """Makes the datagrams of one session and direction, numbered from 1.

    Args:
        session: id of the session.
        key: its secret, 32 bytes.
        direction: which way the datagrams go.
    """

    __slots__ = ("_hash", "_session", "seq")

    def __init__(self, session: int, key: bytes, direction: Direction) -> None:
        self._session = session
        self._hash = keyed_hash(key, direction)
        self.seq = 0
        """Number of the newest datagram."""

    def seal(self, kind: int, body: bytes = b"") -> bytes:
        """Make the next datagram.

        Raises:
            ValueError: the body is too long, or the session's numbers are used up.
        """
        if len(body) > MAX_BODY or self.seq == MAX_SEQ:
            raise ValueError(f"a body of {len(body)} bytes after {self.seq} datagrams cannot be sent")
        self.seq += 1
        front = _FRONT.pack(MAGIC, VERSION, kind, self._session, self.seq)
        tag = self._hash.copy()
        tag.update(front)
        tag.update(body)
        return front + tag.digest() + body


class Opener:
    """Checks and opens the datagrams of one session and direction.

    Args:
        key: the session's secret, 32 bytes.
        direction: which way the datagrams go.
    """

    __slots__ = ("_hash", "window")

    def __init__(self, key: bytes, direction: Direction) -> None:
        self._hash = keyed_hash(key, direction)
        self.window = Window()

    def open(self, datagram: bytes, seq: int) -> tuple[bytes, bool]:
        """Check tag and number of a datagram whose header was read.

        Args:
            datagram: all of it.
            seq: number from its header.

        Returns:
            The body, and whether it is the newest datagram so far.

        Raises:
            BadFrame: ``tag``, ``replayed`` or ``old``.
        """
        tag = self._hash.copy()
        tag.update(datagram[:FRONT_BYTES])
        tag.update(datagram[HEADER_BYTES:])
        if not compare_digest(tag.digest(), datagram[FRONT_BYTES:HEADER_BYTES]):
            raise BadFrame("tag")
        reason = self.window.status(seq)
        if reason is not None:
            raise BadFrame(reason)
        return datagram[HEADER_BYTES:], self.window.add(seq)


def keyed_hash(key: bytes, direction: Direction) -> blake2s:
    """Begin the tag of a datagram; copy it for each one.

    Raises:
        ValueError: the key has not 32 bytes.
    """
    if len(key) != KEY_BYTES:
        raise ValueError(f"a key has {KEY_BYTES} bytes, not {len(key)}")
    return blake2s(key=key, digest_size=TAG_BYTES, person=direction.value.encode())


def encode_ack(ack: Ack) -> bytes:
    """Encode the body of an ACK, which is also how INPUT and ACTION begin."""
    return _ACK.pack(*ack)


def decode_ack(body: bytes) -> Ack:
    """Decode the body of an ACK.

    Raises:
        BadFrame: ``body``.
    """
    if len(body) != ACK_BYTES:
        raise BadFrame("body")
    return Ack(*_ACK.unpack(body))


def encode_input(ack: Ack, wish: Input) -> bytes:
    """Encode the body of an INPUT."""
    return _INPUT.pack(*ack, *wish)


def decode_input(body: bytes) -> tuple[Ack, Input]:
    """Decode the body of an INPUT.

    Raises:
        BadFrame: ``body``.
    """
    if len(body) != _INPUT.size:
        raise BadFrame("body")
    newest, bits, number, mode, vx, vy, yaw = _INPUT.unpack(body)
    return Ack(newest, bits), Input(number, mode, vx, vy, yaw)


def split_action(body: bytes) -> tuple[Ack, bytes]:
    """Split the body of an ACTION into its ack block and the message (see ``messages.decode_udp_action``).

    Raises:
        BadFrame: ``body``.
    """
    if len(body) <= ACK_BYTES:
        raise BadFrame("body")
    return Ack(*_ACK.unpack_from(body)), body[ACK_BYTES:]
