"""Mistakes in an experiment file: each is found before anything starts, and names file and place."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from chaoslib.experiment import ensure_experiment_is_valid
from typer.testing import CliRunner

from necp_validate.chaos.experiment import (
    all_experiment_names,
    checked,
    experiment_names,
    experiments_folder,
    load_experiment,
    name_of,
)
from necp_validate.cli.app import app
from necp_validate.core import UsageError

Document = dict[str, Any]


def document(name: str = "broker-kill") -> Document:
    found: Document = json.loads((experiments_folder() / f"{name}.json").read_text(encoding="utf-8"))
    return found


def first_action(d: Document) -> Document:
    provider: Document = d["method"][0]["provider"]
    return provider


def block(d: Document) -> Document:
    found: Document = d["extensions"][0]
    return found


@pytest.mark.parametrize("name", all_experiment_names())
def test_every_experiment_of_the_suite_is_sound(name: str) -> None:
    """By the suite's own rules, and by Chaos Toolkit's."""
    experiment = load_experiment(name)
    assert experiment.settings.claims
    ensure_experiment_is_valid(deepcopy(dict(experiment.document)))
    assert name_of(experiment.document) == name


MISTAKES: dict[str, tuple[Callable[[Document], object], str, str]] = {
    "role": (
        lambda d: first_action(d)["arguments"].update(role="leadr"),
        'x.json#/method/0/provider/arguments/role: there is no role "leadr"',
        'did you mean "leader"?',
    ),
    "partition of a role": (
        lambda d: first_action(d)["arguments"].update(role="leader:game.combat.events-24"),
        "x.json#/method/0/provider/arguments/role: game.combat.events has no partition 24",
        "it has 0 to 23",
    ),
    "action": (
        lambda d: first_action(d).update(func="kil_broker"),
        'x.json#/method/0/provider/func: "kil_broker" is not known',
        'did you mean "kill_broker"?',
    ),
    "probe": (
        lambda d: d["steady-state-hypothesis"]["probes"][0]["provider"].update(func="isr_ful"),
        'x.json#/steady-state-hypothesis/probes/0/provider/func: "isr_ful" is not known',
        'did you mean "isr_full"?',
    ),
    "module": (
        lambda d: first_action(d).update(module="necp_validate.chaos.action"),
        'x.json#/method/0/provider/module: "necp_validate.chaos.action" is not known',
        'did you mean "necp_validate.chaos.actions"?',
    ),
    "module of another activity": (
        lambda d: first_action(d).update(module="necp_validate.chaos.probes"),
        'x.json#/method/0/provider/module: "kill_broker" is in necp_validate.chaos.actions',
        "",
    ),
    "type of an argument": (
        lambda d: d["method"][1]["provider"]["arguments"].update(seconds="ten"),
        "x.json#/method/1/provider/arguments/seconds: expected float, got str; it is 'ten'",
        "",
    ),
    "name of an argument": (
        lambda d: first_action(d)["arguments"].update(rolle="leader"),
        'x.json#/method/0/provider/arguments/rolle: "rolle" is not known',
        'did you mean "role"?',
    ),
    "missing argument": (
        lambda d: d["method"][1]["provider"].pop("arguments"),
        'x.json#/method/1/provider/arguments: the argument "seconds" is missing',
        "",
    ),
    "variable": (
        lambda d: first_action(d)["arguments"].update(role="${rol}"),
        'x.json#/method/0/provider/arguments/role: "rol" is not known',
        "configuration",
    ),
    "claim": (
        lambda d: block(d)["claims"].append("FT-BROKR"),
        'x.json#/extensions/0/claims/3: "FT-BROKR" is not known',
        'did you mean "FT-BROKER"?',
    ),
    "key of the suite's block": (
        lambda d: block(d).update(fualt={}),
        'x.json#/extensions/0/fualt: "fualt" is not known',
        'did you mean "fault"?',
    ),
    "value in the suite's block": (
        lambda d: block(d).update(fault={"duration_s": -1}),
        "x.json#/extensions/0/fault/duration_s: expected",
        "",
    ),
    "missing block": (
        lambda d: d.update(extensions=[]),
        "x.json#/extensions: the suite's block is missing",
        "claims",
    ),
    "missing control": (
        lambda d: d.update(controls=[]),
        "x.json#/controls: the suite's control is missing",
        "necp_validate.chaos.controls",
    ),
    "missing rollback": (
        lambda d: d.update(rollbacks=[]),
        "x.json#/method/0: kill_broker is not undone",
        '"start_brokers"',
    ),
    "tolerance": (
        lambda d: d["steady-state-hypothesis"]["probes"][1].update(tolerance=0.5),
        "x.json#/steady-state-hypothesis/probes/1/tolerance: a fraction is no tolerance",
        "range",
    ),
    "no tolerance": (
        lambda d: d["steady-state-hypothesis"]["probes"][1].pop("tolerance"),
        "x.json#/steady-state-hypothesis/probes/1: a probe of the steady state needs a tolerance",
        "",
    ),
    "part": (
        lambda d: d.update(methods=[]),
        'x.json#/methods: "methods" is not known',
        'did you mean "method"?',
    ),
    "kind of activity": (
        lambda d: d["method"][0].update(type="probe"),
        'x.json#/method/0/type: "kill_broker" is a action',
        "",
    ),
    "no method": (lambda d: d.update(method=[]), "x.json#/method: an experiment needs a method", ""),
    "no steady state": (
        lambda d: d.pop("steady-state-hypothesis"),
        "x.json#/steady-state-hypothesis: an experiment needs a steady state",
        "",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_names_its_place_and_the_likely_intention(mistake: str) -> None:
    spoil, message, hint = MISTAKES[mistake]
    spoilt = document()
    spoil(spoilt)
    with pytest.raises(UsageError) as caught:
        checked(spoilt, name="x", source="x.json")
    assert caught.value.message.startswith(message)
    assert hint in (caught.value.hint or "")


def test_an_experiment_in_a_folder_is_named_with_it_and_no_part_of_a_campaign(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = document("core-kill")
    for path, content in (("a.json", document()), ("security/b.json", inner)):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(json.dumps(content), encoding="utf-8")
    monkeypatch.setattr("necp_validate.chaos.experiment.experiments_folder", lambda: tmp_path)
    by_name, by_path = load_experiment("security/b"), load_experiment(tmp_path / "security" / "b.json")
    assert (experiment_names(), all_experiment_names()) == (["a"], ["a", "security/b"])
    assert (by_name.name, by_path.name, name_of(inner)) == ("security/b",) * 3
    assert by_name.slug == "security-b"
    with pytest.raises(UsageError) as caught:
        load_experiment("security/c")
    assert 'did you mean "security/b"?' in (caught.value.hint or "")


def test_a_file_that_is_not_json_names_line_and_column(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text('{"title": "x",\n  nonsense}', encoding="utf-8")
    with pytest.raises(UsageError, match=r"x\.json:2:3: not valid JSON"):
        load_experiment(path)


def test_an_unknown_name_is_guessed() -> None:
    with pytest.raises(UsageError) as caught:
        load_experiment("broker-kil")
    assert 'did you mean "broker-kill"?' in (caught.value.hint or "")


def test_the_command_ends_with_exit_code_2_before_anything_starts(tmp_path: Path) -> None:
    spoilt = document()
    first_action(spoilt)["arguments"]["role"] = "controler"
    path = tmp_path / "spoilt.json"
    path.write_text(json.dumps(spoilt), encoding="utf-8")
    result = CliRunner().invoke(app, ["chaos", str(path), "--out", str(tmp_path / "runs")])
    assert result.exit_code == 2
    assert "spoilt.json#/method/0/provider/arguments/role" in result.output
    assert 'did you mean "controller"?' in result.output
    assert not (tmp_path / "runs").exists()
