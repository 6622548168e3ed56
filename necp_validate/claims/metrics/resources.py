"""Metrics of brokers, host and backlog, from the samples of a phase or of the whole run without its warm-ups."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import Any

from necp_validate.claims.metrics.measures import Early, Measure, Measurement, Question, Scope, add
from necp_validate.claims.metrics.units import CPU, EVENTS, HOST_CPU, MEMORY, OPERATIONS, PARTITIONS, SHARE, Dimension
from necp_validate.evidence.inventory import BROKERS, HOST, LAG, PHASES, RECORD_LAYOUTS, REPLICAS, SHARE_COVERED
from necp_validate.evidence.missing import NoEvidence
from necp_validate.record import BrokerSample

Value = Callable[[Any], float | None]


def _within(asked: Question, samples: Iterable[Any]) -> list[Any]:
    """The samples of the phase; without one, of all phases but warm-ups."""
    phases = [asked.phase] if asked.phase else [one for one in asked.history.phases if one.kind != "warmup"]
    spans = [(one.start_us / 1e6, one.end_us / 1e6) for one in phases]
    return [sample for sample in samples if any(start <= sample.t <= end for start, end in spans)]


def _highest(by_who: dict[str, list[float]], how: str, what: str, unit: str) -> Measurement:
    """Of whoever has the highest."""
    if not by_who:
        raise NoEvidence(f"{what} was not recorded there")
    figures = {who: max(values) if how == "max" else sum(values) / len(values) for who, values in by_who.items()}
    who = max(figures, key=lambda one: figures[one])
    samples = sum(map(len, by_who.values()))
    notes = (f"{'highest' if how == 'max' else 'mean'} of {who}, of {len(figures)}",) if who else ()
    sees = "a peak that lasts for two samples" if how == "max" else "a mean beyond the limit"
    return Measurement.exact(figures[who], samples, unit, notes=notes, sees=sees)


def _broker(value: Value, how: str, what: str, asked: Question) -> Measurement:
    by_who: dict[str, list[float]] = defaultdict(list)
    looks: dict[str, int] = defaultdict(int)
    for sample in _within(asked, asked.history.brokers):
        looks[f"broker {sample.broker}"] += 1
        if (figure := value(sample)) is not None:
            by_who[f"broker {sample.broker}"].append(figure)
    lacking = [f"{who}: {len(by_who[who])} of {n}" for who, n in looks.items() if len(by_who[who]) < SHARE_COVERED * n]
    if any(by_who.values()) and lacking:
        raise NoEvidence(f"samples that have {what}: {', '.join(lacking)}")
    return _highest(by_who, how, what, "samples")


def _operations(sample: BrokerSample) -> float | None:
    return None if sample.read_ios is None or sample.write_ios is None else sample.read_ios + sample.write_ios


def _broker_iops(asked: Question) -> Measurement:
    found = _broker(_operations, "max", "disk operations of the brokers", asked)
    source = asked.history.run.target.io_source or ""
    # More may be counted than the broker's own: a bound that holds proves, a bound exceeded does not.
    low = 0.0 if "upper bound" in source else found.high
    notes = (*found.notes, source) if source else found.notes
    return replace(found, low=low, notes=notes)


def _host(field: str, how: str, what: str, asked: Question) -> Measurement:
    samples = _within(asked, asked.history.host)
    values = [value for sample in samples if (value := getattr(sample, field)) is not None]
    return _highest({"": values} if values else {}, how, what, "samples")


def _lag(how: str, asked: Question) -> Measurement:
    """Events acknowledged and not yet handled, the domains of one moment together."""
    if not asked.history.sees_backlog(asked.domains):
        raise NoEvidence(f"it is not known which consumer group reads each of {', '.join(asked.domains)}")
    moments: dict[float, float] = defaultdict(float)
    for sample in _within(asked, asked.history.lag):
        if sample.domain in asked.domains and sample.lag is not None:
            moments[round(sample.t)] += sample.lag
    return _highest({"": list(moments.values())} if moments else {}, how, "consumer lag", "samples")


def _isr(field: str, asked: Question) -> Measurement:
    values = [value for one in _within(asked, asked.history.isr) if (value := getattr(one, field)) is not None]
    return _highest({"": values} if values else {}, "max", "the state of the replicas", "samples")


_RESTS_ON = (
    ("broker_", BROKERS), ("host_", HOST), ("core_", HOST), ("load_", HOST), ("lag_", LAG),
    ("under_replicated", REPLICAS), ("offline", REPLICAS),
)  # fmt: skip


def _add(name: str, about: str, dimension: Dimension, measure: Callable[[Question], Measurement], **more: Any) -> None:
    kind = next(of for prefix, of in _RESTS_ON if name.startswith(prefix))
    more = {
        "evidence": (PHASES, kind),
        "by_domain": False,
        "early": Early.WORSENS if name.endswith("_max") else Early.NOTHING,
        **more,
    }
    add(Measure(name=name, about=about, dimension=dimension, scope=Scope.EITHER, measure=measure, **more))


def _cpu(sample: BrokerSample) -> float | None:
    return sample.cpu_pct


def _memory(sample: BrokerSample) -> float | None:
    return sample.rss_bytes or None  # no process is without memory


_add("broker_cpu_mean", "mean CPU of the busiest broker", CPU, partial(_broker, _cpu, "mean", "CPU of the brokers"))
_add("broker_cpu_max", "highest CPU of any broker", CPU, partial(_broker, _cpu, "max", "CPU of the brokers"))
_add(
    "broker_memory_max",
    "highest resident memory of any broker",
    MEMORY,
    partial(_broker, _memory, "max", "memory of the brokers"),
)
_add("broker_iops_max", "highest disk reads and writes a second of any broker", OPERATIONS, _broker_iops)
_add("host_cpu_mean", "mean CPU of the host", HOST_CPU, partial(_host, "cpu_busy_pct", "mean", "CPU of the host"))
_add("host_steal_mean", "mean CPU that other guests took", HOST_CPU, partial(_host, "cpu_steal_pct", "mean", "steal"))
_add(
    "core_cpu_mean", "mean CPU of the event core", CPU, partial(_host, "core_cpu_pct", "mean", "CPU of the event core")
)
_add("load_cpu_mean", "mean CPU of the generator", CPU, partial(_host, "load_cpu_pct", "mean", "CPU of the generator"))
_add("lag_max", "most events acknowledged and not yet handled", EVENTS, partial(_lag, "max"), by_domain=True)
_add("lag_mean", "mean of events acknowledged and not yet handled", EVENTS, partial(_lag, "mean"), by_domain=True)
_add(
    "under_replicated_max",
    "most partitions below their replication",
    PARTITIONS,
    partial(_isr, "under_replicated"),
)
_add("offline_max", "most partitions without a leader", PARTITIONS, partial(_isr, "offline"))


def _struct_saving(asked: Question) -> Measurement:
    """The least saving of any record, computed from the records' definitions as C structs."""
    layouts = next((record.layouts for record in asked.history.players if record.layouts), ())
    if not layouts:
        raise NoEvidence("the layouts of records were not recorded")
    if any(not 0 < one.packed <= one.aligned <= one.naive for one in layouts):
        raise NoEvidence("no record can have such a layout: packed, aligned and naive sizes are not in their order")
    saved = [(one.naive - one.aligned) / one.naive for one in layouts]
    notes = [f"{one.record} {one.naive} → {one.aligned} bytes ({one.packed} packed)" for one in layouts]
    return Measurement.exact(min(saved), len(layouts), "records", notes=tuple(notes), sees="1 byte of any record")


add(
    Measure(
        name="struct_saving",
        about="memory saved by the aligned order of a record's fields, the least of all records",
        dimension=SHARE,
        scope=Scope.RUN,
        higher_is_better=True,
        by_domain=False,
        measure=_struct_saving,
        evidence=(RECORD_LAYOUTS,),
    )
)
