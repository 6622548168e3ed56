"""The verdict on a claim of the user's own, by the rules that hold for the suite's own claims.

Without evidence it is unknown; with fewer samples than it asks for, too. A figure that is only known between bounds
decides where both bounds are on one side. A miss is unknown where the host was saturated and may be to blame for the
latency or for a rate that was not offered; what was lost, failed or silent stays a miss.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from necp_validate.claims.checks.registry import NoEvidence, crash_summary
from necp_validate.claims.metrics import resources, traffic, whole_run  # noqa: F401  # registers the metrics
from necp_validate.claims.metrics.measures import MEASURES, Measure, Measurement, Question, Scope
from necp_validate.claims.metrics.supply import how_to_supply
from necp_validate.claims.model import OwnClaim, Repeats
from necp_validate.core import ClaimResult, Verdict, worst
from necp_validate.record import History, Phase

SOURCE = "claims.toml"
_WARMUP = "warmup"
_LISTED_AT_MOST = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A claim judged in one place.

    Args:
        place: the phase's name, with the run's where there are several; ``run`` without a phase.
        text: the figure and what it rests on, or what is missing.
        measured: the figure alone; empty if there is none.
    """

    place: str
    verdict: Verdict
    text: str
    measured: str = ""


def judge_own(history: History, claims: Iterable[OwnClaim], *, repeats: Sequence[History] = ()) -> list[ClaimResult]:
    """Judge claims of the user's own on a run.

    Args:
        history: of the run.
        claims: as checked by the reader of the claims file.
        repeats: earlier runs of the same, oldest first, for claims that must hold in N of M.
    """
    return [_result(claim, history, repeats) for claim in claims]


def _result(claim: OwnClaim, history: History, repeats: Sequence[History]) -> ClaimResult:
    runs = [*repeats, history] if claim.repeats else [history]
    trials = [trial for run in runs for trial in trials_of(claim, run, named=len(runs) > 1)]
    verdict, why = _repeated(trials, claim.repeats) if claim.repeats else (worst(t.verdict for t in trials), "")
    # What decided comes first.
    telling = sorted(trials, key=lambda trial: trial.verdict is not verdict)
    figures = [f"{trial.measured} ({trial.place})" for trial in telling if trial.measured][:_LISTED_AT_MOST]
    texts = [f"{trial.place}: {trial.verdict}, {trial.text}" for trial in telling[:_LISTED_AT_MOST]]
    left_out = len(telling) - _LISTED_AT_MOST
    texts += [f"and {left_out} more"] if left_out > 0 else []
    texts += [f"run at scale {history.run.scale:g}"] if history.run.scale != 1 else []
    places = {trial.place for trial in trials}
    return ClaimResult(
        id=claim.id,
        title=claim.description,
        verdict=verdict,
        threshold=str(claim),
        measured=", ".join(figures),
        evidence="; ".join([why, *texts] if why else texts),
        phase=places.pop() if len(places) == 1 and claim.phase else None,
        source=SOURCE,
    )


def _repeated(trials: Sequence[Trial], repeats: Repeats) -> tuple[Verdict, str]:
    """N of the last M."""
    last = trials[-repeats.of :]
    held = sum(trial.verdict is Verdict.PASS for trial in last)
    missed = sum(trial.verdict is Verdict.FAIL for trial in last)
    why = f"held in {held}, missed in {missed} of {len(last)} repeats; {repeats} are claimed"
    if missed > repeats.of - repeats.hold:
        return Verdict.FAIL, why
    if held >= repeats.hold and len(last) == repeats.of:
        return Verdict.PASS, why
    lacking = f"; {repeats.of - len(last)} are still to be run" if len(last) < repeats.of else ""
    return Verdict.UNKNOWN, why + lacking


def trials_of(claim: OwnClaim, history: History, *, named: bool = False) -> list[Trial]:
    """Judge a claim in each place of one run that it is about.

    Args:
        claim: as checked by the reader of the claims file.
        history: of the run.
        named: say which run it is.
    """
    measure = MEASURES[claim.metric]
    prefix = f"{history.run.id}: " if named else ""
    phases: Sequence[Phase | None] = [None]
    if claim.phase is not None:
        phases = [one for one in history.phases if claim.phase in (one.name, one.kind)]
    elif measure.scope is Scope.PHASE:
        phases = [one for one in history.phases if one.kind != _WARMUP]
    if not phases:
        what = f"no phase of the name or kind {claim.phase}" if claim.phase else "no phase but warm-ups"
        return [Trial(place=f"{prefix}run", verdict=Verdict.UNKNOWN, text=f"the run has {what}")]
    return [_trial(claim, measure, history, phase, prefix) for phase in phases]


def _trial(claim: OwnClaim, measure: Measure, history: History, phase: Phase | None, prefix: str) -> Trial:
    place = f"{prefix}{phase.name if phase else 'run'}"
    try:
        found = _measured(claim, measure, history, phase)
    except NoEvidence as missing:
        text = f"{missing}{how_to_supply(history, claim.metric)}"
        return Trial(place=place, verdict=Verdict.UNKNOWN, text=text)
    except Exception as crash:  # noqa: BLE001  # one metric's bug must not hide the verdicts of the others
        return Trial(place=place, verdict=Verdict.UNKNOWN, text=crash_summary(crash))
    verdict, reason = _decide(claim, measure, found)
    notes = [*([reason] if reason else []), f"{found.samples:,} {found.of}", *(note for note in found.notes if note)]
    return Trial(place=place, verdict=verdict, text="; ".join(notes), measured=_shown(measure, found))


def _measured(claim: OwnClaim, measure: Measure, history: History, phase: Phase | None) -> Measurement:
    domains = (claim.domain,) if claim.domain else history.domains
    if claim.domain and claim.domain not in history.domains:
        raise NoEvidence(f"the run has no events of {claim.domain}")
    return measure.measure(Question(history=history, phase=phase, domains=domains, window_s=claim.window_s))


def _shown(measure: Measure, found: Measurement) -> str:
    low, high = measure.dimension.show(found.low), measure.dimension.show(found.high)
    return low if low == high else f"{low} to {high}"


def _decide(claim: OwnClaim, measure: Measure, found: Measurement) -> tuple[Verdict, str]:
    """The verdict on a figure, and why if that is not the figure itself."""
    least = max(found.least, claim.min_samples)
    if found.samples < least:
        return Verdict.UNKNOWN, f"{least:,} {found.of} are the least to judge it by"
    holds = claim.holds(found.low), claim.holds(found.high)
    if claim.comparison == "==" and found.low <= claim.threshold <= found.high and found.low != found.high:
        holds = True, False
    if all(holds):
        return Verdict.PASS, ""
    if any(holds):
        return Verdict.UNKNOWN, "the figure is only known between bounds, and they decide differently"
    if measure.higher_is_better and found.planned is not None and claim.threshold > found.planned:
        return Verdict.UNKNOWN, f"no more than {measure.dimension.show(found.planned)} was planned"
    if found.excuses:
        return Verdict.UNKNOWN, f"missed, but {'; '.join(found.excuses)}, so it may be the host's"
    return Verdict.FAIL, ""
