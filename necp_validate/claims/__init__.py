"""Judging a stored run: pure functions over its history, one per anomaly and one per claim."""

from necp_validate.claims.checks.registry import CHECKS, NoEvidence, check, run_checks
from necp_validate.claims.judge import judge_claims, judged_ids, not_judged
from necp_validate.claims.run import verify_history, verify_run

__all__ = [
    "CHECKS",
    "NoEvidence",
    "check",
    "judge_claims",
    "judged_ids",
    "not_judged",
    "run_checks",
    "verify_history",
    "verify_run",
]
