"""Verdicts and what carries them: pass, fail, unknown; and not applicable where there was nothing to judge."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum


class Verdict(StrEnum):
    """Outcome of a claim, a check or a whole run."""

    PASS = "pass"
    FAIL = "fail"
    UNKNOWN = "unknown"
    NOT_APPLICABLE = "not applicable"

    @property
    def exit_code(self) -> int:
        """Exit code of a command that ends with this verdict: 0 pass, 1 fail, 3 unknown."""
        return {Verdict.PASS: 0, Verdict.FAIL: 1}.get(self, 3)


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Combine verdicts: any fail fails; else any unknown is unknown; nothing that was judged at all is unknown.

    What is not applicable counts neither way.
    """
    seen = set(verdicts) - {Verdict.NOT_APPLICABLE}
    if Verdict.FAIL in seen:
        return Verdict.FAIL
    if Verdict.UNKNOWN in seen or not seen:
        return Verdict.UNKNOWN
    return Verdict.PASS


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One of the worst cases behind a finding, located as well as it can be."""

    where: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Result of one check over a history.

    Args:
        name: the check's name as the field knows it, e.g. ``lost-write``.
        verdict: pass, fail, unknown, or not applicable where its subject is not in the scenario.
        count: number of anomalies found (0 for a pass).
        summary: one sentence with the figures that the verdict rests on.
        examples: the worst few.
        allowed: why anomalies that were found are allowed, if they are.
        measured: the figure behind it, for a claim that it decides; empty if the summary says it all.
        sees: the smallest thing that this run would have caught; only of a pass.
        phase: the phase the figures come from, if one.
    """

    name: str
    verdict: Verdict
    count: int
    summary: str
    examples: tuple[Example, ...] = field(default=())
    allowed: str | None = None
    measured: str = ""
    sees: str = ""
    phase: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimResult:
    """Verdict on one claim of ``claims.md``, with the evidence it rests on.

    Args:
        id: the claim's stable id, e.g. ``LAT-COMBAT``.
        title: the claim in short.
        verdict: pass, fail or unknown; unknown whenever there is no evidence.
        threshold: what is claimed, with its unit, e.g. ``P99 < 30 ms``.
        measured: what was measured, with its unit; empty if nothing was.
        evidence: one sentence on how it was measured, or what is missing.
        phase: the phase the figures come from, if one.
        source: the file that makes the claim, where it is the user's own.
        sees: the smallest thing that this run would have caught; only of a pass.
    """

    id: str
    title: str
    verdict: Verdict
    threshold: str
    measured: str
    evidence: str
    phase: str | None = None
    source: str | None = None
    sees: str = ""
