"""The doctor: what it concludes from what it found, and that its probes never break."""

from __future__ import annotations

from pathlib import Path

import pytest

from necp_validate.scenario import load_scenario
from necp_validate.scenario.doctor import Diagnosis, Outlook, examine, outlook, stacks_outlook
from necp_validate.scenario.probes import Probe, State, all_probes, disk

NAMES = ("java", "kafka", "docker", "ports", "network", "iptables")
PLENTY = {"cores": 16, "memory_bytes": 64e9, "disk_bytes": 1e12}


def probes(**states: State) -> dict[str, Probe]:
    return {name: Probe(name=name, state=states.get(name, State.OK), found=f"{name} found") for name in NAMES}


def states(stacks: tuple[Outlook, ...]) -> dict[str, State]:
    return {stack.name: stack.state for stack in stacks}


def test_every_probe_answers_on_any_machine(tmp_path: Path) -> None:
    found = all_probes(tmp_path)
    assert len({probe.name for probe in found}) == len(found) == 13
    assert all(probe.found for probe in found)


def test_disk_is_measured_where_the_runs_will_lie(tmp_path: Path) -> None:
    assert disk(tmp_path / "not" / "there" / "yet").name == f"disk at {tmp_path}"


def test_docker_is_the_default_where_an_engine_answers() -> None:
    auto = stacks_outlook(probes())[0]
    assert auto.expect == "docker"


def test_without_docker_the_local_stack_takes_over() -> None:
    stacks = stacks_outlook(probes(docker=State.MISSING))
    assert stacks[0].expect == "local"
    assert states(stacks) == {
        "auto": State.OK,
        "local": State.OK,
        "docker": State.MISSING,
        "external": State.OK,
    }


def test_without_java_and_docker_nothing_can_be_brought_up() -> None:
    found = states(stacks_outlook(probes(docker=State.MISSING, java=State.MISSING)))
    assert found["auto"] == found["local"] == State.MISSING


def test_partitions_are_not_promised_without_namespaces() -> None:
    local = stacks_outlook(probes(network=State.LIMITED))[1]
    assert "partitions would end unknown" in local.expect


def test_a_scenario_that_fits_says_so() -> None:
    assert outlook(load_scenario("peak-200"), **PLENTY).state is State.OK


def test_a_scenario_that_saturates_the_host_says_what_that_means_and_which_scale_fits() -> None:
    found = outlook(load_scenario("headline-100k"), **{**PLENTY, "cores": 2})
    assert found.state is State.LIMITED
    assert "would end unknown" in found.expect
    assert "--scale 0.5" in found.expect


def test_a_scenario_that_fills_the_disk_cannot_run() -> None:
    assert outlook(load_scenario("soak"), **{**PLENTY, "disk_bytes": 1e9}).state is State.MISSING


def test_a_scenario_without_its_stack_cannot_run() -> None:
    stacks = stacks_outlook(probes(docker=State.MISSING))
    scenario = load_scenario("smoke", overrides=["stack=docker"])
    assert outlook(scenario, **PLENTY, stacks=stacks).state is State.MISSING


@pytest.mark.parametrize(("state", "code"), [(State.OK, 0), (State.LIMITED, 0), (State.MISSING, 1)])
def test_the_exit_code_says_whether_anything_can_run(state: State, code: int) -> None:
    one = (Outlook(name="x", state=state, size="", expect=""),)
    assert Diagnosis(probes=(), stacks=one, scenarios=one).exit_code == code


def test_this_machine_is_examined_as_a_whole(tmp_path: Path) -> None:
    diagnosis = examine(tmp_path)
    assert [stack.name for stack in diagnosis.stacks] == ["auto", "local", "docker", "external"]
    assert {scenario.name for scenario in diagnosis.scenarios} >= {"smoke", "peak-200", "headline-100k", "soak"}
