"""The verdict of a run: one file, written once, read by the gate and by every report."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from necp_validate.claims.run import Judgement
from necp_validate.core import ClaimResult, Finding, Verdict
from necp_validate.core.errors import UsageError
from necp_validate.evidence.inventory import Holding
from necp_validate.report.text import clauses

FILE_NAME = "verdict.json"
_NAMED_AT_MOST = 3
_FIRST = ("changed-record", "complete-run")
"""A run that was changed or broke off explains everything else that is missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunVerdict:
    """What a run proved.

    Args:
        run: id of the run.
        verdict: the worst of all claims and checks; unknown if no claim was judged.
        claims: one result per judged claim.
        checks: one finding per check over the record, those included of what is not in the scenario.
        evidence: what was due and found.
        repeats: directories of the earlier runs that it was judged with.
    """

    run: str
    verdict: Verdict
    claims: tuple[ClaimResult, ...]
    checks: tuple[Finding, ...]
    evidence: tuple[Holding, ...] = ()
    repeats: tuple[str, ...] = ()

    def of(self, verdict: Verdict) -> tuple[ClaimResult, ...]:
        """The claims with this verdict."""
        return tuple(claim for claim in self.claims if claim.verdict is verdict)

    @property
    def applicable(self) -> tuple[Finding, ...]:
        """The checks that there was something for."""
        return tuple(check for check in self.checks if check.verdict is not Verdict.NOT_APPLICABLE)

    @property
    def not_applicable(self) -> tuple[Finding, ...]:
        """The checks of what is not in the scenario."""
        return tuple(check for check in self.checks if check.verdict is Verdict.NOT_APPLICABLE)

    @property
    def counts(self) -> dict[str, dict[Verdict, int]]:
        """How many claims and checks have which verdict."""
        return {
            "claims": dict(Counter(claim.verdict for claim in self.claims)),
            "checks": dict(Counter(check.verdict for check in self.checks)),
        }


def open_checks(verdict: RunVerdict) -> list[list[Finding]]:
    """The checks that did not pass: each that failed, then those that are unknown, together where the reason is one."""
    unknown: dict[str, list[Finding]] = {}
    for one in verdict.applicable:
        if one.verdict is Verdict.UNKNOWN:
            unknown.setdefault(first_clause(one.summary), []).append(one)
    return [*([one] for one in verdict.applicable if one.verdict is Verdict.FAIL), *unknown.values()]


def conclude(run_dir: Path, judgement: Judgement, repeats: Sequence[Path] = ()) -> RunVerdict:
    """The verdict of a run that was judged."""
    return RunVerdict(
        run=run_dir.resolve().name,
        verdict=judgement.verdict,
        claims=judgement.claims,
        checks=judgement.findings,
        evidence=judgement.evidence,
        repeats=tuple(os.path.relpath(one.resolve(), run_dir.resolve()) for one in repeats),
    )


def write_verdict(run_dir: Path, verdict: RunVerdict) -> Path:
    """Write ``verdict.json`` atomically and return its path."""
    path = run_dir / FILE_NAME
    partial = path.with_suffix(".tmp")
    partial.write_bytes(msgspec.json.format(msgspec.json.encode(verdict), indent=1) + b"\n")
    partial.replace(path)
    return path


def read_verdict(run_dir: Path) -> RunVerdict:
    """Read ``verdict.json`` back.

    Raises:
        UsageError: there is none, or it is no verdict.
    """
    path = run_dir / FILE_NAME
    try:
        return msgspec.json.decode(path.read_bytes(), type=RunVerdict)
    except FileNotFoundError as error:
        raise UsageError(f"{path} does not exist", hint=_hint(run_dir)) from error
    except (OSError, msgspec.DecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}", hint=_hint(run_dir)) from error


def _hint(run_dir: Path) -> str:
    if not run_dir.is_dir():
        return f"{os.fspath(run_dir)} is no run directory; run directories are in reports/runs/"
    return f"make it with: necp-validate verify {run_dir}"


def sentence(verdict: RunVerdict) -> str:
    """Why the verdict is what it is, in one sentence."""
    claims, checks = len(verdict.claims), len(verdict.applicable)
    if not claims and not checks:
        return "Nothing was judged."
    if verdict.verdict is Verdict.PASS:
        return f"Every claim ({claims}) and every check ({checks}) passed."
    word = "failed" if verdict.verdict is Verdict.FAIL else "could not be decided"
    reasons = [f"{claim.id} ({_reason(claim)})" for claim in verdict.of(verdict.verdict)]
    named = {check.name: check for check in verdict.applicable if check.verdict is verdict.verdict}
    order = sorted(named, key=lambda name: name not in _FIRST)
    checked = [f"check {name} ({first_clause(named[name].summary)})" for name in order]
    at = sum(name in _FIRST for name in order)
    reasons = [*checked[:at], *reasons, *checked[at:]]
    if not reasons:
        return "No claim was judged: the checks alone prove nothing that anybody has claimed."
    shown = "; ".join(reasons[:_NAMED_AT_MOST])
    more = len(reasons) - _NAMED_AT_MOST
    rest = f"; and {more} more" if more > 0 else ""
    lead = "" if verdict.verdict is Verdict.FAIL else "Nothing failed, but "
    return f"{lead}{len(reasons)} of {claims + checks} claims and checks {word}: {shown}{rest}."


def _reason(claim: ClaimResult) -> str:
    if claim.measured and claim.verdict is Verdict.FAIL:
        several = len(clauses(claim.threshold)) > 1
        return claim.measured if several else f"{claim.measured}, claimed {claim.threshold}"
    return first_clause(claim.evidence)


def first_clause(words: str) -> str:
    """The first part of what a claim or a check rests on, in one line."""
    return (clauses(words.strip().split("\n", 1)[0]) or [""])[0].rstrip(".")
