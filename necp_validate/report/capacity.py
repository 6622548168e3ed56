"""The highest scale at which every claim of a scenario holds, found by runs on one stack, and the curve on the way.

The scale is doubled until something does not hold, then halved in between. A scale counts as held only if it holds in
every one of its repeats: a system at its limit holds now and then.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from necp_validate.claims.metrics.measures import MEASURES, Question
from necp_validate.core import SuiteError, UsageError, Verdict
from necp_validate.evidence.missing import NoEvidence
from necp_validate.record import Record, read_record
from necp_validate.report.campaign import bring_up
from necp_validate.report.files import write_text
from necp_validate.report.pipeline import judge_and_report
from necp_validate.report.verdict import RunVerdict, sentence
from necp_validate.scenario.events import OnEvent, ignore
from necp_validate.scenario.interrupts import sigterm_interrupts
from necp_validate.scenario.model import Scenario
from necp_validate.scenario.runner import run_scenario
from necp_validate.stack import Stack

JSON_NAME = "capacity.json"
_JUDGED_KIND = "steady"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeRun:
    """One run at one scale.

    Args:
        run: its id.
        verdict: of the run.
        why: the verdict in one sentence.
        p99_ms: end to end, the worst steady phase, by domain and over all; infinite if it falls on an event that was
            never handled; left out where it is not known.
        throughput_eps: acked and handled, the slowest steady phase.
        lost: acked events that were not read back; None where that is not known.
        host_cpu_pct, broker_cpu_pct: means; of the busiest broker.
    """

    run: str
    verdict: Verdict
    why: str
    p99_ms: Mapping[str, float] = field(default_factory=dict)
    throughput_eps: float | None = None
    lost: int | None = None
    host_cpu_pct: float | None = None
    broker_cpu_pct: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One scale.

    Args:
        scale: of the claimed peak.
        eps: events per second that were scheduled there.
        runs: those that were made; none follows one that does not hold.
    """

    scale: float
    eps: float
    runs: tuple[ProbeRun, ...]

    @property
    def verdict(self) -> Verdict:
        """Pass if it held in every run, else that of the run in which it did not."""
        return self.runs[-1].verdict if self.runs else Verdict.UNKNOWN

    @property
    def holds(self) -> bool:
        """Whether it held in every run."""
        return self.verdict is Verdict.PASS


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """What a search found.

    Args:
        scenario: its name.
        repeats: runs in which a scale must hold.
        probes: in the order in which they were made.
        at_least: the scale that is claimed, if one is.
        complete: whether the search came to its end.
    """

    scenario: str
    repeats: int
    probes: tuple[Probe, ...]
    at_least: float | None = None
    complete: bool = True

    @property
    def missed(self) -> Probe | None:
        """The lowest scale that did not hold."""
        return min((one for one in self.probes if not one.holds), key=lambda one: one.scale, default=None)

    @property
    def held(self) -> Probe | None:
        """The highest scale that held, below any that did not."""
        limit = self.missed.scale if self.missed else float("inf")
        below = [one for one in self.probes if one.holds and one.scale < limit]
        return max(below, key=lambda one: one.scale, default=None)

    @property
    def verdict(self) -> Verdict:
        """Pass where a scale was found, and is not below the one that is claimed."""
        held, missed = self.held, self.missed
        if held is None:
            return missed.verdict if missed else Verdict.UNKNOWN
        if self.at_least is None or held.scale >= self.at_least:
            return Verdict.PASS
        return missed.verdict if missed and missed.scale <= self.at_least else Verdict.UNKNOWN

    @property
    def sentence(self) -> str:
        """What came of it, in one sentence."""
        parts = [] if self.complete else ["The search was not finished"]
        held, missed = self.held, self.missed
        if held:
            parts.append(f"Everything holds up to scale {held.scale:g} ({held.eps:,.0f} events/s)")
        else:
            parts.append("Not even the lowest scale holds" if missed else "No scale was tried to its end")
        if missed:
            word = "is missed" if missed.verdict is Verdict.FAIL else "cannot be decided"
            parts.append(f"at {missed.scale:g} it {word}: {missed.runs[-1].why if missed.runs else 'no run'}")
        elif held:
            parts.append("no higher scale was asked for")
        if self.at_least is not None:
            parts.append(f"at least {self.at_least:g} is claimed")
        return "; ".join(part.rstrip(".") for part in parts) + "."


def search(holds: Callable[[float], bool], low: float, high: float, precision: float) -> None:
    """Ask about scales until the highest that holds is known.

    Args:
        holds: whether everything holds at a scale; asked once for each.
        low: the first; if it does not hold, nothing else is tried.
        high: none above is tried.
        precision: how close the lowest scale that does not hold shall be.
    """
    if not holds(low):
        return
    missed = None
    while missed is None and low < high:
        step = min(2 * low, high)
        if holds(step):
            low = step
        else:
            missed = step
    while missed is not None and missed - low > precision + 1e-9:
        middle = round((low + missed) / 2, 4)
        if holds(middle):
            low = middle
        else:
            missed = middle


def check_range(low: float, high: float, precision: float) -> None:
    """Do nothing if a search can be made of it.

    Raises:
        UsageError: it cannot.
    """
    if not 0 < low <= high:
        raise UsageError(f"--low {low:g} --high {high:g}: not 0 < low <= high", hint="scale 1 is the claimed peak")
    if precision <= 0:
        raise UsageError(f"--precision {precision:g}: not a positive number", hint="0.05 is a twentieth of the peak")


def find_capacity(
    scenario: Scenario,
    *,
    low: float,
    high: float,
    precision: float,
    repeats: int = 2,
    at_least: float | None = None,
    stack: Stack | None = None,
    out: Path,
    on_event: OnEvent = ignore,
    on_probe: Callable[[Probe], None] = lambda _: None,
) -> Capacity:
    """Search, on one stack; ``capacity.json`` in ``out`` has what is known at any time.

    Args:
        scenario: at scale 1; a scale holds if the verdict of its run is pass.
        low, high, precision: of the search, in scales.
        repeats: runs in which a scale must hold.
        at_least: the scale that is claimed.
        stack: a stack that is up, and stays up; by default one is brought up, and down in the end.
        out: where run directories and results go.
        on_event: told what happens in the runs.
        on_probe: told of each scale when it is decided.

    Raises:
        UsageError: the range makes no sense.
        SuiteError: a run could not be done, or no stack brought up.
        KeyboardInterrupt: on Ctrl-C or SIGTERM; everything that was started is stopped.
    """
    check_range(low, high, precision)
    probes: list[Probe] = []
    with sigterm_interrupts(), ExitStack() as undo:
        prober = _Prober(scenario, low, repeats, stack, out, undo, on_event)

        def holds(scale: float) -> bool:
            probes.append(prober.probe(scale))
            on_probe(probes[-1])
            _write(out, _found(scenario, repeats, probes, at_least, complete=False))
            return probes[-1].holds

        search(holds, low, high, precision)
    found = _found(scenario, repeats, probes, at_least, complete=True)
    _write(out, found)
    return found


def _found(
    scenario: Scenario, repeats: int, probes: Sequence[Probe], at_least: float | None, *, complete: bool
) -> Capacity:
    return Capacity(scenario=scenario.name, repeats=repeats, probes=tuple(probes), at_least=at_least, complete=complete)


def _write(out: Path, found: Capacity) -> None:
    held = found.held
    data = {
        "verdict": found.verdict,
        "sentence": found.sentence,
        "scale": held.scale if held else None,
        "eps": held.eps if held else None,
        **msgspec.to_builtins(found),
    }
    write_text(out / JSON_NAME, msgspec.json.format(msgspec.json.encode(data), indent=1).decode() + "\n")


class _Prober:
    """Makes the runs, on a stack that it renews when a run has left a backlog: the next would have to carry it."""

    def __init__(
        self,
        scenario: Scenario,
        low: float,
        repeats: int,
        stack: Stack | None,
        out: Path,
        undo: ExitStack,
        on_event: OnEvent,
    ) -> None:
        self.scenario, self.low, self.repeats = scenario, low, repeats
        self.given, self.running = stack, stack
        self.out, self.undo, self.on_event = out, undo, on_event

    def probe(self, scale: float) -> Probe:
        """Run one scale as often as it holds, at most as often as it must."""
        scaled = self.scenario.scaled(scale / self.scenario.scale)
        runs: list[ProbeRun] = []
        while len(runs) < self.repeats and all(run.verdict is Verdict.PASS for run in runs):
            runs.append(self._run(scaled.seeded(self.scenario.seed + len(runs))))
        return Probe(scale=scale, eps=scaled.highest_eps, runs=tuple(runs))

    def _run(self, scenario: Scenario) -> ProbeRun:
        begun = time.time_ns()
        try:
            if self.running is None:
                self.running = bring_up(self.scenario, self.out, self.undo, self.on_event)
                # Java compiles what it has done often: the first run on a stack is slower than any after it.
                self._play(self.scenario.scaled(self.low / self.scenario.scale))
            run_dir = self._play(scenario)
        except UsageError:
            raise
        except SuiteError as error:
            # It may be the load that the stack could not carry; nobody knows what it is like now.
            self._renew()
            return ProbeRun(run=f"none-{begun}", verdict=Verdict.UNKNOWN, why=f"the run broke off: {error.message}")
        verdict = judge_and_report(run_dir, on_event=self.on_event)
        history = read_record(run_dir)
        if any(load.unmatched_receipts for load in history.loads):
            self._renew()
        return figures(history, verdict)

    def _play(self, scenario: Scenario) -> Path:
        return run_scenario(scenario, stack=self.running, out=self.out, on_event=self.on_event)

    def _renew(self) -> None:
        if self.given is None:
            self.undo.close()
            self.running = None


def figures(history: Record, verdict: RunVerdict) -> ProbeRun:
    """What a run at one scale has to show."""
    p99 = {domain: _worst(history, "e2e_p99", (domain,)) for domain in history.domains}
    p99["all"] = _worst(history, "e2e_p99", history.domains)
    lost = _worst(history, "lost", history.domains, whole=True)
    return ProbeRun(
        run=history.run.id,
        verdict=verdict.verdict,
        why=sentence(verdict),
        p99_ms={name: value for name, value in p99.items() if value is not None},
        throughput_eps=_worst(history, "throughput", history.domains),
        lost=None if lost is None else round(lost),
        host_cpu_pct=_worst(history, "host_cpu_mean", history.domains),
        broker_cpu_pct=_worst(history, "broker_cpu_mean", history.domains),
    )


def _worst(history: Record, metric: str, domains: tuple[str, ...], *, whole: bool = False) -> float | None:
    """A metric in the worst steady phase, or of the run; None where it is not known."""
    measure = MEASURES[metric]
    values = []
    for phase in (None,) if whole else history.phases_of(_JUDGED_KIND):
        try:
            found = measure.measure(Question(history=history, phase=phase, domains=domains))
        except NoEvidence:
            continue
        if found.samples >= found.least:
            values.append(found.high)
    return (min if measure.higher_is_better else max)(values, default=None)
