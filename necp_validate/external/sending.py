"""The load: every event when it is due, with delivery reports. ``python -m necp_validate.external send PLAN.json``."""

from __future__ import annotations

import heapq
import math
import random
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

import psutil
from confluent_kafka import KafkaException, Producer

from necp_validate.core import SuiteError
from necp_validate.external.answers import Answers
from necp_validate.external.book import TopicBook, topics_record
from necp_validate.external.identity import HEADER, Identity, crc
from necp_validate.external.plan import Course, SendPlan, TopicPlan
from necp_validate.record import Appender, TimelineRow, parts
from necp_validate.record.model import Phase
from necp_validate.stack.provision import SILENT

WORKER: Final = "0"
_KEYS: Final = 100
_LEAD_S: Final = 1.0  # the client has its connections before the first event is due
_REST_S: Final = 0.002
_ROW_S: Final = 1.0


class _Topic:
    """What is sent to one topic: which value, under which key, in which order."""

    def __init__(self, plan: TopicPlan, seed: int, book: TopicBook, course: Course) -> None:
        self.plan, self.book, self.course = plan, book, course
        self._rng = random.Random(f"{seed}/{plan.topic}")
        self._crcs = [crc(value) for value in plan.values]

    def answered(self, seq: int, now_us: int) -> None:
        """The target's answer to an event has been seen."""
        if seq < self.book.account.sent:
            due_s = self.course.due_s(seq)
            intended_us = self.book.start_us + round(due_s * 1e6)
            self.book.ended(seq, self.course.phase_at(due_s), intended_us, now_us)

    @property
    def next_due_s(self) -> float:
        """When the next event is due."""
        return self.course.due_s(self.book.account.sent)

    def event(self, seq: int) -> tuple[bytes | None, bytes, bytes]:
        """An event, each made once and in their order: key, value, identity."""
        place = self._rng.randrange(len(self.plan.values))
        key = self._key(seq, place)
        identity = Identity(stream=self.plan.stream, seq=seq, value_crc=self._crcs[place], key_crc=crc(key))
        return key, self.plan.values[place], identity.encode()

    def _key(self, seq: int, place: int) -> bytes | None:
        if self.plan.keys:
            return self.plan.keys[place]
        if self.plan.key == "none":
            return None
        if self.plan.key == "unique":
            return f"{self.plan.stream}-{seq}".encode()
        return f"necp-{self._rng.randrange(_KEYS)}".encode()


def send(plan: SendPlan) -> None:
    """Send everything that is planned, and write what became of it into the run directory.

    Raises:
        SuiteError: the client cannot go on.
    """
    run_dir = Path(plan.run_dir)
    producer = Producer(plan.client, logger=SILENT)
    for one in plan.topics:
        try:
            producer.list_topics(one.topic, timeout=15)
        except KafkaException as error:
            raise SuiteError(f"{one.topic}: the cluster did not answer: {error.args[0].str()}") from error
    outputs = {one.output for one in plan.topics if one.output}
    with parts.TIMELINE.open(run_dir, WORKER) as rows, Answers(plan.reader, outputs) as answers:
        start_s = time.time() + _LEAD_S
        start_us = round(start_s * 1e6)
        parts.PHASES.write(run_dir, _phases(plan, start_us))
        topics = [
            _Topic(one, plan.seed, TopicBook(one, plan.phases, start_us), Course(one.rate_eps, plan.phases))
            for one in plan.topics
        ]
        answered = {topic.plan.stream: topic for topic in topics if topic.plan.output}

        def look() -> None:
            for stream, seq, now_us in answers.new():
                if stream in answered:
                    answered[stream].answered(seq, now_us)

        _run(plan, producer, topics, rows, start_s, look)
        left = producer.flush(plan.flush_s)
        if left:
            producer.purge()
            producer.poll(0)
        _await_answers(plan, answered.values(), look)
        for topic in topics:
            topic.book.close(time.time_ns() // 1000)
        _write_rows(plan, topics, rows, start_s, time.time())
    _save(plan, topics)


def _phases(plan: SendPlan, start_us: int) -> Iterator[Phase]:
    for phase in plan.phases:
        end_us = start_us + round(phase.duration_s * 1e6)
        target = {one.topic: one.rate_eps * phase.load for one in plan.topics}
        yield Phase(name=phase.name, kind=phase.kind, start_us=start_us, end_us=end_us, target_eps=target)
        start_us = end_us


def _await_answers(plan: SendPlan, topics: Collection[_Topic], look: Callable[[], None]) -> None:
    """Wait for the last answers, as long as they may take."""
    deadline = time.monotonic() + plan.answers_s
    while any(topic.book.unanswered for topic in topics) and time.monotonic() < deadline:
        look()
        time.sleep(_REST_S)


def _run(
    plan: SendPlan,
    producer: Producer,
    topics: list[_Topic],
    rows: Appender[TimelineRow],
    start_s: float,
    look: Callable[[], None],
) -> None:
    """Send until the schedule has ended; what is late is sent as soon as it can be."""
    queue = [(topic.next_due_s, place) for place, topic in enumerate(topics)]
    heapq.heapify(queue)
    end_s = max(topic.course.end_s for topic in topics)
    next_row_s = math.ceil(start_s) + _ROW_S
    while True:
        now_s = time.time()
        look()
        while queue and queue[0][0] <= now_s - start_s:
            _, place = queue[0]
            _send_next(producer, topics[place], start_s)
            heapq.heapreplace(queue, (topics[place].next_due_s, place))
            producer.poll(0)
        if now_s >= next_row_s:
            _write_rows(plan, topics, rows, start_s, next_row_s)
            next_row_s += _ROW_S
        if now_s - start_s >= end_s and queue[0][0] == math.inf:
            return
        producer.poll(max(min(queue[0][0] - (time.time() - start_s), _REST_S), 0.0))


def _send_next(producer: Producer, topic: _Topic, start_s: float) -> None:
    due_s, book = topic.next_due_s, topic.book
    phase, intended_us = topic.course.phase_at(due_s), round((start_s + due_s) * 1e6)
    book.due(phase)
    seq = book.handed_over(phase, intended_us, time.time_ns() // 1000)
    key, value, identity = topic.event(seq)
    told = partial(book.delivered, seq, phase, intended_us)
    try:
        producer.produce(topic.plan.topic, value, key, headers=[(HEADER, identity)], on_delivery=told)
    except BufferError as error:
        book.refused(seq, phase, "_QUEUE_FULL", str(error))
    except KafkaException as error:
        book.refused(seq, phase, error.args[0].name(), str(error))


def _write_rows(plan: SendPlan, topics: list[_Topic], rows: Appender[TimelineRow], start_s: float, t: float) -> None:
    place = topics[0].course.phase_at(max(t - start_s - _ROW_S / 2, 0.0))
    rows.write(*(topic.book.row(round(t, 3), plan.phases[place].name) for topic in topics))


def _save(plan: SendPlan, topics: list[_Topic]) -> None:
    run_dir, books = Path(plan.run_dir), [topic.book for topic in topics]
    settings = {name: value for name, value in plan.client.items() if name in ("acks", "enable.idempotence")}
    names = [phase.name for phase in plan.phases]
    times = psutil.Process().cpu_times()
    parts.LATENCY.write(
        run_dir,
        WORKER,
        {
            (name, book.plan.topic, kind): histograms[place]
            for book in books
            for kind, histograms in (("ack", book.ack), ("late", book.late), ("e2e", book.end))
            for place, name in enumerate(names)
            if histograms[place].total
        },
    )
    record = topics_record(WORKER, books, names, settings)
    parts.LOADS.write(run_dir, replace(record, cpu_s=times.user + times.system))
