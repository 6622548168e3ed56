"""Metrics: what claims, the suite's own and the user's, can measure of a run."""
