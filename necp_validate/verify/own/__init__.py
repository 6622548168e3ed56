"""Claims of the user's own: what can be measured, one claim, and its verdict on a stored run."""

from necp_validate.verify.own.early import Lost, lost_by_now
from necp_validate.verify.own.judging import SOURCE, judge_own
from necp_validate.verify.own.measures import MEASURES, Measure, Measurement
from necp_validate.verify.own.model import COMPARISONS, OwnClaim, Repeats

__all__ = [
    "COMPARISONS",
    "MEASURES",
    "SOURCE",
    "Lost",
    "Measure",
    "Measurement",
    "OwnClaim",
    "Repeats",
    "judge_own",
    "lost_by_now",
]
