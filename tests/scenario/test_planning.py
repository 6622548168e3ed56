"""Scenarios with experiments: the phases they become, and poison in exactly the share that a phase asks for."""

from __future__ import annotations

import shlex

import pytest
from neutral import neutral

from necp_validate.chaos.experiment import load_experiment
from necp_validate.core import UsageError
from necp_validate.events.topics import Domain
from necp_validate.load.plan import DomainTraffic, LoadPlan, PlannedPhase
from necp_validate.load.traffic import FlushPool
from necp_validate.record import RunInfo
from necp_validate.report.reproduce import run_command
from necp_validate.scenario import load_scenario
from necp_validate.scenario.planning import experiments_of, with_experiments


def test_fault_and_recovery_are_repeated_for_each_experiment() -> None:
    scenario = load_scenario("chaos", overrides=['experiments=["broker-kill", "scale-consumers"]'])
    planned = with_experiments(scenario, experiments_of(scenario))
    assert [(phase.name, phase.experiment) for phase in planned.phases] == [
        ("warmup", None),
        ("before", None),
        ("fault-broker-kill", "broker-kill"),
        ("recovery-broker-kill", None),
        ("fault-scale-consumers", "scale-consumers"),
        ("recovery-scale-consumers", None),
    ]
    assert planned.core.instances == 3
    assert planned.judge[0] == "DUR-ACKED"
    assert {"FT-BROKER", "SCALE-CONSUMERS"} < set(planned.judge)


def test_an_experiment_alone_changes_its_phases() -> None:
    planned = with_experiments(load_scenario("chaos"), [load_experiment("poison-storm")])
    fault = next(phase for phase in planned.phases if phase.experiment)
    assert (fault.name, fault.poison_share) == ("fault", 0.3)
    assert [phase.poison_share for phase in planned.phases if not phase.experiment] == [None, None, None]


def test_a_scenario_without_a_fault_phase_takes_no_experiments() -> None:
    with pytest.raises(UsageError, match="exactly one phase of the kind fault"):
        load_scenario("smoke", overrides=['experiments=["broker-kill"]'])


def test_an_experiment_that_does_not_exist_is_found_before_the_run() -> None:
    scenario = load_scenario("chaos", overrides=['experiments=["broker-kil"]'])
    with pytest.raises(UsageError, match="broker-kil"):
        experiments_of(scenario)


def test_a_phase_can_have_its_own_share_of_poison() -> None:
    traffic = DomainTraffic(
        topic="t", rate_eps=100, run_length=10, tick_hz=10, cheat_share=0.0, poison_share=0.05, client={}
    )
    phases = [
        PlannedPhase(name="before", kind="steady", duration_s=1, load=1),
        PlannedPhase(name="fault", kind="fault", duration_s=1, load=1, poison_share=0.35),
    ]
    plan = LoadPlan(
        run_dir="r", run_id="r", seed=1, processes=1, phases=phases, traffic={"combat": traffic}, verifier={}
    )
    pool = FlushPool(Domain.COMBAT, traffic, 0, plan)
    usual = sum(pool.next().poison for _ in range(200))
    storm = sum(pool.next(0.35).poison for _ in range(200))
    assert abs(usual - 100) <= 1
    assert abs(storm - 700) <= 1


def test_a_run_of_an_experiment_is_repeated_by_naming_it() -> None:
    planned = with_experiments(load_scenario("chaos", seed=7), [load_experiment("poison-storm")])
    info = neutral(RunInfo, id="r", scenario="chaos", scale=planned.scale, seed=7, config=planned.to_config())
    assert shlex.split(run_command(info)) == [
        *("necp-validate", "run", "chaos", "--seed", "7"),
        *("--set", 'experiments=["poison-storm"]'),
    ]
