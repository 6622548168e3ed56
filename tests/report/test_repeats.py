"""Claims that must hold in N of M: what counts as a repeat, what is refused, and that it is kept with the verdict."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fabricate import START_S, Recipe, fabricate, rewrite
from typer.testing import CliRunner

from necp_validate.cli.app import app
from necp_validate.core import UsageError, Verdict
from necp_validate.record import parts
from necp_validate.report.gate import gate
from necp_validate.report.pipeline import judge
from necp_validate.report.verdict import read_verdict, sentence

CLAIM = """
[[claims]]
id = "mine"
description = "combat is fast, run for run"
metric = "e2e_p99"
domain = "combat"
phase = "steady"
comparison = "<"
threshold = "20 ms"
repeats = "2 of 3"
"""

Another = Callable[..., Path]


@pytest.fixture
def another(tmp_path: Path) -> Another:
    """Makes a further run, of its own unless the recipe says otherwise."""
    numbers: Iterator[int] = iter(range(1, 99))

    def make(**recipe: Any) -> Path:
        n = next(numbers)
        given = {"run_id": f"run-{n}", "seed": n, "start_s": START_S + 1000 * n, **recipe}
        return fabricate(tmp_path / "runs", Recipe(**given))

    return make


@pytest.fixture
def claims(tmp_path: Path) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(CLAIM)
    return path


def run_command(*arguments: str | Path) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "200"})
    return done.exit_code, done.stdout, done.stderr


def own(run: Path) -> tuple[Verdict, str]:
    (mine,) = (one for one in gate(run).claims if one.id == "mine")
    return mine.verdict, mine.evidence


class TestWhatIsKept:
    def test_the_repeats_are_in_the_verdict_and_the_gate_uses_them(self, another: Another, claims: Path) -> None:
        first, second, run = another(), another(), another()
        assert judge(run, claims=claims).verdict is Verdict.UNKNOWN, "one of three is not three"
        assert "2 are still to be run" in own(run)[1]
        assert judge(run, repeats=[first, second]).verdict is Verdict.PASS
        assert read_verdict(run).repeats == ("../run-1", "../run-2")
        verdict, evidence = own(run)
        assert (verdict, evidence.startswith("held in 3, missed in 0 of 3 repeats; 2 of 3 are claimed")) == (
            Verdict.PASS,
            True,
        )
        assert gate(run).repeats == read_verdict(run).repeats

    def test_they_are_found_where_the_runs_are_moved_together(
        self, another: Another, claims: Path, tmp_path: Path
    ) -> None:
        first, second, run = another(), another(), another()
        judge(run, claims=claims, repeats=[first, second])
        moved = shutil.move(tmp_path / "runs", tmp_path / "elsewhere")
        assert gate(Path(moved) / run.name).verdict is Verdict.PASS

    def test_every_repeat_is_judged_from_its_record(self, another: Another, claims: Path) -> None:
        """Two of three miss, whatever was said of them."""
        slow = [another(slow=2.0), another(slow=2.0)]
        run = another()
        for one in slow:
            judge(one)
        found = judge(run, claims=claims, repeats=slow)
        assert found.verdict is Verdict.FAIL
        assert own(run)[1].startswith("held in 1, missed in 2 of 3 repeats")

    def test_a_repeat_that_was_changed_proves_nothing_and_is_named(self, another: Another, claims: Path) -> None:
        first, second, run = another(), another(), another()
        (second / "metrics" / "lag.csv").unlink()
        found = judge(run, claims=claims, repeats=[first, second])
        assert found.verdict is Verdict.UNKNOWN
        assert "run-2 was changed since it was closed: missing metrics/lag.csv" in sentence(found)

    def test_a_repeat_that_is_gone_is_wrong_usage(self, another: Another, claims: Path) -> None:
        first, second, run = another(), another(), another()
        judge(run, claims=claims, repeats=[first, second])
        shutil.rmtree(first)
        code, _, err = run_command("gate", run)
        assert (code, "run-1 is not a run directory" in err) == (2, True)

    def test_a_verdict_cannot_name_the_run_itself_as_its_repeat(self, another: Another, claims: Path) -> None:
        """The one thing in ``verdict.json`` that the gate reads is held to the same rules."""
        run = another()
        judge(run, claims=claims)
        stored = json.loads((run / "verdict.json").read_text())
        (run / "verdict.json").write_text(json.dumps({**stored, "repeats": [f"../{run.name}", f"../{run.name}"]}))
        with pytest.raises(UsageError, match="no repeat of itself"):
            gate(run)


@pytest.mark.parametrize("command", ["verify", "gate", "report"])
class TestWhatIsRefused:
    """With exit code 2, before anything is written."""

    def refused(self, command: str, run: Path, *repeats: Path) -> str:
        code, _, err = run_command(command, run, *(word for one in repeats for word in ("--repeat-of", one)))
        assert code == 2
        assert not (run / "verdict.json").exists()
        return " ".join(err.split())

    def test_the_run_itself(self, another: Another, command: str) -> None:
        run = another()
        assert f"{run.name} is no repeat of itself" in self.refused(command, run, run)

    def test_a_repeat_given_twice(self, another: Another, command: str) -> None:
        one, run = another(), another()
        assert "run-1 is no repeat of itself" in self.refused(command, run, one, one)

    def test_a_copy_under_another_name(self, another: Another, command: str, tmp_path: Path) -> None:
        run = another()
        copy = tmp_path / "copy"
        shutil.copytree(run, copy)
        assert f"{run.name} is no repeat of itself" in self.refused(command, run, copy)
        rewrite(copy, parts.RUN, id="copy", seed=77, started_us=START_S * 10**6 - 5)
        assert f"{copy} is no repeat: it holds the same run as {run}" in self.refused(command, run, copy)

    @pytest.mark.parametrize(
        ("recipe", "says"),
        [
            ({"scale": 0.5}, "scale 0.05 and not 0.1"),
            ({"scenario": "peak-200", "scale": 0.1}, "scenario peak-200 and not smoke"),
            ({"overrides": ("core.instances=2",)}, "another configuration (core)"),
            ({"overrides": ("thresholds.drain_s=5",)}, "another configuration (thresholds)"),
            ({"stack": {"backend": "docker"}}, "stack docker and not local"),
            ({"stack": {"kafka_version": "3.9.1"}}, "Kafka 3.9.1 and not 4.4.0"),
            ({"host": {"cpus": 64}}, "CPUs 64 and not 2"),
            ({"host": {"memory_bytes": 8 * 2**30}}, "memory 8 GiB and not 23 GiB"),
            ({"versions": {"necp-validate": "0.2.0"}}, "version of necp-validate 0.2.0 and not 0.1.0"),
        ],
    )
    def test_a_run_of_something_else(self, another: Another, command: str, recipe: dict[str, Any], says: str) -> None:
        other, run = another(**recipe), another()
        assert f"run-1 is no repeat of {run.name}: it has {says}" in self.refused(command, run, other)


def test_another_seed_and_other_claims_are_no_other_load(another: Another, claims: Path) -> None:
    first = another(config={"judge": ["DUR-ACKED"], "claims": "theirs.toml", "description": "the same, last week"})
    second, run = another(), another()
    rewrite(second, parts.RUN, seed=4711)
    assert judge(run, claims=claims, repeats=[first, second]).verdict is Verdict.PASS
