"""Checks of alerts and metrics."""
