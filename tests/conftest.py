"""What holds for every test."""

from __future__ import annotations

import signal

from hypothesis import settings

settings.register_profile("necp", deadline=None)  # timing decides no test
settings.load_profile("necp")


def pytest_configure() -> None:
    """Heed Ctrl-C: a shell's background job ignores it, and so would every process that a test starts to interrupt."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
