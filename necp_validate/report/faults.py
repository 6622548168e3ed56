"""The faults of a run as rows: what was done, how it was seen, what it did, and how fast the system came back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from necp_validate.claims.metrics.faults import FaultFigures, figures, never_handled, not_in_effect
from necp_validate.claims.metrics.recovery import end_of_run_us
from necp_validate.evidence.missing import NoEvidence
from necp_validate.record import FaultRecord, Record
from necp_validate.report import text


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultSpan:
    """A fault on the time axis of the charts.

    Args:
        label: its number in the table of faults.
        kind: what was done.
        seen: whether it was seen to take effect.
    """

    label: str
    kind: str
    start_s: float
    end_s: float
    seen: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultRow:
    """One fault as a report shows it; all in words.

    Args:
        recoveries: who had to come back, and in what time; the slowest first.
    """

    number: str
    id: str
    kind: str
    target: str
    at: str
    seen: bool
    evidence: str
    lasted: str
    rates: str
    good: str
    gap: str
    recovery: str
    rebalance: str
    recoveries: Sequence[tuple[str, str]] = ()


def fault_spans(faults: Sequence[FaultRecord], history: Record, begin_s: float) -> tuple[FaultSpan, ...]:
    """Where the charts show the faults; those that this backend cannot do are left out."""
    end_us = end_of_run_us(history)
    spans = []
    for number, fault in enumerate(faults, start=1):
        if fault.needs:
            continue
        start_us = fault.begin_us
        stop_us = max(end_us, start_us) if fault.end_us is None else fault.end_us
        spans.append(
            FaultSpan(
                label=str(number),
                kind=fault.kind,
                start_s=start_us / 1e6 - begin_s,
                end_s=stop_us / 1e6 - begin_s,
                seen=fault.effective_us is not None,
            )
        )
    return tuple(spans)


def fault_rows(history: Record) -> list[FaultRow]:
    """The table of faults."""
    begin_us = history.phases[0].start_us if history.phases else history.run.started_us
    return [_row(number, figures(history, fault), begin_us) for number, fault in enumerate(history.faults, start=1)]


def _row(number: int, one: FaultFigures, begin_us: int) -> FaultRow:
    fault = one.fault
    lasted = "still in force at the end" if fault.end_us is None else text.seconds((fault.end_us - _from(fault)) / 1e6)
    return FaultRow(
        number=str(number),
        id=fault.id,
        kind=fault.kind,
        target=fault.target,
        at=text.seconds((fault.begin_us - begin_us) / 1e6),
        seen=not not_in_effect(fault),
        evidence=fault.needs or (fault.evidence if fault.effective_us is not None else "never seen to take effect"),
        lasted=text.MISSING if fault.needs else lasted,
        rates=_rates(one),
        good=text.percent(one.during.good, 2) if one.during is not None else text.MISSING,
        gap=_time(one.during.longest_gap_s) if one.during is not None else text.MISSING,
        recovery=_time(one.recovery_s),
        rebalance=_time(one.rebalance_s),
        recoveries=_recoveries(one),
    )


def _from(fault: FaultRecord) -> int:
    return fault.begin_us if fault.effective_us is None else fault.effective_us


def _rates(one: FaultFigures) -> str:
    """Events acked a second: before, in the worst second, and afterwards."""
    shown = [
        text.MISSING if stretch is None else text.count(eps)
        for stretch, eps in (
            (one.before, one.before.acked_eps if one.before else 0.0),
            (one.during, one.during.least_eps if one.during else 0.0),
            (one.after, one.after.acked_eps if one.after else 0.0),
        )
    ]
    return " → ".join(shown) if one.during is not None else text.MISSING


def _time(value: float | None) -> str:
    if value is None:
        return text.MISSING
    if value == 0:
        return "< 0.5 s"  # shorter silences are not recorded
    return "never" if math.isinf(value) else text.seconds(value)


def _recoveries(one: FaultFigures) -> list[tuple[str, str]]:
    if one.recovery is None:
        return []
    times = {**{f"partition {name}": s for name, s in one.recovery.partitions.items()}, **one.recovery.clients}
    times |= {f"group {name}": found.settled_s for name, found in (one.rebalances or {}).items()}
    return [(name, _time(s)) for name, s in sorted(times.items(), key=lambda item: -item[1])]


def losses(history: Record) -> str:
    """How many acked events are gone, and where they were lost, in a sentence; empty without evidence."""
    readback = history.readback
    if readback is None or not history.senders:
        return ""
    lost = 0
    for load in history.senders:
        for stream in load.streams:
            found = readback.streams.get(stream.stream)
            lost += stream.acked.difference(found.read).count if found else stream.acked.count
    try:
        behind = text.count(never_handled(history, history.domain_of_topic))
    except NoEvidence:
        behind = "an unknown number"
    on_brokers = text.count(lost)
    return f"Lost in the whole run: {on_brokers} acked events on the brokers, {behind} between broker and consumer."
