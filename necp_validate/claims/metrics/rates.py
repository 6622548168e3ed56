"""Rates in the even part of a phase: what was planned, sent, acked and handled, second by second.

A phase may begin with a ramp; a rate is measured after it, between two rows of the timeline.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from necp_validate.record import Phase, Record, TimelineRow

_ROUNDS_OF_SLACK = 2
_ROW_JITTER_S = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Rates of some domains in the even part of one phase, events per second.

    Args:
        window_s: length of the stretch that was measured.
        planned_eps: what the scenario asks for.
        slack_eps: by how much a stretch of this length may miss the plan by chance: servers send in ticks.
        sent_eps: handed to the client, and taken by it; those due and not yet handed over are missing here.
        acked_eps: acknowledged by every in-sync replica.
        handled_eps: ended by the event core: processed, rejected or dead-lettered; ``None`` if not recorded.
    """

    window_s: float
    planned_eps: float
    slack_eps: float
    sent_eps: float
    acked_eps: float
    handled_eps: float | None


def even_part_s(history: Record, phase: Phase) -> tuple[float, float]:
    """Begin and end, in epoch seconds, of a phase without its ramp."""
    ramp_s = history.run.plan.phase(phase.name).ramp_s or 0.0
    start_s, end_s = phase.start_us / 1e6, phase.end_us / 1e6
    return min(start_s + ramp_s, end_s), end_s


def planned_eps(history: Record, phase: Phase, domain: str) -> float:
    """Planned rate of a domain after the phase's ramp: load changes by whole game servers."""
    target = phase.target_eps.get(domain, 0.0)
    servers = _servers(history, domain)
    load = history.run.plan.phase(phase.name).of_peak
    if not servers or not load:
        return target
    return target / load * round(servers * load) / servers


def rates(history: Record, phase: Phase, domains: Iterable[str]) -> Rates | None:
    """Measure the domains' rates together; ``None`` if the timeline does not cover one of them fully."""
    domains = tuple(domains)
    rows = _rows(history, phase)
    series = [workers for domain in domains for workers in rows.get(domain, {}).values()]
    if not series or any(domain not in rows for domain in domains):
        return None
    begin_s, end_s = min(one[0].t for one in series), max(one[-1].t for one in series)
    if begin_s == end_s:
        return None
    sent = acked = handled = 0.0
    for one in series:
        window_s = one[-1].t - one[0].t
        # A worker that came late or died early did nothing in the rest of the time.
        if one[0].t > begin_s + _ROW_JITTER_S or one[-1].t < end_s - _ROW_JITTER_S:
            window_s = end_s - begin_s
        # The first row counts events from before the stretch; its end is the stretch's begin.
        for row in one[1:]:
            if row.offered is None:
                return None
            sent += row.offered / window_s
            acked += row.acked / window_s
            handled += row.ended / window_s
    in_a_round = sum(round_events(history, phase, domain) for domain in domains)
    return Rates(
        window_s=end_s - begin_s,
        planned_eps=sum(planned_eps(history, phase, domain) for domain in domains),
        slack_eps=_ROUNDS_OF_SLACK * in_a_round / (end_s - begin_s),
        sent_eps=sent,
        acked_eps=acked,
        handled_eps=None if any(row.processed is None for one in series for row in one) else handled,
    )


def _rows(history: Record, phase: Phase) -> dict[str, dict[str, list[TimelineRow]]]:
    """Rows that end in the even part of a phase, by domain and worker, in order of time."""
    start_s, end_s = even_part_s(history, phase)
    rows: dict[str, dict[str, list[TimelineRow]]] = defaultdict(lambda: defaultdict(list))
    for row in history.timeline:
        if row.phase in (phase.name, None) and start_s <= row.t <= end_s:
            rows[row.domain][row.worker].append(row)
    return rows


def _servers(history: Record, domain: str) -> int:
    """Game servers that carry a domain's rate at 100%; 0 if the scenario does not say."""
    traffic = history.run.plan.of_domain(domain)
    per_server = (traffic.run_length or 0) * (traffic.tick_hz or 0)
    return math.ceil(round((traffic.rate_eps or 0) / per_server, 6)) if per_server else 0


def round_events(history: Record, phase: Phase, domain: str) -> float:
    """Events of one tick of all game servers of a domain in this phase."""
    plan = history.run.plan
    if domain in (plan.topics or {}):
        return 1.0  # a topic of the user's own gets its events one by one
    return (plan.of_domain(domain).run_length or 0) * round(_servers(history, domain) * plan.phase(phase.name).of_peak)
