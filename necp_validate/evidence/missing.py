"""What a check, a metric or a claim raises where the record cannot say."""

from __future__ import annotations


class NoEvidence(Exception):
    """What a check or a claim would be judged on is not in the record; the message says what is missing."""


def crash_summary(crash: Exception) -> str:
    """One sentence on a checker's own failure, with the last line of its traceback and the place."""
    trace = crash.__traceback__
    place = ""
    while trace is not None:
        code = trace.tb_frame.f_code
        place = f" ({code.co_filename.rsplit('/', 1)[-1]}:{trace.tb_lineno})"
        trace = trace.tb_next
    return f"the checker itself failed: {type(crash).__name__}: {crash}{place}"
