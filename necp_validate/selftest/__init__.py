"""Seeded defects: proof, offline and by the user, that every check can fail."""

from necp_validate.selftest.defect import Defect
from necp_validate.selftest.defects import DEFECTS
from necp_validate.selftest.runner import Caught, exit_code, run_selftest, table, uncovered
from necp_validate.selftest.topic_defects import TOPIC_DEFECTS

__all__ = ["DEFECTS", "TOPIC_DEFECTS", "Caught", "Defect", "exit_code", "run_selftest", "table", "uncovered"]
