"""Defects of a run on topics of the user's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from necp_validate.core import Verdict
from necp_validate.external.identity import HEADER, Identity, crc
from necp_validate.selftest.contents import Contents
from necp_validate.selftest.defect import Defect
from necp_validate.selftest.simulated.scenario import at
from necp_validate.selftest.topics import TopicRun, new_topic_run


def _drop(run: TopicRun) -> None:
    run.log.remove(run.middle())


def _drop_end(run: TopicRun) -> None:
    run.log.pop()


def _strip_header(run: TopicRun) -> None:
    run.middle().headers.clear()


def _twice(run: TopicRun) -> None:
    victim = run.middle()
    run.log.append(replace(victim, offset=_end_of(run, victim.partition)))


def _end_of(run: TopicRun, partition: int) -> int:
    return max(one.offset for one in run.log if one.partition == partition) + 1


def _corrupt(run: TopicRun) -> None:
    run.middle().value += b" "


def _other_key(run: TopicRun) -> None:
    run.middle().key = b"another"


def _swap(run: TopicRun) -> None:
    first = run.middle()
    second = next(one for one in run.log if (one.partition, one.offset) == (first.partition, first.offset + 1))
    first.offset, second.offset = second.offset, first.offset


def _elsewhere(run: TopicRun) -> None:
    """The last event lies one offset further than its ack said."""
    run.log[-1].offset += 1


def _never_sent(run: TopicRun) -> None:
    like = run.middle()
    stranger = Identity(stream=run.plan.stream, seq=9_999, value_crc=crc(like.value), key_crc=crc(like.key))
    offset = _end_of(run, like.partition)
    run.log.append(replace(like, offset=offset, headers=[(HEADER, stranger.encode())]))


def _silence(run: TopicRun) -> None:
    """The acks of eight seconds come all at once, at their end."""
    begin_us, end_us = at(5), at(13)
    run.reports = [replace(one, at_us=end_us) if begin_us < (one.at_us or 0) < end_us else one for one in run.reports]


def _behind(run: TopicRun) -> None:
    """Fifty events become due in the last second, and are never sent."""
    run.never_sent = 50


def _refused(run: TopicRun) -> None:
    """A broker refuses one event; it is not in the log."""
    victim = run.middle()
    place = run.log.index(victim)
    run.reports[place] = replace(run.reports[place], refused=True)
    run.log.remove(victim)
    for later in run.log[place:]:
        later.offset -= later.partition == victim.partition
    for at_, report in enumerate(run.reports[place + 1 :], start=place + 1):
        if report.partition == victim.partition:
            run.reports[at_] = replace(report, offset=report.offset - 1)


def _never_reported(run: TopicRun) -> None:
    """Of one event, nobody hears what became of it; it is in the log."""
    place = len(run.reports) // 2
    run.reports[place] = replace(run.reports[place], at_us=None)


def _made(seed: Callable[[TopicRun], None]) -> Callable[[], Contents]:
    def make() -> Contents:
        run = new_topic_run()
        seed(run)
        return run.contents()

    return make


TOPIC_DEFECTS: tuple[Defect, ...] = tuple(
    Defect(name=f"own topic: {name}", caught_by=caught_by, make=_made(seed), others=others, verdict=verdict)
    for name, caught_by, seed, others, verdict in (
        ("an acked record is missing", "lost-write", _drop, ("lost",), Verdict.FAIL),
        ("the last acked record is missing", "unseen", _drop_end, ("position-account", "lost"), Verdict.FAIL),
        ("a record has lost its identity", "lost-write", _strip_header, ("lost",), Verdict.FAIL),
        ("a record is there twice", "duplicate", _twice, (), Verdict.FAIL),
        ("a value has changed", "value-mismatch", _corrupt, (), Verdict.FAIL),
        ("a key has changed", "key-mismatch", _other_key, (), Verdict.FAIL),
        ("two records are swapped", "nonmonotonic-send", _swap, ("inconsistent-offsets",), Verdict.FAIL),
        ("a record lies elsewhere", "inconsistent-offsets", _elsewhere, (), Verdict.FAIL),
        ("a record that nobody sent", "unknown-record", _never_sent, (), Verdict.FAIL),
        ("a record refused by a broker", "failed-send", _refused, (), Verdict.FAIL),
        ("an event of unknown outcome", "failed-send", _never_reported, ("inconsistent-offsets",), Verdict.UNKNOWN),
        ("eight seconds without an ack", "longest-gap", _silence, (), Verdict.FAIL),
        ("the generator is behind", "late-schedule", _behind, (), Verdict.FAIL),
    )
)
