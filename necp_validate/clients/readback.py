"""The fresh reader as a process of its own: ``python -m necp_validate.clients.readback TASK.json``.

Alone in its process, its memory and CPU time are its own, and its speed can be compared. Progress goes to standard
output as one JSON object a line.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec

from necp_validate.clients.reader import read_back, read_events, read_outcomes
from necp_validate.core import SuiteError
from necp_validate.core.intervals import IntervalSet
from necp_validate.record.readback import OutcomesRead, Readback
from necp_validate.record.writer import write_json


class ReadTask(msgspec.Struct, frozen=True, kw_only=True):
    """What to read.

    Args:
        client: librdkafka properties of a principal that may read everything.
        begin: per topic and partition, the offset at which the run began; from the beginning where none is given.
        known: per stream id, topic and key.
        cheats: per stream id, intervals of the numbers of its events that are to be rejected.
        dead_letter_topics: topics of what was set aside.
        ledger_topic: the economy's ledger, if there is one.
        timeout_s: the longest it may take.
        out: where ``readback.json`` goes.
        readers: how many processes read the events, each its share of the partitions.
        part: ``all`` of it; or ``events``, and ``reader`` says whose share; or the ``outcomes`` alone.
        reader: number of this reader, from 0.
    """

    client: dict[str, str]
    begin: dict[str, list[int]]
    known: dict[str, tuple[str, str]]
    dead_letter_topics: list[str]
    timeout_s: float
    out: str
    ledger_topic: str | None = None
    readers: int = 1
    cheats: dict[str, list[list[int]]] = {}
    part: Literal["all", "events", "outcomes"] = "all"
    reader: int = 0


def main(argv: list[str]) -> int:
    """Read back as the task file says; returns the exit code."""
    task = msgspec.json.decode(Path(argv[0]).read_bytes(), type=ReadTask)

    def told(read: int, total: int, rate: float) -> None:
        print(json.dumps({"read": read, "total": total, "events_per_s": round(rate)}), flush=True)

    try:
        readback = _read(task, told)
        write_json(Path(task.out), readback)
    except SuiteError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


def _read(task: ReadTask, told: Callable[[int, int, float], None]) -> Readback | OutcomesRead:
    cheats = {stream: IntervalSet.from_list(pairs) for stream, pairs in task.cheats.items()}
    if task.part == "events":
        return read_events(
            task.client,
            task.known,
            begin=task.begin,
            cheats=cheats,
            timeout_s=task.timeout_s,
            progress=told,
            share=(task.reader, task.readers),
        )
    if task.part == "outcomes":
        return read_outcomes(
            task.client,
            task.known,
            begin=task.begin,
            dead_letter_topics=task.dead_letter_topics,
            ledger_topic=task.ledger_topic,
            timeout_s=task.timeout_s,
        )
    return read_back(
        task.client,
        task.known,
        begin=task.begin,
        cheats=cheats,
        dead_letter_topics=task.dead_letter_topics,
        ledger_topic=task.ledger_topic,
        timeout_s=task.timeout_s,
        progress=told,
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
