"""The suite as a user has it: the wheel's own files, far from the tree.

``nox -s package`` installs the wheel into an environment of its own and names its program in ``NECP_INSTALLED``;
without that the wheel is unpacked and run with the libraries of the tests' environment.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from contents import ROOT
from fabricate import fabricate

from necp_validate import __version__

Run = Callable[..., subprocess.CompletedProcess[str]]
_INSTALLED = os.environ.get("NECP_INSTALLED")
installed = pytest.mark.skipif(not _INSTALLED, reason="needs NECP_INSTALLED, which `nox -s package` sets")


@pytest.fixture(scope="module")
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], str | None]:
    """The command, and what PYTHONPATH it needs."""
    if _INSTALLED:
        return [_INSTALLED], None
    folder = tmp_path_factory.mktemp("unpacked")
    with zipfile.ZipFile(request.getfixturevalue("wheel")) as archive:
        archive.extractall(folder)
    return [sys.executable, "-m", "necp_validate"], str(folder)


@pytest.fixture
def run(program: tuple[list[str], str | None], tmp_path: Path) -> Run:
    """Runs a command line of it in an empty folder."""
    command, pythonpath = program
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")}
    environment["COLUMNS"] = "160"
    if pythonpath:
        environment["PYTHONPATH"] = pythonpath

    def call(*arguments: str, exit_code: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*command, *arguments],
            cwd=tmp_path, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == exit_code, done.stdout + done.stderr
        return done

    return call


def test_it_is_not_the_tree_that_runs(program: tuple[list[str], str | None], tmp_path: Path) -> None:
    command, pythonpath = program
    python = sys.executable if pythonpath else str(Path(command[0]).with_name("python"))
    code = "import necp_validate; print(necp_validate.__file__)"
    environment = os.environ | ({"PYTHONPATH": pythonpath} if pythonpath else {})
    done = subprocess.run(
        [python, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert not Path(done.stdout.strip()).is_relative_to(ROOT / "necp_validate")


def test_it_says_its_version(run: Run) -> None:
    assert run("--version").stdout.strip() == __version__


def test_scenarios_and_experiments_came_along(run: Run) -> None:
    assert tomllib.loads(run("scenarios", "smoke").stdout)["judge"]
    assert json.loads(run("experiments", "security/breaker").stdout)["method"]


def test_the_published_contract_came_along(run: Run) -> None:
    run("schema", "check", "--max-examples", "1")


@installed
def test_a_name_that_is_wrong_is_found_among_those_that_came_along(run: Run) -> None:
    assert 'did you mean "smoke"' in run("run", "smokee", exit_code=2).stderr
    assert 'did you mean "broker-kill"' in run("chaos", "broker-kil", exit_code=2).stderr


@installed
def test_the_doctor_examines_every_scenario(run: Run) -> None:
    done = run("doctor")
    assert all(path.stem in done.stdout for path in (ROOT / "scenarios").glob("*.toml"))


def test_a_stored_run_is_judged_and_reported(run: Run, tmp_path: Path) -> None:
    stored = fabricate(tmp_path / "stored")
    run("verify", str(stored))
    run("report", str(stored))
    assert "<html" in (stored / "report.html").read_text(encoding="utf-8")


@pytest.mark.slow
@installed
def test_every_seeded_defect_is_caught(run: Run) -> None:
    assert "caught" in run("selftest").stdout


@pytest.mark.kafka
@pytest.mark.slow
@installed
def test_a_run_on_real_brokers_ends_in_a_report(run: Run, tmp_path: Path) -> None:
    run("run", "smoke", "--stack", "local", "--out", "runs")
    (made,) = (tmp_path / "runs").iterdir()
    verdict = json.loads((made / "verdict.json").read_text(encoding="utf-8"))
    assert verdict["verdict"] == "pass"
    assert {path.name for path in made.iterdir()} >= {"report.html", "summary.md", "junit.xml"}
