"""``python -m necp_validate.reference.publisher``: run one publisher, configured by the environment.

SIGTERM ends it gracefully: what it has accepted is written and answered for.

Exit codes: 0 after a graceful shutdown, 1 after one that took too long, 2 for a wrong configuration.
"""

from __future__ import annotations

from necp_validate.reference.process import leave, run_service
from necp_validate.reference.publisher.config import load_config
from necp_validate.reference.publisher.service import Service


def main() -> int:
    """Run the service; give its exit code."""
    return run_service("publisher", load_config, Service)


if __name__ == "__main__":
    leave(main())
