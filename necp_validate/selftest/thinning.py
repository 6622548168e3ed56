"""Taking evidence away: the other half of the proof. What rests on what is gone must not pass any more.

Nothing here is listed by check or claim: each declares the kinds of evidence that it rests on, each kind the parts of
the record that it lies in; of every such part all is taken away, and half of it in as many ways as it has halves.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from necp_validate.evidence.inventory import Evidence
from necp_validate.record import AT_ONCE, Record, parts
from necp_validate.record.store import Histograms, Part, PerWorker, parts_of
from necp_validate.selftest.contents import Contents
from necp_validate.selftest.defect import Change

PARTS: Mapping[str, Part[Any]] = parts_of(Record)


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """Something of a record that is taken away.

    Args:
        name: what, in a few words.
        kinds: names of the kinds of evidence that it takes something from.
        change: takes it away.
    """

    name: str
    kinds: frozenset[str]
    change: Change


def removals(kinds: Collection[Evidence], sound: Contents) -> Iterator[Removal]:
    """Every way in which evidence of some kinds is taken away.

    Args:
        kinds: that checks and claims rest on.
        sound: the record that it is taken from.
    """
    by_part: dict[str, set[str]] = {}
    for kind in kinds:
        for name in kind.parts:
            by_part.setdefault(name, set()).add(kind.name)
    for name, of in by_part.items():
        part = PARTS[name]
        if not sound.get(part):
            continue  # this run has nothing of it, and it is not due
        yield Removal(name=f"without {part.path}", kinds=frozenset(of), change=_drop(part))
        for half, value in _halves(part, sound[part]):
            yield Removal(name=f"{part.path} {half}", kinds=frozenset(of), change=_put(part, value))
    for name in sorted({kind.name for kind in kinds}):
        for half, part, thinned in WITHIN.get(name, ()):
            left = thinned(sound[part]) if part in sound else None
            if left is not None and left != sound[part]:  # of one thing there is no half
                yield Removal(name=f"{part.path} {half}", kinds=frozenset({name}), change=_put(part, left))


def _drop(part: Part[Any]) -> Change:
    def change(contents: Contents) -> None:
        del contents[part]

    return change


def _put(part: Part[Any], value: Any) -> Change:
    def change(contents: Contents) -> None:
        contents[part] = value

    return change


_FIRST, _LAST = "without its first half", "without its second half"


def _halves(part: Part[Any], value: Any) -> Iterator[tuple[str, Any]]:
    """What is left of a part without one half of its rows or files, where it has any to be halved."""
    if isinstance(part, (Histograms, PerWorker)):
        if len(value) > 1:
            yield "without the first", dict(list(value.items())[1:]) if isinstance(value, dict) else value[1:]
    elif isinstance(value, dict):
        yield _FIRST, {worker: _second_half(rows) for worker, rows in value.items()}
        yield _LAST, {worker: _first_half(rows) for worker, rows in value.items()}
    elif isinstance(value, (list, tuple)) and len(value) > 1:
        yield _FIRST, _second_half(value)
        yield _LAST, _first_half(value)


def _first_half(rows: Any) -> Any:
    return rows[: len(rows) // 2]


def _second_half(rows: Any) -> Any:
    return rows[(len(rows) + 1) // 2 :]


# What lies within a document, or within a row ----------------------------------------------------------------------

Thin = Callable[[Any], Any]


def _half_of(field: str, among: Callable[[Any], bool] = lambda _: True) -> Thin:
    """Leave every other one out, of those of a field that fit."""

    def thin(value: Any) -> Any:
        before = getattr(value, field)
        if isinstance(before, dict):
            return replace(value, **{field: dict(list(before.items())[::2])})
        fitting = [one for one in before if among(one)]
        gone = set(map(id, fitting[1::2]))
        return replace(value, **{field: tuple(one for one in before if id(one) not in gone)})

    return thin


def _each(thin: Thin) -> Thin:
    return lambda rows: [thin(row) for row in rows]


def _of_kind(kind: str) -> Thin:
    """Without the histograms of a kind that the first worker has left."""

    def thin(value: Any) -> Any:
        first, *_ = value
        return {**value, first: {key: one for key, one in value[first].items() if key[2] != kind}}

    return thin


def _is_event(part: Any) -> bool:
    return bool(part.read) and part.topic.endswith((".events", "orders"))


def _is_dead_letter(part: Any) -> bool:
    return bool(part.topic.endswith(".dlt"))


def _is_mutual(probe: Any) -> bool:
    return probe.listener in ("internal", "controller")


_PROBES = "without half of its attempts"

WITHIN: Mapping[str, tuple[tuple[str, Part[Any], Thin], ...]] = {
    "end-to-end latencies": (("without the end-to-end ones of the first", parts.LATENCY, _of_kind("e2e")),),
    "outcomes written at once": (
        ("without those that were written at once of the first", parts.LATENCY, _of_kind(AT_ONCE)),
    ),
    "ack latencies": (("without those of acks of the first", parts.LATENCY, _of_kind("ack")),),
    "the generator's lateness": (("without the lateness of the first", parts.LATENCY, _of_kind("late")),),
    "what was sent": (("without half of the streams", parts.LOADS, _each(_half_of("streams"))),),
    "events read back": (("without half of the partitions", parts.READBACK, _half_of("partitions", _is_event)),),
    "receipts": (("without half of the receipts", parts.READBACK, _half_of("receipts")),),
    "ledger": (("without half of the ledger", parts.READBACK, _half_of("ledger")),),
    "dead letters": (
        ("without half of the dead letters", parts.READBACK, _half_of("outputs", _is_dead_letter)),
        ("without which events half of them are", parts.READBACK, _half_of("letters")),
    ),
    "leader epochs": (("without half of the leader epochs", parts.READBACK, _half_of("epochs")),),
    "listeners with mutual TLS": (
        (f"{_PROBES} with a certificate", parts.SECURITY, _each(_half_of("listeners", _is_mutual))),
    ),
    "listeners with a login": (
        (f"{_PROBES} with a login", parts.SECURITY, _each(_half_of("listeners", lambda one: not _is_mutual(one)))),
    ),
    "access matrix": (("without half of its cells", parts.SECURITY, _each(_half_of("access"))),),
    "monitoring": (
        ("without half of its rules", parts.MONITORING, _half_of("rules")),
        ("with half of its looks", parts.MONITORING, lambda record: replace(record, looks=record.looks // 2)),
    ),
    "metrics": tuple(
        (f"without half of its {field}", parts.MONITORING, _half_of(field)) for field in ("values", "points", "counted")
    ),
    "campaign": (("without half of its groups", parts.FUZZ, _half_of("groups")),),
    "effects of fuzzed events": (("without half of the effects", parts.FUZZ, _half_of("effects")),),
    "progress of the consumers": (("without half of the consumers", parts.FUZZ, _half_of("consumers")),),
    "settings of the topics": (("without half of the settings", parts.FUZZ, _half_of("settings")),),
}
"""By the name of a kind of evidence that is less than a whole part: how half of it is taken away."""
