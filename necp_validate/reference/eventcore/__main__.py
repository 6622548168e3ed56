"""``python -m necp_validate.reference.eventcore``: run one event core, configured by the environment.

SIGTERM ends it gracefully; SIGUSR1 pauses its consumers, which stay in their groups, SIGUSR2 resumes them.

Exit codes: 0 after a graceful shutdown, 1 after a failure or a shutdown that took too long, 2 for a wrong
configuration.
"""

from __future__ import annotations

import signal

from necp_validate.reference.audit import KeyringError
from necp_validate.reference.eventcore.config import ConfigError, load_config
from necp_validate.reference.eventcore.service import Service
from necp_validate.reference.process import leave, run_service


def main() -> int:
    """Run the service; give its exit code."""
    return run_service(
        "event core", load_config, Service, wrong=(ConfigError, KeyringError), on_ready=_heed_pause_and_resume
    )


def _heed_pause_and_resume(service: Service) -> None:
    signal.signal(signal.SIGUSR1, lambda *_: service.hold())
    signal.signal(signal.SIGUSR2, lambda *_: service.release())


if __name__ == "__main__":
    leave(main())
