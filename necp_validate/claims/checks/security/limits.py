"""The claim about producer limits: a flood that is offered, what of it is in the log, and what others felt of it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from itertools import zip_longest
from statistics import median

from necp_validate.claims.checks.anomalies import need_readback
from necp_validate.claims.checks.faults.failover import Problem, losses, ruling
from necp_validate.claims.checks.faults.faults import faults_for, not_in_effect
from necp_validate.claims.checks.load.latency import LIMITS_MS, latency_of
from necp_validate.claims.checks.registry import NoEvidence
from necp_validate.claims.judge import Evidence, Ruling, judges
from necp_validate.core import Verdict
from necp_validate.evidence.host_saturation import host_saturation
from necp_validate.record import FloodRecord, History, Phase

RATE_EPS = 20_000.0
BURST = 10_000.0
OVER = 1.01
UNDER = 0.98
FACTOR = 1.45
"""What is due must be so many times the limit; half as much again is planned."""
_GROWTH = 4.0
_REFUSALS = 4
_SENDERS = 8
_SETTLING_S = 3
"""Seconds until the burst is used up: from then on, every second sees refusals if the flood presses on."""

_LIMITS_MS = {domain: limit for limit, domain in LIMITS_MS.values() if domain is not None}


@judges(
    "SEC-RATE",
    "under a flood, 98% to 101% of 20,000/s + 10,000 are in the log, waits grow, and others' P99 is as claimed",
)
def producer_limit(evidence: Evidence) -> Ruling:
    """Floods through publishers; what passed is counted by the fresh reader."""
    history = evidence.history
    faults = faults_for(history, "SEC-RATE")
    if not history.floods:
        reasons = [reason for fault in faults if (reason := not_in_effect(fault))]
        raise NoEvidence("; ".join(reasons) or "no flood left a record")
    _, problems, lost = losses(evidence)
    problems += [(Verdict.UNKNOWN, reason) for fault in faults if (reason := not_in_effect(fault))]
    measured, notes = [], []
    for flood in history.floods:
        read = _read(history, flood)
        problems += [*_held(history, flood, read), *_backed_off(flood)]
        slow, felt = _felt(history, flood)
        problems += slow
        least, most = _allowed(flood)
        measured.append(f"{read:,} events passed in {flood.elapsed_s:.1f} s, the limit is {least:,.0f} to {most:,.0f}")
        notes.append(f"limit {flood.rate_eps:,.0f}/s, burst {flood.burst:,.0f}; {_offered(flood)}; {felt}")
    return ruling(problems, "; ".join(measured), "; ".join([*notes, lost]))


def _read(history: History, flood: FloodRecord) -> int:
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


def _held(history: History, flood: FloodRecord, read: int) -> Iterator[Problem]:
    """Neither more than the limit allows nor less."""
    rate, burst = history.threshold("producer_rate_eps", RATE_EPS), history.threshold("producer_burst", BURST)
    if (flood.rate_eps, flood.burst) != (rate, burst):
        words = f"the limit was {flood.rate_eps:,.0f}/s and {flood.burst:,.0f}"
        yield Verdict.UNKNOWN, f"{words}, the claim is about {rate:,.0f}/s and {burst:,.0f}"
    least, most = _allowed(flood)
    if read > most * OVER:
        yield Verdict.FAIL, f"{read:,} events passed, the limit allows {most:,.0f} in {flood.elapsed_s:.1f} s"
    elif read < least * UNDER:
        loose = _not_pressed(flood, read)
        words = f"{read:,} events passed where {least:,.0f} had to"
        yield (Verdict.UNKNOWN, f"{words}, but {loose}") if loose else (Verdict.FAIL, words)
    elif flood.due < FACTOR * flood.rate_eps * flood.offering_s:
        yield Verdict.UNKNOWN, f"{flood.due:,} events were due: no flood for a limit of {flood.rate_eps:,.0f}/s"
    if flood.hits is not None and not flood.unanswered and flood.hits != flood.refused:
        yield Verdict.FAIL, f"the publisher's metric has {flood.hits:,} events refused, {flood.refused:,} were"


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


def _backed_off(flood: FloodRecord) -> Iterator[Problem]:
    """Who goes on is told to wait for ever longer, and not everybody for the same time."""
    pressed = [waits for waits in flood.waits_s if len(waits) >= _REFUSALS]
    if len(pressed) < _SENDERS:
        yield Verdict.UNKNOWN, f"{len(pressed)} senders were refused {_REFUSALS} times: too few to see waits grow"
        return
    medians = [median(w for w in waits if w is not None) for waits in zip_longest(*pressed)][:_REFUSALS]
    if medians[-1] < _GROWTH * medians[0]:
        words = " → ".join(f"{wait:.2f}" for wait in medians)
        yield Verdict.FAIL, f"waits do not grow exponentially while violations go on: {words} s"
    if len({waits[0] for waits in pressed}) == 1:
        yield Verdict.FAIL, f"waits have no jitter: {len(pressed)} senders were told {pressed[0][0]:.2f} s alike"


def _felt(history: History, flood: FloodRecord) -> tuple[list[Problem], str]:
    """End-to-end P99 of everybody else before, during and after, by domain; during, it is to be as claimed."""
    at = next((i for i, one in enumerate(history.phases) if one.start_us <= flood.begin_us < one.end_us), None)
    if at is None:
        return [(Verdict.UNKNOWN, "the flood fell into no phase of the load")], "others not measured"
    during = history.phases[at]
    before = history.phases[at - 1] if at else None
    after = history.phases[at + 1] if at + 1 < len(history.phases) else None
    problems: list[Problem] = []
    texts = []
    if not any(_p99(history, during, domain) is not None for domain in _LIMITS_MS):
        problems.append((Verdict.UNKNOWN, "too few events beside the flood to tell what others felt of it"))
    for domain in history.domains:
        texts.append(f"{domain} {' → '.join(_p99_words(history, phase, domain) for phase in (before, during, after))}")
        problems += _slow(history, flood, before, during, domain)
    return problems, f"others' P99 before → during → after: {', '.join(texts)}"


def _p99(history: History, phase: Phase | None, domain: str) -> float | None:
    return None if phase is None else latency_of(history, phase, (domain,)).percentile_ms(99)


def _p99_words(history: History, phase: Phase | None, domain: str) -> str:
    p99 = _p99(history, phase, domain)
    return "?" if p99 is None else f"{p99:.0f} ms" if math.isfinite(p99) else "never"


def _slow(history: History, flood: FloodRecord, before: Phase | None, during: Phase, domain: str) -> Iterator[Problem]:
    limit_ms = _LIMITS_MS.get(domain)
    found = _p99(history, during, domain)
    if limit_ms is None or found is None or found < limit_ms:
        return
    words = f"{domain} P99 {found:.0f} ms under the flood (claimed < {limit_ms:g} ms)"
    # The host is asked about the flood alone: what is left of the phase is calmer.
    flooded = replace(during, start_us=flood.begin_us, end_us=flood.end_us)
    usual, seen = _p99(history, before, domain), host_saturation(history, flooded)
    if usual is None or usual >= limit_ms:
        yield Verdict.UNKNOWN, f"{words}, and no better before it"
    elif seen.saturated:
        yield Verdict.UNKNOWN, f"{words}, but {'; '.join(seen.reasons)}"
    else:
        yield Verdict.FAIL, words
