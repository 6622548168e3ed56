"""Metrics of the traffic: rates, shares, latencies, silences."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from necp_validate.claims.limits import limit
from necp_validate.claims.metrics.latencies import SAMPLES_FOR, latency_of, percentile_ms
from necp_validate.claims.metrics.measures import Early, Excuse, Measure, Measurement, Question, add
from necp_validate.claims.metrics.rates import Rates, even_part_s, planned_eps, rates
from necp_validate.claims.metrics.silences import longest_gap_ms
from necp_validate.claims.metrics.units import EVENTS, RATE, SHARE, TIME
from necp_validate.claims.metrics.windows import Count, Second, Window, span_s, windows, worst_percentile_ms
from necp_validate.claims.saturation import LIMIT_NAMES, saturation
from necp_validate.evidence.host_saturation import HostSaturation, wait_share
from necp_validate.evidence.inventory import (
    ACK_LATENCY,
    END_TO_END,
    LATENESS,
    OUTCOMES_AT_ONCE,
    PHASES,
    SENDERS,
    TIMELINE,
    WITNESS,
)
from necp_validate.evidence.load_workers import clock_words, clocks_apart_ms
from necp_validate.evidence.missing import NoEvidence
from necp_validate.record import Phase, TimelineRow


def _ended(row: TimelineRow) -> int:
    return row.ended


# Rates ------------------------------------------------------------------------------------------------------

_COUNTS: dict[str, tuple[Count, ...]] = {
    "sent_rate": (lambda row: row.offered or 0,),
    "acked_rate": (lambda row: row.acked,),
    "handled_rate": (_ended,),
    "throughput": (lambda row: row.acked, _ended),
}
_BACKLOG_S = 1.0
"""Between the two ends of a stretch, what waits in the brokers may grow by so much of a sound system's flow."""


_MOST_WAITED = 1.0
"""For each second that it ran, a target is excused for a second of waiting: at most for half of a rate."""

_COARSE, _EVEN_SHARE = 1 / 3, 1 / 2
"""What a scenario may not leave unjudged: a schedule that is coarser, and a ramp that is longer, hide a shortfall."""


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
    value, length_s, offered_eps = _of_phase(found, name), found.window_s, found.sent_eps
    start_s, end_s = from_s, to_s = even_part_s(history, phase)
    notes = [f"planned {planned:,.0f}, sent {found.sent_eps:,.0f} events/s over {length_s:.0f} s"]
    if asked.window_s:
        worst = min(
            (
                window
                for count in _COUNTS[name]
                for window in windows(history, phase, asked.domains, asked.window_s, count)
            ),
            key=lambda one: one.total,
        )
        value, length_s = worst.total / asked.window_s, asked.window_s
        from_s, to_s = worst.from_s, worst.to_s
        offered_eps = _least_offered_eps(asked, phase, worst)
        notes.append(f"the slowest of all stretches began {worst.from_s - phase.start_us / 1e6:.0f} s into the phase")
    seen = saturation(history, phase, asked.domains)
    tolerance = limit(history, "rate_tolerance")
    ticks = found.slack_eps * found.window_s / length_s
    if ticks > _COARSE * planned:
        raise NoEvidence(
            f"the ticks of the schedule alone move {ticks:,.0f} of {planned:,.0f} events/s in {length_s:.0f} s"
        )
    if end_s - start_s < _EVEN_SHARE * phase.duration_s:
        raise NoEvidence(
            f"the ramp leaves {end_s - start_s:.0f} of {phase.duration_s:.0f} s of {phase.name} to be judged"
        )
    not_offered = offered_eps < planned * (1 - tolerance) - ticks
    backlog = 0.0 if name == "sent_rate" else _BACKLOG_S * planned / length_s
    least = (1 - tolerance) * planned - ticks - backlog
    return Measurement(
        low=value,
        high=value,
        samples=round(found.sent_eps * found.window_s),
        least=0,
        notes=(*notes, str(seen)),
        excuses=(
            # What was not offered cannot have been handled, whatever kept it from being sent; that much, and no more.
            *(_excuses(seen, planned - offered_eps) if not_offered else ()),
            *(_waiting(asked, seen, value, from_s, to_s) if name != "sent_rate" else ()),
        ),
        planned=planned,
        slack=ticks + backlog,
        sees=f"{least:,.0f} events/s over {length_s:.0f} s where {planned:,.0f} were planned",
    )


def _waiting(asked: Question, seen: HostSaturation, value: float, from_s: float, to_s: float) -> tuple[Excuse, ...]:
    """How much more a target on a saturated host of ours would have done, had its threads not waited for a CPU."""
    if not seen.cpu_short or asked.history.run.target.backend == "external":
        return ()
    share = wait_share(asked.history, from_s, to_s)
    if not share:
        return ()
    words = f"{seen.cpu_short}, and brokers and event core waited {share:.2f} s for a CPU per second of running"
    return (Excuse(reason=words, explains=value * min(share, _MOST_WAITED)),)


def _least_offered_eps(asked: Question, phase: Phase, stretch: Window) -> float:
    """What was sent in the slowest of the stretches that overlap with one: what is handled in it was sent before."""
    (offered,) = _COUNTS["sent_rate"]
    length_s = stretch.to_s - stretch.from_s
    near = [
        one.total
        for one in windows(asked.history, phase, asked.domains, length_s, offered)
        if one.from_s < stretch.to_s and one.to_s > stretch.from_s
    ]
    return min(near) / length_s


def _excuses(seen: HostSaturation, explains: float | None = None) -> tuple[Excuse, ...]:
    """Why the host may be to blame; each explains a part of a latency, or that much of a rate."""
    return tuple(
        Excuse(reason=one.reason, explains=one.explains_ms if explains is None else explains) for one in seen.reasons
    )


for _name, _about, _label in (
    ("throughput", "events that are both acknowledged and handled", "end to end"),
    ("acked_rate", "events acknowledged by the brokers", "acked"),
    ("handled_rate", "events that the system under test has ended, whatever their outcome", "handled"),
    ("sent_rate", "events handed to the producers' client", "sent"),
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
            evidence=(PHASES, SENDERS, TIMELINE),
            limits=LIMIT_NAMES,
            label=_label,
        )
    )


# Latencies --------------------------------------------------------------------------------------------------


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
    """The same as the workers have it."""
    history, phase = asked.history, asked.of_phase
    if kind == "e2e" and not history.sees_ends(asked.domains):
        raise NoEvidence(f"the end of processing of {' and '.join(asked.domains)} is not seen")
    seen = saturation(history, phase, asked.domains)
    excuses = _excuses(seen) if kind != "late" else ()
    low, high, samples, never, notes = _percentile(kind, q, asked)
    least = SAMPLES_FOR[q]
    if asked.window_s:
        return _worst_window(kind, q, asked, never, (*notes, str(seen)), excuses)
    if not samples:
        raise NoEvidence(f"no latency of {' and '.join(asked.domains)} was recorded in {phase.name}")
    share = 100 - q
    return Measurement(
        low=low,
        high=high,
        samples=samples,
        least=least,
        notes=(*notes, str(seen)),
        excuses=excuses,
        sees=f"a delay of {share:.2g} % of the events ({max(round(share * samples / 100), 1):,} of {samples:,})",
    )


def _percentile(kind: str, q: float, asked: Question) -> tuple[float, float, int, int, list[str]]:
    """Bounds of a percentile, its samples, how many of them are slower than any limit, and what there is to note.

    An event of unknown outcome is not fast: it was never acknowledged.
    """
    history, phase = asked.history, asked.of_phase
    if kind == "e2e":
        found = latency_of(history, phase, asked.domains)
        notes = [str(found)] if found.samples else []
        notes += [
            f"{count:,} {words}"
            for count, words in (
                (found.never, "acked events were never seen handled"),
                (found.unplaced, "were acked without an offset: their end cannot be told"),
                (found.wrong_clock, "are said to have ended before they were due: a clock is wrong"),
                (found.unknown, "are of unknown outcome"),
                (found.moved, "are said to have ended too long before a broker had their outcome: a later end counts"),
            )
            if count
        ]
        low, high = found.bounds_ms(q)
        if found.at_once and high == found.certainly_ms(q) > 0:
            watched = sum(one.histogram.values for one in found.at_once)
            notes.append(f"P{q:g} is no better than {high:.1f} ms by {watched:,} outcomes that were written at once")
        ahead = sum(load.ends_from_future or 0 for load in history.loads)
        notes += [f"{ahead:,} of the run said to end in the future: their outcomes' arrival counts"] if ahead else []
        return low, high, found.samples, found.never + found.unknown, notes
    histogram = history.histogram(phase.name, kind, asked.domains)
    never = (history.counts(phase.name, asked.domains).unknown or 0) if kind == "ack" else 0
    value = percentile_ms(histogram, q, after=never)
    notes = [f"{never:,} are of unknown outcome, and were never acknowledged"] if never else []
    return value, value, histogram.total + never, never, notes


_EVENTS_OF: dict[str, Callable[[TimelineRow], int]] = {
    "e2e": _ended,
    "ack": lambda row: row.acked,
    "late": lambda row: row.sent,
}


def _worst_window(
    kind: str, q: float, asked: Question, never: int, notes: tuple[str, ...], excuses: tuple[Excuse, ...]
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
    share = 100 - q
    return Measurement(
        low=low,
        high=high,
        samples=count,
        least=SAMPLES_FOR[q],
        notes=(where, *notes),
        excuses=excuses,
        sees=f"a delay of {share:.2g} % of the events of any {window_s:g} s",
    )


_KINDS = {
    "e2e": "from the intended send time to the end of processing",
    "ack": "from the intended send time to the acknowledgement",
    "late": "from the intended send time to the handing over to the client: the generator's own lateness",
}
_NEEDED = {
    "e2e": (PHASES, SENDERS, END_TO_END, WITNESS, OUTCOMES_AT_ONCE),
    "ack": (PHASES, SENDERS, ACK_LATENCY),
    "late": (PHASES, SENDERS, LATENESS),
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
                evidence=_NEEDED[_kind],
                limits=LIMIT_NAMES if _kind != "late" else (),
                label=f"P{_q:g}",
            )
        )


# Counts and silences ----------------------------------------------------------------------------------------


def _failed(asked: Question) -> Measurement:
    """Sends that certainly failed; one of unknown outcome may have."""
    counts = asked.history.counts(asked.of_phase.name, asked.domains)
    return _not_acked(counts.failed, counts.unknown, counts.sent, 1)


def _failed_share(asked: Question) -> Measurement:
    history, phase = asked.history, asked.of_phase
    counts = history.counts(phase.name, asked.domains)
    if not counts.sent:
        raise NoEvidence(f"nothing of {' and '.join(asked.domains)} was sent in {phase.name}")
    return _not_acked(counts.failed, counts.unknown, counts.sent, counts.sent)


def _not_acked(failed: int, unknown: int | None, sent: int, per: int) -> Measurement:
    if unknown is None:
        raise NoEvidence("events of unknown outcome were not counted (history/load-*.json: phases)")
    return Measurement(
        low=failed / per,
        high=(failed + unknown) / per,
        samples=sent,
        of="events sent",
        notes=(f"{unknown:,} are of unknown outcome",) if unknown else (),
        sees=f"1 of {sent:,} events",
    )


def _share(part: str, whole: str, asked: Question) -> Measurement:
    history, phase = asked.history, asked.of_phase
    counts = history.counts(phase.name, asked.domains)
    below = getattr(counts, whole)
    if not below:
        raise NoEvidence(f"nothing of {' and '.join(asked.domains)} was {whole} in {phase.name}")
    sees = f"1 of {below:,} events"
    return Measurement.exact(getattr(counts, part) / below, below, f"events {whole}", sees=sees)


def _longest_gap(asked: Question) -> Measurement:
    history, phase = asked.history, asked.of_phase
    acked = history.counts(phase.name, asked.domains).acked
    gaps = [longest_gap_ms(history, phase, load, domain) for load in history.loads for domain in asked.domains]
    if not gaps or not acked:
        raise NoEvidence(f"no acks of {' and '.join(asked.domains)} were recorded in {phase.name}")
    return Measurement.exact(max(gaps), acked, "acks", sees="a silence of the length that is claimed")


for _name, _about, _dimension, _measure, _higher in (
    ("failed", "sends of a phase that certainly failed", EVENTS, _failed, False),
    ("failed_share", "sends that failed, of those sent", SHARE, _failed_share, False),
    ("acked_share", "events acknowledged, of those scheduled", SHARE, partial(_share, "acked", "scheduled"), True),
    ("longest_gap", "the longest time without one successful ack of a domain", TIME, _longest_gap, False),
):
    add(
        Measure(
            name=_name,
            about=_about,
            dimension=_dimension,
            measure=_measure,
            higher_is_better=_higher,
            evidence=(PHASES, SENDERS, *((TIMELINE,) if _name == "longest_gap" else ())),
        )
    )
