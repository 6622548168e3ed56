"""What this machine can do: what it offers, which stacks it can bring up, how each scenario would fare."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from necp_validate.core import SuiteError
from necp_validate.scenario.files import load_scenario, scenario_names
from necp_validate.scenario.model import Scenario
from necp_validate.scenario.probes import Probe, State, all_probes

# Rough figures, measured on two virtual cores: they tell an hour from a minute and a laptop from a server.
_CORE_S_PER_EVENT = 20e-6
_CORES_AT_REST = 0.5
_DISK_BYTES_PER_EVENT = 3 * 110
_BROKER_OVERHEAD_BYTES = 500e6
_REST_BYTES = 1.2e9
_BUSY_SHARE = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What would come of a stack or a scenario here.

    Args:
        name: the stack or the scenario.
        state: ok, limited (it runs, but something will end unknown) or missing (it cannot run).
        size: what it takes.
        expect: what would happen.
    """

    name: str
    state: State
    size: str
    expect: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """Everything the doctor found."""

    probes: tuple[Probe, ...]
    stacks: tuple[Outlook, ...]
    scenarios: tuple[Outlook, ...]

    @property
    def exit_code(self) -> int:
        """0 if some stack and some scenario can run here, else 1."""
        able = [any(one.state is not State.MISSING for one in group) for group in (self.stacks, self.scenarios)]
        return 0 if all(able) else 1


def examine(out: Path) -> Diagnosis:
    """Look at this machine; nothing is started, downloaded or changed.

    Args:
        out: where run directories would go.
    """
    probes = all_probes(out)
    stacks = stacks_outlook({probe.name.split()[0].lower(): probe for probe in probes})
    free_bytes = shutil.disk_usage(next(p for p in (out.resolve(), *out.resolve().parents) if p.exists())).free
    return Diagnosis(
        probes=tuple(probes),
        stacks=stacks,
        scenarios=tuple(
            _scenario_outlook(
                name,
                cores=len(os.sched_getaffinity(0)),
                memory_bytes=psutil.virtual_memory().available,
                disk_bytes=free_bytes,
                stacks=stacks,
            )
            for name in scenario_names()
        ),
    )


def stacks_outlook(probes: dict[str, Probe]) -> tuple[Outlook, ...]:
    """How each backend would fare.

    Args:
        probes: by the first word of their names, in lower case.
    """
    java, kafka, docker = probes["java"], probes["kafka"], probes["docker"]
    needed = [probe for probe in (java, kafka, probes["ports"]) if probe.state is State.MISSING]
    if needed:
        local = _outlook("local", State.MISSING, "; ".join(f"{probe.name}: {probe.found}" for probe in needed))
    else:
        cut = all(probes[name].state is State.OK for name in ("network", "iptables"))
        faults = "kill, pause, restart" + (", partitions" if cut else "; partitions would end unknown")
        first = "" if kafka.state is State.OK else "; downloads Kafka first"
        local = _outlook("local", State.OK, f"three brokers as processes; faults: {faults}{first}")
    if docker.state is State.MISSING:
        container = _outlook("docker", State.MISSING, docker.found)
    else:
        container = _outlook("docker", State.OK, f"three brokers in containers, {docker.found}")
    external = _outlook("external", State.OK, "any Kafka 3.7 or newer, described by a TOML file")
    chosen = "docker" if container.state is State.OK else "local"
    auto = _outlook("auto", State.MISSING if local.state is container.state is State.MISSING else State.OK, chosen)
    return (auto, local, container, external)


def _outlook(name: str, state: State, expect: str) -> Outlook:
    return Outlook(name=name, state=state, size="", expect=expect)


def _scenario_outlook(
    name: str, *, cores: int, memory_bytes: float, disk_bytes: float, stacks: Sequence[Outlook]
) -> Outlook:
    try:
        scenario = load_scenario(name)
    except SuiteError as error:
        return Outlook(name=name, state=State.MISSING, size="", expect=error.message)
    return outlook(scenario, cores=cores, memory_bytes=memory_bytes, disk_bytes=disk_bytes, stacks=stacks)


def outlook(
    scenario: Scenario, *, cores: int, memory_bytes: float, disk_bytes: float, stacks: Sequence[Outlook] = ()
) -> Outlook:
    """Estimate how a scenario would fare on a machine.

    Args:
        scenario: as it would be run.
        cores: usable cores.
        memory_bytes: available memory.
        disk_bytes: free disk space.
        stacks: what can be brought up; the scenario's own stack is looked up in it.
    """
    events = sum(scenario.scheduled_events().values())
    disk = events * _DISK_BYTES_PER_EVENT
    memory = 3 * (scenario.broker.heap_mb * 2**20 + _BROKER_OVERHEAD_BYTES) + _REST_BYTES
    busy = _CORES_AT_REST + scenario.highest_eps * _CORE_S_PER_EVENT
    size = (
        f"{scenario.highest_eps:,.0f} events/s at most, {_minutes(scenario.duration_s)}, "
        f"{events / 1e6:,.2g} M events, {disk / 1e9:,.1f} GB disk"
    )
    stack = next((one for one in stacks if one.name == scenario.stack), None)
    if stack is not None and stack.state is State.MISSING:
        return Outlook(name=scenario.name, state=State.MISSING, size=size, expect=f"no stack: {stack.expect}")
    if disk > disk_bytes:
        expect = f"needs {disk / 1e9:,.1f} GB of disk, {disk_bytes / 1e9:,.1f} GB are free"
        return Outlook(name=scenario.name, state=State.MISSING, size=size, expect=expect)
    if memory > memory_bytes:
        expect = f"needs about {memory / 1e9:.1f} GB of memory, {memory_bytes / 1e9:.1f} GB are available"
        return Outlook(name=scenario.name, state=State.LIMITED, size=size, expect=expect)
    if busy > cores * _BUSY_SHARE:
        fits = max(0.0, (cores * _BUSY_SHARE - _CORES_AT_REST) / (busy - _CORES_AT_REST))
        judges_time = any(id_.startswith(("LAT-", "THR-", "LOAD-")) for id_ in scenario.judge)
        what = "missed rates and latencies would end unknown" if judges_time else "the run may take longer"
        advice = f"; try --scale {fits:.2g}" if fits >= 0.05 else ""
        expect = f"about {busy:.1f} cores' work on {cores}: the host will saturate, {what}{advice}"
        return Outlook(name=scenario.name, state=State.LIMITED, size=size, expect=expect)
    return Outlook(name=scenario.name, state=State.OK, size=size, expect="fits this machine")


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
