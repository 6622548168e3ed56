"""A real Prometheus beside a run: brokers by JMX, services, lag, disks, certificates; alerts and metrics checked.

Everything that an operator would deploy lies here as data: ``jmx.yml``, ``rules/`` with their tests, ``grafana/``.
"""

from pathlib import Path

import yaml

FOLDER = Path(__file__).parent
JMX_RULES = FOLDER / "jmx.yml"
RULE_FILES = (FOLDER / "rules" / "recording.yml", FOLDER / "rules" / "alerts.yml")
DASHBOARD = FOLDER / "grafana" / "kafka-overview.json"


def alert_names() -> tuple[str, ...]:
    """Names of the alert rules that Prometheus is given."""
    groups = [group for file in RULE_FILES for group in yaml.safe_load(file.read_text("utf-8"))["groups"]]
    return tuple(dict.fromkeys(rule["alert"] for group in groups for rule in group["rules"] if "alert" in rule))
