"""Fuzzed events as a report shows them: what each mutation operator led to, by type, and what went wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from necp_validate.record import FuzzFlaw, FuzzGroup, Record
from necp_validate.record.fuzz import MISSING, SEVERAL

COLUMNS = ("processed", "rejected", "dead_lettered", "refused", MISSING, SEVERAL)
"""How an event can end, and how it must not."""

VALID = "none: valid"


@dataclass(frozen=True, slots=True, kw_only=True)
class FuzzRow:
    """Events that have something in common.

    Args:
        name: what: an operator, or a type.
        counts: by the names of :data:`COLUMNS`.
        wrong: how many of them were to end otherwise.
    """

    name: str
    counts: tuple[int, ...]
    wrong: int

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self.counts)


@dataclass(frozen=True, slots=True, kw_only=True)
class FuzzTables:
    """Both tables, the figures above them, and the flaws.

    Args:
        lead: what was sent, in a sentence.
        columns: names of the columns that have any event.
        operators: a row for each operator, valid events first.
        types: a row for each type.
        flaws: the first of each kind.
    """

    lead: str
    columns: Sequence[str]
    operators: Sequence[FuzzRow]
    types: Sequence[FuzzRow]
    flaws: Sequence[FuzzFlaw]


def fuzz_tables(history: Record) -> FuzzTables | None:
    """Make both tables; None if no fuzzed event was sent."""
    fuzz = history.fuzz
    if fuzz is None or not fuzz.groups:
        return None
    used = [column for column in COLUMNS if any(group.found == column for group in fuzz.groups)]
    rate = f"{fuzz.sent / fuzz.seconds:,.0f} a second" if fuzz.seconds else "at once"
    lead = (
        f"{fuzz.events:,} events of seed {fuzz.seed}, {fuzz.distinct:,} of them distinct, in {fuzz.seconds:,.0f} s "
        f"({rate}, made, sent, handled and read back); {sum(fuzz.flaw_counts.values()):,} flaws."
    )
    operators = _rows(fuzz.groups, used, lambda group: group.operator or VALID)
    return FuzzTables(
        lead=lead,
        columns=[column.replace("_", "-") for column in used],
        operators=sorted(operators, key=lambda row: (row.name != VALID, row.name)),
        types=_rows(fuzz.groups, used, lambda group: group.type_name),
        flaws=fuzz.flaws,
    )


def _rows(groups: Sequence[FuzzGroup], columns: Sequence[str], name: Callable[[FuzzGroup], str]) -> list[FuzzRow]:
    counts: Counter[tuple[str, str]] = Counter()
    wrong: Counter[str] = Counter()
    for group in groups:
        counts[name(group), group.found] += group.count
        wrong[name(group)] += group.count if group.found != group.expected else 0
    return [
        FuzzRow(name=one, counts=tuple(counts[one, column] for column in columns), wrong=wrong[one])
        for one in sorted({name(group) for group in groups})
    ]
