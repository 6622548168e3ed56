"""What a run on topics of the user's own cannot know is unknown, and the evidence says how to supply it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from histories import START_S, run_info, timed_history

from necp_validate.claims.judge import judge_claims
from necp_validate.claims.metrics.measures import MEASURES
from necp_validate.claims.metrics.supply import SUPPLY
from necp_validate.claims.model import Claim, Condition
from necp_validate.core import ClaimResult, Verdict
from necp_validate.record import LagSample, Record
from necp_validate.report.frames import to_frames
from necp_validate.scenario.due import due_of_topics

TOPIC = "orders"


@pytest.fixture
def bare() -> Record:
    """A sound run of which nothing is known but what was sent and what was read back."""
    run = run_info(stack={"backend": "external"}, config={"topics": {TOPIC: 20}, "load": {"processes": 1}})
    history = timed_history(eps={TOPIC: 20}, seconds=60, run=run)
    (load,) = history.loads
    stream = replace(load.streams[0], topic=TOPIC)
    rows = [replace(row, processed=None, rejected=None, dead_lettered=None) for row in history.timeline]
    assert history.readback is not None
    read = replace(history.readback.partitions[0], topic=TOPIC)
    return replace(
        history,
        due=due_of_topics({TOPIC: 1}),
        loads=(replace(load, streams=(stream,), outcomes_seen=None, outcome_gaps=None, last_ended_us=None),),
        timeline=tuple(rows),
        latency={key: histogram for key, histogram in history.latency.items() if key[2] != "e2e"},
        readback=replace(
            history.readback, partitions=(read,), outputs=None, receipts=(), dead_letters=None, totals=None, ledger=None
        ),
        groups=(),
        lag=(),
        leaders=(),
        drain=None,
        core_shutdown=None,
    )


def _judge(history: Record, metric: str, domain: str | None = None) -> ClaimResult:
    condition = Condition(metric=metric, comparison=">=", threshold=0.0, shown="0", domain=domain)
    claim = Claim(id="c", title="d", area="own", conditions=(condition,))
    (result,) = judge_claims(history, [], [claim])
    return result


@pytest.mark.parametrize("metric", sorted(SUPPLY))
def test_what_is_missing_says_how_it_is_supplied(bare: Record, metric: str) -> None:
    assert metric in MEASURES
    result = _judge(bare, metric)
    assert result.verdict is Verdict.UNKNOWN
    assert SUPPLY[metric] in result.evidence


@pytest.mark.parametrize(
    "metric", ["lost", "duplicates", "out_of_order", "failed", "acked_rate", "ack_p95", "longest_gap"]
)
def test_what_needs_nothing_of_the_targets_owner_is_judged(bare: Record, metric: str) -> None:
    result = _judge(bare, metric)
    assert result.verdict is Verdict.PASS, result.evidence


def test_a_topic_without_a_group_leaves_the_backlog_unknown(bare: Record) -> None:
    whole = timed_history(eps={TOPIC: 20}, seconds=60)
    lag = tuple(LagSample(t=START_S + second, domain=TOPIC, lag=4) for second in range(61))
    unnamed = replace(bare, lag=lag, drain=whole.drain)
    assert [_judge(unnamed, metric).verdict for metric in ("lag_max", "drain_time")] == [Verdict.UNKNOWN] * 2
    stack = {**bare.run.stack, "groups": {TOPIC: "billing"}}
    named = replace(unnamed, run=replace(bare.run, stack=stack))
    assert [_judge(named, metric).verdict for metric in ("lag_max", "drain_time")] == [Verdict.PASS] * 2
    assert bare.readback is not None
    shared = replace(named, readback=replace(bare.readback, others=3))
    assert [_judge(shared, metric).verdict for metric in ("lag_max", "drain_time")] == [Verdict.PASS, Verdict.UNKNOWN]


def test_the_report_lists_what_is_missing_and_what_would_supply_it(bare: Record) -> None:
    missing = "; ".join(to_frames(bare).missing)
    for text in (
        'output = "..." in a [[topics]] table',
        'group = "..." in a [[topics]] table',
        "their owner's monitoring",
    ):
        assert text in missing
    named = replace(bare, run=replace(bare.run, stack={"outputs": {TOPIC: "orders.done"}}))
    assert "the end of processing" not in "; ".join(to_frames(named).missing)


def test_a_claim_about_a_topic_that_was_not_loaded_is_unknown(bare: Record) -> None:
    result = _judge(bare, "lost", domain="payments")
    assert (result.verdict, result.evidence) == (Verdict.UNKNOWN, "run: the run has no events of payments")
