"""The defects that must be caught in a run on topics of the user's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from necp_validate.core import Verdict
from necp_validate.external.identity import HEADER, Identity, crc
from necp_validate.selftest.topics import TopicRun


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicDefect:
    """One defect.

    Args:
        name: what is wrong with the run, in a few words.
        caught_by: the check that must fail.
        seed: spoils the run.
        others: checks that fail too, because they rest on it.
    """

    name: str
    caught_by: str
    seed: Callable[[TopicRun], None]
    others: frozenset[str] = frozenset()
    verdict: Verdict = Verdict.FAIL

    @property
    def expected(self) -> frozenset[str]:
        """The checks that must fail, and no other."""
        return self.others | {self.caught_by}


def _drop(run: TopicRun) -> None:
    run.log.remove(run.middle())


def _drop_end(run: TopicRun) -> None:
    run.log.pop()


def _strip_header(run: TopicRun) -> None:
    run.middle().headers.clear()


def _twice(run: TopicRun) -> None:
    victim = run.middle()
    end = max(one.offset for one in run.log if one.partition == victim.partition)
    run.log.append(replace(victim, offset=end + 1))


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
    end = max(one.offset for one in run.log if one.partition == like.partition)
    stranger = Identity(stream=run.book.plan.stream, seq=9_999, value_crc=crc(like.value), key_crc=crc(like.key))
    run.log.append(replace(like, offset=end + 1, headers=[(HEADER, stranger.encode())]))


def _silence(run: TopicRun) -> None:
    run.book.max_gap_us[0] = 8_000_000


def _behind(run: TopicRun) -> None:
    run.book.scheduled_in[0] += 50


TOPIC_DEFECTS = (
    TopicDefect(name="own topic: an acked record is missing", caught_by="lost-write", seed=_drop),
    TopicDefect(name="own topic: the last acked record is missing", caught_by="unseen", seed=_drop_end),
    TopicDefect(name="own topic: a record has lost its identity", caught_by="lost-write", seed=_strip_header),
    TopicDefect(name="own topic: a record is there twice", caught_by="duplicate", seed=_twice),
    TopicDefect(name="own topic: a value has changed", caught_by="value-mismatch", seed=_corrupt),
    TopicDefect(name="own topic: a key has changed", caught_by="key-mismatch", seed=_other_key),
    TopicDefect(
        name="own topic: two records are swapped",
        caught_by="nonmonotonic-send",
        seed=_swap,
        others=frozenset({"inconsistent-offsets"}),
    ),
    TopicDefect(name="own topic: a record lies elsewhere", caught_by="inconsistent-offsets", seed=_elsewhere),
    TopicDefect(name="own topic: a record that nobody sent", caught_by="unknown-record", seed=_never_sent),
    TopicDefect(name="own topic: eight seconds without an ack", caught_by="longest-gap", seed=_silence),
    TopicDefect(name="own topic: the generator is behind", caught_by="late-schedule", seed=_behind),
)
