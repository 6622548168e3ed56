"""Seeded defects: proof, offline and by the user, that every check can fail."""

from necp_validate.selftest.defect import Defect
from necp_validate.selftest.defects import DEFECTS
from necp_validate.selftest.runner import Caught, exit_code, run_selftest, table, uncovered

__all__ = ["DEFECTS", "Caught", "Defect", "exit_code", "run_selftest", "table", "uncovered"]
