"""The record of a run's faults: written by one process, read by another, whatever happened in between."""

from pathlib import Path

import pytest
from neutral import neutral

from necp_validate.core import SuiteError
from necp_validate.record import FaultRecord, parts

START_US = 1_790_000_000_000_000
KILL = neutral(
    FaultRecord,
    id="broker-kill-1",
    experiment="broker-kill",
    kind="broker-kill",
    target="broker-2 (leader of game.combat.events-3)",
    begin_us=START_US + 2_000_000,
    effective_us=START_US + 2_050_000,
    evidence="pid 123 gone",
    end_us=START_US + 9_000_000,
    claims=("FT-BROKER",),
)
CUT = neutral(
    FaultRecord,
    id="cut-1",
    experiment="leader-cut",
    kind="cut",
    target="broker-1",
    begin_us=START_US + 1_000_000,
    effective_us=None,
    evidence="",
    end_us=None,
    needs="needs root and iptables",
)


def test_faults_are_read_as_written_in_order_of_time(tmp_path: Path) -> None:
    """Two faults, appended when each was over, come back unchanged and sorted by their beginning."""
    parts.FAULTS.append(tmp_path, KILL)
    parts.FAULTS.append(tmp_path, CUT)

    assert parts.FAULTS.read(tmp_path) == (CUT, KILL)


def test_a_run_without_faults_has_none(tmp_path: Path) -> None:
    """No file is no fault, not an error."""
    assert parts.FAULTS.read(tmp_path) == ()


def test_a_torn_last_line_is_left_out_and_the_next_record_continues(tmp_path: Path) -> None:
    """The writer was killed in the middle of a line."""
    parts.FAULTS.append(tmp_path, KILL)
    with (parts.FAULTS.file(tmp_path)).open("ab") as file:
        file.write(b'{"id": "torn')

    assert parts.FAULTS.read(tmp_path) == (KILL,)
    parts.FAULTS.append(tmp_path, CUT)
    assert parts.FAULTS.read(tmp_path) == (CUT, KILL)


def test_a_damaged_line_is_an_error_that_names_it(tmp_path: Path) -> None:
    """A fault that cannot be read might be the one that a claim rests on."""
    parts.FAULTS.append(tmp_path, KILL)
    with (parts.FAULTS.file(tmp_path)).open("ab") as file:
        file.write(b'{"id": 3}\n')

    with pytest.raises(SuiteError, match=r"faults.jsonl line 2 is damaged: id: expected a text"):
        parts.FAULTS.read(tmp_path)
