"""Datagrams: what is accepted, and everything else that is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from necp_validate.realtime.frames import (
    ACK_BITS,
    HEADER_BYTES,
    MAX_BODY,
    MAX_DATAGRAM,
    MAX_SEQ,
    WINDOW,
    Ack,
    BadFrame,
    Direction,
    Input,
    Kind,
    Opener,
    Sealer,
    Window,
    decode_ack,
    decode_input,
    encode_ack,
    encode_input,
    keyed_hash,
    read_header,
    split_action,
)

KEY = bytes(range(32))
NEVER_SEEN = 0


def _pair() -> tuple[Sealer, Opener]:
    return Sealer(7, KEY, Direction.TO_GATEWAY), Opener(KEY, Direction.TO_GATEWAY)


def _reason(opener: Opener, datagram: bytes) -> str:
    with pytest.raises(BadFrame) as caught:
        opener.open(datagram, read_header(datagram).seq)
    return caught.value.reason


def test_the_header_is_what_the_reference_says() -> None:
    """Byte by byte, so that another implementation can rely on it."""
    datagram = Sealer(0x1122334455667788, KEY, Direction.TO_GATEWAY).seal(Kind.INPUT, b"body")
    assert datagram[:16].hex() == "4e470102" + "8877665544332211" + "01000000"
    tag = keyed_hash(KEY, Direction.TO_GATEWAY)
    tag.update(datagram[:16] + b"body")
    assert datagram[16:24] == tag.digest()
    assert datagram[24:] == b"body"


@given(st.binary(max_size=MAX_BODY), st.sampled_from(Kind))
def test_what_is_sealed_can_be_opened(body: bytes, kind: Kind) -> None:
    """Once, and as the newest."""
    sealer, opener = _pair()
    datagram = sealer.seal(kind, body)
    header = read_header(datagram)
    assert header == (kind, 7, 1)
    assert opener.open(datagram, header.seq) == (body, True)
    assert _reason(opener, datagram) == "replayed"


@given(st.binary(max_size=60), st.integers(0, 10_000), st.integers(1, 255))
def test_no_changed_byte_goes_unnoticed(body: bytes, place: int, change: int) -> None:
    """Wherever it is; and the window stays as it was."""
    sealer, opener = _pair()
    good = sealer.seal(Kind.ACK, body)
    bad = bytearray(good)
    bad[place % len(bad)] ^= change
    with pytest.raises(BadFrame, match=r"magic|version|tag"):
        opener.open(bytes(bad), read_header(bytes(bad)).seq)
    assert opener.open(good, 1) == (body, True)


@given(st.binary(max_size=MAX_DATAGRAM + 100))
def test_rubbish_is_refused(datagram: bytes) -> None:
    """Whatever it is, it costs a reason and nothing else."""
    opener = Opener(KEY, Direction.TO_GATEWAY)
    with pytest.raises(BadFrame):
        opener.open(datagram, read_header(datagram).seq)


def test_other_directions_and_keys_do_not_fit() -> None:
    """A datagram cannot be sent back, nor into another session."""
    datagram = Sealer(7, KEY, Direction.TO_CLIENT).seal(Kind.STATE)
    assert _reason(Opener(KEY, Direction.TO_GATEWAY), datagram) == "tag"
    assert _reason(Opener(bytes(32), Direction.TO_CLIENT), datagram) == "tag"


def test_lengths_have_limits() -> None:
    """Too short, too long, and a body that does not fit."""
    for length in (0, HEADER_BYTES - 1, MAX_DATAGRAM + 1):
        with pytest.raises(BadFrame, match="length"):
            read_header(bytes(length))
    sealer, _ = _pair()
    assert len(sealer.seal(Kind.STATE, bytes(MAX_BODY))) == MAX_DATAGRAM
    with pytest.raises(ValueError, match="cannot be sent"):
        sealer.seal(Kind.STATE, bytes(MAX_BODY + 1))
    with pytest.raises(ValueError, match="32 bytes"):
        Sealer(7, b"short", Direction.TO_GATEWAY)


def test_numbers_are_never_used_twice() -> None:
    """When all are used up, the session cannot send any more."""
    sealer, _ = _pair()
    sealer.seq = MAX_SEQ
    with pytest.raises(ValueError, match="cannot be sent"):
        sealer.seal(Kind.ACK)


@given(st.lists(st.integers(0, 300), max_size=200))
def test_the_window_accepts_each_number_once_and_nothing_too_old(numbers: list[int]) -> None:
    """Compared with a set that never forgets."""
    window = Window()
    seen: set[int] = set()
    for number in numbers:
        newest = max(seen, default=NEVER_SEEN)
        too_old = number <= newest - WINDOW or number == 0
        expected = "old" if too_old else "replayed" if number in seen else None
        assert window.status(number) == expected
        if expected is None:
            assert window.add(number) is (number > newest)
            seen.add(number)
    newest = max(seen, default=NEVER_SEEN)
    assert window.newest == newest
    assert {number for number in range(1, 301) if window.ack().covers(number)} == {
        number for number in seen if number >= newest - ACK_BITS
    }


@given(
    st.builds(Ack, st.integers(0, MAX_SEQ), st.integers(0, MAX_SEQ)),
    st.builds(
        Input,
        st.integers(0, MAX_SEQ),
        st.integers(0, 255),
        st.integers(-(2**15), 2**15 - 1),
        st.integers(-(2**15), 2**15 - 1),
        st.integers(0, 2**16 - 1),
    ),
)
def test_bodies_come_back(ack: Ack, wish: Input) -> None:
    """ACK, INPUT and the beginning of ACTION."""
    assert decode_ack(encode_ack(ack)) == ack
    assert decode_input(encode_input(ack, wish)) == (ack, wish)
    assert split_action(encode_ack(ack) + b"x") == (ack, b"x")


@given(st.binary(max_size=40))
def test_bodies_of_another_length_are_refused(body: bytes) -> None:
    """The length alone decides."""
    if len(body) != 8:
        with pytest.raises(BadFrame, match="body"):
            decode_ack(body)
    if len(body) != 19:
        with pytest.raises(BadFrame, match="body"):
            decode_input(body)
    if len(body) <= 8:
        with pytest.raises(BadFrame, match="body"):
            split_action(body)
