"""The checks by name: one pure function per anomaly, and what happens when one has no evidence or crashes."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TypeAlias

from necp_validate.core import Finding, Verdict
from necp_validate.record import History

Check: TypeAlias = Callable[[History], Finding]

CHECKS: dict[str, Check] = {}

FUZZ_CHECKS: dict[str, Check] = {}
"""Those of a campaign of fuzzed events, which has no streams, no phases and no schedule."""


class NoEvidence(Exception):
    """What a check or a claim would be judged on is not in the history; the message says what is missing."""


def check(name: str, *, checks: dict[str, Check] = CHECKS) -> Callable[[Check], Check]:
    """Register a check under the name the field gives its anomaly.

    The registered function never raises: without evidence, or when it crashes, the finding is *unknown*.

    Args:
        name: of the check.
        checks: where it is registered; :data:`FUZZ_CHECKS` for one of fuzzed events.

    Raises:
        ValueError: the name is taken.
    """

    def register(function: Check) -> Check:
        if name in CHECKS or name in FUZZ_CHECKS:
            raise ValueError(f"two checks are named {name!r}")

        @wraps(function)
        def guarded(history: History) -> Finding:
            try:
                return function(history)
            except NoEvidence as missing:
                return Finding(name=name, verdict=Verdict.UNKNOWN, count=0, summary=str(missing))
            except Exception as crash:  # noqa: BLE001  # a checker's bug must not hide what the others found
                return Finding(name=name, verdict=Verdict.UNKNOWN, count=0, summary=crash_summary(crash))

        checks[name] = guarded
        return guarded

    return register


def crash_summary(crash: Exception) -> str:
    """One sentence on a checker's own failure, with the last line of its traceback and the place."""
    trace = crash.__traceback__
    place = ""
    while trace is not None:
        code = trace.tb_frame.f_code
        place = f" ({code.co_filename.rsplit('/', 1)[-1]}:{trace.tb_lineno})"
        trace = trace.tb_next
    return f"the checker itself failed: {type(crash).__name__}: {crash}{place}"


TOPIC_CHECKS = (
    "lost-write", "unseen", "duplicate", "inconsistent-offsets", "nonmonotonic-send", "longest-gap", "late-schedule",
    "complete-run", "key-mismatch", "value-mismatch", "unknown-record",
)  # fmt: skip
"""Those of a run on topics of the user's own: what needs no event core, no game and no broker of this suite's."""


def run_checks(history: History) -> list[Finding]:
    """Run every registered check that is meant for such a run, in order of registration."""
    checks = CHECKS
    if history.fuzz is not None:
        checks = {"complete-run": CHECKS["complete-run"], **FUZZ_CHECKS}
    elif history.own_topics:
        checks = {name: CHECKS[name] for name in TOPIC_CHECKS}
    return [function(history) for function in checks.values()]
