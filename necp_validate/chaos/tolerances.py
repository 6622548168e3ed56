"""Tolerances of the Chaos Toolkit extension: used as ``{"type": "probe", ...}`` in a steady-state hypothesis."""
# Annotations stay types here: Chaos Toolkit's discovery reads them.

__all__ = ["at_least", "at_most", "between"]


def at_most(limit: float, value: float = 0.0) -> bool:
    """Whether a probe's value does not exceed a limit.

    Args:
        limit: the limit.
        value: what the probe returned; given by Chaos Toolkit.
    """
    return value <= limit


def at_least(limit: float, value: float = 0.0) -> bool:
    """Whether a probe's value reaches a limit.

    Args:
        limit: the limit.
        value: what the probe returned; given by Chaos Toolkit.
    """
    return value >= limit


def between(low: float, high: float, value: float = 0.0) -> bool:
    """Whether a probe's value lies between two limits, or on one.

    Args:
        low: the lower one.
        high: the upper one.
        value: what the probe returned; given by Chaos Toolkit.
    """
    return low <= value <= high
