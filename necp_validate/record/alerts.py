"""What a real Prometheus saw of a run: how alerts came and went, and the last values of the claimed metrics."""

from __future__ import annotations

from dataclasses import dataclass

from necp_validate.record.values import EpochS, EpochUs, EpochUsOr0, SignedFloat

PENDING, FIRING, RESOLVED = "pending", "firing", "resolved"


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertTransition:
    """An alert that has changed its state, as it was seen once a second (``history/alerts.jsonl``).

    Args:
        t_us: when it was seen (epoch).
        name: of the alert.
        state: ``pending``, ``firing`` or ``resolved``.
        labels: what tells it from others of the same name; ``severity`` is one of them.
        active_us: since when its condition has held, by Prometheus' own clock; None of one that is resolved.
        value: of its expression.
    """

    t_us: EpochUs
    name: str
    state: str
    labels: dict[str, str]
    active_us: EpochUsOr0 | None
    value: SignedFloat | None

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
    window_s: float
    healthy: bool


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
    value: SignedFloat


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesPoint:
    """One sample of a series that is compared over time; ``t`` is in epoch seconds."""

    query: str
    labels: dict[str, str]
    t: EpochS
    value: SignedFloat


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
    value: SignedFloat


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitoringRecord:
    """What was monitored, and how (``history/monitoring.json``).

    Args:
        prometheus: its version; empty if none ran.
        needs: ``needs ...`` if there was nothing to monitor with.
        begin_us, end_us: between which alerts were watched (epoch).
        looks: how often the alerts were asked for.
        missed: how often there was no answer.
        transitions: changes of alerts that were seen, each a row of ``alerts.jsonl``.
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
    begin_us: EpochUsOr0 | None = None
    end_us: EpochUsOr0 | None = None
    looks: int | None = None
    missed: int | None = None
    transitions: int | None = None
    interval_s: float | None = None
    rules: tuple[AlertRule, ...] | None = None
    targets: dict[str, bool] | None = None
    values: tuple[SeriesValue, ...] | None = None
    points: tuple[SeriesPoint, ...] | None = None
    counted: tuple[Counted, ...] | None = None
    scrape_s: dict[str, float] | None = None
