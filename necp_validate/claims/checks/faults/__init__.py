"""Checks of faults: their effect, recovery, rebalances, leadership, drills."""
