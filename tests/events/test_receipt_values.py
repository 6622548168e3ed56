"""Receipts as values of records."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from necp_validate.events.receipts import Outcome, Receipt, at_once, at_once_shares, decode_receipt, encode_receipt
from necp_validate.events.topics import Domain

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


@given(st.sampled_from(list(Domain)), st.integers(0, 47), st.integers(0, 5_000), st.integers(1, 300))
def test_one_of_so_many_is_written_at_once_however_they_are_handled(
    domain: Domain, partition: int, first: int, one_in: int
) -> None:
    """Core and verifier see other runs of the same offsets, and agree."""
    last = first + 10 * one_in
    whole = at_once(domain, partition, first, last, one_in)
    assert whole == [at for at in range(first, last + 1) if at_once(domain, partition, at, at, one_in)]
    assert 9 <= len(whole) <= 11
    blocks = [at // one_in for at in whole]
    assert len(set(blocks)) == len(blocks)


def test_where_it_lies_cannot_be_told_from_its_partition_or_block() -> None:
    places = {at_once(Domain.COMBAT, partition, 0, 999, 1_000)[0] for partition in range(100)}
    assert len(places) > 80
    assert at_once(Domain.COMBAT, 0, 0, 999, 1_000) != at_once(Domain.SOCIAL, 0, 0, 999, 1_000)
    assert at_once(Domain.COMBAT, 0, 0, 10**6, 0) == []


def test_about_ten_a_second_are_written_at_once_at_any_rate() -> None:
    rates = {Domain.COMBAT: 20_000.0, Domain.ECONOMY: 500.0, Domain.SOCIAL: 2.0, Domain.SYSTEM: 0.0}
    assert at_once_shares(rates) == {Domain.COMBAT: 2_000, Domain.ECONOMY: 50, Domain.SOCIAL: 1}
