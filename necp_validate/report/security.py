"""Who got in and who may do what, as a report shows it: attempts by listener, and the matrix of access."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from necp_validate.record import ACCEPTED, REFUSED, UNTRIED, AccessProbe, ListenerProbe, Record

_LETTERS = {
    "Describe": "D",
    "Read": "R",
    "Write": "W",
    "Create": "C",
    "Delete": "X",
    "DescribeConfigs": "d",
    "AlterConfigs": "A",
}
_WORDS = {ACCEPTED: "let in", REFUSED: "refused", UNTRIED: "not tried"}


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptCell:
    """What became of one kind of attempt at one kind of listener, over all brokers and rounds.

    Args:
        words: in words; empty where it was not to be tried.
        verdict: ``pass``, ``fail`` or ``unknown``.
        answer: what answered, for whoever wants to know.
    """

    words: str = ""
    verdict: str = ""
    answer: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessCell:
    """What one principal could do to one resource.

    Args:
        letters: each operation that was let through, with whether that is right.
        denied: how many operations were denied, as they must be.
        wrong: operations that were denied, or could not be tried, and had to be let through.
    """

    letters: tuple[tuple[str, bool], ...] = ()
    denied: int = 0
    wrong: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityTables:
    """Both tables.

    Args:
        listeners: names of the columns of ``attempts``.
        attempts: kind of attempt, and its cells in the order of ``listeners``.
        principals: names of the columns of ``access``.
        access: resource, and its cells in the order of ``principals``.
        rounds: when attempts were made.
        legend: what the letters stand for.
        samples: some refusals with the broker's own words.
    """

    listeners: Sequence[str]
    attempts: Sequence[tuple[str, Sequence[AttemptCell]]]
    principals: Sequence[str]
    access: Sequence[tuple[str, Sequence[AccessCell]]]
    rounds: Sequence[str]
    legend: str
    samples: Sequence[tuple[str, str]]


def security_tables(history: Record) -> SecurityTables | None:
    """Make both tables; None if nothing was tried."""
    if not history.security:
        return None
    by_attempt: dict[tuple[str, str], list[ListenerProbe]] = defaultdict(list)
    by_cell: dict[tuple[str, str], list[AccessProbe]] = defaultdict(list)
    for one in history.security:
        for probe in one.listeners:
            by_attempt[probe.attempt, probe.listener].append(probe)
        for cell in one.access:
            by_cell[cell.resource, cell.principal].append(cell)
    listeners = list(dict.fromkeys(listener for _, listener in by_attempt))
    principals = list(dict.fromkeys(principal for _, principal in by_cell))
    return SecurityTables(
        listeners=listeners,
        attempts=[
            (attempt, [_attempt(by_attempt.get((attempt, listener), [])) for listener in listeners])
            for attempt in dict.fromkeys(attempt for attempt, _ in by_attempt)
        ],
        principals=principals,
        access=[
            (resource, [_access(by_cell.get((resource, principal), [])) for principal in principals])
            for resource in dict.fromkeys(resource for resource, _ in by_cell)
        ],
        rounds=[one.when for one in history.security],
        legend=", ".join(f"{letter} {operation}" for operation, letter in _LETTERS.items()),
        samples=_samples(by_attempt, by_cell),
    )


def _attempt(probes: Sequence[ListenerProbe]) -> AttemptCell:
    if not probes:
        return AttemptCell()
    wrong = [probe for probe in probes if probe.outcome not in (probe.expected, UNTRIED)]
    untried = [probe for probe in probes if probe.outcome == UNTRIED]
    shown = (wrong or untried or list(probes))[0]
    count = len(wrong or untried or probes)
    verdict = "fail" if wrong else "unknown" if untried else "pass"
    return AttemptCell(words=f"{_WORDS[shown.outcome]} {count}x", verdict=verdict, answer=shown.answer)


def _access(probes: Sequence[AccessProbe]) -> AccessCell:
    through, wrong = {}, {}
    for probe in probes:
        if probe.outcome == ACCEPTED:
            through[probe.operation] = probe.allowed
        elif probe.allowed:
            wrong[probe.operation] = probe.answer
    denied = {probe.operation for probe in probes if probe.outcome == REFUSED and not probe.allowed}
    return AccessCell(
        letters=tuple((_LETTERS.get(operation, operation), right) for operation, right in through.items()),
        denied=len(denied),
        wrong=tuple(f"{operation}: {answer}" for operation, answer in wrong.items()),
    )


def _samples(
    by_attempt: dict[tuple[str, str], list[ListenerProbe]], by_cell: dict[tuple[str, str], list[AccessProbe]]
) -> list[tuple[str, str]]:
    """One logged refusal of each kind of attempt, and a few denials."""
    found = []
    for (attempt, listener), probes in by_attempt.items():
        line = next((probe.log_line for probe in probes if probe.log_line), "")
        if line:
            found.append((f"{attempt} at {listener}", line))
    denials = [(f"{p} on {r}", c.log_line) for (r, p), cells in by_cell.items() for c in cells if c.log_line]
    return found + denials[:3]
