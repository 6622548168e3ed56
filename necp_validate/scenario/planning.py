"""A scenario with experiments: which phases the load goes through, and how the suite's block of each changes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from necp_validate.chaos.experiment import Experiment, PhasePlan, load_experiment
from necp_validate.claims.limits import LIMITS
from necp_validate.core import UsageError
from necp_validate.record import Phase as PhaseRecord
from necp_validate.record import Record
from necp_validate.scenario.model import Phase, PhaseKind, Scenario


def experiments_of(scenario: Scenario) -> list[Experiment]:
    """Read and check the experiments that a scenario names.

    Raises:
        UsageError: one of them does not exist or has a mistake.
    """
    return [load_experiment(name) for name in scenario.experiments]


def drain_timeout_s(scenario: Scenario) -> float:
    """How long the last events may take to end, until nobody waits for them any more: thrice what is allowed."""
    drain = LIMITS["drain_s"]
    allowed = scenario.thresholds.get("drain_s") or max(drain.claimed(phase.kind) for phase in scenario.phases)
    return max(30.0, 3 * allowed)


def busiest_phase(scenario: Scenario, record: Record) -> PhaseRecord:
    """The phase whose backlog is drained: the last of those with the highest load."""
    highest = max(phase.load for phase in scenario.phases)
    name = next(phase.name for phase in reversed(scenario.phases) if phase.load == highest)
    return next(phase for phase in record.phases if phase.name == name)


BACKGROUND = "chaos"
"""The scenario under which an experiment is played that has none of its own."""


def backgrounds_of(
    experiments: Sequence[Experiment], chosen: str | None, load: Callable[[str], Scenario]
) -> dict[str, Scenario]:
    """Read the scenario of every experiment, each once.

    Args:
        experiments: as checked.
        chosen: the scenario of all of them, in place of their own; None leaves them their own.
        load: reads a scenario.

    Returns:
        By the experiment's name.

    Raises:
        UsageError: there is no such scenario, or an experiment breaks the gateway and its scenario has no players.
    """
    read: dict[str, Scenario] = {}
    found = {}
    for experiment in experiments:
        name = chosen or experiment.settings.scenario or BACKGROUND
        if name not in read:
            read[name] = load(name)
        found[experiment.name] = read[name]
        require_players(read[name], [experiment])
    return found


def require_players(scenario: Scenario, experiments: Sequence[Experiment]) -> None:
    """Do nothing if there is a gateway wherever one is to be broken.

    Raises:
        UsageError: an experiment breaks the gateway, and the scenario has no players.
    """
    for experiment in experiments:
        if experiment.players and scenario.players is None:
            own = experiment.settings.scenario
            hint = f'its own scenario is "{own}"' if own else "add a [players] table to the scenario"
            raise UsageError(f"{experiment.name} breaks the gateway, and {scenario.name} has no players", hint=hint)


def with_experiments(scenario: Scenario, experiments: Sequence[Experiment]) -> Scenario:
    """Lay the phases out: what comes before the fault once, the fault and all after it once for each experiment.

    The claims that the experiments are evidence for are judged too, and the event core has as many instances as the
    most demanding of them wants.

    Args:
        scenario: with exactly one phase of the kind fault.
        experiments: in order.

    Raises:
        UsageError: an experiment breaks the gateway, and the scenario has no players.
    """
    if not experiments:
        return scenario
    require_players(scenario, experiments)
    at = next(i for i, phase in enumerate(scenario.phases) if phase.kind is PhaseKind.FAULT)
    first = experiments[0].settings.before
    phases = [_changed(p, first) if p.kind is PhaseKind.STEADY else p for p in scenario.phases[:at]]
    for experiment in experiments:
        suffix = f"-{experiment.slug}" if len(experiments) > 1 else ""
        for phase in scenario.phases[at:]:
            fault = phase.kind is PhaseKind.FAULT
            changed = _changed(phase, experiment.settings.fault if fault else experiment.settings.recovery)
            experiment_name = experiment.name if fault else None
            phases.append(msgspec.structs.replace(changed, name=f"{phase.name}{suffix}", experiment=experiment_name))
    cores = max([scenario.core.instances, *(e.settings.cores or 1 for e in experiments)])
    claims = [claim for experiment in experiments for claim in experiment.settings.claims]
    return msgspec.structs.replace(
        scenario,
        phases=tuple(phases),
        core=msgspec.structs.replace(scenario.core, instances=cores),
        judge=tuple(dict.fromkeys([*scenario.judge, *claims])),
        experiments=tuple(experiment.name for experiment in experiments),
    )


_CHANGES = ("duration_s", "load", "poison_share", "players", "hot_share")


def _changed(phase: Phase, plan: PhasePlan) -> Phase:
    changes = {name: value for name in _CHANGES if (value := getattr(plan, name)) is not None}
    return msgspec.structs.replace(phase, **changes)
