"""What a real Prometheus saw of a run: how alerts came and went, and the last values of the claimed metrics."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from necp_validate.record import layout
from necp_validate.record.files import read_rows
from necp_validate.record.writer import JsonLines

PENDING, FIRING, RESOLVED = "pending", "firing", "resolved"


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertTransition:
    """An alert that has changed its state, as it was seen once a second (``history/alerts.jsonl``).

    Args:
        t_us: when it was seen (epoch).
        name: of the alert.
        state: ``pending``, ``firing`` or ``resolved``.
        labels: what tells it from others of the same name; ``severity`` is one of them.
        active_us: since when its condition has held, by Prometheus' own clock; 0 for one that is resolved.
        value: of its expression.
    """

    t_us: int
    name: str
    state: str
    labels: dict[str, str] = field(default_factory=dict)
    active_us: int = 0
    value: float | None = None

    @property
    def key(self) -> tuple[str, frozenset[tuple[str, str]]]:
        """Name and labels."""
        return self.name, frozenset(self.labels.items())


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRule:
    """A rule that Prometheus has loaded.

    Args:
        name: of the alert.
        severity: how urgent.
        window_s: longest range that its expression looks back over, in seconds; 0 if it looks at what is now.
        healthy: whether Prometheus could evaluate it.
    """

    name: str
    severity: str
    window_s: float = 0.0
    healthy: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesValue:
    """The value of a series at the end of the run, or what became of it over the run.

    Args:
        query: what the value is of, by a name of the suite's own, e.g. ``events``.
        labels: of the series.
        value: the value.
    """

    query: str
    labels: dict[str, str]
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesPoint:
    """One sample of a series that is compared over time; ``t`` is in epoch seconds."""

    query: str
    labels: dict[str, str]
    t: float
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """What the suite itself counted, without any metric, of what a metric counts too.

    Args:
        what: by a name of the suite's own, e.g. ``failed-logins-logged``.
        labels: which of it.
        value: the count.
    """

    what: str
    labels: dict[str, str]
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitoringRecord:
    """What was monitored, and how (``history/monitoring.json``).

    Args:
        prometheus: its version; empty if none ran.
        needs: ``needs ...`` if there was nothing to monitor with.
        begin_us, end_us: between which alerts were watched (epoch).
        looks: how often the alerts were asked for.
        missed: how often there was no answer.
        interval_s: between two scrapes, and between two evaluations.
        rules: every alert rule that Prometheus has loaded.
        targets: up or not at the end, by job and instance.
        values: last values of the claimed metrics.
        points: samples of those that are compared over time.
        counted: independent counts of the same.
        scrape_s: mean time of a scrape, by job.
    """

    prometheus: str = ""
    needs: str = ""
    begin_us: int = 0
    end_us: int = 0
    looks: int = 0
    missed: int = 0
    interval_s: float = 0.0
    rules: tuple[AlertRule, ...] = ()
    targets: dict[str, bool] = field(default_factory=dict)
    values: tuple[SeriesValue, ...] = ()
    points: tuple[SeriesPoint, ...] = ()
    counted: tuple[Counted, ...] = ()
    scrape_s: dict[str, float] = field(default_factory=dict)


def append_transitions(run_dir: Path, rows: list[AlertTransition]) -> None:
    """Append transitions; they are on disk when this returns.

    Raises:
        SuiteError: they could not be written.
    """
    with JsonLines(run_dir / layout.ALERTS) as lines:
        lines.write(*rows)


def read_transitions(run_dir: Path) -> tuple[AlertTransition, ...]:
    """The transitions of a run in the order in which they were seen; none if nothing was watched.

    Raises:
        SuiteError: the file is damaged; only its last line may be torn.
    """
    return read_rows(run_dir / layout.ALERTS, AlertTransition)
