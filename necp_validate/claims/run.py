"""From a run directory to findings, claim results and one verdict."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

# Importing these registers the checks and the judges that they hold.
from necp_validate.claims.checks.events import (  # noqa: F401
    delivery,
    durability,
    economy,
    fuzzing,
    handling,
    isolation,
    polls,
    records,
)
from necp_validate.claims.checks.faults import availability, drills, failover, faults, leadership, scaling  # noqa: F401
from necp_validate.claims.checks.load import flow, latency, resources, throughput, workers  # noqa: F401
from necp_validate.claims.checks.monitoring import alerts, metrics  # noqa: F401
from necp_validate.claims.checks.players import gateway, players, sessions  # noqa: F401
from necp_validate.claims.checks.registry import run_checks
from necp_validate.claims.checks.security import audit, breakers, limits, secrets, security  # noqa: F401
from necp_validate.claims.judge import judge_claims
from necp_validate.claims.model import OwnClaim
from necp_validate.claims.own import judge_own
from necp_validate.core import ClaimResult, Finding, Verdict, worst
from necp_validate.record import History, read_history


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
        listed by :func:`necp_validate.claims.not_judged`.

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
