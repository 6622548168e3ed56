"""Seeded defects and evidence taken away: proof, offline and by the user, that every check can fail."""

from necp_validate.selftest.runner import Caught, Missed, Results, run_selftest, uncovered

__all__ = ["Caught", "Missed", "Results", "run_selftest", "uncovered"]
