"""Producer limits: a flood that is offered, what of it is in the log, and what others felt of it."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import zip_longest
from statistics import median

from necp_validate.claims.checks.anomalies import Anomalies, not_applicable
from necp_validate.claims.checks.registry import check
from necp_validate.claims.fault_claims import faults_for
from necp_validate.claims.limits import P99_LIMITS, limit
from necp_validate.claims.metrics.faults import not_in_effect
from necp_validate.claims.metrics.latencies import latency_of
from necp_validate.claims.needs import need_readback
from necp_validate.claims.saturation import LIMIT_NAMES, saturation
from necp_validate.core import Finding
from necp_validate.evidence.inventory import (
    END_TO_END,
    EVENTS_READ,
    FAULTS,
    FLOODS,
    HOST,
    OUTCOMES_AT_ONCE,
    PHASES,
    SENDERS,
)
from necp_validate.evidence.subjects import FAULTS as FAULTS_SUBJECT
from necp_validate.record import FloodRecord, Phase, Record

OVER = 1.01
UNDER = 0.98
FACTOR = 1.45
"""What is due must be so many times the limit; half as much again is planned."""
_GROWTH = 4.0
_REFUSALS = 4
_SENDERS = 8
_SETTLING_S = 3
"""Seconds until the burst is used up: from then on, every second sees refusals if the flood presses on."""


@check(
    "producer-limit",
    FAULTS_SUBJECT,
    *(PHASES, SENDERS, EVENTS_READ, END_TO_END, OUTCOMES_AT_ONCE, HOST, FAULTS, FLOODS),
    limits=("producer_rate_eps", "producer_burst", *P99_LIMITS.values(), *LIMIT_NAMES),
)
def producer_limit(history: Record) -> Finding:
    """Floods of which more passes than the limit allows, or less; waits that do not grow; others who feel it."""
    name = "producer-limit"
    faults = faults_for(history, "SEC-RATE")
    if not faults and not history.floods:
        return not_applicable(name, "nothing was flooded in this run")
    anomalies = Anomalies(name, history)
    for fault in faults:
        if reason := not_in_effect(fault):
            anomalies.doubt(fault.id, reason)
    if not history.floods:
        anomalies.doubt("floods", "none left a record")
    measured, notes = [], []
    for flood in history.floods:
        read = _read(history, flood)
        _held(anomalies, history, flood, read)
        _backed_off(anomalies, flood)
        felt = _felt(anomalies, history, flood)
        least, most = _allowed(flood)
        measured.append(f"{read:,} events passed in {flood.elapsed_s:.1f} s, the limit is {least:,.0f} to {most:,.0f}")
        notes.append(f"limit {flood.rate_eps:,.0f}/s, burst {flood.burst:,.0f}; {_offered(flood)}; {felt}")
    words = "; ".join([*measured, *notes])
    return anomalies.finding(
        clean=words,
        found=words,
        measured="; ".join(measured),
        sees=f"{1 - UNDER:.0%} too few or {OVER - 1:.0%} too many events of a flood that pass",
    )


def _read(history: Record, flood: FloodRecord) -> int:
    """Events of the flood that lie in the log."""
    streams = need_readback(history).streams
    return sum(streams[name].read.count for name in flood.streams if name in streams)


def _allowed(flood: FloodRecord) -> tuple[float, float]:
    """How many had to pass until the last offer, and how many may have until its answer."""
    least, most = (flood.rate_eps * time_s + flood.burst for time_s in (flood.offering_s, flood.elapsed_s))
    return least, most


def _offered(flood: FloodRecord) -> str:
    waits = [wait for sender in flood.waits_s for wait in sender]
    longest = f", told to wait for {min(waits):.2f} to {max(waits):.1f} s" if waits else ""
    return f"{flood.due:,} due, {flood.offered:,} offered, {flood.refused:,} refused{longest}"


def _held(anomalies: Anomalies, history: Record, flood: FloodRecord, read: int) -> None:
    """Neither more than the limit allows nor less."""
    rate, burst = limit(history, "producer_rate_eps"), limit(history, "producer_burst")
    if (flood.rate_eps, flood.burst) != (rate, burst):
        words = f"the limit was {flood.rate_eps:,.0f}/s and {flood.burst:,.0f}"
        anomalies.doubt(flood.topic, f"{words}, the claim is about {rate:,.0f}/s and {burst:,.0f}")
    least, most = _allowed(flood)
    if read > most * OVER:
        words = f"{read:,} events passed, the limit allows {most:,.0f} in {flood.elapsed_s:.1f} s"
        anomalies.add(math.ceil(read - most), flood.topic, words)
    elif read < least * UNDER:
        loose = _not_pressed(flood, read)
        words = f"{read:,} events passed where {least:,.0f} had to"
        if loose:
            anomalies.doubt(flood.topic, f"{words}, but {loose}")
        else:
            anomalies.add(math.ceil(least - read), flood.topic, words)
    elif flood.due < FACTOR * flood.rate_eps * flood.offering_s:
        anomalies.doubt(flood.topic, f"{flood.due:,} events were due: no flood for a limit of {flood.rate_eps:,.0f}/s")
    if flood.hits is not None and not flood.unanswered and flood.hits != flood.refused:
        words = f"the publisher's metric has {flood.hits:,} events refused, {flood.refused:,} were"
        anomalies.add(abs(flood.hits - flood.refused), flood.topic, words)


def _not_pressed(flood: FloodRecord, read: int) -> str:
    """Why it may not have been the limiter that let so little pass; empty if it was."""
    if flood.unanswered:
        return f"{flood.unanswered:,} events got no answer"
    pressing = flood.seconds[_SETTLING_S : int(flood.offering_s)]
    calm = sum(not second.refused for second in pressing)
    if calm or not pressing:
        return f"nothing was refused in {calm} seconds: this host does not carry the flood"
    if read >= flood.passable * UNDER:
        return (
            f"an exact limit would have let {flood.passable:,} of the offers pass: this host does not carry the flood"
        )
    return ""


def _backed_off(anomalies: Anomalies, flood: FloodRecord) -> None:
    """Who goes on is told to wait for ever longer, and not everybody for the same time."""
    pressed = [waits for waits in flood.waits_s if len(waits) >= _REFUSALS]
    if len(pressed) < _SENDERS:
        words = f"{len(pressed)} senders were refused {_REFUSALS} times: too few to see waits grow"
        anomalies.doubt(flood.topic, words)
        return
    medians = [median(w for w in waits if w is not None) for waits in zip_longest(*pressed)][:_REFUSALS]
    if medians[-1] < _GROWTH * medians[0]:
        words = " → ".join(f"{wait:.2f}" for wait in medians)
        anomalies.add(1, flood.topic, f"waits do not grow exponentially while violations go on: {words} s")
    if len({waits[0] for waits in pressed}) == 1:
        words = f"waits have no jitter: {len(pressed)} senders were told {pressed[0][0]:.2f} s alike"
        anomalies.add(1, flood.topic, words)


def _felt(anomalies: Anomalies, history: Record, flood: FloodRecord) -> str:
    """End-to-end P99 of everybody else before, during and after, by domain; during, it is to be as claimed."""
    at = next((i for i, one in enumerate(history.phases) if one.start_us <= flood.begin_us < one.end_us), None)
    if at is None:
        anomalies.doubt(flood.topic, "the flood fell into no phase of the load")
        return "others not measured"
    during = history.phases[at]
    before = history.phases[at - 1] if at else None
    after = history.phases[at + 1] if at + 1 < len(history.phases) else None
    texts = []
    if not any(_p99(history, during, domain) is not None for domain in P99_LIMITS):
        anomalies.doubt(flood.topic, "too few events beside the flood to tell what others felt of it")
    for domain in history.domains:
        texts.append(f"{domain} {' → '.join(_p99_words(history, phase, domain) for phase in (before, during, after))}")
        _slow(anomalies, history, flood, before, during, domain)
    return f"others' P99 before → during → after: {', '.join(texts)}"


def _p99(history: Record, phase: Phase | None, domain: str) -> float | None:
    return None if phase is None else latency_of(history, phase, (domain,)).percentile_ms(99)


def _p99_words(history: Record, phase: Phase | None, domain: str) -> str:
    p99 = _p99(history, phase, domain)
    return "?" if p99 is None else f"{p99:.0f} ms" if math.isfinite(p99) else "never"


def _slow(
    anomalies: Anomalies, history: Record, flood: FloodRecord, before: Phase | None, during: Phase, domain: str
) -> None:
    found = _p99(history, during, domain)
    if domain not in P99_LIMITS or found is None:
        return
    limit_ms = limit(history, P99_LIMITS[domain])
    if found < limit_ms:
        return
    words = f"P99 {found:.0f} ms under the flood (claimed < {limit_ms:g} ms)"
    # The host is asked about the flood alone: what is left of the phase is calmer.
    flooded = replace(during, start_us=flood.begin_us, end_us=flood.end_us)
    usual, seen = _p99(history, before, domain), saturation(history, flooded)
    explained = [str(reason) for reason in seen.reasons if found - reason.explains_ms < limit_ms]
    if usual is None or usual >= limit_ms:
        anomalies.doubt(domain, f"{words}, and no better before it")
    elif explained and math.isfinite(found):
        anomalies.doubt(domain, f"{words}, but {'; '.join(explained)}")
    else:
        anomalies.add(1, domain, words)
