"""Receipts as values of records."""

from __future__ import annotations

import json

import msgspec
import pytest

from necp_validate.events.receipts import Outcome, Receipt, decode_receipt, encode_receipt

RECEIPT = Receipt(
    instance="core-0",
    domain="combat",
    topic="game.combat.events",
    sent_us=5,
    transactional=False,
    runs=[(3, 10, 19, Outcome.PROCESSED, 4), (3, 20, 20, Outcome.DEAD_LETTERED, 4)],
    results={"damage": {"match-0001": 12}},
)


def test_round_trip() -> None:
    """Outcomes come back as outcomes."""
    assert decode_receipt(encode_receipt(RECEIPT)) == RECEIPT
    assert decode_receipt(encode_receipt(RECEIPT)).runs[1][3] is Outcome.DEAD_LETTERED


def test_runs_are_plain_arrays_on_the_wire() -> None:
    """Any consumer can read them without knowing the class."""
    assert json.loads(encode_receipt(RECEIPT))["runs"] == [[3, 10, 19, 0, 4], [3, 20, 20, 2, 4]]


@pytest.mark.parametrize("value", [b"", b"{}", encode_receipt(RECEIPT).replace(b"[3,20,20,2,4]", b"[3,20,20,7,4]")])
def test_other_values_are_refused(value: bytes) -> None:
    """Half a receipt, or one with an unknown outcome, is none."""
    with pytest.raises(msgspec.DecodeError):
        decode_receipt(value)
