"""The words every layer speaks: verdicts, findings, claims, errors. Standard library only."""

from necp_validate.results.claims import CLAIMS, Claim, claim
from necp_validate.results.errors import StackError, SuiteError, UsageError, reason_in
from necp_validate.results.verdict import ClaimResult, Example, Finding, Verdict, worst

__all__ = [
    "CLAIMS",
    "Claim",
    "ClaimResult",
    "Example",
    "Finding",
    "StackError",
    "SuiteError",
    "UsageError",
    "Verdict",
    "claim",
    "reason_in",
    "worst",
]
