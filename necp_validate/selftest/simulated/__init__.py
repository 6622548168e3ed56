"""Runs that never were, and left everything that a real one leaves."""
