"""Cell parts and deltas, and the records that they are about."""

from __future__ import annotations

import struct
from contextlib import suppress
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from necp_validate.realtime import state
from necp_validate.realtime.cells import (
    CHANGE_BYTES,
    FULL_MASK,
    MAX_PART,
    PART_BYTES,
    Inconsistent,
    StateHead,
    apply,
    canonical_bytes,
    cell_checksum,
    decode_part,
    decode_state,
    delta,
    encode_parts,
    encode_state,
    full_bytes,
)
from necp_validate.realtime.frames import MAX_BODY, BadFrame
from necp_validate.realtime.state import RECORD_BYTES, State, c_size, canonical, layout_savings, pack, parse, unpack
from necp_validate.record import LAYOUTS

U16 = st.integers(0, 2**16 - 1)
I16 = st.integers(-(2**15), 2**15 - 1)
I32 = st.integers(-(2**31), 2**31 - 1)
STATES = st.builds(State, st.integers(1, 40), I32, I32, I32, I16, I16, U16, U16, st.integers(0, 255), st.just(0))
CELLS = st.lists(STATES, max_size=30).map(lambda states: {one.id: pack(one) for one in states})
HEAD = StateHead(5, 1_700_000_000_000_000, 3, 9, 1, 2, 0)


@given(STATES)
def test_records_come_back(one: State) -> None:
    """26 bytes, little endian."""
    assert len(pack(one)) == RECORD_BYTES == 26
    assert unpack(pack(one)) == one


@given(CELLS)
def test_columns_and_records_agree(cell: dict[int, bytes]) -> None:
    """The canonical bytes of a numpy array are those of its records, sorted by id."""
    array = np.array([tuple(unpack(record)) for record in reversed(cell.values())], state.MEMORY_DTYPE)
    assert canonical(array) == canonical_bytes(cell)
    assert list(parse(canonical(array))) == [unpack(cell[entity]) for entity in sorted(cell)]
    assert state.checksum(canonical(array)) == cell_checksum(cell)


def test_an_empty_cell_has_the_checksum_of_nothing() -> None:
    """Which both ends must agree on."""
    assert cell_checksum({}) == state.EMPTY_CHECKSUM == 0


@given(CELLS, CELLS, st.integers(1, 120))
def test_a_delta_leads_from_any_cell_to_any_other(old: dict[int, bytes], new: dict[int, bytes], batch: int) -> None:
    """In parts of any size, encoded, split out of a datagram and decoded again."""
    removed, changes = delta(old, new)
    blobs = encode_parts(
        (3, 4),
        base=7,
        version=9,
        cell_checksum=cell_checksum(new),
        removed=removed,
        changes=changes,
        batch=batch,
    )
    assert all(count <= batch and len(blob) <= MAX_PART for blob, count in blobs)
    assert sum(count for _, count in blobs) == len(removed) + len(changes)
    parts = []
    for number, (blob, _) in enumerate(blobs):
        head, (same,) = decode_state(encode_state(HEAD._replace(parts=1), [blob]))
        assert same == blob
        assert head.tick == 5
        part = decode_part(blob)
        assert (part.head.part, part.head.parts, part.head.version) == (number, len(blobs), 9)
        parts.append(part)
    assert apply(old, parts) == new


def test_an_unchanged_entity_costs_nothing() -> None:
    """And one that only moves along one axis costs nine bytes."""
    one = State(1, 10, 20, 30, 1, 2, 3, 4, 0, 0)
    assert delta({1: pack(one)}, {1: pack(one)}) == ([], [])
    _, (change,) = delta({1: pack(one)}, {1: pack(one._replace(x=11))})
    assert change == struct.pack("<IBi", 1, 1, 11)
    assert CHANGE_BYTES[FULL_MASK] == 27
    assert full_bytes(2) == len(
        encode_parts((0, 0), base=0, version=1, cell_checksum=0, removed=[], changes=[bytes(27), bytes(27)], batch=9)[
            0
        ][0]
    )


def test_a_delta_on_the_wrong_base_is_noticed() -> None:
    """A removal or a change of what is not there."""
    one = State(1, 10, 20, 30, 1, 2, 3, 4, 0, 0)
    for old, new in (({1: pack(one)}, {}), ({1: pack(one)}, {1: pack(one._replace(x=11))})):
        removed, changes = delta(old, new)
        blob, _ = encode_parts((0, 0), base=1, version=2, cell_checksum=0, removed=removed, changes=changes, batch=9)[0]
        with pytest.raises(Inconsistent, match="entity 1, which is not in the base"):
            apply({}, [decode_part(blob)])


@given(st.binary(max_size=MAX_BODY))
def test_rubbish_is_refused_or_read_but_never_fails_otherwise(body: bytes) -> None:
    """Whatever comes, the answer is a state or a BadFrame."""
    try:
        head, blobs = decode_state(body)
    except BadFrame:
        return
    assert len(blobs) == head.parts
    for blob in blobs:
        with suppress(BadFrame):
            assert decode_part(blob).head.length == len(blob) - PART_BYTES


@given(CELLS.filter(bool), st.data())
def test_a_truncated_part_is_refused(cell: dict[int, bytes], data: st.DataObject) -> None:
    """At whatever byte."""
    blob, _ = encode_parts(
        (0, 0),
        base=0,
        version=1,
        cell_checksum=0,
        removed=[],
        changes=delta({}, cell)[1],
        batch=200,
    )[0]
    end = data.draw(st.integers(0, len(blob) - 1))
    with pytest.raises(BadFrame):
        decode_part(blob[:end])
    with pytest.raises(BadFrame):
        decode_state(encode_state(HEAD._replace(parts=1), [blob])[: end - len(blob)])


def test_layouts_are_those_of_a_c_compiler() -> None:
    """Compared with struct's native alignment, and the mean with all orders of the event record."""
    assert c_size([4, 1, 4, 4, 4, 2, 2, 2, 1, 2]) == struct.calcsize("@IBiiiHhhBH0I")
    records = {saving.record: saving for saving in layout_savings()}
    assert tuple(records) == LAYOUTS, "these are due of every process of players"
    assert records["state"].naive == 32
    assert (records["state"].aligned, records["state"].packed) == (28, 26) == (state.MEMORY_DTYPE.itemsize, 26)
    widths = [width for _, width in state.NAIVE_EVENT]
    sizes = [c_size(order) for order in permutations(widths)]
    event = records["event"]
    assert (event.mean, event.worst, event.aligned) == (sum(sizes) / len(sizes), max(sizes), min(sizes))
    assert event.saved_pct == 100 * (event.naive - event.aligned) / event.naive == 20.0
