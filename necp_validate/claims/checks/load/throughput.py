"""Claims about rates: end to end, that is acknowledged by the brokers *and* handled by the event core."""

from __future__ import annotations

from functools import partial

from necp_validate.claims.checks.load.flow import RATE_TOLERANCE
from necp_validate.claims.checks.registry import NoEvidence
from necp_validate.claims.judge import Evidence, Ruling, judges
from necp_validate.claims.metrics.rates import Rates, rates
from necp_validate.core import Verdict
from necp_validate.evidence.host_saturation import host_saturation
from necp_validate.record import History, Phase

CLAIMED_EPS = {"combat": 20_000, "economy": 5_000, "social": 1_000, "system": 500}
HEADLINE_EPS = 100_000
SURGE_EPS = 2 * sum(CLAIMED_EPS.values())
_SUSTAINED_S = 10.0


def _measured(history: History, phase: Phase, domains: tuple[str, ...]) -> Rates:
    found = rates(history, phase, domains)
    if found is None:
        raise NoEvidence(f"the timeline does not cover {', '.join(domains) or 'any domain'} in {phase.name}")
    return found


def _fastest(phases: tuple[Phase, ...], domains: tuple[str, ...]) -> Phase:
    return max(phases, key=lambda phase: sum(phase.target_eps.get(domain, 0.0) for domain in domains))


def _sustained(claimed_eps: int, kinds: tuple[str, ...], domain: str | None, evidence: Evidence) -> Ruling:
    """Judge a sustained rate in the fastest phase of these kinds."""
    history = evidence.history
    domains = history.domains if domain is None else (domain,)
    phases = tuple(
        phase for phase in history.phases_of(*kinds) if any(phase.target_eps.get(d, 0.0) > 0 for d in domains)
    )
    if not phases:
        raise NoEvidence(f"no {' or '.join(kinds)} phase with {domain or 'any'} traffic")
    phase = _fastest(phases, domains)
    found = _measured(history, phase, domains)
    if found.handled_eps is None:
        raise NoEvidence(f"in {phase.name}, nothing was recorded of what the event core handled")
    end_to_end = min(found.acked_eps, found.handled_eps)
    measured = f"{end_to_end:,.0f} EPS end to end"
    seen = host_saturation(history, phase, domains)
    figures = (
        f"planned {found.planned_eps:,.0f}, sent {found.sent_eps:,.0f}, acked {found.acked_eps:,.0f}, "
        f"handled {found.handled_eps:,.0f} EPS over {found.window_s:.0f} s; {seen}"
    )
    least = claimed_eps * (1 - history.threshold("rate_tolerance", RATE_TOLERANCE))
    if not evidence.full_scale:
        verdict, reason = Verdict.UNKNOWN, f"{evidence.scale_words}, claim is about scale 1"
    elif found.planned_eps < least:
        verdict = Verdict.UNKNOWN
        reason = f"no phase was planned at {claimed_eps:,} EPS"
    elif found.window_s < _SUSTAINED_S:
        verdict, reason = Verdict.UNKNOWN, f"{_SUSTAINED_S:.0f} s are the least to call a rate sustained"
    elif end_to_end >= least:
        verdict, reason = Verdict.PASS, ""
    elif found.sent_eps < least and seen.saturated:
        verdict, reason = Verdict.UNKNOWN, f"the rate was not offered: {'; '.join(seen.reasons)}"
    else:
        verdict, reason = Verdict.FAIL, _bottleneck(found, least)
    sentence = f"{reason} ({figures})" if reason else figures
    return Ruling(verdict=verdict, measured=measured, evidence=sentence, phase=phase.name)


def _bottleneck(found: Rates, least: float) -> str:
    if found.sent_eps < least:
        return "the generator could not hand the events over, on a host that was not saturated"
    if found.acked_eps < least:
        return "the brokers did not acknowledge the rate"
    return "the event core did not keep up"


def _register() -> None:
    for domain, claimed in CLAIMED_EPS.items():
        judge = partial(_sustained, claimed, ("steady",), domain)
        judges(f"THR-{domain.upper()}", f"≥ {claimed:,} EPS sustained, within 1%")(judge)
    headline = partial(_sustained, HEADLINE_EPS, ("steady", "surge"), None)
    judges("THR-HEADLINE", f"≥ {HEADLINE_EPS:,} EPS sustained, within 1%")(headline)


_register()


@judges("LOAD-200", f"{SURGE_EPS:,} EPS scheduled and sent within 1%, nothing lost, backlog drained in time")
def load_200(evidence: Evidence) -> Ruling:
    """200% of peak in the surge phase: sent as scheduled, nothing lost, drained in time."""
    history = evidence.history
    phases = history.phases_of("surge")
    if not phases:
        raise NoEvidence("there was no surge phase")
    phase = _fastest(phases, history.domains)
    found = rates(history, phase, history.domains)
    lost, unseen, drained = (evidence.finding(n) for n in ("lost-write", "unseen", "backlog-drain"))
    missing = lost.count + unseen.count
    unclear = [finding for finding in (lost, unseen) if finding.verdict is Verdict.UNKNOWN]
    problems = [(Verdict.UNKNOWN, f"loss is not known: {finding.summary}") for finding in unclear]
    if missing:
        problems.append((Verdict.FAIL, f"{missing:,} acked events are lost"))
    if drained.verdict is not Verdict.PASS:
        problems.append((drained.verdict, drained.summary))
    if not evidence.full_scale:
        problems.append((Verdict.UNKNOWN, f"{evidence.scale_words}, claim is about scale 1"))
    problems += _schedule_problems(history, phase, found)
    seen = host_saturation(history, phase)
    sent = f"{found.sent_eps:,.0f} EPS sent, " if found else ""
    planned = f"planned {found.planned_eps:,.0f} EPS over {found.window_s:.0f} s; " if found else ""
    text = f"{planned}{drained.summary}; {seen}"
    verdict = Verdict.PASS
    if problems:
        failed = any(of is Verdict.FAIL for of, _ in problems)
        verdict = Verdict.FAIL if failed else Verdict.UNKNOWN
        text = f"{'; '.join(why for _, why in problems)} ({text})"
    return Ruling(verdict=verdict, measured=f"{sent}{missing:,} events lost", evidence=text, phase=phase.name)


def _schedule_problems(history: History, phase: Phase, found: Rates | None) -> list[tuple[Verdict, str]]:
    """Why the surge was not 200% of the claimed peak, if it was not."""
    if found is None:
        return [(Verdict.UNKNOWN, f"the timeline does not cover {phase.name}")]
    tolerance = history.threshold("rate_tolerance", RATE_TOLERANCE)
    counts = history.counts(phase.name)
    problems = []
    full_scale = history.run.scale >= 1
    if full_scale and found.planned_eps < SURGE_EPS * (1 - tolerance):
        problems.append((Verdict.UNKNOWN, f"the surge was planned at {found.planned_eps:,.0f} EPS only"))
    least = found.planned_eps * (1 - tolerance) - found.slack_eps
    if found.sent_eps < least or counts.sent < counts.scheduled * (1 - tolerance):
        text = f"sent at {found.sent_eps:,.0f} of {found.planned_eps:,.0f} EPS planned"
        seen = host_saturation(history, phase)
        if seen.saturated:
            problems.append((Verdict.UNKNOWN, f"{text}: {'; '.join(seen.reasons)}"))
        else:
            problems.append((Verdict.FAIL, text))
    return problems
