"""Verdicts on availability under faults, and on consumers and partitions that are added under load."""

from __future__ import annotations

from dataclasses import replace

import pytest
from histories import claim_of, finding_of
from sound.faults import (
    CONSUMERS_ADDED,
    PARTITIONS_ADDED,
    consumers_scaled,
    fault,
    faulted,
    group_of,
    partitions_scaled,
    with_config,
)

from necp_validate.core import Verdict


def test_availability_is_the_share_of_good_events() -> None:
    """Against an error budget of one in a thousand, in a run of five minutes with a fault."""
    history = faulted(fault(), seconds=300)

    result = claim_of(history, "AVAIL")
    assert (result.verdict, result.measured) == (Verdict.PASS, "300 s, 100%")
    assert "lowest in combat: 100.000%" in result.evidence
    assert "1 of 300,000 events" in result.sees

    for acked_eps, missed, verdict in ((999.0, 300, Verdict.PASS), (998.0, 600, Verdict.FAIL)):
        bad = claim_of(faulted(fault(), seconds=300, acked_eps=acked_eps), "AVAIL")
        assert (bad.verdict, f"{acked_eps / 10:g}%" in bad.measured) == (verdict, True)
        assert f"{missed} of 300,000 events were not served" in bad.evidence


def test_a_run_too_short_or_without_a_fault_says_nothing_of_availability() -> None:
    """And a scenario cannot make it long enough."""
    short = claim_of(faulted(fault()), "AVAIL")
    assert (short.verdict, short.measured) == (Verdict.UNKNOWN, "60 s, 100%")

    allowed = claim_of(with_config(faulted(fault()), thresholds={"soak_s": 30}), "AVAIL")
    assert allowed.verdict is Verdict.UNKNOWN
    assert "judged by a looser limit than claimed: soak_s is 30 s, claimed 300 s" in allowed.evidence

    calm = claim_of(faulted(seconds=300), "AVAIL")
    assert (calm.verdict, "no fault was in effect" in calm.evidence) == (Verdict.UNKNOWN, True)


def test_what_is_beyond_the_claim_does_not_count_for_availability() -> None:
    """With fewer brokers than min.insync.replicas nothing is to be acknowledged."""
    result = claim_of(faulted(fault("double-kill"), seconds=300), "AVAIL")

    assert result.verdict is Verdict.UNKNOWN
    assert "no event was due in a phase that counts" in result.evidence


def test_consumers_scaled_under_load() -> None:
    """Three to twelve members of the group that was scaled; the latency of the phase must hold."""
    social = group_of((0, "STABLE", 3), name="event-core-social")
    history = consumers_scaled()
    history = replace(history, groups=(*history.groups, *social))

    finding = finding_of(history, "consumers-scaled")
    assert (finding.verdict, finding.measured) == (Verdict.PASS, "event-core-combat 3 → 12")
    result = claim_of(history, "SCALE-CONSUMERS")
    assert (result.verdict, result.measured) == (
        Verdict.PASS,
        "P99 10 ms (fault), lost: 0 events, never handled: 0 events",
    )
    assert claim_of(history, "LAT-SCALING").measured == "P99 10 ms"


@pytest.mark.parametrize("members", [9, 11])
def test_fewer_consumers_than_claimed_are_no_evidence(members: int) -> None:
    """The run is not about what is claimed, so it neither holds nor fails."""
    history = consumers_scaled(members)

    finding = finding_of(history, "consumers-scaled")
    words = f"not every group grew from 3 to 12 members: event-core-combat 3 → {members}"
    assert (finding.verdict, finding.summary) == (Verdict.NOT_APPLICABLE, words)
    result = claim_of(history, "SCALE-CONSUMERS")
    assert (result.verdict, words in result.evidence) == (Verdict.UNKNOWN, True)


def test_partitions_added_under_load() -> None:
    """All of the new ones are known, some are used, and keys that moved are told."""
    history = partitions_scaled()

    finding = finding_of(history, "partitions-scaled")
    assert (finding.verdict, finding.measured) == (Verdict.PASS, "24 → 48 partitions, 1 of the new ones used")
    assert "1 keys moved to another partition" in finding.summary
    result = claim_of(history, "SCALE-PARTITIONS")
    assert result.verdict is Verdict.PASS, result.evidence
    assert "P99 10 ms" in result.measured


def test_partitions_that_nobody_uses_or_that_are_too_few_prove_nothing() -> None:
    """All the leaders are known, and every event lies in the old ones."""
    few = claim_of(partitions_scaled(36), "SCALE-PARTITIONS")
    assert (few.verdict, "grew from 24 to 36 partitions, not 24 to 48" in few.evidence) == (Verdict.UNKNOWN, True)

    history = partitions_scaled()
    unused = replace(faulted(PARTITIONS_ADDED), leaders=history.leaders)
    finding = finding_of(unused, "partitions-scaled")
    assert (finding.verdict, finding.summary) == (
        Verdict.UNKNOWN,
        "no event was read from a partition that was added",
    )


def test_scaling_that_was_never_seen_is_not_scaling() -> None:
    """Of a fault that did not take effect, members and partitions say nothing."""
    for history, claim, name in (
        (consumers_scaled(), "SCALE-CONSUMERS", "consumers-scaled"),
        (partitions_scaled(), "SCALE-PARTITIONS", "partitions-scaled"),
    ):
        never = replace(history, faults=tuple(replace(one, effective_us=None) for one in history.faults))
        assert finding_of(never, name).verdict is Verdict.NOT_APPLICABLE
        assert claim_of(never, claim).verdict is Verdict.UNKNOWN
    assert {CONSUMERS_ADDED.kind, PARTITIONS_ADDED.kind} == {"scale-consumers", "scale-partitions"}
