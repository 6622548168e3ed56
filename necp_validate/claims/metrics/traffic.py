"""Metrics of the traffic: rates, shares, latencies, silences."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from necp_validate.claims.checks.load.flow import RATE_TOLERANCE, longest_gap_ms
from necp_validate.claims.checks.load.latency import SAMPLES_FOR
from necp_validate.claims.checks.load.workers import clock_words, clocks_apart_ms
from necp_validate.claims.checks.registry import NoEvidence
from necp_validate.claims.metrics.measures import Early, Measure, Measurement, Question, add
from necp_validate.claims.metrics.rates import Rates, planned_eps, rates
from necp_validate.claims.metrics.units import EVENTS, RATE, SHARE, TIME
from necp_validate.claims.metrics.windows import Count, Second, span_s, windows, worst_percentile_ms
from necp_validate.evidence.host_saturation import host_saturation
from necp_validate.record import HdrHistogram, TimelineRow


def _ended(row: TimelineRow) -> int:
    return (row.processed or 0) + (row.rejected or 0) + (row.dead_lettered or 0)


# Rates ------------------------------------------------------------------------------------------------------

_COUNTS: dict[str, tuple[Count, ...]] = {
    "sent_rate": (lambda row: row.sent,),
    "acked_rate": (lambda row: row.acked,),
    "handled_rate": (_ended,),
    "throughput": (lambda row: row.acked, _ended),
}


def _of_phase(found: Rates, name: str) -> float:
    if name == "sent_rate":
        return found.sent_eps
    if name == "acked_rate":
        return found.acked_eps
    if found.handled_eps is None:
        raise NoEvidence("nothing was recorded of what the target handled")
    return found.handled_eps if name == "handled_rate" else min(found.acked_eps, found.handled_eps)


def _rate(name: str, asked: Question) -> Measurement:
    """A rate in the even part of a phase, or in its slowest stretch."""
    history, phase = asked.history, asked.of_phase
    planned = sum(planned_eps(history, phase, domain) for domain in asked.domains)
    if not planned:
        raise NoEvidence(f"nothing of {' and '.join(asked.domains)} was planned in {phase.name}")
    found = rates(history, phase, asked.domains)
    if found is None:
        raise NoEvidence(f"the timeline does not cover {', '.join(asked.domains)} in {phase.name}")
    value, samples = _of_phase(found, name), round(found.sent_eps * found.window_s)
    notes = [f"planned {planned:,.0f}, sent {found.sent_eps:,.0f} events/s over {found.window_s:.0f} s"]
    if asked.window_s:
        slowest = [
            min(windows(history, phase, asked.domains, asked.window_s, count), key=lambda one: one.total)
            for count in _COUNTS[name]
        ]
        worst = min(slowest, key=lambda one: one.total)
        value = worst.total / asked.window_s
        notes.append(f"the slowest of all stretches began {worst.from_s - phase.start_us / 1e6:.0f} s into the phase")
    seen = host_saturation(history, phase, asked.domains)
    least = planned * (1 - history.threshold("rate_tolerance", RATE_TOLERANCE)) - found.slack_eps
    not_offered = found.sent_eps < least and seen.saturated
    return Measurement(
        low=value,
        high=value,
        samples=samples,
        least=0,
        notes=(*notes, str(seen)),
        excuses=seen.reasons if not_offered else (),
        planned=planned,
    )


for _name, _about in (
    ("throughput", "events that are both acknowledged and handled"),
    ("acked_rate", "events acknowledged by the brokers"),
    ("handled_rate", "events that the system under test has ended, whatever their outcome"),
    ("sent_rate", "events handed to the producers' client"),
):
    add(
        Measure(
            name=_name,
            about=f"{_about}, a second, after the phase's ramp",
            dimension=RATE,
            higher_is_better=True,
            windows=True,
            early=Early.PHASE_OVER,
            measure=partial(_rate, _name),
        )
    )


# Latencies --------------------------------------------------------------------------------------------------


def percentile_ms(histogram: HdrHistogram, q: float, *, before: int = 0, after: int = 0) -> float:
    """A percentile over a histogram with events that lie below all of it, and above any limit."""
    rank = math.ceil(round(q / 100 * (before + histogram.total + after), 6)) - before
    if rank <= 0:
        return 0.0
    return histogram.percentile(100 * rank / histogram.total) / 1000 if rank <= histogram.total else math.inf


def _latency(kind: str, q: float, asked: Question) -> Measurement:
    """A percentile of a phase; from end to end, it is as certain as the load workers' clocks."""
    found = _by_their_clocks(kind, q, asked)
    words = clock_words(asked.history)
    if kind != "e2e" or not words:
        return found
    apart_ms = clocks_apart_ms(asked.history)
    low, high = max(found.low - apart_ms, 0.0) if math.isfinite(apart_ms) else 0.0, found.high + apart_ms
    return replace(found, low=low, high=high, notes=(*found.notes, words))


def _by_their_clocks(kind: str, q: float, asked: Question) -> Measurement:
    """The same as the workers have it; acked events that were never seen handled are slower than any limit."""
    history, phase = asked.history, asked.of_phase
    histogram = history.histogram(phase.name, kind, asked.domains)
    if kind == "e2e" and not history.sees_ends(asked.domains):
        raise NoEvidence(f"the end of processing of {' and '.join(asked.domains)} is not seen")
    missing = history.counts(phase.name, asked.domains).acked - histogram.total if kind == "e2e" else 0
    wrong_clock = min(histogram.negative, max(missing, 0))
    never = max(missing, 0) - wrong_clock
    seen = host_saturation(history, phase, asked.domains)
    notes = [f"{never:,} acked events were never seen handled"] if never else []
    notes += [f"{wrong_clock:,} are said to have ended before they were due: a clock is wrong"] if wrong_clock else []
    least, excuses = SAMPLES_FOR[q], seen.reasons if kind != "late" else ()
    if asked.window_s:
        return _worst_window(kind, q, asked, never, (*notes, str(seen)), excuses)
    if not histogram.total and not missing:
        raise NoEvidence(f"no latency of {' and '.join(asked.domains)} was recorded in {phase.name}")
    return Measurement(
        low=percentile_ms(histogram, q, before=wrong_clock, after=never),
        high=percentile_ms(histogram, q, after=wrong_clock + never),
        samples=histogram.total + max(missing, 0),
        least=least,
        notes=(*notes, str(seen)),
        excuses=excuses,
    )


_EVENTS_OF: dict[str, Callable[[TimelineRow], int]] = {
    "e2e": _ended,
    "ack": lambda row: row.acked,
    "late": lambda row: row.sent,
}


def _worst_window(
    kind: str, q: float, asked: Question, never: int, notes: tuple[str, ...], excuses: tuple[str, ...]
) -> Measurement:
    history, phase, window_s = asked.history, asked.of_phase, asked.window_s
    assert window_s is not None
    events, start_s = _EVENTS_OF[kind], phase.start_us / 1e6
    begin_s, end_s = span_s(history, phase)
    seconds = []
    for row in history.timeline:
        p50, p99 = getattr(row, f"{kind}_p50_ms", None), getattr(row, f"{kind}_p99_ms")
        if row.domain in asked.domains and begin_s < row.t <= end_s + 0.5 and p99 is not None and events(row):
            seconds.append(Second(t=row.t, events=events(row), p50_ms=0.0 if p50 is None else p50, p99_ms=p99))
    spans = [(one.from_s, one.to_s) for one in windows(history, phase, asked.domains, window_s, events)]
    found = worst_percentile_ms(seconds, spans, q, SAMPLES_FOR[q], never)
    if found is None:
        raise NoEvidence(f"no {window_s:g} s of {phase.name} have {SAMPLES_FOR[q]:,} events, which P{q:g} needs")
    low, high, count, began_s = found
    where = f"the worst of {len(spans)} stretches began {began_s - start_s:.0f} s into the phase"
    return Measurement(low=low, high=high, samples=count, least=SAMPLES_FOR[q], notes=(where, *notes), excuses=excuses)


_KINDS = {
    "e2e": "from the intended send time to the end of processing",
    "ack": "from the intended send time to the acknowledgement",
    "late": "from the intended send time to the handing over to the client: the generator's own lateness",
}
for _kind, _words in _KINDS.items():
    for _q in SAMPLES_FOR:
        add(
            Measure(
                name=f"{_kind}_p{_q:g}".replace(".", ""),
                about=f"P{_q:g} {_words}",
                dimension=TIME,
                windows=_q == 99.0 or (_q == 50.0 and _kind != "late"),
                measure=partial(_latency, _kind, _q),
            )
        )


# Counts and silences ----------------------------------------------------------------------------------------


def _failed(asked: Question) -> Measurement:
    counts = asked.history.counts(asked.of_phase.name, asked.domains)
    return Measurement.exact(counts.failed, counts.sent, "events sent")


def _share(part: str, whole: str, asked: Question) -> Measurement:
    history, phase = asked.history, asked.of_phase
    counts = history.counts(phase.name, asked.domains)
    below = getattr(counts, whole)
    if not below:
        raise NoEvidence(f"nothing of {' and '.join(asked.domains)} was {whole} in {phase.name}")
    return Measurement.exact(getattr(counts, part) / below, below, f"events {whole}")


def _longest_gap(asked: Question) -> Measurement:
    history, phase = asked.history, asked.of_phase
    acked = history.counts(phase.name, asked.domains).acked
    gaps = [longest_gap_ms(history, phase, load, domain) for load in history.loads for domain in asked.domains]
    if not gaps or not acked:
        raise NoEvidence(f"no acks of {' and '.join(asked.domains)} were recorded in {phase.name}")
    return Measurement.exact(max(gaps), acked, "acks")


add(
    Measure(
        name="failed",
        about="sends of a phase that certainly failed",
        dimension=EVENTS,
        measure=_failed,
    )
)
add(
    Measure(
        name="failed_share",
        about="sends that failed, of those sent",
        dimension=SHARE,
        measure=partial(_share, "failed", "sent"),
    )
)
add(
    Measure(
        name="acked_share",
        about="events acknowledged, of those scheduled",
        dimension=SHARE,
        higher_is_better=True,
        measure=partial(_share, "acked", "scheduled"),
    )
)
add(
    Measure(
        name="longest_gap",
        about="the longest time without one successful ack of a domain",
        dimension=TIME,
        measure=_longest_gap,
    )
)
