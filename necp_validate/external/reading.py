"""The fresh reader of the user's own topics: ``python -m necp_validate.external read TASK.json``, in no group."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
import psutil
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from necp_validate.clients.watermarks import watermarks
from necp_validate.core import SuiteError
from necp_validate.external.accounting import Place, RecordAccounting
from necp_validate.record.writer import write_json
from necp_validate.stack.provision import SILENT

_READER: Final[Mapping[str, Any]] = {
    "group.id": "necp-reader",  # librdkafka wants one; nothing is ever subscribed to or committed
    "enable.auto.commit": False,
    "enable.partition.eof": True,
    "isolation.level": "read_uncommitted",  # ours are in no transaction, and must not wait for somebody else's
    "auto.offset.reset": "error",
    "log_level": 2,
}
_TIMEOUT_S: Final = 15.0
_TOLD_S: Final = 0.5


class ReadTask(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be read.

    Args:
        client: librdkafka properties of a principal that may read the topics.
        begin: by topic, the offset of each partition at which the run began.
        streams: by topic, the stream of the run's events.
        timeout_s: how long it may take.
        out: where the result goes.
    """

    client: dict[str, str]
    begin: dict[str, list[int]]
    streams: dict[str, str]
    timeout_s: float
    out: str


def read(task: ReadTask) -> None:
    """Read everything that has been written to the topics since the run began, and write what was found.

    Raises:
        SuiteError: the end was not reached, or records were deleted before they could be read.
    """
    begun, accounting = time.monotonic(), RecordAccounting(task.streams)
    consumer = Consumer({**task.client, **_READER}, logger=SILENT)
    try:
        marks = _marks(consumer, task.begin)
        positions = _consume(consumer, marks, accounting, begun + task.timeout_s)
    except KafkaException as error:
        raise SuiteError(f"the topics could not be read: {error.args[0].str()}") from error
    finally:
        consumer.close()
    times = psutil.Process().cpu_times()
    write_json(
        Path(task.out),
        accounting.readback(marks, positions, elapsed_s=time.monotonic() - begun, cpu_s=times.user + times.system),
    )


def _marks(consumer: Consumer, begin: Mapping[str, list[int]]) -> dict[Place, tuple[int, int]]:
    """From where to where each partition is to be read; partitions added since begin at their own beginning."""
    marks: dict[Place, tuple[int, int]] = {}
    for topic, offsets in begin.items():
        described = consumer.list_topics(topic, timeout=_TIMEOUT_S).topics[topic]
        for partition in described.partitions:
            low, high = watermarks(consumer, TopicPartition(topic, partition))
            first = offsets[partition] if partition < len(offsets) else 0
            if low > first:
                raise SuiteError(
                    f"{topic}[{partition}]: records of this run were deleted before they could be read",
                    hint="the topic's retention is too short for the run: shorten the run, or use another topic",
                )
            marks[topic, partition] = (first, high)
    return marks


def _consume(
    consumer: Consumer, marks: Mapping[Place, tuple[int, int]], accounting: RecordAccounting, deadline: float
) -> dict[Place, int]:
    """Read to the end of every partition; returns the position that each was read to."""
    positions = {place: first for place, (first, end) in marks.items() if first >= end}
    left = marks.keys() - positions.keys()
    total, read, next_told = sum(end - first for first, end in marks.values()), 0, 0.0
    begun = time.monotonic()
    consumer.assign([TopicPartition(*place, marks[place][0]) for place in sorted(left)])
    while left:
        now = time.monotonic()
        if now > deadline:
            names = ", ".join(f"{topic}[{partition}]" for topic, partition in sorted(left))
            raise SuiteError(
                f"{names} could not be read to the end in time", hint="raise readback_timeout_s of the scenario"
            )
        if now >= next_told:
            next_told = now + _TOLD_S
            rate = round(read / max(now - begun, 1e-3))
            print(json.dumps({"read": read, "total": total, "events_per_s": rate}), flush=True)
        for message in consumer.consume(500, 0.5):
            place = (str(message.topic()), int(message.partition() or 0))
            error = message.error()
            if error is not None:
                if error.code() != KafkaError._PARTITION_EOF:
                    raise KafkaException(error)
                positions[place] = int(message.offset() or 0)
                left.discard(place)
                continue
            offset = int(message.offset() or 0)
            if offset < marks[place][1]:
                read += 1
                accounting.add(place, offset, message.key(), message.value(), message.headers())
            positions[place] = offset + 1
            if offset + 1 >= marks[place][1]:
                left.discard(place)
    return positions
