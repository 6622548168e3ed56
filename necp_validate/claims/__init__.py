"""Claims: what is claimed of a system, held against the record of a run by checks and metrics."""

from necp_validate.claims.checks.registry import CHECKS
from necp_validate.claims.run import Judgement, judge_record

__all__ = ["CHECKS", "Judgement", "judge_record"]
