"""The fresh reader: reads back every partition from the beginning and accounts for every record."""

from __future__ import annotations

import resource
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from confluent_kafka import Consumer, KafkaException

from necp_validate.clients.bookkeeping import LedgerAccounting
from necp_validate.clients.rdkafka import (
    PARTITION_EOF,
    BatchConsumer,
    MessageBatch,
    error_name,
    memory,
)
from necp_validate.clients.watermarks import ANSWER_S, watermarks_of
from necp_validate.core import SuiteError
from necp_validate.core.intervals import IntervalSet
from necp_validate.events.ledger import decode_ledger_record
from necp_validate.events.receipts import decode_receipt
from necp_validate.events.topics import RECEIPTS_TOPIC, dead_letter_topic
from necp_validate.ledger.leader_epochs import EpochAccounting
from necp_validate.ledger.outcomes import ReceiptAccounting
from necp_validate.ledger.readback import ReadAccounting
from necp_validate.ledger.shared_reading import share_of_partitions
from necp_validate.record.readback import OutcomesRead, PartitionRead, Readback

#: Bounded queues: the reader's memory must not follow the size of the topics.
READER_CONFIG: Mapping[str, str] = {
    "group.id": "necp-verifier",
    "enable.auto.commit": "false",
    "enable.partition.eof": "true",
    "isolation.level": "read_committed",
    "auto.offset.reset": "earliest",
    "check.crcs": "true",
    "queued.max.messages.kbytes": "8192",
    "queued.min.messages": "20000",
    "fetch.message.max.bytes": "1048576",
    "fetch.max.bytes": "8388608",
    # A queue that was full is filled again at once; librdkafka's default is to leave it alone for a second.
    "fetch.queue.backoff.ms": "5",
}
_POLL_MS = 200
Rows = npt.NDArray[np.void]
Places = npt.NDArray[np.int64]


def _untold(*_: object) -> None:
    """No progress wanted."""


def topic_watermarks(config: Mapping[str, str], topics: Iterable[str]) -> dict[tuple[str, int], tuple[int, int]]:
    """Low and high watermark of every partition of these topics.

    Raises:
        SuiteError: a topic does not exist, no broker answers, or a partition has no leader.
    """
    with _asking(config) as consumer:
        return watermarks_of(consumer, topics, who="the verifier's principal")


def has_topic(config: Mapping[str, str], topic: str) -> bool:
    """Whether a topic exists and may be described.

    Raises:
        SuiteError: no broker answers.
    """
    with _asking(config) as consumer:
        described = consumer.list_topics(topic, timeout=ANSWER_S).topics
        return topic in described and described[topic].error is None


@contextmanager
def _asking(config: Mapping[str, str]) -> Iterator[Consumer]:
    """A consumer to ask brokers with; one that does not answer is an error that says what to look at."""
    # What it would log is in the error; and it complains of a coordinator that it was not asked for.
    consumer = Consumer({**config, "group.id": READER_CONFIG["group.id"], "log_level": "0"})
    try:
        yield consumer
    except KafkaException as error:
        raise SuiteError(
            f"Kafka did not say where its topics end: {error.args[0].str()}",
            hint="is every broker up, and does every partition have a leader?",
        ) from error
    finally:
        consumer.close()


def end_offsets(config: Mapping[str, str], topics: Iterable[str]) -> dict[str, list[int]]:
    """High watermarks by topic, one per partition: where a run that begins now begins.

    Raises:
        SuiteError: a topic does not exist or no broker answers.
    """
    ends: dict[str, list[int]] = {}
    for (topic, _), (_, high) in sorted(topic_watermarks(config, topics).items()):
        ends.setdefault(topic, []).append(high)
    return ends


def _since(
    marks: Mapping[tuple[str, int], tuple[int, int]], begin: Mapping[str, Sequence[int]]
) -> dict[tuple[str, int], tuple[int, int]]:
    """Raise the low watermarks to where the run began; partitions added since begin at their own beginning."""
    return {
        (topic, partition): (max(low, (*begin.get(topic, ()), *[0] * (partition + 1))[partition]), high)
        for (topic, partition), (low, high) in marks.items()
    }


def read_back(
    config: Mapping[str, str],
    known: Mapping[str, tuple[str, str]],
    *,
    begin: Mapping[str, Sequence[int]],
    cheats: Mapping[str, IntervalSet] | None = None,
    dead_letter_topics: Iterable[str] = (),
    ledger_topic: str | None = None,
    timeout_s: float = 600.0,
    progress: Callable[[int, int, float], None] = _untold,
) -> Readback:
    """Read every event topic and the receipts from where the run began to the watermarks of now.

    Args:
        config: librdkafka properties of a principal that may read everything.
        known: per stream id, the topic and key its events were sent with.
        begin: per topic, the offset of each partition at which the run began; 0 where none is given.
        cheats: per stream id, the numbers of its events that are to be rejected.
        dead_letter_topics: topics of what was set aside.
        ledger_topic: the economy's ledger, if there is one to be read.
        timeout_s: the longest it may take.
        progress: called about twice a second with records read, records to read, and records per second.

    Returns:
        The content of ``history/readback.json``.

    Raises:
        SuiteError: the end was not reached in time; the message names the partitions.
    """
    deadline = time.monotonic() + timeout_s
    events = read_events(config, known, begin=begin, cheats=cheats, timeout_s=timeout_s, progress=progress)
    # Only now: what became of the events may still have been written while they were read.
    rest = read_outcomes(
        config,
        known,
        begin=begin,
        dead_letter_topics=dead_letter_topics,
        ledger_topic=ledger_topic,
        timeout_s=deadline - time.monotonic(),
    )
    return replace(with_outcomes(events, rest), max_rss_bytes=_max_rss_bytes())


def with_outcomes(events: Readback, outcomes: OutcomesRead) -> Readback:
    """What was read back of events and of what became of them, together."""
    return replace(
        events,
        outputs=outcomes.outputs,
        receipts=outcomes.receipts,
        dead_letters=outcomes.dead_letters,
        letters=outcomes.letters,
        totals=outcomes.totals,
        ledger=outcomes.ledger,
    )


def read_events(
    config: Mapping[str, str],
    known: Mapping[str, tuple[str, str]],
    *,
    begin: Mapping[str, Sequence[int]],
    cheats: Mapping[str, IntervalSet] | None = None,
    timeout_s: float = 600.0,
    progress: Callable[[int, int, float], None] = _untold,
    share: tuple[int, int] = (0, 1),
) -> Readback:
    """Read the event topics, or one reader's share of their partitions.

    Args:
        config, known, begin, cheats, timeout_s, progress: as in ``read_back``.
        share: number of this reader, from 0, and how many readers there are.

    Returns:
        The part of ``history/readback.json`` that is about events.

    Raises:
        SuiteError: the end was not reached in time; the message names the partitions.
    """
    topics = sorted({topic for topic, _ in known.values()})
    marks = _since(topic_watermarks(config, topics), begin)
    mine = share_of_partitions(marks, *share)
    marks = {place: mark for place, mark in marks.items() if place in mine}
    accounting, epochs = ReadAccounting(known, cheats), EpochAccounting()
    cpu_before, started = _cpu_s(), time.monotonic()

    def told(read: int, total: int) -> None:
        progress(read, total, read / max(time.monotonic() - started, 1e-9))

    def take_events(topic: str, batch: MessageBatch, places: Places) -> None:
        accounting.add(topic, batch.rows[places])

    positions = _read_to_end(config, marks, take_events, started + timeout_s, told, epochs)
    elapsed_s = time.monotonic() - started
    return replace(
        accounting.record(marks, positions),
        epochs=epochs.records(),
        elapsed_s=elapsed_s,
        cpu_s=_cpu_s() - cpu_before,
        events_per_s=accounting.events_read / elapsed_s if elapsed_s else 0.0,
        max_rss_bytes=_max_rss_bytes(),
    )


def read_outcomes(
    config: Mapping[str, str],
    known: Mapping[str, tuple[str, str]],
    *,
    begin: Mapping[str, Sequence[int]],
    dead_letter_topics: Iterable[str] = (),
    ledger_topic: str | None = None,
    timeout_s: float = 600.0,
) -> OutcomesRead:
    """Read what became of the events: receipts, dead letters and the ledger; arguments as in ``read_back``.

    Returns:
        The part of ``history/readback.json`` that is about them.

    Raises:
        SuiteError: the end was not reached in time; the message names the partitions.
    """
    receipts, ledger = ReceiptAccounting(), LedgerAccounting()
    dead_letters = dict.fromkeys(dead_letter_topics, 0)
    letters = {topic: ReadAccounting(known) for topic in dead_letters}
    sources = {dead_letter_topic(topic): topic for topic, _ in known.values()}
    read: Counter[tuple[str, int]] = Counter()

    def take(topic: str, batch: MessageBatch, places: Places) -> None:
        rows = batch.rows[places]
        numbers, counts = np.unique(rows["partition"], return_counts=True)
        read.update({(topic, int(number)): int(count) for number, count in zip(numbers, counts, strict=True)})
        if topic == RECEIPTS_TOPIC:
            receipts.add(zip(map(decode_receipt, _values(rows)), map(batch.appended_us, places.tolist()), strict=True))
        elif topic == ledger_topic:
            ledger.add(map(decode_ledger_record, _values(rows)))
        else:
            dead_letters[topic] += len(rows)
            letters[topic].add(sources.get(topic, topic), rows)

    topics = [RECEIPTS_TOPIC, *dead_letters, *([ledger_topic] if ledger_topic else [])]
    marks = _since(topic_watermarks(config, topics), begin)
    positions = _read_to_end(config, marks, take, time.monotonic() + timeout_s, _untold)
    return OutcomesRead(
        outputs=tuple(
            PartitionRead(
                topic=topic,
                partition=number,
                low=low,
                high=high,
                read=read[topic, number],
                position=positions.get((topic, number)),
            )
            for (topic, number), (low, high) in sorted(marks.items())
        ),
        receipts=receipts.records(),
        totals=receipts.totals,
        ledger=ledger.records() if ledger_topic else None,
        dead_letters=dead_letters,
        letters=tuple(found.dead_letters(topic) for topic, found in sorted(letters.items())),
    )


def _values(rows: Rows) -> Iterator[bytes]:
    view, base = memory()
    starts = (rows["payload"].astype(np.int64) - base).tolist()
    return (bytes(view[a : a + n]) for a, n in zip(starts, rows["len"].tolist(), strict=True))


def _read_to_end(
    config: Mapping[str, str],
    marks: Mapping[tuple[str, int], tuple[int, int]],
    take: Callable[[str, MessageBatch, Places], None],
    deadline: float,
    progress: Callable[[int, int], None],
    epochs: EpochAccounting | None = None,
) -> dict[tuple[str, int], int]:
    """Read partitions from their beginning until each has reported its end at or beyond its high watermark.

    Returns:
        The position at which each partition ended; of one with nothing to read, where that would have begun.
    """
    positions = {where: low for where, (low, high) in marks.items() if high <= low}
    left = marks.keys() - positions.keys()
    total = sum(high - low for low, high in marks.values())
    if not left:
        return positions
    assignment = [(topic, partition, marks[topic, partition][0]) for topic, partition in sorted(left)]
    consumer = BatchConsumer({**config, **READER_CONFIG}, assignment)
    read, next_told = 0, 0.0
    try:
        while left:
            now = time.monotonic()
            if now > deadline:
                names = ", ".join(f"{topic}-{partition}" for topic, partition in sorted(left)[:5])
                raise SuiteError(
                    f"the reader did not reach the end of {len(left)} partitions in time: {names}",
                    hint="is a partition offline, or a transaction left open? raise readback_timeout_s of the scenario",
                )
            if now > next_told:
                progress(read, total)
                next_told = now + 0.5
            batch = consumer.read(timeout_ms=_POLL_MS)
            if batch is None:
                continue
            with batch:
                if epochs is not None:
                    epochs.add(batch)
                read += _take(consumer, batch, marks, left, positions, take)
        progress(read, total)
        return positions
    finally:
        consumer.close()


def _take(
    consumer: BatchConsumer,
    batch: MessageBatch,
    marks: Mapping[tuple[str, int], tuple[int, int]],
    left: set[tuple[str, int]],
    positions: dict[tuple[str, int], int],
    take: Callable[[str, MessageBatch, Places], None],
) -> int:
    rows = batch.rows
    for row in rows[rows["err"] != 0]:
        where = (consumer.topic_name(int(row["rkt"])), int(row["partition"])) if row["rkt"] else ("?", -1)
        if row["err"] != PARTITION_EOF:
            # Transient errors (a broker down) are retried by the client; permanent ones end at the deadline.
            if error_name(int(row["err"])) in ("TOPIC_AUTHORIZATION_FAILED", "_UNKNOWN_TOPIC", "_UNKNOWN_PARTITION"):
                raise SuiteError(f"{where[0]}-{where[1]} cannot be read: {error_name(int(row['err']))}")
        elif int(row["offset"]) >= marks[where][1]:
            left.discard(where)
            positions[where] = int(row["offset"])
    good = np.flatnonzero(rows["err"] == 0)
    handles = rows["rkt"][good]
    for handle in np.unique(handles):
        take(consumer.topic_name(int(handle)), batch, good[handles == handle])
    return len(good)


def _max_rss_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
