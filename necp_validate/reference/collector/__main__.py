"""``python -m necp_validate.reference.collector``: run one collector, configured by the environment.

SIGTERM ends it gracefully. Exit codes: 0 after a graceful shutdown, 1 if events are left, 2 for a wrong configuration.
"""

from __future__ import annotations

from necp_validate.reference.collector.service import Collector, load_config
from necp_validate.reference.process import leave, run_service


def main() -> int:
    """Run the service; give its exit code."""
    return run_service("collector", load_config, Collector)


if __name__ == "__main__":
    leave(main())
