"""Every command: what it prints, what it leaves, and its exit code."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from fabricate import Recipe, fabricate
from typer.testing import CliRunner

from necp_validate import __version__
from necp_validate.cli.app import app
from necp_validate.core import StackError
from necp_validate.report.pipeline import judge
from necp_validate.scenario.events import OnEvent, RunStarted
from necp_validate.scenario.model import Scenario

COMMANDS = [
    "run",
    "verify",
    "report",
    "gate",
    "compare",
    "up",
    "status",
    "down",
    "doctor",
    "selftest",
    "schema",
    "fuzz",
    "scenarios",
    "experiments",
    "worker",
    "init",
    "capacity",
]


@pytest.fixture
def invoke(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., tuple[int, str, str]]:
    """Runs a command in an empty folder; gives exit code, standard output and standard error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    runner = CliRunner()

    def call(*arguments: str | Path) -> tuple[int, str, str]:
        result = runner.invoke(app, [str(argument) for argument in arguments])
        return result.exit_code, result.stdout, result.stderr

    return call


def test_help_names_every_command_and_every_exit_code(invoke) -> None:
    code, out, _ = invoke("--help")
    assert code == 0
    for command in COMMANDS:
        assert re.search(rf"\b{command}\b", out)
    assert "0 pass · 1 fail · 2 wrong usage · 3 unknown · 4" in out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(invoke, command: str) -> None:
    path = ["schema", "export"] if command == "schema" else [command]
    code, out, _ = invoke(*path, "--help")
    assert code == 0
    assert f"necp-validate {' '.join(path)}" in " ".join(out.split())


def test_version(invoke) -> None:
    assert invoke("--version")[:2] == (0, f"{__version__}\n")


def test_help_loads_nothing_heavy() -> None:
    """--help answers at once because pandas, matplotlib, Kafka and Locust stay unloaded."""
    heavy = ("pandas", "numpy", "matplotlib", "confluent_kafka", "locust", "gevent", "jinja2", "docker")
    code = f"import sys, necp_validate.cli.app; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("recipe", "verdict", "code"),
    [
        (Recipe(), "pass: Every claim", 0),
        (Recipe(lost=3), "fail: 2 of", 1),
        (Recipe(leave_out=frozenset({"history/drain.json"})), "unknown: Nothing failed, but", 3),
        (Recipe(config={"judge": []}), "unknown: No claim was judged", 3),
    ],
)
def test_gate_judges_the_record_and_ends_with_its_code(
    invoke, tmp_path: Path, recipe: Recipe, verdict: str, code: int
) -> None:
    run = fabricate(tmp_path, recipe)
    found, out, _ = invoke("gate", run)
    assert (found, out.startswith(verdict)) == (code, True), out


def test_gate_takes_no_stored_word_for_it(invoke, tmp_path: Path) -> None:
    run = fabricate(tmp_path, Recipe(lost=3))
    judge(run)
    path = run / "verdict.json"
    path.write_text(path.read_text().replace('"fail"', '"pass"'))
    assert invoke("gate", run)[0] == 1


def test_gate_names_a_file_that_was_changed(invoke, tmp_path: Path) -> None:
    run = fabricate(tmp_path)
    (run / "metrics" / "host.csv").unlink()
    code, out, _ = invoke("gate", run)
    assert code == 3
    assert "this run was changed since it was closed: missing metrics/host.csv" in " ".join(out.split())


@pytest.mark.parametrize("command", ["verify", "report", "gate"])
def test_a_run_that_is_not_there_is_wrong_usage(invoke, command: str) -> None:
    code, _, err = invoke(command, "nowhere")
    assert code == 2
    assert 'there is no run "nowhere"' in err


def test_verify_judges_a_stored_run(invoke, tmp_path: Path) -> None:
    run = fabricate(tmp_path, Recipe(lost=3))
    code, out, _ = invoke("verify", run)
    assert code == 1
    assert "✗ FAIL" in out
    assert "lost-write" in out
    assert json.loads((run / "verdict.json").read_text())["verdict"] == "fail"


def test_report_is_made_again_and_named(invoke, tmp_path: Path) -> None:
    run = fabricate(tmp_path, Recipe(lost=3))
    code, out, _ = invoke("report", run)
    assert code == 0
    assert "✗ fail" in (run / "report.html").read_text(encoding="utf-8"), "it is judged again"
    assert [Path(line).name for line in out.split()] == ["report.html", "summary.md", "junit.xml"]


def test_runs_are_found_by_id_and_by_the_word_last(invoke, tmp_path: Path) -> None:
    runs = tmp_path / "reports" / "runs"
    fabricate(runs, Recipe(run_id="one"))
    assert invoke("gate", "one")[0] == 0
    assert invoke("gate", "last")[0] == 0


def test_compare_shows_ratios_and_changed_verdicts(invoke, tmp_path: Path) -> None:
    fast = fabricate(tmp_path, Recipe(run_id="fast"))
    slow = fabricate(tmp_path, Recipe(run_id="slow", slow=2, lost=1))
    code, out, _ = invoke("compare", fast, slow)
    assert code == 0
    assert re.search(r"combat P99 .*\S2\.0", out)
    assert re.search(r"lost-write\s+✓ pass\s+✗ fail", out)


def test_compare_needs_two_runs(invoke, tmp_path: Path) -> None:
    assert invoke("compare", fabricate(tmp_path))[0] == 2


def test_doctor_shows_machine_stacks_and_scenarios(invoke) -> None:
    code, out, _ = invoke("doctor")
    assert code in (0, 1)
    for word in ("cores", "Docker", "Java", "local", "external", "smoke", "peak-200"):
        assert word in out


@pytest.mark.parametrize(("format_", "key"), [("jsonschema", "$schema"), ("asyncapi", "asyncapi")])
def test_schemas_are_exported_as_json(invoke, format_: str, key: str) -> None:
    code, out, _ = invoke("schema", "export", "--format", format_)
    assert code == 0
    assert key in json.loads(out)


def test_without_a_stack_status_says_how_to_bring_one_up(invoke, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NECP_STATE_DIR", str(tmp_path))
    code, _, err = invoke("status")
    assert code == 4
    assert "error: no stack is up\nhint: bring one up with `necp-validate up`" in err
    assert invoke("down")[:2] == (0, "no stack was up\n")
    assert invoke("run", "smoke", "--attach")[0] == 4


@pytest.mark.kafka
@pytest.mark.slow
def test_a_stack_is_brought_up_used_and_ended(invoke, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NECP_STATE_DIR", str(tmp_path))
    try:
        code, out, err = invoke("up")
        assert (code, out.count("✓ ok")) == (0, 3), err
        assert invoke("up")[0] == 4, "a second stack must be refused"
        assert invoke("status")[0] == 0
        _, properties, _ = invoke("status", "--client", "combat-service")
        assert "sasl.username=combat-service\n" in properties
    finally:
        code, out, err = invoke("down")
    assert (code, out) == (0, "the stack is down\n"), err
    assert invoke("status")[0] == 4


def test_a_wrong_option_is_wrong_usage(invoke) -> None:
    assert invoke("run", "--nope")[0] == 2


def test_a_worker_without_the_key_is_wrong_usage(invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NECP_JOIN_KEY", raising=False)
    code, _, err = invoke("worker", "--master", "127.0.0.1:5557")
    assert code == 2
    assert "NECP_JOIN_KEY is not set" in err


class TestRun:
    """The command itself; the run behind it is replaced, because it needs Kafka."""

    @pytest.fixture
    def runner(self, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
        """Replaces the run by a fabricated one; ``then`` may raise in its middle."""
        called: dict[str, object] = {"recipe": Recipe(), "then": lambda: None}

        def run_scenario(scenario: Scenario, *, out: Path, on_event: OnEvent, **options: object) -> Path:
            called.update(scenario=scenario, **options)
            run = fabricate(out, called["recipe"])  # type: ignore[arg-type]
            on_event(RunStarted(run_id=run.name, run_dir=run, scenario=scenario.name, phases=()))
            called["then"]()  # type: ignore[operator]
            return run

        monkeypatch.setattr("necp_validate.scenario.runner.run_scenario", run_scenario)
        return called

    def test_a_sound_run_passes_and_names_its_report(self, invoke, runner) -> None:
        code, out, err = invoke("run", "smoke")
        assert (code, err.count("error")) == (0, 0)
        assert "✓ PASS" in out
        report = Path(out.split("report: ")[1].strip())
        assert report.is_file()

    def test_a_lossy_run_fails(self, invoke, runner) -> None:
        runner["recipe"] = Recipe(lost=5)
        code, out, _ = invoke("run", "smoke")
        assert code == 1
        assert "DUR-ACKED" in out

    def test_options_reach_the_scenario(self, invoke, runner) -> None:
        invoke(
            *("run", "smoke", "--scale", "0.5", "--set", "core.instances=2", "--stack", "local"),
            *("--seed", "42", "--web", "8089", "--stop-early", "--allow", "write"),
        )
        scenario = runner["scenario"]
        assert scenario.scale == pytest.approx(0.05)
        assert (scenario.core.instances, scenario.stack, scenario.seed) == (2, "local", 42)
        assert (runner["web_port"], runner["stop_early"], runner["allow"]) == (8089, True, {"write"})

    def test_workers_reach_the_scenario(self, invoke, runner) -> None:
        invoke("run", "smoke", "--workers", "4", "--in-namespaces")
        assert runner["scenario"].load.processes == 4
        assert runner["placement"].where == "namespaces"

    def test_a_master_says_how_workers_join(self, invoke, runner) -> None:
        _, out, _ = invoke("run", "smoke", "--master", "0.0.0.0:5557", "--expect-workers", "3")
        assert runner["scenario"].load.processes == 3
        assert f"NECP_JOIN_KEY={runner['placement'].key}" in out
        assert "necp-validate worker --master HOST:5557" in out

    def test_a_target_file_makes_the_stack_external(self, invoke, runner) -> None:
        invoke("run", "smoke", "--target", "staging.toml")
        assert (runner["scenario"].stack, runner["scenario"].target) == ("external", "staging.toml")

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            (["smokee"], 'did you mean "smoke"'),
            (["smoke", "--set", "cor.instances=2"], 'did you mean "core"'),
            (["smoke", "--stack", "cloud"], "auto, local, docker, external"),
            (["smoke", "--scale", "0"], "--scale"),
        ],
    )
    def test_wrong_input_is_found_before_anything_starts(self, invoke, runner, arguments, says: str) -> None:
        code, _, err = invoke("run", *arguments)
        assert code == 2
        assert says in err
        assert "scenario" not in runner

    def test_an_error_of_the_stack_keeps_its_hint_and_its_log(self, invoke, runner) -> None:
        def fail() -> None:
            raise StackError("broker 2 died", hint="see its log", detail="OutOfMemoryError")

        runner["then"] = fail
        code, _, err = invoke("run", "smoke")
        assert code == 4
        assert "error: broker 2 died\nOutOfMemoryError\nhint: see its log\n" in err

    def test_an_interrupted_run_says_where_its_part_lies(self, invoke, runner) -> None:
        def interrupt() -> None:
            raise KeyboardInterrupt

        runner["then"] = interrupt
        code, _, err = invoke("run", "smoke")
        assert code == 4
        assert "interrupted, everything stopped" in err
        assert re.search(r"the partial run is kept at reports/runs/\S+-smoke", err)

    def test_a_defect_of_the_suite_is_one_line_and_a_traceback_in_a_file(self, invoke, runner) -> None:
        def divide() -> None:
            _ = 1 // 0

        runner["then"] = divide
        code, _, err = invoke("run", "smoke")
        assert code == 4
        assert "ZeroDivisionError" in err
        assert "Traceback" not in err
        place = re.search(r"the traceback is in (\S+)", err)
        assert place is not None
        kept = Path(place[1])
        assert "in divide" in kept.read_text()
        kept.unlink()
