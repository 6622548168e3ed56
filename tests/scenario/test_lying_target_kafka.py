"""Targets that lie, or do not serve, on real brokers: what they do is found by what else was recorded."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource
from shortened import short

from necp_validate.chaos.experiment import load_experiment
from necp_validate.core import Finding, Verdict
from necp_validate.events.topics import Domain
from necp_validate.report.pipeline import judge
from necp_validate.report.verdict import RunVerdict
from necp_validate.scenario.files import load_scenario
from necp_validate.scenario.runner import run_scenario
from necp_validate.stack import LocalStack
from necp_validate.stack.provision import admin_client
from necp_validate.stack.service import ServiceKind

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

SCENARIO = """
judge = ["DUR-ACKED", "LAT-COMBAT", "LAT-SOCIAL"]

[traffic.combat]
rate_eps = {combat}
run_length = 100
tick_hz = 10

[traffic.social]
rate_eps = 100
run_length = 5
tick_hz = 5

[[phases]]
name = "steady"
kind = "steady"
duration_s = {seconds}
"""

LYING_CORE = '''
"""An event core that waits 250 ms with combat and social, and says that they had ended 5 ms after they were due."""

import runpy
import time

from necp_validate.reference.eventcore import at_least_once

honest = at_least_once.handle_batch


def lying(*args, **more):
    result = honest(*args, **more)
    if result.sent_us and any(name in str(args[1][0].topic()) for name in ("combat", "social")):
        time.sleep(0.25)
        result.done_us = min(result.sent_us) + 5_000
        result.runs = [(*run[:4], result.done_us) for run in result.runs]
    return result


at_least_once.handle_batch = lying
runpy.run_module("necp_validate.reference.eventcore", run_name="__main__")
'''


RUDE_CORE = '''
"""An event core that drops everything when it is asked to end, and says that all went well."""

import os
import runpy
import signal

install = signal.signal


def rude(number, handler):
    return install(number, (lambda *_: os._exit(0)) if number == signal.SIGTERM else handler)


signal.signal = rude
runpy.run_module("necp_validate.reference.eventcore", run_name="__main__")
'''


def in_place_of_the_core(monkeypatch: pytest.MonkeyPatch, folder: Path, program: str) -> None:
    """Let stacks start another program where they start the event core."""
    path = folder / "other_core.py"
    path.write_text(program, encoding="utf-8")
    command = ServiceKind.command.fget
    assert command is not None

    def other(kind: ServiceKind) -> tuple[str, ...]:
        honest: tuple[str, ...] = command(kind)
        return (sys.executable, str(path)) if kind.module.endswith("eventcore") else honest

    monkeypatch.setattr(ServiceKind, "command", property(other))


def judged(tmp_path: Path, stack: LocalStack, *, seconds: int, combat: int) -> RunVerdict:
    path = tmp_path / "lying.toml"
    path.write_text(SCENARIO.format(seconds=seconds, combat=combat), encoding="utf-8")
    return judge(run_scenario(load_scenario(path), stack=stack, out=tmp_path / "runs"))


def check(verdict: RunVerdict, name: str) -> Finding:
    return next(one for one in verdict.checks if one.name == name)


def test_an_event_core_that_lies_about_its_times_is_as_slow_as_its_receipts(
    tmp_path: Path, local_stack: LocalStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its receipts every event took 5 ms; a broker was given each of them 250 ms later.

    Of combat 150 ms are allowed, so that ends are moved. Of social 300 are, for it writes receipts every 250 ms: there
    the outcomes that are to be written at once tell. On a host that is saturated while the test runs, the host may have
    done that: the later end counts all the same.
    """
    in_place_of_the_core(monkeypatch, tmp_path, LYING_CORE)
    verdict = judged(tmp_path, local_stack, seconds=15, combat=2_000)
    finding = check(verdict, "implausible-end")
    assert finding.verdict in (Verdict.FAIL, Verdict.NOT_APPLICABLE), finding.summary
    assert any(word in finding.summary for word in ("ended later than the target says", "count as later")), finding
    latency = next(claim for claim in verdict.claims if claim.id == "LAT-COMBAT")
    assert latency.verdict in (Verdict.FAIL, Verdict.UNKNOWN)
    assert "a later end counts" in latency.evidence
    social = next(claim for claim in verdict.claims if claim.id == "LAT-SOCIAL")
    assert social.verdict in (Verdict.FAIL, Verdict.UNKNOWN)
    assert "outcomes that were written at once" in social.evidence, social.evidence
    assert verdict.verdict is not Verdict.PASS


@contextmanager
def altered(stack: LocalStack, topic: str, name: str, value: str, before: str | None = None) -> Iterator[None]:
    """A topic with another setting; afterwards it has the one from before, or the brokers' default."""

    def alter(kind: AlterConfigOpType, value: str) -> None:
        entry = ConfigEntry(name, value, incremental_operation=kind)
        resource = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=[entry])
        for future in admin.incremental_alter_configs([resource], request_timeout=15).values():
            future.result(20)

    admin = admin_client(stack.internal_client_config())
    alter(AlterConfigOpType.SET, value)
    try:
        yield
    finally:
        alter(AlterConfigOpType.DELETE if before is None else AlterConfigOpType.SET, before or "")


def test_what_brokers_refuse_fails_the_run(tmp_path: Path, local_stack: LocalStack) -> None:
    """Every flush of social events is too large for its topic; nothing of what was acknowledged is lost."""
    with altered(local_stack, Domain.SOCIAL.topic, "max.message.bytes", "200"):
        verdict = judged(tmp_path, local_stack, seconds=10, combat=200)
    finding = check(verdict, "failed-send")
    assert finding.verdict is Verdict.FAIL
    assert any("MSG_SIZE_TOO_LARGE" in one.detail for one in finding.examples), finding.examples
    assert verdict.verdict is Verdict.FAIL
    assert next(claim for claim in verdict.claims if claim.id == "DUR-ACKED").verdict is Verdict.PASS


def test_a_topic_that_guarantees_less_than_was_asked_for_fails_the_run(tmp_path: Path, local_stack: LocalStack) -> None:
    """One replica in sync is enough for an acknowledgement: that is not what the topic was made with."""
    with altered(local_stack, Domain.COMBAT.topic, "min.insync.replicas", "1", before="2"):
        verdict = judged(tmp_path, local_stack, seconds=5, combat=200)
    finding = check(verdict, "topic-configuration")
    assert finding.verdict is Verdict.FAIL
    assert "min.insync.replicas is 1, 2 was asked for" in finding.examples[0].detail
    assert verdict.verdict is Verdict.FAIL


@pytest.mark.parametrize("rude", [False, True], ids=["gracefully", "rudely"])
def test_a_core_that_is_asked_to_end_under_load_has_committed_what_it_answered(
    tmp_path: Path, local_stack: LocalStack, monkeypatch: pytest.MonkeyPatch, rude: bool
) -> None:
    """The exit code of both is 0. What the rude one had answered and not committed, its successor handles again."""
    if rude:
        in_place_of_the_core(monkeypatch, tmp_path, RUDE_CORE)
    experiment = load_experiment(short(tmp_path, "core-stop", fault_s=10, recovery_s=3, hold={"seconds": 1}))
    run = run_scenario(load_scenario("chaos"), stack=local_stack, out=tmp_path / "runs", experiments=[experiment])
    verdict = judge(run)
    finding = check(verdict, "graceful-stop")
    assert finding.verdict is (Verdict.FAIL if rude else Verdict.PASS), (finding.summary, finding.examples)
    assert "ended with an error" not in str(finding.examples)
    assert next(one for one in verdict.claims if one.id == "DUR-ACKED").verdict is Verdict.PASS
