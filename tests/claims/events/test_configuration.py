"""The configuration of topics as it was found, against what was asked for and what it was before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from histories import finding_of, timed_history
from sound.faults import fault, faulted

from necp_validate.core import Verdict
from necp_validate.record import Record, TopicConfiguration
from necp_validate.record.topics import BEGIN, END

COMBAT = "game.combat.events"
SOUND = timed_history(eps={"combat": 1_000.0})
Change = Callable[[TopicConfiguration], TopicConfiguration]


def changed(history: Record, change: Change, *whens: str) -> Record:
    """The combat topic is described otherwise in some looks."""
    rows = tuple(change(one) if one.topic == COMBAT and one.when in whens else one for one in history.topics)
    return replace(history, topics=rows)


def setting(name: str, value: str) -> Change:
    return lambda one: replace(one, settings={**one.settings, name: value})


def test_topics_as_they_were_asked_for_pass() -> None:
    finding = finding_of(SOUND, "topic-configuration")
    assert finding.verdict is Verdict.PASS
    assert "at least 3 replicas, min.insync.replicas 2" in finding.summary


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda one: replace(one, replicas=1), "replicas: 1, 3 were asked for"),
        (lambda one: replace(one, partitions=0), "partitions: 0, 1 before"),
        (setting("min.insync.replicas", "1"), "min.insync.replicas is 1, 2 was asked for"),
        (setting("unclean.leader.election.enable", "true"), "unclean.leader.election.enable is true, false was asked"),
        (setting("message.timestamp.type", "LogAppendTime"), "message.timestamp.type is LogAppendTime"),
        (setting("retention.ms", "1000"), "retention.ms is 1000"),
    ],
)
@pytest.mark.parametrize("whens", [(BEGIN, END), (END,)], ids=["always", "in the end"])
def test_what_differs_from_what_was_asked_for_fails(change: Change, words: str, whens: tuple[str, ...]) -> None:
    finding = finding_of(changed(SOUND, change, *whens), "topic-configuration")
    assert finding.verdict is Verdict.FAIL
    assert words in finding.examples[0].detail


def test_what_nobody_asked_for_must_not_change() -> None:
    """On a cluster of somebody else's, or of a setting that is left to the brokers."""
    finding = finding_of(changed(SOUND, setting("max.message.bytes", "10"), END), "topic-configuration")
    assert (finding.verdict, "max.message.bytes is 10, and was " in finding.examples[0].detail) == (Verdict.FAIL, True)

    target = replace(SOUND.run.target, backend="external")
    assert SOUND.due is not None
    due = replace(SOUND.due, topics=tuple(replace(one, replicas=None, settings=None) for one in SOUND.due.topics))
    theirs = replace(SOUND, run=replace(SOUND.run, stack={"backend": target.backend}), due=due)
    unchanged = finding_of(theirs, "topic-configuration")
    assert (unchanged.verdict, "have not changed" in unchanged.summary) == (Verdict.PASS, True)
    one_replica = finding_of(changed(theirs, lambda one: replace(one, replicas=1), BEGIN, END), "topic-configuration")
    assert (one_replica.verdict, "1 replica: nobody asked for more" in one_replica.summary) == (Verdict.UNKNOWN, True)
    fewer = changed(theirs, lambda one: replace(one, replicas=1), END)
    assert finding_of(fewer, "topic-configuration").verdict is Verdict.FAIL


def test_more_partitions_are_no_drift() -> None:
    more = changed(SOUND, lambda one: replace(one, partitions=2), END)
    assert finding_of(more, "topic-configuration").verdict is Verdict.PASS


@pytest.mark.parametrize("when", [BEGIN, "broker-kill", END])
def test_a_look_that_was_not_had_leaves_it_unknown(when: str) -> None:
    history = faulted(fault())
    assert finding_of(history, "topic-configuration").verdict is Verdict.PASS
    fewer = replace(history, topics=tuple(one for one in history.topics if one.when != when))
    finding = finding_of(fewer, "topic-configuration")
    assert (finding.verdict, f"({when})" in finding.summary) == (Verdict.UNKNOWN, True), finding.summary


def test_how_a_topic_was_made_has_to_be_recorded() -> None:
    assert SOUND.due is not None
    due = replace(SOUND.due, topics=tuple(replace(one, settings=None) for one in SOUND.due.topics))
    finding = finding_of(replace(SOUND, due=due), "topic-configuration")
    assert finding.verdict is Verdict.UNKNOWN
    assert "0 of 3 topics of which it is recorded how they were made" in finding.summary
