"""Formatting of the brokers' data directories, without a Java process for each."""

from __future__ import annotations

import base64
import shutil
import subprocess
import tempfile
import uuid
from pathlib import Path

from necp_validate.core import StackError
from necp_validate.stack.config import write_properties
from necp_validate.stack.runtime import KafkaRuntime, cache_dir

_METADATA = "__cluster_metadata-0"
_QUICK_JVM = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-XX:-UsePerfData", "-Xmx128m", "-Xshare:auto")


def new_cluster_id() -> str:
    """Return a random id as Kafka writes them: 16 bytes in URL-safe base64, no leading dash."""
    while (text := _uuid()).startswith("-"):
        pass
    return text


def _uuid() -> str:
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode("ascii")


def bootstrap_snapshot(runtime: KafkaRuntime) -> Path:
    """Return the folder with the first metadata snapshot of a new cluster.

    Kafka's own storage tool makes it, once per version of Kafka: it holds the feature levels and nothing that
    belongs to one cluster. The rest of a formatted directory is ``meta.properties``, a text file.

    Raises:
        StackError: the storage tool failed.
    """
    target = cache_dir() / "format" / f"kafka-{runtime.kafka_version}"
    if any(target.glob("*.checkpoint")):
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        folder = Path(scratch)
        properties = folder / "format.properties"
        write_properties(
            properties,
            {
                "process.roles": "broker,controller",
                "node.id": "1",
                "controller.quorum.voters": "1@localhost:1",
                "controller.listener.names": "CONTROLLER",
                "listeners": "PLAINTEXT://localhost:2,CONTROLLER://localhost:1",
                "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
                "log.dirs": str(folder / "data"),
            },
        )
        command = runtime.command(
            "kafka.tools.StorageTool",
            options=(*_QUICK_JVM, "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"),
            arguments=("format", "-t", new_cluster_id(), "-c", str(properties)),
        )
        result = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        made = folder / "data" / _METADATA
        if result.returncode != 0 or not any(made.glob("*.checkpoint")):
            raise StackError(
                f"Kafka's storage tool failed with exit code {result.returncode}",
                detail=(result.stdout + result.stderr)[-2000:],
            )
        # Another process may have been quicker; its result is as good.
        shutil.rmtree(target, ignore_errors=True)
        try:
            made.rename(target)
        except OSError:
            if not any(target.glob("*.checkpoint")):
                raise
    return target


def format_directory(log_dir: Path, *, node_id: int, cluster_id: str, snapshot: Path) -> None:
    """Make a data directory as the storage tool would leave it.

    Args:
        log_dir: where; must not exist or be empty.
        node_id: the broker's id.
        cluster_id: the same for all brokers of a cluster.
        snapshot: from ``bootstrap_snapshot``.
    """
    metadata = log_dir / _METADATA
    metadata.mkdir(parents=True, exist_ok=True)
    for file in snapshot.glob("*.checkpoint"):
        shutil.copyfile(file, metadata / file.name)
        (metadata / file.name).chmod(0o600)
    write_properties(
        log_dir / "meta.properties",
        {"version": "1", "cluster.id": cluster_id, "node.id": str(node_id), "directory.id": new_cluster_id()},
    )
