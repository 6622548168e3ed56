"""Measures a program from outside, whatever it is: its CPU, its memory, and what brokers took from it."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
from confluent_kafka import TIMESTAMP_NOT_AVAILABLE, Consumer, Message, TopicPartition

from necp_validate.clients.reader import end_offsets
from necp_validate.core import SuiteError
from necp_validate.events.topics import VERIFIER_PRINCIPAL
from necp_validate.stack import Stack

_EVERY_S = 0.05
_READ_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What a program sent, and what that took.

    Args:
        records: that brokers appended.
        first_s: from the start of the program to the first of them, by the brokers' clocks.
        sending_s: from the first to the last of them.
        cpu_s: of the program and its children, start and end included.
        broker_cpu_s: of all brokers meanwhile.
        memory_bytes: the most that it had resident, children added.
    """

    records: int
    first_s: float
    sending_s: float
    cpu_s: float
    broker_cpu_s: float
    memory_bytes: int

    @property
    def rate_eps(self) -> float:
        """Records a second while it was sending."""
        return self.records / self.sending_s if self.sending_s else 0.0


def measure(
    command: Sequence[str | os.PathLike[str]], stack: Stack, topic: str, *, stdin: Path | None = None
) -> tuple[Sent, str]:
    """Run a program that sends to a topic, whose records must carry the time at which they were appended.

    Args:
        command: what to run.
        stack: where the topic is.
        topic: nobody else writes to it meanwhile.
        stdin: a file for its standard input.

    Returns:
        What it sent, and what it printed.

    Raises:
        SuiteError: it failed, or nothing of it arrived.
    """
    client = stack.client_config(VERIFIER_PRINCIPAL)
    begin = end_offsets(client, [topic])[topic]
    brokers = [psutil.Process(broker.pid) for broker in stack.brokers() if broker.pid]
    brokers_before_s = sum(map(_cpu_s, brokers))
    with tempfile.TemporaryFile() as out, (stdin or Path(os.devnull)).open("rb") as fed:
        started_s = time.time()
        process = subprocess.Popen(command, stdin=fed, stdout=out, stderr=out)
        try:
            memory_bytes, code, cpu_s = _follow(process)
        except BaseException:
            process.kill()
            process.wait()
            raise
        out.seek(0)
        text = out.read().decode(errors="replace")
    broker_cpu_s = sum(map(_cpu_s, brokers)) - brokers_before_s
    if code != 0:
        raise SuiteError(f"{Path(command[0]).name} ended with exit code {code}", detail=text[-1500:])
    end = end_offsets(client, [topic])[topic]
    records = sum(end) - sum(begin)
    if not records:
        raise SuiteError(f"nothing that {Path(command[0]).name} sent has arrived", detail=text[-1500:])
    first_s, last_s = _appended(client, topic, begin, end)
    sent = Sent(
        records=records,
        first_s=first_s - started_s,
        sending_s=last_s - first_s,
        cpu_s=cpu_s,
        broker_cpu_s=broker_cpu_s,
        memory_bytes=memory_bytes,
    )
    return sent, text


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def _follow(process: subprocess.Popen[bytes]) -> tuple[int, int, float]:
    """Wait for the end of a program: the most memory that it had, its exit code, its CPU seconds."""
    most = 0
    while True:
        most = max(most, _peak_bytes(process.pid))
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            return most, process.returncode, usage.ru_utime + usage.ru_stime
        time.sleep(_EVERY_S)


def _peak_bytes(pid: int) -> int:
    """Peaks of a process and its children. Not ``ru_maxrss``, which still has what this process was before exec."""
    try:
        family = [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]
    except psutil.NoSuchProcess:
        return 0
    return sum(map(_high_water_bytes, family))


def _high_water_bytes(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:
        return 0
    found = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(found[0]) * 1024 if found else 0


def _appended(client: Mapping[str, str], topic: str, begin: Sequence[int], end: Sequence[int]) -> tuple[float, float]:
    """When the first and the last of the records in these ranges were appended, in seconds."""
    ranges = [(partition, first, last) for partition, (first, last) in enumerate(zip(begin, end, strict=True))]
    written = [(partition, first, last) for partition, first, last in ranges if last > first]
    firsts = _times_at(client, [TopicPartition(topic, partition, first) for partition, first, _ in written])
    lasts = _times_at(client, [TopicPartition(topic, partition, last - 1) for partition, _, last in written])
    return min(firsts), max(lasts)


def _times_at(client: Mapping[str, str], places: list[TopicPartition]) -> list[float]:
    settings = {"group.id": "benchmarks", "enable.auto.commit": False, "queued.min.messages": 1}
    consumer = Consumer({**client, **settings, "fetch.message.max.bytes": 4096, "log_level": "0"})
    times: dict[int, float] = {}
    try:
        consumer.assign(places)
        deadline = time.monotonic() + _READ_TIMEOUT_S
        while len(times) < len(places):
            if time.monotonic() > deadline:
                raise SuiteError(f"{len(places) - len(times)} partitions could not be read in {_READ_TIMEOUT_S:.0f} s")
            message = consumer.poll(0.1)
            if message is not None and message.error() is None:
                times.setdefault(message.partition() or 0, _time_s(message))
                consumer.pause([TopicPartition(str(message.topic()), message.partition() or 0)])
    finally:
        consumer.close()
    return list(times.values())


def _time_s(message: Message) -> float:
    kind, milliseconds = message.timestamp()
    assert kind != TIMESTAMP_NOT_AVAILABLE
    return float(milliseconds) / 1000
