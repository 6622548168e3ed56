"""What a run tells while it happens: one stream of past-tense events, consumed by whoever shows progress."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from necp_validate.core import Verdict

STAGES: Mapping[str, str] = {
    "stack": "bringing the stack up",
    "security_start": "trying what must be refused",
    "load": "loading",
    "recover": "waiting until the cluster is whole",
    "security_end": "trying it again",
    "monitoring_end": "waiting for the last scrape and alerts",
    "drain": "waiting for the backlog",
    "readback": "reading everything back",
    "judging": "judging event by event",
    "stopping": "stopping the event core",
    "teardown": "taking the stack down",
    "verify": "checking the history",
    "report": "writing the report",
}
"""Stages of a run in their order, with what a person is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted:
    """A run directory exists.

    Args:
        run_id: name of the run directory.
        run_dir: the directory itself.
        scenario: name of the scenario.
        phases: (name, kind, seconds) of each phase, in order.
    """

    run_id: str
    run_dir: Path
    scenario: str
    phases: tuple[tuple[str, str, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StageStarted:
    """A stage (a key of `STAGES`) began."""

    stage: str
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageFinished:
    """A stage ended after so many seconds."""

    stage: str
    seconds: float
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StackReady:
    """The target answers.

    Args:
        kind: ``local``, ``docker`` or ``external``.
        brokers: number of brokers.
        seconds: time it took.
        detail: versions, addresses.
    """

    kind: str
    brokers: int
    seconds: float
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseStarted:
    """The load entered a phase; rates are events per second per domain after the ramp."""

    name: str
    kind: str
    duration_s: float
    target_eps: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadTick:
    """One second of load. Mappings are per domain; a domain without a sample in this second is absent.

    Args:
        t_s: seconds since the load began.
        phase: name of the phase.
        phase_elapsed_s: seconds since the phase began.
        scheduled_eps: events due in this second.
        acked_eps: events acknowledged in it.
        processed_eps: events that ended in it, whatever their outcome.
        e2e_p50_ms: from the intended send time to the end of processing.
        e2e_p99_ms: the same, 99th percentile.
        late_p99_ms: how late the generator handed events over.
        lag: events acknowledged and not yet ended, all domains.
        failed: sends that have failed so far.
        host_busy_pct: CPU of the whole host.
        web_url: Locust's own web page, if it was asked for.
        players: players that the gateway has, if there is one and it answers.
        gateway_hz: its tick rate, likewise.
    """

    t_s: float
    phase: str
    phase_elapsed_s: float
    scheduled_eps: Mapping[str, float]
    acked_eps: Mapping[str, float]
    processed_eps: Mapping[str, float] = field(default_factory=dict)
    e2e_p50_ms: Mapping[str, float] = field(default_factory=dict)
    e2e_p99_ms: Mapping[str, float] = field(default_factory=dict)
    late_p99_ms: float | None = None
    lag: int | None = None
    failed: int = 0
    host_busy_pct: float | None = None
    web_url: str | None = None
    players: int | None = None
    gateway_hz: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentStarted:
    """An experiment begins to be played."""

    name: str
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentTold:
    """Something was broken, seen to be broken, or undone; one sentence."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentEnded:
    """An experiment has been played.

    Args:
        name: its name.
        status: Chaos Toolkit's word for how it ended.
        problems: probes out of their tolerance and activities that failed.
    """

    name: str
    status: str
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainTick:
    """The load has ended; so many events are still waiting in the target."""

    elapsed_s: float
    lag: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadbackTick:
    """The fresh reader has come this far.

    Args:
        read: records read.
        total: records there are to read, as far as it is known.
        events_per_s: the reader's own speed.
    """

    read: int
    total: int
    events_per_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WarningRaised:
    """Something a person should know, and the run goes on."""

    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictReached:
    """The run is judged; the report lies beside the verdict."""

    verdict: Verdict
    sentence: str
    run_dir: Path


RunEvent = (
    RunStarted
    | StageStarted
    | StageFinished
    | StackReady
    | PhaseStarted
    | LoadTick
    | ExperimentStarted
    | ExperimentTold
    | ExperimentEnded
    | DrainTick
    | ReadbackTick
    | WarningRaised
    | VerdictReached
)
OnEvent = Callable[[RunEvent], None]


def ignore(_: RunEvent) -> None:
    """Handler for callers who want no progress."""
