"""Judging the claims: what a run proves of each, from its history and the findings of the checks.

A claim without evidence is *unknown*. A loss or a miss stays one, whatever the scale and the host; only a
missed latency on a saturated host is unknown, because it may be the host's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from necp_validate.claims.catalogue import CLAIMS
from necp_validate.claims.checks.registry import NoEvidence, crash_summary
from necp_validate.core import ClaimResult, Finding, UsageError, Verdict
from necp_validate.record import History


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What a claim is judged on."""

    history: History
    findings: Mapping[str, Finding]

    def finding(self, name: str) -> Finding:
        """The finding of a check.

        Raises:
            NoEvidence: the check was not run.
        """
        if name not in self.findings:
            raise NoEvidence(f"the check {name} was not run")
        return self.findings[name]

    @property
    def full_scale(self) -> bool:
        """Whether the run had the rates that the claims are about."""
        return self.history.run.scale >= 1.0

    @property
    def scale_words(self) -> str:
        """The scale, for a sentence; empty at full scale."""
        scale = self.history.run.scale
        return "" if self.full_scale else f"run at scale {scale:g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """A claim's verdict and the figures behind it (see :class:`ClaimResult`)."""

    verdict: Verdict
    measured: str
    evidence: str
    phase: str | None = None


Judge: TypeAlias = Callable[[Evidence], Ruling]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """How one claim is judged.

    Args:
        threshold: what must hold, with its unit.
        judge: raises :class:`NoEvidence` where the history cannot say.
    """

    threshold: str
    judge: Judge


RULES: dict[str, Rule] = {}


def judges(claim_id: str, threshold: str) -> Callable[[Judge], Judge]:
    """Register the function that judges a claim.

    Raises:
        ValueError: there is no such claim, or it has a judge already.
    """

    def register(function: Judge) -> Judge:
        if claim_id not in CLAIMS or claim_id in RULES:
            raise ValueError(f"{claim_id!r} is not a claim, or has two judges")
        RULES[claim_id] = Rule(threshold=threshold, judge=function)
        return function

    return register


def judge_claims(
    history: History, findings: Iterable[Finding], claim_ids: Iterable[str] | None = None
) -> list[ClaimResult]:
    """Judge claims; by default those that the scenario names under ``judge``.

    Raises:
        UsageError: there is no claim of such an id.
    """
    ids = judged_ids(history) if claim_ids is None else list(claim_ids)
    evidence = Evidence(history=history, findings={finding.name: finding for finding in findings})
    return [_judge(claim_id, evidence) for claim_id in ids]


def judged_ids(history: History) -> list[str]:
    """The ids of the claims that the run's scenario has judged, in its order.

    Raises:
        UsageError: there is no claim of such an id.
    """
    ids = [str(claim_id) for claim_id in history.run.config.get("judge") or ()]
    for claim_id in ids:
        if claim_id not in CLAIMS:
            raise UsageError(
                f"run.json: config.judge names {claim_id!r}, which is no claim",
                hint=f"known claims: {', '.join(CLAIMS)}",
            )
    return list(dict.fromkeys(ids))


def not_judged(history: History) -> list[ClaimResult]:
    """The claims that the scenario leaves out, as unknown results that do not count for the run's verdict."""
    judged = set(judged_ids(history))
    scenario = history.run.scenario
    return [
        ClaimResult(
            id=claim.id,
            title=claim.title,
            verdict=Verdict.UNKNOWN,
            threshold=RULES[claim.id].threshold if claim.id in RULES else "",
            measured="",
            evidence=f"not judged by the scenario {scenario}",
        )
        for claim in CLAIMS.values()
        if claim.id not in judged
    ]


def _judge(claim_id: str, evidence: Evidence) -> ClaimResult:
    rule = RULES.get(claim_id)
    if rule is None:
        ruling = Ruling(verdict=Verdict.UNKNOWN, measured="", evidence="no evidence in this run")
    else:
        ruling = _rule(rule, evidence)
    return ClaimResult(
        id=claim_id,
        title=CLAIMS[claim_id].title,
        verdict=ruling.verdict,
        threshold=rule.threshold if rule else "",
        measured=ruling.measured,
        evidence=ruling.evidence,
        phase=ruling.phase,
    )


def _rule(rule: Rule, evidence: Evidence) -> Ruling:
    try:
        return rule.judge(evidence)
    except NoEvidence as missing:
        return Ruling(verdict=Verdict.UNKNOWN, measured="", evidence=str(missing))
    except Exception as crash:  # noqa: BLE001  # one judge's bug must not hide the verdicts of the others
        return Ruling(verdict=Verdict.UNKNOWN, measured="", evidence=crash_summary(crash))
