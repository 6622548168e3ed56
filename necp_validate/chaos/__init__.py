"""The Chaos Toolkit extension: what it can break, by role; proven, recorded and undone. Thin over the stack."""

from __future__ import annotations

from typing import Any


def discover(discover_system: bool = True) -> dict[str, Any]:  # noqa: ARG001  # Chaos Toolkit names it
    """Tell ``chaos discover`` which actions and probes there are.

    Args:
        discover_system: whether to describe this machine too; there is nothing to add to what Chaos Toolkit knows.
    """
    from chaoslib.discovery.discover import discover_actions, discover_probes, initialize_discovery_result

    from necp_validate import __version__

    found: dict[str, Any] = initialize_discovery_result("necp-validate", __version__, "kafka")
    found["activities"] += discover_actions("necp_validate.chaos.actions")
    for module in ("probes", "tolerances"):
        found["activities"] += discover_probes(f"necp_validate.chaos.{module}")
    return found
