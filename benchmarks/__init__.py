"""Measures the suite's own cost side by side with Kafka's tools, in one run, and prints ratios: ``nox -s bench``."""
