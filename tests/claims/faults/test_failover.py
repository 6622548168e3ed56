"""Failover: a partition whose leader is gone must get another one, and not wait for its broker."""

from __future__ import annotations

from dataclasses import replace

from histories import START_S, claim_of, finding_of
from sound.faults import fault, faulted

from necp_validate.core import Verdict
from necp_validate.record import Record

KILLED = fault(target="broker-1 (leader of game.combat.events-0)", until=25)


def waiting(history: Record) -> Record:
    """No partition has another leader than the first one."""
    return replace(history, leaders=tuple(one for one in history.leaders if one.leader == 1 and one.epoch == 0))


def test_partitions_that_are_led_by_others_meanwhile_have_failed_over() -> None:
    finding = finding_of(faulted(KILLED), "leader-moved")
    assert (finding.verdict, finding.measured) == (Verdict.PASS, "1 leader moved")
    assert claim_of(faulted(KILLED), "FT-BROKER").verdict is Verdict.PASS


def test_partitions_that_wait_for_their_broker_have_not() -> None:
    """Topics of one replica: offline until the experiment starts the broker again."""
    history = waiting(faulted(KILLED))
    finding = finding_of(history, "leader-moved")
    assert finding.verdict is Verdict.FAIL
    assert "of 1 partitions 1 had no other leader: game.combat.events-0" in finding.examples[0].detail
    assert claim_of(history, "FT-BROKER").verdict is Verdict.FAIL


def test_a_leader_that_is_none_is_no_other() -> None:
    history = waiting(faulted(KILLED))
    (first,) = history.leaders
    offline = replace(history, leaders=(first, replace(first, t=first.t + 12, leader=-1)))
    assert finding_of(offline, "leader-moved").verdict is Verdict.FAIL


def test_a_fault_that_was_over_before_a_broker_is_fenced_proves_nothing_of_failover() -> None:
    short = waiting(faulted(replace(KILLED, end_us=KILLED.begin_us + 9_000_000)))
    assert finding_of(short, "leader-moved").verdict is Verdict.NOT_APPLICABLE
    assert claim_of(short, "FT-BROKER").verdict is Verdict.PASS


def test_a_broker_that_led_nothing_or_is_not_known_proves_nothing() -> None:
    nothing = finding_of(faulted(replace(KILLED, target="broker-3 (chosen by seed)")), "leader-moved")
    assert (nothing.verdict, "led no partition" in nothing.summary) == (Verdict.NOT_APPLICABLE, True)
    unknown = finding_of(faulted(replace(KILLED, target="whoever it was")), "leader-moved")
    assert (unknown.verdict, "which broker it was is not recorded" in unknown.summary) == (Verdict.UNKNOWN, True)


def test_pods_are_brokers() -> None:
    finding = finding_of(faulted(replace(KILLED, target="broker 1 (pod kafka-0)")), "leader-moved")
    assert finding.verdict is Verdict.PASS


def test_a_leader_that_comes_too_late_is_no_failover() -> None:
    slow = fault(target="broker-1", until=50)
    history = faulted(slow)
    late = tuple(replace(one, t=START_S + 40.0) if one.leader == 2 else one for one in history.leaders)
    finding = finding_of(replace(history, leaders=late), "leader-moved")
    assert finding.verdict is Verdict.FAIL
    assert "1 had one after more than 20 s" in finding.examples[0].detail


def test_partitions_of_other_topics_that_stay_without_a_leader_fail_it() -> None:
    """Those of the coordinators, for one, which nobody else looks at."""
    history = faulted(KILLED)
    offline = tuple(replace(one, offline=3) if one.t > START_S + 10 else one for one in history.isr)
    finding = finding_of(replace(history, isr=offline), "leader-moved")
    assert finding.verdict is Verdict.FAIL
    assert "3 partitions of the cluster had no leader until it was back" in finding.examples[0].detail


def test_without_a_look_at_the_partitions_nobody_knows_whether_they_moved() -> None:
    history = waiting(faulted(KILLED))
    seen = tuple(one for one in history.isr if not START_S + 9 < one.t < START_S + 26)
    assert finding_of(replace(history, isr=seen), "leader-moved").verdict is Verdict.UNKNOWN
