"""What the kernel counts of running and waiting, of real threads."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

from necp_validate.monitoring.host import RunDelay


def burn(seconds: float) -> None:
    """Use so much CPU time in this thread."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def test_what_threads_ran_since_the_last_look_is_summed_over_all_of_them() -> None:
    delay, done = RunDelay(), threading.Event()
    assert delay.since([os.getpid()]) is None
    other = threading.Thread(target=lambda: (burn(0.1), done.wait()))
    other.start()
    try:
        burn(0.1)
        found = delay.since([os.getpid()])
        assert found is not None
        ran, waited = found
        while ran < 0.18 and (more := delay.since([os.getpid()])):  # the other thread may not have had its share yet
            ran += more[0]
        assert ran >= 0.18
        assert waited >= 0.0
    finally:
        done.set()
        other.join()


def test_of_processes_that_are_gone_nothing_is_known() -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    delay = RunDelay()
    assert delay.since([gone.pid]) is None
    assert delay.since([gone.pid]) is None
