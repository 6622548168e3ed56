"""Checks of when events ended: the target's word against the time at which a broker appended the outcome."""

from __future__ import annotations

from necp_validate.claims.checks.anomalies import Anomalies, not_applicable
from necp_validate.claims.checks.registry import check
from necp_validate.claims.needs import need_loads, recorded
from necp_validate.claims.saturation import LIMIT_NAMES, saturation
from necp_validate.core import Finding
from necp_validate.evidence.inventory import END_TO_END, EXPLAINING_FAULTS, HOST, LATENESS, PHASES, SENDERS, WITNESS
from necp_validate.evidence.inventory.counting import disturbed, undisturbed
from necp_validate.evidence.subjects import OUTCOMES
from necp_validate.record import Phase, Record, parts

MOVED_SHARE = 0.05
"""Of a domain's ends: a broker may take longer than usual for some outcomes. What is moved counts as slower anyhow."""
_LEAST_S = 10.0
"""In less, one pause of a broker is more than that share."""


@check(
    "implausible-end",
    OUTCOMES,
    *(PHASES, SENDERS, END_TO_END, WITNESS, EXPLAINING_FAULTS, HOST, LATENESS),
    limits=LIMIT_NAMES,
)
def implausible_end(history: Record) -> Finding:
    """Events that are said to have ended much earlier than a broker was given their outcome; faults left out.

    On a saturated host an outcome may be written late: the later end counts there as well, so no latency is hidden.
    """
    name = "implausible-end"
    promised = history.due.receipted_within_s if history.due is not None else None
    if not promised:
        return not_applicable(
            name, "no broker says when the outcomes were written: the ends are the target's word alone"
        )
    need_loads(history)
    excused = disturbed(history)
    calm = [one for one in history.phases if one.kind not in ("warmup", "fault") and undisturbed(one, excused)]
    usable = [phase for phase in calm if not saturation(history, phase).saturated]
    if sum(phase.duration_s for phase in usable) < _LEAST_S:
        moved = sum(_moved(history, phase, domain) for phase in history.phases for domain in promised)
        why = f"less than {_LEAST_S:g} s without a fault and without a saturated host"
        return not_applicable(name, f"{why}; {moved:,} ends count as later than the target says")
    anomalies = Anomalies(name, history)
    ends = moved = 0
    for domain, within_s in promised.items():
        histograms = [history.histogram(phase.name, "e2e", [domain]) for phase in usable]
        count = sum(one.values for one in histograms)
        late = sum(_moved(history, phase, domain) for phase in usable)
        ends, moved = ends + count, moved + late
        if late > MOVED_SHARE * count:
            detail = f"{late:,} of {count:,} events are said to have ended over {1000 * within_s:.0f} ms before"
            anomalies.add(late, domain, f"{detail} a broker appended their outcome")
    return anomalies.finding(
        clean=f"{ends:,} ends are borne out by when their outcomes were appended, or seen; {moved:,} count as later",
        found=f"{{count}} of {ends:,} events ended later than the target says, by when their outcomes were appended",
        sees=f"{MOVED_SHARE:.0%} of a domain's ends, reported more than a tick and 50 ms too early",
    )


def _moved(history: Record, phase: Phase, domain: str) -> int:
    return recorded(history.counts(phase.name, [domain]).moved, f"moved of {domain} in {phase.name}", parts.LOADS, "*")
