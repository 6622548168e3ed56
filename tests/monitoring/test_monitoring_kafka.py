"""Brokers, event core, exporter, a real Prometheus: two alerts fire and go, every metric that is named exists."""

from __future__ import annotations

import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import yaml

from necp_validate.chaos.plaintext import PlaintextListener
from necp_validate.monitoring import DASHBOARD, JMX_RULES, RULE_FILES
from necp_validate.monitoring.binary import PrometheusMissing, ensure
from necp_validate.monitoring.run import MonitoringRun
from necp_validate.record import FIRING, RESOLVED, parts
from necp_validate.security.provoking import be_denied, fail_logins
from necp_validate.stack import LocalStack, wait_until
from necp_validate.stack.fleet import CoreFleet

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
# What is no metric's name in an expression: PromQL's own words, labels, label values.
WORDS = re.compile(r'"[^"]*"|\{[^}]*\}|\[[^\]]*\]|\b(?:by|on|group_left|ignoring|without)\s*(?:\([^)]*\))?')
FUNCTIONS = {"sum", "max", "count", "rate", "increase", "histogram_quantile", "vector", "or", "avg", "avg_over_time"}
# A publisher has them; no publisher runs here.
OF_OTHERS = {"kafka_producer_rate_limit_hits_total"}


def named(expression: str) -> set[str]:
    """The metrics that an expression names."""
    return {word for word in NAME.findall(WORDS.sub(" ", expression)) if word not in FUNCTIONS}


def expressions() -> Iterator[str]:
    for path in RULE_FILES:
        for group in yaml.safe_load(path.read_text())["groups"]:
            yield from (rule["expr"] for rule in group["rules"])
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        yield from (target["expr"] for target in panel.get("targets", []))


def test_names_are_found_in_expressions() -> None:
    assert named('sum by (a, b) (rate(x_total{c=~".*D"}[5m])) * on (e) (1 - f:g) > 0.5') == {"x_total", "f:g"}


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    (folder / "logs").mkdir()
    return folder


@pytest.fixture(scope="module")
def stack(run_dir: Path) -> Iterator[LocalStack]:
    try:
        ensure()
    except PrometheusMissing as missing:
        pytest.skip(missing.message)
    stack = LocalStack(log_dir=run_dir / "logs", jmx_rules=JMX_RULES.read_text())
    try:
        stack.start(print)
        yield stack
    finally:
        stack.stop()


@pytest.fixture(scope="module")
def monitoring(stack: LocalStack, run_dir: Path) -> Iterator[MonitoringRun]:
    fleet = CoreFleet(stack)
    fleet.start(1)
    run = MonitoringRun(
        stack, run_dir, interval_s=1.0, services=lambda: [("eventcore", core) for core in fleet.running()]
    )
    children = set(psutil.Process().children(recursive=True))
    try:
        run.start(print)
        yield run
    finally:
        run.stop()
        fleet.close()
    assert [child for child in set(psutil.Process().children(recursive=True)) - children if child.is_running()] == []


def wait_firing(monitoring: MonitoringRun, name: str, *, fires: bool, timeout_s: float) -> None:
    watch = monitoring.watch
    assert watch is not None
    words = "does not fire" if fires else "still fires"
    wait_until(lambda: watch.firing(name) is fires, timeout_s=timeout_s, message=f"{name} {words}")


@pytest.fixture(scope="module")
def alerted(stack: LocalStack, monitoring: MonitoringRun, run_dir: Path) -> list[tuple[str, str]]:
    """What alerts did, once, while logins failed, access was denied and a listener was open: name and new state."""
    assert monitoring.watch is not None
    assert monitoring.watch.states() == {}
    assert fail_logins(stack, 20) == 20
    assert be_denied(stack, "combat-service", "topic:game.economy.events", "Write", 3) == 3
    listener = PlaintextListener(stack, 2)
    try:
        listener.open(2)
        wait_firing(monitoring, "KafkaUnencryptedConnections", fires=True, timeout_s=20)
        wait_firing(monitoring, "KafkaSaslAuthenticationFailures", fires=True, timeout_s=20)
    finally:
        listener.close()
    wait_firing(monitoring, "KafkaUnencryptedConnections", fires=False, timeout_s=20)
    wait_firing(monitoring, "KafkaSaslAuthenticationFailures", fires=False, timeout_s=80)
    return [(row.name, row.state) for row in parts.ALERTS.read(run_dir)]


def test_two_alerts_fire_and_go(alerted: list[tuple[str, str]], monitoring: MonitoringRun) -> None:
    """And no other, unless a machine busy with other tests kept Prometheus from a broker, by its own account."""
    for name in ("KafkaUnencryptedConnections", "KafkaSaslAuthenticationFailures"):
        assert [state for alert, state in alerted if alert == name] == [FIRING, RESOLVED]
    others = {alert for alert, _ in alerted} - {"KafkaUnencryptedConnections", "KafkaSaslAuthenticationFailures"}
    assert monitoring.prometheus is not None
    reached = monitoring.prometheus.api("/query", query='min(min_over_time(up{job="kafka"}[10m]))')["result"]
    assert reached
    assert others <= ({"KafkaClusterDown"} if float(reached[0]["value"][1]) < 1 else set())


@pytest.mark.usefixtures("alerted")  # some exist from the first event on that they count
def test_every_metric_that_rules_and_dashboard_name_exists(monitoring: MonitoringRun) -> None:
    prometheus = monitoring.prometheus
    assert prometheus is not None
    wanted = {name for expression in expressions() for name in named(expression)} - OF_OTHERS

    def missing() -> set[str]:
        found = set(prometheus.api("/label/__name__/values"))
        # The core has counted nothing yet, so its counters have no series.
        return {name for name in wanted - found if not name.startswith(("necp_core", "necp:"))}

    deadline = time.monotonic() + 20
    while missing() and time.monotonic() < deadline:
        time.sleep(0.2)
    assert missing() == set()


def test_nobody_gets_metrics_without_the_password(stack: LocalStack, monitoring: MonitoringRun) -> None:
    prometheus, metrics = monitoring.prometheus, stack.broker_metrics()
    assert prometheus is not None
    assert metrics is not None
    targets = prometheus.api("/targets", state="active")["activeTargets"]
    protected = [t["scrapeUrl"] for t in targets if t["labels"]["job"] in ("kafka", "exporter")]
    assert len(protected) == 4
    for url in protected:
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(url, timeout=5)
    commands = " ".join(" ".join(process.cmdline()) for process in psutil.Process().children(recursive=True))
    assert metrics.password not in commands
    for home in map(stack.layout.home, (1, 2, 3)):
        assert (home / "jmx.yml").stat().st_mode & 0o077 == 0


@pytest.mark.usefixtures("alerted")
def test_what_was_measured_is_kept_and_right(monitoring: MonitoringRun, run_dir: Path) -> None:
    monitoring.finish()  # Prometheus goes on
    record = json.loads((run_dir / "history" / "monitoring.json").read_text())
    values = {(one["query"], *one["labels"].values()): one["value"] for one in record["values"]}
    counted = {(one["what"], *one["labels"].values()): one["value"] for one in record["counted"]}
    assert values["failed-authentications",] == counted["failed-authentications",] == 20
    assert values["acl-denials", "Produce"] == counted["acl-denials",] == 3
    for broker in ("1", "2", "3"):
        assert values["connections", broker] == pytest.approx(counted["connections", broker], abs=3)
    assert all(record["targets"].values())
    assert len(record["rules"]) == 9
    assert record["missed"] == 0
    assert parts.SUITE_FAILURES.read(run_dir) == ()


def test_processes_that_have_ended_by_then_are_in_the_run(stack: LocalStack, tmp_path: Path) -> None:
    """Of a monitoring of its own: others look at what is recorded here once more."""
    (tmp_path / "logs").mkdir()
    before = set(psutil.Process().children(recursive=True))
    run = MonitoringRun(stack, tmp_path, interval_s=1.0, services=list)
    try:
        run.start(print)
        for process in set(psutil.Process().children(recursive=True)) - before:
            command = process.cmdline()
            if "--web.config.file" in " ".join(command) or "necp_validate.monitoring.exporter" in command:
                process.kill()
        run.finish()
    finally:
        run.stop()
    found = {one.component: one for one in parts.SUITE_FAILURES.read(tmp_path)}
    assert set(found) == {"measuring at the end", "exporter", "Prometheus"}
    for process in ("exporter", "Prometheus"):
        assert found[process].parts == ("monitoring", "alerts")
        assert found[process].problem.startswith("it ended with exit code -9: ")
    assert found["measuring at the end"].parts == ("monitoring",)
    assert "Prometheus does not answer" in found["measuring at the end"].problem
