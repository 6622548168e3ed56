"""The experiments for Kubernetes: valid, undone, and judged by what really happened to pods."""

import json
from typing import Any

import pytest
from chaoslib.experiment import ensure_experiment_is_valid
from neutral import neutral

from necp_validate.chaos.experiment import all_experiment_names
from necp_validate.core.verdict import Verdict
from necp_validate.kubernetes.experiment_checks import judge
from necp_validate.kubernetes.play import Played, experiment_folder
from necp_validate.kubernetes.replacements import Replacement
from necp_validate.record.experiments import ExperimentOutcome

NAMES = ["broker-pod-kill", "network-policy", "node-drain", "rolling-update"]


def test_there_are_these_experiments():
    assert sorted(path.stem for path in experiment_folder().glob("*.json")) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_activity_and_argument_exists(name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DRAINED_NODE", "node-1")
    ensure_experiment_is_valid(_document(name))


@pytest.mark.parametrize("name", NAMES)
def test_brokers_are_chosen_by_strimzis_labels_and_nothing_is_fixed(name: str):
    text = (experiment_folder() / f"{name}.json").read_text(encoding="utf-8")
    assert "strimzi.io/cluster=${cluster},strimzi.io/broker-role=true" in text
    document = _document(name)
    assert {"cluster", "ns", "brokers", "within_s"} <= document["configuration"].keys()


@pytest.mark.parametrize(("name", "undone_by"), [("network-policy", "remove_policy"), ("node-drain", "uncordon_node")])
def test_what_stays_is_undone_in_any_case(name: str, undone_by: str):
    document = _document(name)
    assert document["runtime"]["rollbacks"]["strategy"] == "always"
    assert [one["provider"]["func"] for one in document["rollbacks"]] == [undone_by]


def _document(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((experiment_folder() / f"{name}.json").read_text(encoding="utf-8"))
    return document


def _played(**changes: Any) -> Played:
    given = {"steady_before": True, "steady_after": True, "failed": (), "missed": (), "status": "completed", **changes}
    outcome = neutral(ExperimentOutcome, experiment="x", title="x", seconds=1.0, **given)
    return Played(name="x", outcome=outcome, journal={})


def _row(pod: str, ready_s: float | None = 3.0) -> Replacement:
    return Replacement(pod=pod, node="n", killed_at_s=0.0, ready_s=ready_s)


def test_an_experiment_passes_if_its_pod_went_and_came_back():
    finding = judge("kill", _played(), [_row("kafka-0")], {"kafka-0"}, 2)
    assert finding.verdict is Verdict.PASS
    assert "kafka-0 in 3.0 s" in finding.summary


@pytest.mark.parametrize(
    ("played", "rows", "killed", "fewest", "word"),
    [
        (_played(), [], {"kafka-0"}, 2, "killed"),
        (_played(), [_row("kafka-0"), _row("kafka-1")], {"kafka-0"}, 2, "killed"),
        (_played(), [_row("kafka-0", ready_s=None)], {"kafka-0"}, 2, "did not come back"),
        (_played(), [_row("kafka-0")], {"kafka-0"}, 1, "ready at one time"),
        (_played(), [_row("kafka-0")], {"kafka-0"}, None, "ready at one time"),
        (_played(), [], set(), 2, "ready at one time"),
        (_played(failed=("kill: Forbidden",)), [_row("kafka-0")], {"kafka-0"}, 2, "Forbidden"),
        (_played(status="failed", steady_after=None), [_row("kafka-0")], {"kafka-0"}, 2, "failed"),
        (_played(missed=("ready: False, wanted True",)), [_row("kafka-0")], {"kafka-0"}, 2, "wanted True"),
    ],
)
def test_an_experiment_fails(played: Played, rows: list[Replacement], killed: set[str], fewest: int | None, word: str):
    finding = judge("kill", played, rows, killed, fewest)
    assert finding.verdict is Verdict.FAIL
    assert word in finding.summary


def test_the_suites_own_campaign_knows_nothing_of_them():
    assert not [name for name in all_experiment_names() if name.startswith("k8s/")]
