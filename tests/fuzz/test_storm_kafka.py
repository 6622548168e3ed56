"""Fuzzed events through real brokers and the real event core: all accounted for, and a defect in the core is found."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from necp_validate.core import Verdict
from necp_validate.events.topics import Domain
from necp_validate.fuzz.examples import load_example
from necp_validate.fuzz.making import tasks_of
from necp_validate.fuzz.source import ChunkTask, make_chunk
from necp_validate.record import read_record
from necp_validate.report.pipeline import judge, judge_and_report
from necp_validate.scenario.fuzzing import CLAIMS, FuzzPlan, run_fuzz
from necp_validate.stack import LocalStack

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

ALTERS_DEAD_LETTERS = """
import dataclasses
from necp_validate.reference.eventcore import at_least_once, exactly_once, handling

def altered(*given, **named):
    outputs = handling.dead_letter_outputs(*given, **named)
    return [dataclasses.replace(one, value=one.value and one.value.replace(b"a", b"e")) for one in outputs]

at_least_once.dead_letter_outputs = exactly_once.dead_letter_outputs = altered
"""


def test_every_fuzzed_event_is_accounted_for(brokers: LocalStack, tmp_path: Path) -> None:
    """No crash, none without its outcome, every dead letter whole; every claim judged from it passes."""
    plan = FuzzPlan(events=5_000, seed=1)
    run_dir = run_fuzz(plan, stack=brokers, out=tmp_path)
    verdict = judge_and_report(run_dir)
    fuzz = read_record(run_dir).fuzz
    assert fuzz is not None
    print((run_dir / "summary.md").read_text(encoding="utf-8"))
    assert fuzz.flaws == ()
    assert verdict.verdict is Verdict.PASS
    assert {claim.id for claim in verdict.of(Verdict.PASS)} == set(CLAIMS)
    assert fuzz.events == fuzz.asked == sum(task.count for task in tasks_of(5_000, 1, "xx", 2))
    assert {group.found for group in fuzz.groups} >= {"processed", "rejected", "dead_lettered"}
    assert len({group.operator for group in fuzz.groups}) > 12
    assert brokers.brokers()


def test_a_core_that_alters_dead_letters_is_found(brokers: LocalStack, tmp_path: Path) -> None:
    """In the real process: a minimal example, found through Kafka, that can be played again."""
    (tmp_path / "sitecustomize.py").write_text(ALTERS_DEAD_LETTERS, encoding="utf-8")
    cases = {
        Domain.COMBAT: make_chunk(ChunkTask(seed=2, tag="cc", domain=Domain.COMBAT, number=0, count=40, repeats=1))
    }
    env = {"PYTHONPATH": str(tmp_path)}
    run_dir = run_fuzz(FuzzPlan(), stack=brokers, cases=cases, core_env=env, out=tmp_path)
    verdict = judge(run_dir)
    fuzz = read_record(run_dir).fuzz
    assert fuzz is not None
    assert {check.name for check in verdict.checks if check.verdict is Verdict.FAIL} == {
        "fuzz-dead-letter",
        "fuzz-combat",
    }
    flaw = fuzz.flaws[0]
    assert flaw.where.startswith("game.combat.events[")
    assert "value is not the event's" in flaw.detail
    assert flaw.minimal
    example = load_example(run_dir / flaw.file)
    assert example.domain is Domain.COMBAT
    assert json.loads((run_dir / "verdict.json").read_text(encoding="utf-8"))["verdict"] == "fail"
    print(flaw)
