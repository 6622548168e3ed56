"""necp-validate: evidence and a verdict for every claim of a Kafka-based event-driven game backend."""

from typing import Any

__version__ = "0.1.0"


def discover(discover_system: bool = True) -> dict[str, Any]:
    """Tell ``chaos discover necp-validate`` what the extension `necp_validate.chaos` holds."""
    from necp_validate.chaos import discover as of_extension

    return of_extension(discover_system)
