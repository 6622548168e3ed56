"""What is due of attempts to get in, and of the audit trail."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from necp_validate.evidence.inventory.counting import (
    Asked,
    Evidence,
    Holding,
    misleading,
    named,
    present,
)
from necp_validate.evidence.subjects import CALM_ROUNDS
from necp_validate.record import Record


def _calm(history: Record) -> list[Any]:
    return [one for one in history.security if one.when in CALM_ROUNDS]


def _rounds(history: Record, _: Asked) -> Iterator[Holding]:
    yield named(
        "rounds of attempts", history.run.plan.rounds, (one.when for one in history.security), "history/security.jsonl"
    )


def _listeners(mutual: bool | None) -> Callable[[Record, Asked], Iterator[Holding]]:
    def count(history: Record, asked: Asked) -> Iterator[Holding]:
        yield from _rounds(history, asked)
        due = history.due.listeners if history.due is not None else ()
        if not due:
            yield present("list of the attempts that had to be made", False, "history/due.json")
        for one in _calm(history):
            wanted = [
                f"{attempt} at {of.listener} of broker {of.broker}"
                for of in due
                if mutual is None or of.mutual == mutual
                for attempt in of.attempts
            ]
            made = (
                f"{p.attempt} at {p.listener} of broker {p.broker}" for p in one.listeners if p.outcome != "untried"
            )
            yield named(f"attempts to get in, {one.when}", wanted, made, "history/security.jsonl")

    return count


def _rounds_under_faults(history: Record, asked: Asked) -> Iterator[Holding]:
    """While a broker is down, the others answer: every attempt was made at some broker."""
    yield from _rounds(history, asked)
    due = history.due.listeners if history.due is not None else ()
    wanted = [f"{attempt} at {of.listener}" for of in due for attempt in of.attempts]
    for one in history.security:
        if one.when not in CALM_ROUNDS:
            made = (f"{p.attempt} at {p.listener}" for p in one.listeners if p.outcome != "untried")
            yield named(f"attempts that a broker answered, {one.when}", wanted, made, "history/security.jsonl")


def _access(history: Record, asked: Asked) -> Iterator[Holding]:
    yield from _rounds(history, asked)
    due = history.due.access_cells if history.due is not None else 0
    if not due:
        yield present("number of the cells that had to be tried", False, "history/due.json")
    for one in _calm(history):
        cells = {(p.principal, p.resource, p.operation) for p in one.access if p.outcome != "untried"}
        what = f"cells of the access matrix, {one.when}"
        yield Holding(what=what, due=due, found=len(cells), file="history/security.jsonl")


def _audit(history: Record, _: Asked) -> Iterator[Holding]:
    file = "history/audit.json"
    yield present("record of the audit trail", history.audit is not None and not history.audit.needs, file)


ROUNDS = Evidence(name="rounds of attempts", parts=("security",), count=_rounds)
EXPLAINING_ROUNDS = Evidence(name="rounds that may explain it", parts=("security",), count=misleading(_rounds))
ROUNDS_UNDER_FAULTS = Evidence(name="rounds under faults", parts=("security",), count=_rounds_under_faults)
MUTUAL_LISTENERS = Evidence(name="listeners with mutual TLS", parts=("security",), count=_listeners(True))
LOGIN_LISTENERS = Evidence(name="listeners with a login", parts=("security",), count=_listeners(False))
ALL_LISTENERS = Evidence(name="listeners", parts=("security",), count=_listeners(None))
ACCESS = Evidence(name="access matrix", parts=("security",), count=_access)
AUDIT = Evidence(name="audit trail", parts=("audit",), count=_audit)
