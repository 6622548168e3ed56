"""What a run on topics of the user's own cannot know is unknown, and the evidence says how to supply it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from necp_validate.claims.metrics.measures import MEASURES
from necp_validate.claims.metrics.supply import SUPPLY
from necp_validate.claims.model import OwnClaim
from necp_validate.claims.own import judge_own
from necp_validate.core import ClaimResult, Verdict
from necp_validate.record import History, read_history
from necp_validate.record.model import Drain, LagSample, TimelineRow
from necp_validate.report.frames import to_frames
from necp_validate.selftest.course import START_US
from necp_validate.selftest.topics import TOPIC, new_topic_run


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> History:
    """A sound run without group, output and metrics."""
    run_dir = tmp_path_factory.mktemp("runs") / "run"
    new_topic_run().write(run_dir)
    history = read_history(run_dir)
    rows = tuple(
        TimelineRow(t=START_US / 1e6 + t, domain=TOPIC, phase="steady", scheduled=20, sent=20, acked=20, worker="0")
        for t in range(1, 20)
    )
    return replace(history, timeline=rows)


def _judge(history: History, metric: str, domain: str | None = None) -> ClaimResult:
    claim = OwnClaim(id="c", description="d", metric=metric, comparison=">=", threshold=0.0, shown="0", domain=domain)
    (result,) = judge_own(history, [claim])
    return result


@pytest.mark.parametrize("metric", sorted(SUPPLY))
def test_what_is_missing_says_how_it_is_supplied(bare: History, metric: str) -> None:
    assert metric in MEASURES
    result = _judge(bare, metric)
    assert result.verdict is Verdict.UNKNOWN
    assert SUPPLY[metric] in result.evidence


@pytest.mark.parametrize(
    "metric", ["lost", "duplicates", "out_of_order", "failed", "acked_rate", "ack_p95", "longest_gap"]
)
def test_what_needs_nothing_of_the_targets_owner_is_judged(bare: History, metric: str) -> None:
    assert _judge(bare, metric).verdict is Verdict.PASS


def test_a_topic_without_a_group_leaves_the_backlog_unknown(bare: History) -> None:
    lag = (LagSample(t=START_US / 1e6 + 1, domain=TOPIC, lag=4),)
    drain = Drain(phase_end_us=START_US, lag_at_end=4, drained_us=START_US + 1, drain_s=1e-6)
    unnamed = replace(bare, lag=lag, drain=drain)
    assert [_judge(unnamed, metric).verdict for metric in ("lag_max", "drain_time")] == [Verdict.UNKNOWN] * 2
    named = replace(unnamed, run=replace(bare.run, stack={"groups": {TOPIC: "billing"}}))
    assert [_judge(named, metric).verdict for metric in ("lag_max", "drain_time")] == [Verdict.PASS] * 2
    assert bare.readback is not None
    shared = replace(named, readback=replace(bare.readback, others=3))
    assert [_judge(shared, metric).verdict for metric in ("lag_max", "drain_time")] == [Verdict.PASS, Verdict.UNKNOWN]


def test_the_report_lists_what_is_missing_and_what_would_supply_it(bare: History) -> None:
    missing = "; ".join(to_frames(bare).missing)
    for text in (
        'output = "..." in a [[topics]] table',
        'group = "..." in a [[topics]] table',
        "their owner's monitoring",
    ):
        assert text in missing
    named = replace(bare, run=replace(bare.run, stack={"outputs": {TOPIC: "orders.done"}}))
    assert "the end of processing" not in "; ".join(to_frames(named).missing)


def test_a_claim_about_a_topic_that_was_not_loaded_is_unknown(bare: History) -> None:
    result = _judge(bare, "lost", domain="payments")
    assert (result.verdict, result.evidence) == (Verdict.UNKNOWN, "run: unknown, the run has no events of payments")
