"""Wrong usage of `init`, `run` and `fuzz` on a target of somebody else's: exit code 2, told before anything is done."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from necp_validate.cli.app import app

TARGET = """
bootstrap_servers = "127.0.0.1:1"
security_protocol = "PLAINTEXT"
[[topics]]
name = "orders"
"""
SCENARIO = """
stack = "external"
target = "target.toml"
claims = "claims.toml"
[topics]
orders = 10
[[phases]]
name = "steady"
kind = "steady"
duration_s = 2
"""
CLAIMS = """
[[claims]]
id = "nothing-lost"
metric = "lost"
topic = "orders"
comparison = "=="
threshold = 0
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, text in (("target", TARGET), ("scenario", SCENARIO), ("claims", CLAIMS)):
        (tmp_path / f"{name}.toml").write_text(text)
    return tmp_path


@pytest.fixture
def deaf_port() -> Iterator[int]:
    """Somebody who takes connections, and hangs up on whatever is said."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def _told(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments), env={"COLUMNS": "300"})
    assert result.exit_code == 2, result.output
    return " ".join(result.output.split())


def _change(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--bootstrap", "kafka"), "--bootstrap kafka: not of the form HOST:PORT hint: e.g. --bootstrap kafka:9092"),
        (("--bootstrap", "127.0.0.1:1"), "nobody listens at 127.0.0.1:1"),
        (("--bootstrap", "k:1", "--schema", "orders"), "--schema orders: not of the form TOPIC=FILE"),
    ],
)
def test_init_says_what_is_wrong_with_its_options(folder: Path, arguments: tuple[str, ...], told: str) -> None:
    assert told in _told("init", *arguments)
    assert sorted(file.name for file in folder.iterdir()) == ["claims.toml", "scenario.toml", "target.toml"]


def test_init_reads_schemas_before_it_asks_the_cluster(folder: Path, deaf_port: int) -> None:
    told = _told("init", "--bootstrap", f"127.0.0.1:{deaf_port}", "--schema", "orders=none.avsc")
    assert "none.avsc" in told


@pytest.mark.parametrize(
    ("name", "old", "new", "told"),
    [
        ("scenario", "orders = 10", "order = 10", "no [[topics]] table is called 'order'"),
        ("scenario", "orders = 10", "order = 10", "did you mean orders?"),
        ("scenario", 'kind = "steady"', 'kind = "fault"', "faults on topics of your own cannot be made from here"),
        ("scenario", '"external"', '"local"', "an external target is described by a TOML file"),
        ("scenario", "[topics]", "[traffic.combat]\nrate_eps = 5\n[topics]", "this scenario has [topics] of your own"),
        ("claims", 'topic = "orders"', 'topic = "order"', "did you mean"),
        ("claims", 'topic = "orders"', 'topic = "orders"\ndomain = "combat"', "or about a topic of your own, not both"),
        ("target", "[[topics]]", "[[topic]]", "unknown key 'topic'; did you mean 'topics'?"),
        ("target", 'name = "orders"', 'name = "orders"\nschema = "a.json"', "names a file that is not there"),
    ],
)
def test_run_says_what_is_wrong_with_its_files(folder: Path, name: str, old: str, new: str, told: str) -> None:
    _change(folder / f"{name}.toml", old, new)
    assert told in _told("run", "scenario.toml")
    assert not (folder / "reports").exists()


def test_run_breaks_nothing_unless_it_is_allowed_and_even_then_not_on_topics_of_ones_own(folder: Path) -> None:
    _change(folder / "scenario.toml", 'kind = "steady"', 'kind = "fault"')
    _change(folder / "scenario.toml", "[topics]", 'experiments = ["broker-kill"]\n[topics]')
    assert "the scenario breaks parts of the target; nothing was done hint: add: --allow faults" in _told(
        "run", "scenario.toml"
    )
    assert "the cluster is its owner's" in _told("run", "scenario.toml", "--allow", "faults")


def test_run_breaks_nothing_of_a_game_on_somebody_elses_cluster_unless_it_is_allowed(folder: Path) -> None:
    told = _told("run", "chaos", "--target", "target.toml", "--set", 'experiments=["broker-kill"]')
    assert "the scenario breaks parts of the target; nothing was done hint: add: --allow faults" in told


def test_run_stops_early_only_for_claims(folder: Path) -> None:
    _change(folder / "scenario.toml", 'claims = "claims.toml"\n', "")
    assert "only claims of your own can stop a run early" in _told("run", "scenario.toml", "--stop-early")


def test_run_knows_the_words_that_allow_something(folder: Path) -> None:
    assert "did you mean write?" in _told("run", "scenario.toml", "--allow", "writes")


def test_run_refuses_what_is_about_the_game_alone(folder: Path) -> None:
    assert "--attach, --web and load workers are about the game's own topics" in _told(
        "run", "scenario.toml", "--web", "8089"
    )


def test_fuzz_knows_the_words_that_allow_something(folder: Path) -> None:
    assert "--allow everything: not known" in _told("fuzz", "--allow", "everything")
