"""A real Prometheus beside a run: brokers by JMX, services, lag, disks, certificates; alerts and metrics checked.

Everything that an operator would deploy lies here as data: ``jmx.yml``, ``rules/`` with their tests, ``grafana/``.
"""

from pathlib import Path

FOLDER = Path(__file__).parent
JMX_RULES = FOLDER / "jmx.yml"
RULE_FILES = (FOLDER / "rules" / "recording.yml", FOLDER / "rules" / "alerts.yml")
DASHBOARD = FOLDER / "grafana" / "kafka-overview.json"
