"""What master and workers tell each other cannot be read, changed or mixed up on its way."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from necp_validate.core import SuiteError, UsageError
from necp_validate.load.messages import Inbox, Seal, Unsealed, pieces

KEY = "a key that both sides know"


def test_what_is_sealed_can_be_opened_with_the_same_key_only() -> None:
    sealed = Seal(KEY).seal({"password": "secret", "at": 7, "raw": b"\x00\xff"})
    assert b"secret" not in sealed["sealed"]
    assert Seal(KEY).open(sealed) == {"password": "secret", "at": 7, "raw": b"\x00\xff"}
    with pytest.raises(Unsealed):
        Seal(KEY + "!").open(sealed)


@pytest.mark.parametrize("said", [None, {}, {"sealed": b""}, {"sealed": 3}, {"reason": "none"}, "text"])
def test_what_is_not_sealed_is_no_message_of_ours(said: object) -> None:
    with pytest.raises(Unsealed):
        Seal(KEY).open(said)


def test_one_changed_bit_is_noticed() -> None:
    sealed = bytearray(Seal(KEY).seal([1, 2, 3])["sealed"])
    sealed[40] ^= 1
    with pytest.raises(Unsealed):
        Seal(KEY).open({"sealed": bytes(sealed)})


def test_a_key_that_is_too_short_is_wrong_usage() -> None:
    with pytest.raises(UsageError, match="16 are the least"):
        Seal("short")


@given(content=st.binary(max_size=300), size=st.integers(1, 70), seed=st.integers(0, 1000))
def test_pieces_in_any_order_and_more_than_once_make_the_file(content: bytes, size: int, seed: int) -> None:
    sent = list(pieces("history/load-w0.json", content, size))
    random.Random(seed).shuffle(sent)
    sent = [*sent[:1], *sent] if len(sent) > 1 else sent
    inbox = Inbox(frozenset({"history/load-w0.json"}))
    whole = [made for piece in sent if (made := inbox.add(piece)) is not None]
    assert whole == [("history/load-w0.json", content)]


def test_a_missing_piece_makes_no_file() -> None:
    first, _, last = pieces("a", b"abcdef", 2)
    inbox = Inbox(frozenset({"a"}))
    assert inbox.add(first) is None
    assert inbox.add(last) is None


def test_a_piece_of_another_file_content_is_noticed() -> None:
    one, two = pieces("a", b"abcdef", 3)
    inbox = Inbox(frozenset({"a"}))
    inbox.add(one)
    with pytest.raises(SuiteError, match="did not arrive as it was sent"):
        inbox.add({**two, "content": b"xyz"})


@pytest.mark.parametrize("name", ["../run.json", "history/load-w1.json", "/etc/passwd"])
def test_a_worker_writes_no_file_but_its_own(name: str) -> None:
    (piece,) = pieces(name, b"x")
    with pytest.raises(SuiteError, match="not its file"):
        Inbox(frozenset({"history/load-w0.json"})).add(piece)
