"""The words every layer speaks: verdicts, findings, errors; histograms and intervals, which need numpy."""

from necp_validate.core.errors import StackError, SuiteError, UsageError, in_one_line, reason_in
from necp_validate.core.verdict import ClaimResult, Example, Finding, Verdict, worst

__all__ = [
    "ClaimResult",
    "Example",
    "Finding",
    "StackError",
    "SuiteError",
    "UsageError",
    "Verdict",
    "in_one_line",
    "reason_in",
    "worst",
]
