"""A plain broker of `examples/external`, and the commands on it as a person types them."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from confluent_kafka.admin import AdminClient
from typer.testing import CliRunner

from necp_validate.cli.app import app
from necp_validate.stack.ports import free_ports
from necp_validate.stack.provision import SILENT
from necp_validate.stack.runtime import load_runtime
from necp_validate.stack.waiting import wait_until

EXAMPLES = Path(__file__).parents[2] / "examples" / "external"
SHORT = [f"--set=phases.{name}.duration_s={seconds}" for name, seconds in (("warmup", 1), ("steady", 3), ("surge", 2))]


def _example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@contextlib.contextmanager
def plain_broker(folder: Path, version: str | None = None) -> Iterator[str]:
    """Start a broker of the example, and give its address."""
    plain = _example("plain_broker")
    runtime = load_runtime(version) if version else load_runtime()
    port, controller = free_ports(2)
    process = plain.start(runtime, folder, port, controller)
    try:
        plain.wait_ready(process, port, folder / "broker.log")
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


def make_topics(bootstrap: str, *topics: str) -> None:
    """Make topics as their owner would, each given as ``NAME:PARTITIONS``; come back when the broker knows them."""
    _example("plain_broker").make_topics(int(bootstrap.rpartition(":")[2]), topics)
    admin = AdminClient({"bootstrap.servers": bootstrap}, logger=SILENT)
    wanted = {name: int(partitions) for name, _, partitions in (one.partition(":") for one in topics)}

    def known() -> bool:
        found = admin.list_topics(timeout=15).topics
        led = {
            name: sum(part.leader >= 0 for part in found[name].partitions.values())
            for name in wanted.keys() & found.keys()
        }
        return led == wanted

    wait_until(known, timeout_s=30, message=f"the broker does not know {', '.join(topics)}")


def topics_of(bootstrap: str) -> set[str]:
    """Names of all topics but internal ones."""
    found = AdminClient({"bootstrap.servers": bootstrap}, logger=SILENT).list_topics(timeout=15).topics
    return {name for name in found if not name.startswith("__")}


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """Begin a command."""
    command = [sys.executable, "-m", "necp_validate", *arguments]
    return subprocess.Popen(command, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def typed(folder: Path, *arguments: str, **env: str) -> tuple[int, str]:
    """Run a command to its end; exit code and output, in one line."""
    with contextlib.chdir(folder):
        result = CliRunner().invoke(app, list(arguments), env={"COLUMNS": "200", **env})
    return result.exit_code, " ".join(result.output.split())


@contextlib.contextmanager
def service(bootstrap: str, topic: str, output: str) -> Iterator[None]:
    """The consumer of the example."""
    command = [sys.executable, str(EXAMPLES / "service.py"), "--bootstrap", bootstrap]
    process = subprocess.Popen([*command, "--topic", topic, "--output", output])
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def last_run(folder: Path) -> Path:
    """The newest run directory."""
    return max((folder / "reports" / "runs").iterdir(), key=lambda one: one.stat().st_mtime)


def verdict_of(run_dir: Path) -> dict[str, Any]:
    """What was judged."""
    found: dict[str, Any] = json.loads((run_dir / "verdict.json").read_text())
    return found


def wait_for(folder: Path, pattern: str, timeout_s: float = 60.0) -> Path:
    """Wait until a file of this name has something in it."""
    deadline = time.monotonic() + timeout_s
    while not (found := [file for file in folder.glob(pattern) if file.stat().st_size]):
        assert time.monotonic() < deadline, f"{pattern} did not come"
        time.sleep(0.1)
    return found[0]
