"""Silences of the rows are silences in the senders' account as well."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from necp_validate.evidence.reconcile.discrepancy import LOADS, ROWS, Discrepancy, since_begin
from necp_validate.record import OutcomeGap, Record

_SILENCE_SLACK_S = 2.0
"""Rows are a second apart: a silence may be longer in them by one at either end."""


def silences_are_in_rows(history: Record) -> Iterator[Discrepancy]:
    """Seconds without an ack, or without an outcome, in the rows are a silence in the senders' account as well."""
    sees_ends = history.sees_ends(history.domains)
    for load in history.known_loads:
        if sees_ends and load.outcome_gaps is not None:
            noted = ((one.domain, _length_s(one)) for one in load.outcome_gaps)
            yield from _longer_in_rows(history, _waiting_rows(history, load.worker), noted, "outcome", "outcome_gaps")
        noted = ((domain, ms / 1000) for by in (load.max_gap_ms or {}).values() for domain, ms in by.items())
        yield from _longer_in_rows(history, _silent_rows(history, load.worker), noted, "ack", "max_gap_ms")


def _length_s(gap: OutcomeGap) -> float:
    return math.inf if gap.to_us is None else (gap.to_us - gap.from_us) / 1e6


def _longer_in_rows(
    history: Record,
    in_rows: Mapping[str, tuple[float, float]],
    noted: Iterable[tuple[str, float]],
    what: str,
    field: str,
) -> Iterator[Discrepancy]:
    """Domains whose longest silence in the rows is longer than any that a worker noted, by domain and seconds."""
    longest: dict[str, float] = defaultdict(float)
    for domain, length_s in noted:
        longest[domain] = max(longest[domain], length_s)
    for domain, (began_s, silent_s) in in_rows.items():
        if silent_s - _SILENCE_SLACK_S > longest[domain]:
            yield Discrepancy(
                where=domain,
                detail=f"{silent_s:.0f} s without an {what} from {since_begin(history, began_s)} on ({ROWS}), "
                f"but no silence longer than {longest[domain]:.1f} s ({LOADS}: {field})",
                parts=("loads", "timeline"),
            )


def _silent_rows(history: Record, worker: str) -> dict[str, tuple[float, float]]:
    """By domain, the longest stretch of rows with events sent and none acked, between rows with acks."""
    last: dict[str, float] = {}
    sending: dict[str, bool] = defaultdict(bool)
    found: dict[str, tuple[float, float]] = {}
    for row in history.timeline:
        if row.worker != worker:
            continue
        if row.acked:
            if row.domain in last and sending[row.domain]:
                silent = row.t - last[row.domain] - 1.0  # the row's own second had acks
                if silent > found.get(row.domain, (0.0, 0.0))[1]:
                    found[row.domain] = (last[row.domain], silent)
            last[row.domain], sending[row.domain] = row.t, False
        elif row.sent:
            sending[row.domain] = True
    return found


def _waiting_rows(history: Record, worker: str) -> dict[str, tuple[float, float]]:
    """By domain, the longest stretch of rows from one with acks to the next with outcomes."""
    since: dict[str, float] = {}
    found: dict[str, tuple[float, float]] = {}
    for row in history.timeline:
        if row.worker != worker:
            continue
        if row.ended:
            if row.domain in since:
                silent = row.t - since.pop(row.domain) - 1.0
                if silent > found.get(row.domain, (0.0, 0.0))[1]:
                    found[row.domain] = (row.t - silent, silent)
        elif row.acked:
            since.setdefault(row.domain, row.t)
    return found
