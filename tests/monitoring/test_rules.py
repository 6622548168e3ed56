"""The alert rules: every claimed alert is there, as claimed, and promtool's own tests of them pass."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from necp_validate.claims.metrics.alert_causes import CAUSES
from necp_validate.monitoring import FOLDER, RULE_FILES
from necp_validate.monitoring.binary import PrometheusMissing, ensure

TESTS = sorted((FOLDER / "rules" / "tests").glob("*.yml"))


@pytest.fixture(scope="session")
def promtool() -> Path:
    try:
        return ensure("promtool")
    except PrometheusMissing as missing:
        pytest.skip(missing.message)


def rules() -> dict[str, dict[str, Any]]:
    groups = [group for path in RULE_FILES for group in yaml.safe_load(path.read_text())["groups"]]
    return {rule["alert"]: rule for group in groups for rule in group["rules"] if "alert" in rule}


def test_the_rules_are_valid(promtool: Path) -> None:
    done = subprocess.run([promtool, "check", "rules", *RULE_FILES], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
def test_rules_fire_and_are_silent_as_their_tests_say(promtool: Path, path: Path) -> None:
    done = subprocess.run([promtool, "test", "rules", path.name], cwd=path.parent, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_test_that_is_wrong_fails(promtool: Path, tmp_path: Path) -> None:
    """Promtool does look: with a rule under another name, the same tests fail."""
    for path in RULE_FILES:
        (tmp_path / path.name).write_text(path.read_text().replace("KafkaClusterDown", "KafkaIsDown"))
    folder = tmp_path / "tests"
    folder.mkdir()
    (folder / "critical.yml").write_text((FOLDER / "rules" / "tests" / "critical.yml").read_text())
    done = subprocess.run([promtool, "test", "rules", "critical.yml"], cwd=folder, capture_output=True, text=True)
    assert done.returncode != 0


def test_every_claimed_alert_has_a_rule_and_no_other() -> None:
    assert set(rules()) == set(CAUSES)


def test_every_rule_says_how_urgent_it_is_and_what_happened() -> None:
    for name, rule in rules().items():
        assert rule["labels"]["severity"] in {"critical", "high", "warning"}, name
        assert set(rule["annotations"]) == {"summary", "description"}, name


@pytest.mark.parametrize(
    ("name", "expression", "severity"),
    [
        ("KafkaClusterDown", 'up{job="kafka"} == 0', "critical"),
        ("KafkaUnencryptedConnections", "kafka_server_plaintext_connections_active > 0", "critical"),
        ("KafkaRateLimitExceeded", "rate(kafka_producer_rate_limit_hits_total[5m]) > 100", "warning"),
        ("KafkaDiskUsageHigh", "kafka_broker_disk_usage_percent > 80", "warning"),
    ],
)
def test_what_the_release_notes_give_word_for_word_is_word_for_word(name: str, expression: str, severity: str) -> None:
    rule = rules()[name]
    assert (rule["expr"], rule["labels"]["severity"], rule.get("for")) == (expression, severity, None)


def test_every_alert_is_tested_firing_and_silent() -> None:
    firing: set[str] = set()
    silent: set[str] = set()
    for path in TESTS:
        for test in yaml.safe_load(path.read_text())["tests"]:
            for case in test.get("alert_rule_test", []):
                (firing if case.get("exp_alerts") else silent).add(case["alertname"])
    assert firing == silent == set(CAUSES)
