"""From a run directory to findings, claim results and one verdict."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from necp_validate.history import History, read_history
from necp_validate.results import ClaimResult, Finding, Verdict, worst

# Importing these registers the checks and the judges that they hold.
from necp_validate.verify import (  # noqa: F401
    alerts,
    audit,
    availability,
    breakers,
    delivery,
    drills,
    durability,
    economy,
    failover,
    faults,
    flow,
    fuzzing,
    gateway,
    handling,
    isolation,
    latency,
    leadership,
    limits,
    metrics,
    players,
    polls,
    records,
    resources,
    scaling,
    secrets,
    security,
    sessions,
    throughput,
    workers,
)
from necp_validate.verify.claims import judge_claims
from necp_validate.verify.own import OwnClaim, judge_own
from necp_validate.verify.registry import run_checks


def verify_run(
    run_dir: Path | str, own: Sequence[OwnClaim] = (), *, repeats: Sequence[Path] = ()
) -> tuple[list[Finding], list[ClaimResult], Verdict]:
    """Run every check over a stored run and judge the claims that its scenario names, and the user's own.

    Args:
        run_dir: the run directory.
        own: claims of the user's own.
        repeats: earlier runs of the same, for those that must hold in N of M.

    Returns:
        The findings, the results of the judged claims, and the worst of both. What the scenario leaves out is
        listed by :func:`necp_validate.verify.not_judged`.

    Raises:
        UsageError: this is not a run directory, or it judges a claim that does not exist.
        SuiteError: a file in it is damaged.
    """
    earlier = [read_history(one) for one in repeats]
    return verify_history(read_history(run_dir), own, repeats=sorted(earlier, key=lambda one: one.run.started_us))


def verify_history(
    history: History, own: Sequence[OwnClaim] = (), *, repeats: Sequence[History] = ()
) -> tuple[list[Finding], list[ClaimResult], Verdict]:
    """The same for a history in memory."""
    findings = run_checks(history)
    claims = [*judge_claims(history, findings), *judge_own(history, own, repeats=repeats)]
    verdict = worst([finding.verdict for finding in findings] + [claim.verdict for claim in claims])
    return findings, claims, verdict
