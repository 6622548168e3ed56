"""The verdict of a run: one file, written once, read by the gate and by every report."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from necp_validate.core import ClaimResult, Finding, Verdict, worst
from necp_validate.core.errors import UsageError

FILE_NAME = "verdict.json"
_NAMED_AT_MOST = 3
_BROKEN_OFF = "complete-run"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunVerdict:
    """What a run proved.

    Args:
        run: id of the run.
        verdict: the worst of all claims and checks; unknown if there are none.
        claims: one result per judged claim.
        checks: one finding per check over the history.
    """

    run: str
    verdict: Verdict
    claims: tuple[ClaimResult, ...]
    checks: tuple[Finding, ...]

    def of(self, verdict: Verdict) -> tuple[ClaimResult, ...]:
        """The claims with this verdict."""
        return tuple(claim for claim in self.claims if claim.verdict is verdict)

    @property
    def counts(self) -> dict[str, dict[Verdict, int]]:
        """How many claims and checks have which verdict."""
        return {
            "claims": dict(Counter(claim.verdict for claim in self.claims)),
            "checks": dict(Counter(check.verdict for check in self.checks)),
        }


def conclude(run: str, claims: Sequence[ClaimResult], checks: Sequence[Finding]) -> RunVerdict:
    """Combine claims and checks: any fail fails the run, else any unknown leaves it unknown."""
    verdict = worst([claim.verdict for claim in claims] + [check.verdict for check in checks])
    return RunVerdict(run=run, verdict=verdict, claims=tuple(claims), checks=tuple(checks))


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
    claims, checks = len(verdict.claims), len(verdict.checks)
    if not claims and not checks:
        return "Nothing was judged."
    if verdict.verdict is Verdict.PASS:
        return f"Every claim ({claims}) and every check ({checks}) passed."
    word = "failed" if verdict.verdict is Verdict.FAIL else "could not be decided"
    reasons = [f"{claim.id} ({_reason(claim)})" for claim in verdict.of(verdict.verdict)]
    reasons += [
        f"check {check.name} ({_first_line(check.summary)})"
        for check in verdict.checks
        if check.verdict is verdict.verdict
    ]
    # A run that broke off explains everything else that is missing.
    reasons.sort(key=lambda reason: not reason.startswith(f"check {_BROKEN_OFF} "))
    named = "; ".join(reasons[:_NAMED_AT_MOST])
    more = len(reasons) - _NAMED_AT_MOST
    rest = f"; and {more} more" if more > 0 else ""
    lead = "" if verdict.verdict is Verdict.FAIL else "Nothing failed, but "
    return f"{lead}{len(reasons)} of {claims + checks} claims and checks {word}: {named}{rest}."


def _reason(claim: ClaimResult) -> str:
    if claim.measured and claim.verdict is Verdict.FAIL:
        return f"{claim.measured}, claimed {claim.threshold}"
    return _first_line(claim.evidence)


def _first_line(text: str) -> str:
    return text.strip().split("\n", 1)[0].rstrip(".")
