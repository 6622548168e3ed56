"""An event core that is asked to end under load: in time, cleanly, having committed what it answered."""

from __future__ import annotations

from dataclasses import replace

import pytest
from histories import claim_of, finding_of
from sound.faults import fault, stopped

from necp_validate.core import Verdict
from necp_validate.record import Record


def twice(history: Record, count: int) -> Record:
    """So many outcomes of combat are there a second time."""
    assert history.readback is not None
    (receipts,) = history.readback.receipts
    more = replace(receipts, duplicate_outcomes=count, processed=receipts.processed + count)
    return replace(history, readback=replace(history.readback, receipts=(more,)))


def test_an_end_in_time_after_which_nothing_is_repeated_passes_with_its_figures() -> None:
    finding = finding_of(stopped(), "graceful-stop")
    assert (finding.verdict, finding.measured) == (Verdict.PASS, "core-0 in 0.8 s, 900 events left")
    assert claim_of(stopped(), "OPS-HEALTH").verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"clean": False}, "core-0 ended with an error"), ({"seconds": 31.0}, "it took 31.0 s, allowed 30 s")],
)
def test_an_end_with_an_error_or_too_late_fails(changes: dict[str, object], words: str) -> None:
    finding = finding_of(stopped(**changes), "graceful-stop")
    assert (finding.verdict, words in finding.examples[0].detail) == (Verdict.FAIL, True)
    assert claim_of(stopped(**changes), "OPS-HEALTH").verdict is Verdict.FAIL


def test_what_was_answered_and_not_committed_is_handled_again_and_fails() -> None:
    """As after ``os._exit(0)``: the exit code is that of a graceful end."""
    history = twice(stopped(), 40)
    finding = finding_of(history, "graceful-stop")
    assert (finding.verdict, finding.count) == (Verdict.FAIL, 40)
    assert finding_of(history, "handled-twice").verdict is Verdict.PASS, "allowed in general, after a restart"


def test_under_another_fault_nobody_knows_what_was_handled_twice_and_why() -> None:
    assert finding_of(twice(stopped(fault()), 40), "graceful-stop").verdict is Verdict.UNKNOWN


def test_a_core_without_load_proves_nothing() -> None:
    finding = finding_of(stopped(lag_after=0), "graceful-stop")
    assert (finding.verdict, "no load was on it" in finding.summary) == (Verdict.UNKNOWN, True)
