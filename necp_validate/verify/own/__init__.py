"""Claims of the user's own: what can be measured, one claim, and its verdict on a stored run."""

from necp_validate.verify.own.judging import SOURCE, can_end_early, cannot_be_met, judge_own
from necp_validate.verify.own.measures import MEASURES, Measure, Measurement
from necp_validate.verify.own.model import COMPARISONS, OwnClaim, Repeats

__all__ = [
    "COMPARISONS",
    "MEASURES",
    "SOURCE",
    "Measure",
    "Measurement",
    "OwnClaim",
    "Repeats",
    "can_end_early",
    "cannot_be_met",
    "judge_own",
]
