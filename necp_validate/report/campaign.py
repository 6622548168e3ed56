"""A campaign: experiments one after the other on one stack, each a run of its own with a verdict of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from necp_validate.chaos.experiment import Experiment
from necp_validate.claims.metrics.faults import figures
from necp_validate.core import SuiteError, Verdict, worst
from necp_validate.record import read_record
from necp_validate.report.pipeline import judge_and_report
from necp_validate.report.verdict import RunVerdict, sentence
from necp_validate.scenario.events import OnEvent, StageFinished, StageStarted, ignore
from necp_validate.scenario.interrupts import sigterm_interrupts
from necp_validate.scenario.model import Scenario
from necp_validate.scenario.runner import run_scenario
from necp_validate.stack import Stack
from necp_validate.stack.config import JvmSettings
from necp_validate.stack.select import open_stack


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One experiment, run once.

    Args:
        experiment: its name.
        seed: what its random choices were made with.
        verdict: of its run; unknown where it could not be run.
        why: the verdict in one sentence.
        target: what was broken.
        evidence: what showed that the fault took effect, or why it did not.
        effective: whether every fault was seen to take effect.
        recovery_s: the slowest recovery of any partition or client; None where it was not measured.
        rebalance_s: the slowest rebalance of any group; None if there was none.
        lost: acknowledged events that were not read back; None where that is unknown.
        seconds: how long the run took.
        run_dir: where it is kept; None if there was no run.
    """

    experiment: str
    seed: int
    verdict: Verdict
    why: str
    target: str = ""
    evidence: str = ""
    effective: bool = False
    recovery_s: float | None = None
    rebalance_s: float | None = None
    lost: int | None = None
    seconds: float = 0.0
    run_dir: Path | None = None


def run_campaign(
    scenario: Scenario,
    experiments: Sequence[Experiment],
    *,
    backgrounds: Mapping[str, Scenario] | None = None,
    stack: Stack | None = None,
    repeat: int = 1,
    out: Path = Path("reports/runs"),
    on_event: OnEvent = ignore,
    on_trial: Callable[[Trial], None] = lambda _: None,
) -> tuple[Trial, ...]:
    """Run experiments one after the other; the next begins only when the cluster is whole again.

    What the stack cannot do is not run: it is unknown, with what it needs. An experiment that could not be run to its
    end is unknown too, and the campaign goes on, with a new stack if the old one did not recover.

    Args:
        scenario: the background of each; a stack is brought up for that of the experiment that needs one first.
        experiments: in order.
        backgrounds: by name, the scenarios of experiments that have one of their own.
        stack: a stack that is up, and stays up; by default one is brought up, and down in the end.
        repeat: how many times each is run, with seeds that count up from the scenario's.
        out: where the run directories go.
        on_event: told what happens.
        on_trial: told of each trial when it is over.

    Raises:
        SuiteError: no stack could be brought up.
        KeyboardInterrupt: on Ctrl-C or SIGTERM; everything that was started is stopped.
    """
    trials = []
    with sigterm_interrupts(), ExitStack() as undo:
        running = stack
        for experiment, seed in _plan(experiments, scenario.seed, repeat):
            background = (backgrounds or {}).get(experiment.name, scenario)
            if running is None:
                running = bring_up(background, out, undo, on_event)
            trial = _trial(background, experiment, seed, running, out, on_event)
            trials.append(trial)
            on_trial(trial)
            if stack is None and trial.run_dir is None and not _needs(experiment, running):
                undo.close()  # nobody knows what it is like now
                running = None
    return tuple(trials)


def _plan(experiments: Sequence[Experiment], seed: int, repeat: int) -> Iterator[tuple[Experiment, int]]:
    for number in range(repeat):
        for experiment in experiments:
            yield experiment, seed + number


def bring_up(scenario: Scenario, out: Path, undo: ExitStack, on_event: OnEvent) -> Stack:
    """Bring the stack of a scenario up for several runs; ``undo`` takes it down."""
    on_event(StageStarted(stage="stack"))
    begun = time.monotonic()
    logs = out / time.strftime("%Y%m%dT%H%M%S-chaos-stack", time.gmtime())  # beside the runs that use it
    logs.mkdir(parents=True, exist_ok=True)
    heap_mib = scenario.broker.heap_mb
    jvm = JvmSettings(heap_min_mib=min(JvmSettings().heap_min_mib, heap_mib), heap_max_mib=heap_mib)
    target = Path(scenario.target) if scenario.target else None
    properties = scenario.broker.properties()
    stack = open_stack(scenario.stack, log_dir=logs.resolve(), config=target, jvm=jvm, overrides=properties)
    undo.callback(stack.stop)
    stack.start(lambda text: on_event(StageStarted(stage="stack", detail=text)))
    on_event(StageFinished(stage="stack", seconds=time.monotonic() - begun))
    return stack


def _needs(experiment: Experiment, stack: Stack) -> str:
    """What the stack lacks for an experiment; empty if nothing."""
    able, reasons = stack.describe().faults, stack.describe_unavailable()
    lacking = [reasons.get(kind, f"needs a stack that can do: {kind}") for kind in experiment.needs if kind not in able]
    return "; ".join(dict.fromkeys(lacking))


def _trial(scenario: Scenario, experiment: Experiment, seed: int, stack: Stack, out: Path, on_event: OnEvent) -> Trial:
    if needs := _needs(experiment, stack):
        return Trial(experiment=experiment.name, seed=seed, verdict=Verdict.UNKNOWN, why=needs, evidence=needs)
    begun = time.monotonic()
    try:
        run_dir = run_scenario(scenario.seeded(seed), stack=stack, out=out, on_event=on_event, experiments=[experiment])
        verdict = judge_and_report(run_dir, on_event=on_event)
    except SuiteError as error:
        why = f"the run could not be done: {error.message}"
        return Trial(
            experiment=experiment.name,
            seed=seed,
            verdict=Verdict.UNKNOWN,
            why=why,
            evidence=str(error),
            seconds=time.monotonic() - begun,
        )
    return _told(experiment.name, seed, run_dir, verdict, time.monotonic() - begun)


def _told(name: str, seed: int, run_dir: Path, verdict: RunVerdict, seconds: float) -> Trial:
    history = read_record(run_dir)
    measured = [figures(history, fault) for fault in history.faults]
    losses = {check.name: check for check in verdict.checks}
    lost = losses.get("lost-write")
    known = lost is not None and lost.verdict is not Verdict.UNKNOWN
    return Trial(
        experiment=name,
        seed=seed,
        verdict=verdict.verdict,
        why=sentence(verdict),
        target="; ".join(dict.fromkeys(fault.target for fault in history.faults)),
        evidence="; ".join(fault.evidence for fault in history.faults),
        effective=bool(history.faults) and all(fault.effective_us is not None for fault in history.faults),
        recovery_s=max((one.recovery_s for one in measured if one.recovery_s is not None), default=None),
        rebalance_s=max((one.rebalance_s for one in measured if one.rebalance_s is not None), default=None),
        lost=lost.count if lost is not None and known else None,
        seconds=seconds,
        run_dir=run_dir,
    )


def worst_of(trials: Sequence[Trial]) -> Verdict:
    """The verdict of a campaign: any fail fails it, else any unknown leaves it unknown."""
    return worst(trial.verdict for trial in trials)
