"""Every example in the pages is true: commands parse, what they name exists, the quick ones run, files load."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from command_lines import parse
from fabricate import START_S, Recipe, fabricate
from pages import ROOT, Block, all_blocks, blocks, nox_sessions
from typer.testing import CliRunner

from benchmarks.__main__ import PARTS
from necp_validate.chaos.experiment import checked, load_experiment
from necp_validate.claims.files import parse_claims
from necp_validate.cli.app import app
from necp_validate.core import UsageError
from necp_validate.core.toml_errors import Source
from necp_validate.scenario.files import load_scenario, scenario_folder
from necp_validate.stack.external_config import load_external

BLOCKS = all_blocks()
COMMANDS = [(block, command) for block in BLOCKS for command in block.commands]

#: Languages of fenced blocks, and those of them that nobody but a person can check.
CHECKED = {"console", "sh", "bash", "toml", "json", "yaml", "python", ""}
ONLY_READ = {"text"}

#: Sessions whose arguments are those of a command, and what stands before them.
SESSIONS = {"load": "run", "chaos": "chaos", "players": "run players", "security": "run security", "fuzz": "fuzz"}

#: Commands that end in seconds and need nothing but a stored run.
QUICK = {
    "", "doctor", "scenarios", "experiments", "verify", "report", "gate", "compare", "schema export", "schema check",
}  # fmt: skip


def check(command: str) -> None:
    """Raise unless a command line is one that there is, and what it names exists."""
    words = shlex.split(command)
    match words:
        case ["necp-validate", *_]:
            check_suite(command.removeprefix("necp-validate").strip() or "--help")
        case ["nox", "-s", *rest]:
            check_nox(rest)
        case ["chaos", "run", file, *_] if file.startswith("experiments/k8s/"):
            assert json.loads((ROOT / file).read_text("utf-8"))["method"], (
                "Chaos Toolkit's own, without the suite's block"
            )
        case ["chaos", "run", file, *_]:
            check_file(file, load_experiment)
        case ["python", "-m", module, *_]:
            assert importlib.util.find_spec(module), f"there is no module {module}"
        case _:
            raise AssertionError(f"nobody knows {command}")


def check_suite(command: str) -> None:
    given = parse(command)
    if given["command"] in ("run", "capacity"):
        check_file(given["scenario"], load_scenario)
    if given["command"] == "chaos":
        for name in given["names"] or ():
            check_file(name, load_experiment)
    for key in ("claims", "schema", "target"):
        if given.get(key) and str(given[key]).startswith("examples/"):
            assert (ROOT / given[key]).is_file(), f"there is no {given[key]}"


def check_file(name: str, load: Callable[[str], object]) -> None:
    """Load what comes with the suite; a file of the reader's own need not be there."""
    if not re.search(r"\.(toml|json)$", name):
        load(name)
    elif name.startswith(("scenarios/", "experiments/")):
        load(str(ROOT / name))


def check_nox(words: list[str]) -> None:
    sessions, _, arguments = " ".join(words).partition("--")
    unknown = set(sessions.split()) - nox_sessions()
    assert sessions.split(), "no session is named"
    assert not unknown, f"there is no session {unknown}"
    (session, *_) = sessions.split()
    if session in SESSIONS:
        own = arguments.split()
        named = SESSIONS[session] if session != "load" or (own and not own[0].startswith("-")) else "run peak-200"
        check_suite(" ".join([named, *own]))
    if session == "bench":
        assert set(arguments.split()) <= set(PARTS), f"no part of the bench: {arguments}"


@pytest.mark.parametrize(("block", "command"), COMMANDS, ids=[f"{block} {command}" for block, command in COMMANDS])
def test_every_command_is_one_that_there_is(block: Block, command: str) -> None:
    check(command)


def test_the_pages_have_commands() -> None:
    assert len(COMMANDS) > 40
    assert {block.page for block, _ in COMMANDS} >= {"README.md", "docs/tutorial.md", "docs/ci.md", "docs/chaos.md"}


@pytest.mark.parametrize(
    "command",
    [
        "necp-validate run smokee",
        "necp-validate run smoke --scala 2",
        "necp-validate chaos brokerkill",
        "necp-validate run smoke --claims examples/claim.toml",
        "necp-validate verfy last",
        "nox -s loads",
        "nox -s load -- smoke --stack",
        "nox -s bench -- peeers",
        "chaos run experiments/no-such.json",
        "python -m necp_validate.reference.audits init FILE",
    ],
)
def test_a_command_that_there_is_not_is_found_out(command: str) -> None:
    """The seeded defect: a page with a mistake."""
    (block,) = blocks("page.md", f"Say:\n\n    {command}   # and see\n")
    assert block.commands == [command]
    with pytest.raises((Exception, SystemExit)):
        check(command)


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as a reader of the pages has it: stored runs, a baseline, files of its own."""
    folder = tmp_path_factory.mktemp("reader")
    for n, name in enumerate(("RUN1", "RUN2", "RUN3", "RUN4")):
        fabricate(folder / "reports" / "runs", Recipe(run_id=name, seed=n, start_s=START_S + 100 * n))
        fabricate(folder / "baseline", Recipe(run_id=f"base-{name}", seed=9 + n, start_s=START_S - 100 * (n + 1)))
    for name in ("claims.toml", "release-claims.toml"):
        (folder / name).write_bytes((ROOT / "examples" / "claims.toml").read_bytes())
    schema = {"type": "record", "name": "Order", "fields": [{"name": "amount", "type": "int"}]}
    for name in ("old.avsc", "new.avsc"):
        (folder / name).write_text(json.dumps(schema), encoding="utf-8")
    return folder


def is_quick(command: str) -> bool:
    return command.startswith("necp-validate") and parse(command.removeprefix("necp-validate "))["command"] in QUICK


@pytest.mark.parametrize("command", sorted({command for _, command in COMMANDS if is_quick(command)}))
def test_the_quick_ones_run(command: str, reader: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(reader)
    done = CliRunner().invoke(app, shlex.split(command)[1:])
    assert done.exit_code in (0, 1, 3), done.output
    assert done.stdout


TOML = [block for block in BLOCKS if block.toml]


@pytest.mark.parametrize("block", TOML, ids=str)
def test_toml_is_what_the_suite_reads(block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load_toml(block.text, tmp_path, monkeypatch)


def load_toml(text: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Load a claims file, a target, or a part of a scenario, as the suite does; its files beside it are there."""
    monkeypatch.chdir(folder)
    (folder / "claims.toml").write_bytes((ROOT / "examples" / "claims.toml").read_bytes())
    if "[[claims]]" in text:
        assert parse_claims(Source(name="claims.toml", text=text))
    elif "bootstrap_servers" in text:
        for name in re.findall(r'^password_env = "(\w+)"', text, flags=re.MULTILINE):
            monkeypatch.setenv(name, "secret")
        for name in re.findall(r'= "([\w.-]+\.pem)"', text):
            (folder / name).write_text("-----BEGIN CERTIFICATE-----\n", encoding="utf-8")
        (folder / "target.toml").write_text(text, encoding="utf-8")
        load_external(folder / "target.toml")
    else:
        whole = text if "[[phases]]" in text else (scenario_folder() / "smoke.toml").read_text("utf-8") + "\n" + text
        (folder / "scenario.toml").write_text(whole, encoding="utf-8")
        load_scenario(folder / "scenario.toml")


@pytest.mark.parametrize(
    "text",
    [
        '[[claims]]\nid = "a"\nmetric = "e2e_p999999"\ncomparison = "<"\nthreshold = "40 ms"',
        'bootstrap_servers = "kafka.example:9094"\nca_file = "ca.pem"',
        "[monitoring]\ninterval = 2",
    ],
)
def test_toml_that_nobody_reads_is_found_out(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seeded defects."""
    with pytest.raises(UsageError):
        load_toml(text, tmp_path, monkeypatch)


@pytest.mark.parametrize("block", [one for one in BLOCKS if '"extensions":' in one.text], ids=str)
def test_parts_of_experiments_are_what_the_suite_reads(block: Block) -> None:
    document = {**load_experiment("broker-kill").document, **json.loads("{" + block.text + "}")}
    checked(document, name="page", source=str(block))


@pytest.mark.parametrize("block", [one for one in BLOCKS if one.language], ids=str)
def test_every_language_is_checked(block: Block) -> None:
    assert block.language in CHECKED | ONLY_READ, "nobody checks this language"
    match block.language:
        case "python":
            compile(block.text, str(block), "exec")
        case "yaml":
            yaml.safe_load(block.text)
        case "json":
            json.loads(block.text)
        case "console":
            assert all(
                line.startswith("$ ") or not line.startswith("necp-validate") for line in block.text.splitlines()
            )
        case _:
            pass
