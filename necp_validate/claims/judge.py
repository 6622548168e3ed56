"""Judging claims, the suite's own and the user's, by one engine: every condition in every place, the worst decides.

Without evidence a claim is unknown; with less than is due, or fewer samples than a figure needs, too. A figure that is
only known between bounds decides where both bounds are on one side. A miss is unknown where the host was saturated and
explains it; what was lost, failed or silent stays a miss.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import MappingProxyType

from necp_validate.claims.catalogue import CLAIMS
from necp_validate.claims.checks.registry import CHECKS, doubted, reconciled, weighed
from necp_validate.claims.fault_claims import faults_for
from necp_validate.claims.limits import LIMITS, limit, loosened
from necp_validate.claims.metrics.measures import MEASURES, Measure, Measurement, Question, Scope
from necp_validate.claims.metrics.supply import how_to_supply
from necp_validate.claims.model import COMPARISONS, UNDER_FAULTS, Claim, Condition, Repeats
from necp_validate.core import ClaimResult, Finding, UsageError, Verdict, worst
from necp_validate.evidence.inventory import TIMELINE, Asked, shortfalls
from necp_validate.evidence.missing import NoEvidence, crash_summary
from necp_validate.evidence.subjects import CAMPAIGN, LOAD
from necp_validate.record import Phase, Record

_WARMUP = "warmup"
_LISTED_AT_MOST = 6
_SUBJECTS = {"load": LOAD, "campaign": CAMPAIGN}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A condition judged in one place.

    Args:
        place: the phase's name, with the run's where there are several; ``run`` without a phase.
        verdict: of the condition there.
        text: the figure and what it rests on, or what is missing.
        measured: the figure alone; empty if there is none.
        sees: the smallest thing that would have been seen; only of a pass.
        phase: name of the phase, if it is one.
        requires: whether the condition is about the run, and not about the system.
    """

    place: str
    verdict: Verdict
    text: str
    measured: str = ""
    sees: str = ""
    phase: str | None = None
    requires: bool = False


def judge_claims(
    history: Record,
    findings: Iterable[Finding],
    claims: Iterable[Claim],
    *,
    doubts: Mapping[str, str] | None = None,
    repeats: Sequence[Record] = (),
) -> list[ClaimResult]:
    """Judge claims on a run.

    Args:
        history: the record.
        findings: of the checks.
        claims: the suite's own (see :func:`judged`), the user's, or both.
        doubts: parts of the record that do not add up, with the reason.
        repeats: earlier runs of the same, oldest first, for claims that must hold in N of M.
    """
    judge = Judge(history, {one.name: one for one in findings}, doubts or {})
    return [judge.result(claim, repeats) for claim in claims]


def judged(history: Record) -> list[Claim]:
    """The suite's claims that the run's scenario has judged, in its order.

    Raises:
        UsageError: there is no claim of such an id.
    """
    ids = dict.fromkeys(history.run.plan.judge or ())
    for claim_id in ids:
        if claim_id not in CLAIMS:
            raise UsageError(
                f"run.json: config.judge names {claim_id!r}, which is no claim",
                hint=f"known claims: {', '.join(CLAIMS)}",
            )
    return [CLAIMS[claim_id] for claim_id in ids]


def not_judged(history: Record) -> list[ClaimResult]:
    """The suite's claims that the scenario leaves out; they do not count for the run's verdict."""
    chosen = {claim.id for claim in judged(history)}
    return [
        ClaimResult(
            id=claim.id,
            title=claim.title,
            verdict=Verdict.NOT_APPLICABLE,
            threshold=threshold_of(claim),
            measured="",
            evidence=f"not judged by the scenario {history.run.scenario}",
        )
        for claim in CLAIMS.values()
        if claim.id not in chosen
    ]


def threshold_of(claim: Claim, history: Record | None = None) -> str:
    """What must hold, as a person reads it: every condition, by the limits in force."""
    conditions = [one for one in claim.conditions if history is None or _concerns(one, history)]
    texts = [_threshold(one, history) for one in conditions if one.metric]
    checks = list(dict.fromkeys(one.check for one in conditions if one.check))
    texts += [f"passes {' and '.join(checks)}"] if checks else []
    repeats = f", in {claim.repeats} repeats" if claim.repeats else ""
    return "; ".join(dict.fromkeys(texts)) + repeats


def _concerns(one: Condition, history: Record) -> bool:
    """Whether a condition is for such a run at all."""
    return not one.subject or _SUBJECTS[one.subject].there(history)


def _threshold(one: Condition, history: Record | None) -> str:
    measure = MEASURES[one.metric]
    value = one.threshold
    if value is None:
        value = _base(one, LIMITS[one.limit].value)
        if history is not None:
            with suppress(NoEvidence):  # of a limit that is no number, the verdict says so
                value = _in_force(one, history)
    shown = one.shown or measure.dimension.show(value)
    parts = [f"{one.metric} {one.comparison} {shown}", *([one.domain] if one.domain else [])]
    parts += [f"in {' and '.join(phase.removeprefix('@') for phase in one.phases)}"] if one.phases else []
    parts += [f"in every {one.window_s:g} s"] if one.window_s else []
    return ", ".join(parts)


def _base(one: Condition, value: float) -> float:
    """A limit of the catalogue in the base unit of the condition's metric."""
    return value * MEASURES[one.metric].dimension.units.get(LIMITS[one.limit].unit, 1.0)


def _in_force(one: Condition, history: Record, kind: str | None = None) -> float:
    return _base(one, limit(history, one.limit, kind))


class Judge:
    """Judges claims on one run.

    Args:
        history: the record.
        findings: of the checks, by name.
        doubts: parts of the record that do not add up, with the reason.
        going_on: whether the run goes on: what is not there yet is not missing.
    """

    def __init__(
        self,
        history: Record,
        findings: Mapping[str, Finding] = MappingProxyType({}),
        doubts: Mapping[str, str] = MappingProxyType({}),
        *,
        going_on: bool = False,
    ) -> None:
        self.history, self.findings, self.doubts, self.going_on = history, findings, doubts, going_on

    def result(self, claim: Claim, repeats: Sequence[Record] = ()) -> ClaimResult:
        """Judge a claim, over this run or over the last of several."""
        if claim.not_judged:
            return _result(claim, self.history, Verdict.UNKNOWN, evidence=claim.not_judged)
        if claim.repeats is None:
            return self._one(claim, self.trials(claim))
        earlier = [Judge(one, doubts=reconciled(one)[1]) for one in repeats]
        trials = [trial for one in (*earlier, self) for trial in one.trials(claim, named=bool(earlier))]
        verdict, why = repeated(trials, claim.repeats)
        return self._one(claim, trials, verdict, why)

    def _one(self, claim: Claim, trials: Sequence[Trial], verdict: Verdict | None = None, why: str = "") -> ClaimResult:
        verdict = _worst(trials) if verdict is None else verdict
        # What decided comes first.
        telling = sorted(trials, key=lambda trial: trial.verdict is not verdict)
        decisive = [trial for trial in telling if trial.measured] or []
        figures = [_figure(trial, decisive) for trial in decisive][:_LISTED_AT_MOST]
        texts = [_text(trial, verdict) for trial in telling[:_LISTED_AT_MOST]]
        left_out = len(telling) - _LISTED_AT_MOST
        texts += [f"and {left_out} more"] if left_out > 0 else []
        if self.history.run.scale != 1 and not any("scale" in text for text in texts):
            texts.append(f"run at scale {self.history.run.scale:g}")
        phases = {trial.phase for trial in trials if not trial.requires}
        return _result(
            claim,
            self.history,
            verdict,
            measured=", ".join(dict.fromkeys(figures)),
            evidence="; ".join([why, *texts] if why else texts),
            phase=phases.pop() if len(phases) == 1 else None,
            sees=_sees(trials) if verdict is Verdict.PASS else "",
        )

    def trials(self, claim: Claim, *, named: bool = False) -> list[Trial]:
        """Judge every condition of a claim in every place that it is about.

        Args:
            claim: the claim.
            named: say which run it is.
        """
        prefix = f"{self.history.run.id}: " if named else ""
        found = [self._scale(claim)] if claim.scale else []
        for one in (*claim.requires, *claim.conditions):
            if not _concerns(one, self.history):
                continue
            found += self._check(one, prefix) if one.check else self._metric(claim, one, prefix)
        if not any(not trial.requires for trial in found):
            found.append(Trial(place=f"{prefix}run", verdict=Verdict.UNKNOWN, text="no evidence in this run"))
        return [trial for trial in found if trial.verdict is not Verdict.NOT_APPLICABLE or trial.requires]

    def _scale(self, claim: Claim) -> Trial:
        scale = self.history.run.scale
        held = scale >= claim.scale
        text = f"run at scale {scale:g}" + ("" if held else f", claim is about scale {claim.scale:g}")
        return Trial(place="run", verdict=Verdict.PASS if held else Verdict.UNKNOWN, text=text, requires=True)

    def _check(self, one: Condition, prefix: str) -> list[Trial]:
        found = self.findings.get(one.check)
        if found is None:
            known = one.check in CHECKS
            text = f"the check {one.check} was not run" if known else f"there is no check {one.check}"
            return [Trial(place=f"{prefix}run", verdict=Verdict.UNKNOWN, text=text, requires=one.requires)]
        verdict = found.verdict
        if verdict is Verdict.NOT_APPLICABLE and one.where_comparable:
            return []
        if verdict is Verdict.NOT_APPLICABLE or (one.requires and verdict is Verdict.FAIL):
            verdict = Verdict.UNKNOWN  # what is claimed has to be in the scenario
        examples = [f"{e.where}: {e.detail}" for e in found.examples[:3]] if found.verdict is Verdict.FAIL else []
        return [
            Trial(
                place=f"{prefix}{one.check}",
                verdict=verdict,
                text="; ".join([found.summary, *examples]),
                measured="" if one.requires else found.measured,
                sees=found.sees,
                phase=found.phase,
                requires=one.requires,
            )
        ]

    # Metrics --------------------------------------------------------------------------------------------------

    def _metric(self, claim: Claim, one: Condition, prefix: str) -> list[Trial]:
        measure = MEASURES[one.metric]
        phases = self._phases(claim, one, measure)
        if not phases:
            what = " or ".join(one.phases) or "other than warm-ups"
            text = (
                "no fault of this run is evidence for it"
                if UNDER_FAULTS in one.phases
                else f"the run has no phase of the name or kind {what}"
            )
            text = self._without(measure, text)
            return [Trial(place=f"{prefix}run", verdict=Verdict.UNKNOWN, text=text, requires=one.requires)]
        trials = [self._trial(claim, one, measure, phase, prefix) for phase in phases]
        return [trial for trial in trials if trial is not None] or [
            Trial(
                place=f"{prefix}run",
                verdict=Verdict.UNKNOWN,
                text=self._not_planned(one, measure),
                requires=one.requires,
            )
        ]

    def _not_planned(self, one: Condition, measure: Measure) -> str:
        value = self._threshold(one, None)
        return f"no phase was planned at {measure.dimension.show(value)}"

    def _phases(self, claim: Claim, one: Condition, measure: Measure) -> Sequence[Phase | None]:
        if one.phases:
            if UNDER_FAULTS in one.phases and measure.scope is not Scope.PHASE:
                return [None] if faults_for(self.history, claim.id) else []
            spans = faults_for(self.history, claim.id) if UNDER_FAULTS in one.phases else []
            return [
                phase
                for phase in self.history.phases
                if {phase.name, phase.kind} & set(one.phases)
                or (
                    phase.kind != _WARMUP
                    and any(
                        fault.begin_us < phase.end_us and (fault.end_us is None or fault.end_us > phase.start_us)
                        for fault in spans
                    )
                )
            ]
        if measure.scope is Scope.PHASE:
            return [phase for phase in self.history.phases if phase.kind != _WARMUP]
        return [None]

    def _domains(self, measure: Measure) -> tuple[str, ...]:
        """Those of the load; what is about the whole run is about what players and drills have sent as well."""
        domains = self.history.domains
        if measure.scope is not Scope.RUN:
            return domains
        sent = {stream.domain for sender in self.history.senders for stream in sender.streams}
        return (*domains, *sorted(sent - set(domains)))

    def _threshold(self, one: Condition, phase: Phase | None) -> float:
        if one.threshold is not None:
            return one.threshold
        return _in_force(one, self.history, phase.kind if phase else None)

    def _trial(self, claim: Claim, one: Condition, measure: Measure, phase: Phase | None, prefix: str) -> Trial | None:
        place, name = f"{prefix}{phase.name if phase else 'run'}", phase.name if phase else None
        domains = (one.domain,) if one.domain else self._domains(measure)
        asked = Question(
            history=self.history,
            phase=phase,
            domains=domains,
            window_s=one.window_s,
            faults=tuple(faults_for(self.history, claim.id)) if UNDER_FAULTS in one.phases else None,
        )
        try:
            if one.domain and one.domain not in self.history.domains:
                raise NoEvidence(f"the run has no events of {one.domain}")
            found = measure.measure(asked)
            threshold = self._threshold(one, phase)
            tolerance = limit(self.history, one.tolerance) if one.tolerance else 0.0
        except NoEvidence as missing:
            text = self._without(measure, f"{missing}{how_to_supply(self.history, one.metric)}")
            return Trial(place=place, verdict=Verdict.UNKNOWN, text=text, phase=name, requires=one.requires)
        except Exception as crash:  # noqa: BLE001  # one metric's bug must not hide the verdicts of the others
            text = self._without(measure, crash_summary(crash))
            return Trial(place=place, verdict=Verdict.UNKNOWN, text=text, phase=name, requires=one.requires)
        if phase is not None and len(one.phases) and _beyond_plan(measure, found, threshold):
            return None  # a phase that was never planned at the claimed rate is evidence neither way
        if one.tolerance:
            threshold -= abs(threshold) * tolerance + found.slack
        verdict, reason = decide(one, measure, found, threshold)
        notes = [
            *([reason] if reason else []),
            f"{found.samples:,} {found.of}",
            *(note for note in found.notes if note),
        ]
        weighed_ = self._weighed(
            one, measure, asked, Finding(name="", verdict=verdict, count=0, summary="; ".join(notes))
        )
        verdict = weighed_.verdict
        if one.requires and verdict is Verdict.FAIL:
            verdict = Verdict.UNKNOWN
        return Trial(
            place=place,
            verdict=verdict,
            text=weighed_.summary,
            measured=_shown(measure, found, one.window_s),
            sees=found.sees if verdict is Verdict.PASS else "",
            phase=name,
            requires=one.requires,
        )

    def _without(self, measure: Measure, why: str) -> str:
        """Why there is no figure, and what is missing of the evidence that it rests on."""
        return "; ".join([why, *map(str, shortfalls(self.history, measure.evidence))])

    def _weighed(self, one: Condition, measure: Measure, asked: Question, found: Finding) -> Finding:
        """A trial in the light of the evidence that its metric needs there."""
        if self.going_on:
            return found
        phases = (asked.phase,) if asked.phase is not None else self.history.phases
        kinds = (*measure.evidence, *((TIMELINE,) if one.window_s else ()))
        short = shortfalls(self.history, kinds, Asked(phases=phases, domains=asked.domains))
        of_phases = [phase.kind for phase in phases]
        names = [*filter(None, (one.limit, one.tolerance)), *measure.limits]
        return weighed(found, short, doubted(kinds, self.doubts), loosened(self.history, names, of_phases or (None,)))


def _beyond_plan(measure: Measure, found: Measurement, threshold: float) -> bool:
    return measure.higher_is_better and found.planned is not None and found.planned < threshold


def decide(one: Condition, measure: Measure, found: Measurement, threshold: float) -> tuple[Verdict, str]:
    """The verdict on a figure, and why if that is not the figure itself."""
    least = max(found.least, one.min_samples)
    if found.samples < least:
        return Verdict.UNKNOWN, f"{least:,} {found.of} are the least to judge it by"
    if any(math.isnan(value) for value in (found.low, found.high, threshold)):
        return Verdict.UNKNOWN, "the figure is not a number"
    compare = COMPARISONS[one.comparison]
    holds = compare(found.low, threshold), compare(found.high, threshold)
    if one.comparison == "==" and found.low <= threshold <= found.high and found.low != found.high:
        holds = True, False
    if all(holds):
        return Verdict.PASS, ""
    if any(holds):
        return Verdict.UNKNOWN, "the figure is only known between bounds, and they decide differently"
    if _beyond_plan(measure, found, threshold):
        return Verdict.UNKNOWN, f"no more than {measure.dimension.show(found.planned or 0.0)} was planned"
    # An excuse explains so much of a figure and no more: nothing on this host explains what never came.
    explained = [
        excuse.reason
        for excuse in found.excuses
        if compare(excuse.relieved(found.low, higher_is_better=measure.higher_is_better), threshold)
    ]
    if explained:
        return Verdict.UNKNOWN, f"missed, but {'; '.join(explained)}, so it may be the host's"
    return Verdict.FAIL, ""


def repeated(trials: Sequence[Trial], repeats: Repeats) -> tuple[Verdict, str]:
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


def _worst(trials: Iterable[Trial]) -> Verdict:
    """The worst decides; but a run that is no evidence for a claim does not show that it holds, or that it does not.

    What was lost or broken in it was lost or broken all the same.
    """
    return worst(trial.verdict for trial in trials)


def _shown(measure: Measure, found: Measurement, window_s: float | None) -> str:
    low, high = measure.dimension.show(found.low), measure.dimension.show(found.high)
    shown = low if low == high else f"{low} to {high}"
    worst = f" in the {'slowest' if measure.higher_is_better else 'worst'} {window_s:g} s" if window_s else ""
    return f"{measure.label} {shown}{worst}".strip()


def _figure(trial: Trial, all_of: Sequence[Trial]) -> str:
    several = len({one.place for one in all_of}) > 1
    return f"{trial.measured} ({trial.place})" if several and trial.phase else trial.measured


def _text(trial: Trial, verdict: Verdict) -> str:
    lead = "" if trial.verdict is verdict else f"{trial.verdict}, "
    return f"{trial.place}: {lead}{trial.text}"


def _sees(trials: Iterable[Trial]) -> str:
    return "; ".join(dict.fromkeys(trial.sees for trial in trials if trial.sees and not trial.requires))


def _result(
    claim: Claim,
    history: Record,
    verdict: Verdict,
    *,
    measured: str = "",
    evidence: str,
    phase: str | None = None,
    sees: str = "",
) -> ClaimResult:
    return ClaimResult(
        id=claim.id,
        title=claim.title,
        verdict=verdict,
        threshold=threshold_of(claim, history),
        measured=measured,
        evidence=evidence,
        phase=phase,
        source=claim.source,
        sees=sees,
    )
