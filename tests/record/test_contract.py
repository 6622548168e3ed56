"""The contract of the record: whatever is written comes back; whatever is read is held to its type; nothing is idle."""

from __future__ import annotations

import ast
import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import numpy as np
import pytest
from contract import PARTS, fields_in, kinds
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from neutral import full

import necp_validate
from necp_validate.core import SuiteError
from necp_validate.core.histogram import HdrHistogram
from necp_validate.core.intervals import IntervalSet
from necp_validate.record import Phase
from necp_validate.record.codec import to_plain
from necp_validate.record.store import Document, Histograms, Listing, Part, PerWorker, Rows
from necp_validate.record.values import EPOCH_US, NOT_NEGATIVE, ORDERED, Bounds, ReadableAs

WORDS = st.text(st.characters(codec="utf-8", exclude_characters=',"\r\n\x00'), min_size=1, max_size=8)
EXACT = 2**53
"""Integers in CSV are read as numbers of any kind are: exactly up to here."""


def shown_as(hint: Any) -> type[Any] | None:
    """What an object that is kept whole must be readable as."""
    notes = getattr(hint, "__metadata__", ())
    return next((note.kind for note in notes if isinstance(note, ReadableAs)), None)


def values(hint: Any) -> st.SearchStrategy[Any]:
    """Everything that a field of a type may hold."""
    origin, args = get_origin(hint), get_args(hint)
    if (kind := shown_as(hint)) is not None:
        return _records(kind).map(to_plain)
    if type(None) in args:
        return st.none() | values(args[0])
    if origin is Annotated or hint in (int, float):
        return _numbers(*(args if args else (hint, NOT_NEGATIVE)))
    if hint is Any:
        return st.none() | st.booleans() | st.integers(-EXACT, EXACT) | WORDS
    if dataclasses.is_dataclass(hint):
        return _records(hint)  # type: ignore[arg-type]
    if hint is IntervalSet:
        return st.lists(st.tuples(st.integers(0, 90), st.integers(0, 9))).map(
            lambda runs: IntervalSet([(first, first + more) for first, more in runs])
        )
    if origin is tuple:
        return st.lists(values(args[0]), max_size=3).map(tuple)
    if origin is dict:
        return st.dictionaries(WORDS, values(args[1]), max_size=2)
    return {str: WORDS, bool: st.booleans()}[hint]


def _numbers(kind: type, bounds: Bounds) -> st.SearchStrategy[Any]:
    low, high = max(bounds.low, -EXACT), min(bounds.high, EXACT)
    if kind is int:
        return st.integers(int(low), int(high))
    return st.floats(low, high, allow_nan=False, allow_infinity=False)


def _records(kind: type[Any]) -> st.SearchStrategy[Any]:
    hints = get_type_hints(kind, include_extras=True)
    if kind is Phase:
        hints["name"] = Annotated[str, "unique"]
    fields = {name: WORDS if kind is Phase and name == "name" else values(hint) for name, hint in hints.items()}
    return st.fixed_dictionaries(fields).map(lambda drawn: kind(**_ordered(drawn)))


def _ordered(drawn: dict[str, Any]) -> dict[str, Any]:
    """Moments in the order that they must have."""
    for _ in ORDERED:
        for before, after in ORDERED:
            a, b = drawn.get(before), drawn.get(after)
            if a is not None and b is not None and a > b:
                drawn[before], drawn[after] = b, a
    return drawn


def _one_after_the_other(phases: tuple[Phase, ...]) -> tuple[Phase, ...]:
    begin_us = int(EPOCH_US.low)
    return tuple(
        dataclasses.replace(phase, name=f"{n} {phase.name}", start_us=begin_us + 2 * n, end_us=begin_us + 2 * n + 1)
        for n, phase in enumerate(phases)
    )


def rows_of(part: Any) -> st.SearchStrategy[tuple[Any, ...]]:
    """What may be in a part that has several objects."""
    rows = st.lists(_records(part.kind), max_size=3).map(tuple)
    return rows.map(_one_after_the_other) if part.kind is Phase else rows


@pytest.mark.parametrize("name", PARTS)
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data())
def test_what_is_written_comes_back(name: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    part: Any = PARTS[name]
    folder = tmp_path_factory.mktemp("run")
    assert part.read(folder) == part.absent()
    match part:
        case Document():
            value = data.draw(_records(part.kind))
            part.write(folder, value)
            assert part.read(folder) == value
        case Listing():
            several = data.draw(rows_of(part))
            part.write(folder, several)
            assert part.read(folder) == several
        case PerWorker():
            several = tuple(dataclasses.replace(one, worker=f"w{n}") for n, one in enumerate(data.draw(rows_of(part))))
            for one in several:
                part.write(folder, one)
            assert part.read(folder) == several
        case Rows():
            worker = "w0" if "{worker}" in part.path else ""
            rows = tuple(dataclasses.replace(one, **part.given(worker)) for one in data.draw(rows_of(part)))
            part.append(folder, *rows, worker=worker)
            assert part.read(folder) == (rows if part.order is None else tuple(sorted(rows, key=part.order)))
        case Histograms():
            histogram = HdrHistogram()
            histogram.record_many(np.array(data.draw(st.lists(st.integers(-5, 10**9))), dtype=np.int64))
            for worker in ("w0", "w1"):
                part.write(folder, worker, {("steady", "combat", "e2e"): histogram})
            merged = part.read(folder)["steady", "combat", "e2e"]
            assert (merged.total, merged.negative) == (2 * histogram.total, 2 * histogram.negative)


# What must be damage, by the type of a field: as it is written in JSON.
_NUMBER_DAMAGE = ("NaN", "Infinity", "1e999", '"7"', "true", "-1e18")


def damages(hint: Any) -> list[str]:
    """Values of a field that are damage."""
    origin, args = get_origin(hint), get_args(hint)
    if type(None) in args:
        return damages(args[0])
    if shown_as(hint) is not None:
        return ["7"]
    if origin is Annotated or hint in (int, float):
        kind, bounds = args if args else (hint, NOT_NEGATIVE)
        wrong = [one for one in _NUMBER_DAMAGE if one != "-1e18" or bounds.low > -1e18]
        wrong += ["1.5"] if kind is int else []
        wrong += [str(bounds.high * 10)] if bounds.high < 2**60 else []
        return wrong + (["5"] if bounds.low > 5 else [])
    if hint is IntervalSet:
        return ["[[3, 1]]", "[[-1, 0]]", "[[0, 5], [3, 9]]", "[[0, 1, 2]]", "[[0.5, 1]]", "7"]
    if hint is Any:
        return ["NaN"]
    return ["7"] if hint is not bool else ["1"]


def sample(kind: type[Any]) -> Any:
    """An object with one of everything that it may hold."""
    return full(kind, **{name: _sample(hint) for name, hint in get_type_hints(kind, include_extras=True).items()})


def _sample(hint: Any) -> Any:
    origin, args = get_origin(hint), get_args(hint)
    if type(None) in args:
        return _sample(args[0])
    if (kind := shown_as(hint)) is not None:
        return to_plain(sample(kind))
    if dataclasses.is_dataclass(hint):
        return sample(hint)  # type: ignore[arg-type]
    if origin is tuple:
        return (_sample(args[0]),)
    if origin is dict:
        return {"a": _sample(args[1])}
    if hint is IntervalSet:
        return IntervalSet([(0, 3)])
    if origin is Annotated:
        return args[0](max(args[1].low, 0))
    return {str: "word", int: 1, float: 1.5, bool: True, Any: 1}[hint]


def places(kind: type[Any], plain: Any) -> Iterator[tuple[dict[str, Any], str, Any]]:
    """Every field of an object and of those in it: where it lies, its name and its type."""
    for name, hint in get_type_hints(kind, include_extras=True).items():
        yield plain, name, hint
        yield from _inside(hint, plain[name])


def _inside(hint: Any, plain: Any) -> Iterator[tuple[dict[str, Any], str, Any]]:
    args = get_args(hint)
    if (kind := shown_as(hint)) is not None:
        yield from places(kind, plain)
    elif dataclasses.is_dataclass(hint):
        yield from places(hint, plain)  # type: ignore[arg-type]
    elif type(None) in args:
        yield from _inside(args[0], plain)
    elif get_origin(hint) is tuple:
        yield from _inside(args[0], plain[0])
    elif get_origin(hint) is dict:
        yield from _inside(args[1], plain["a"])


_JSON_PARTS = [name for name, part in PARTS.items() if not part.path.endswith((".csv", ".npz"))]
_MARK = "the value"


@pytest.mark.parametrize("name", _JSON_PARTS)
def test_whatever_does_not_fit_a_field_is_damage_that_names_file_and_field(name: str, tmp_path: Path) -> None:
    part: Any = PARTS[name]
    whole = to_plain(sample(part.kind))
    if isinstance(part, Rows):
        whole.update(part.given("w0"))
    found = 0
    for holder, field, hint in list(places(part.kind, whole)):
        before = holder[field]
        if holder is whole and isinstance(part, Rows) and field in part.given("w0"):
            continue
        for text in damages(hint):
            holder[field] = _MARK
            _read_damaged(part, tmp_path, json.dumps(whole).replace(f'"{_MARK}"', text), field)
            found += 1
        del holder[field]
        if type(None) in get_args(hint):
            _store(part, tmp_path, json.dumps(whole))
            part.read(tmp_path)
        else:
            _read_damaged(part, tmp_path, json.dumps(whole), field)
        holder[field] = before
    assert found > len(fields_in(part))


def _store(part: Part[Any], folder: Path, text: str) -> Path:
    path = part.file(folder, "w0")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"[{text}]" if isinstance(part, Listing) else f"{text}\n", encoding="utf-8")
    return path


def _read_damaged(part: Part[Any], folder: Path, text: str, field: str) -> None:
    path = _store(part, folder, text)
    with pytest.raises(SuiteError) as caught:
        part.read(folder)
    assert str(path) in caught.value.message
    # JSON itself has no NaN: that is noticed before it is known whose value it is.
    assert field in caught.value.message or "expected a number, found" in caught.value.message
    assert caught.value.exit_code == 4


@pytest.mark.parametrize("name", [name for name, part in PARTS.items() if part.path.endswith(".csv")])
def test_the_same_of_tables(name: str, tmp_path: Path) -> None:
    part: Any = PARTS[name]
    plain = {field: value for field, value in to_plain(sample(part.kind)).items() if field not in part.given("w0")}
    hints = get_type_hints(part.kind, include_extras=True)
    path = part.file(tmp_path, "w0")
    path.parent.mkdir(parents=True, exist_ok=True)

    def read(row: dict[str, Any]) -> None:
        path.write_text(f"{','.join(row)}\n{','.join(map(str, row.values()))}\n", encoding="utf-8")
        part.read(tmp_path)

    read(plain)
    for field in plain:
        wrong = ["nan", "inf", "much", "-1e18"] if hints[field] not in (str, str | None) else []
        for row in [{**plain, field: text} for text in wrong]:
            with pytest.raises(SuiteError, match=rf"{path.name} line 2 is damaged: {field}: expected"):
                read(row)
        without = {name: value for name, value in plain.items() if name != field}
        if type(None) in get_args(hints[field]):
            read(without)
        else:
            with pytest.raises(SuiteError, match=rf"{path.name} line 2 is damaged: {field}: is missing"):
                read(without)


def test_moments_in_the_wrong_order_are_damage() -> None:
    """Every pair occurs in some object: else it would be idle."""
    pairs = {
        pair
        for kind in kinds().values()
        for pair in ORDERED
        if set(pair) <= {field.name for field in dataclasses.fields(kind)}
    }
    assert pairs == set(ORDERED)


def test_no_field_has_a_default_that_says_that_nothing_was_wrong() -> None:
    """Nothing but None, which says that it was not recorded, and words that are about the record itself."""
    defaults = {
        f"{name}.{field.name}"
        for name, kind in kinds().items()
        for field in dataclasses.fields(kind)
        if (field.default is not dataclasses.MISSING and field.default is not None)
        or field.default_factory is not dataclasses.MISSING
    }
    assert defaults == {
        "AuditRecord.needs",
        "MonitoringRecord.needs",
        "MonitoringRecord.prometheus",
        "TimelineRow.worker",
        "PlayersRow.worker",
    }


_ITSELF = "what the record itself cost or rests on, for a person"
_PERSON = "beside figures that are judged, for a person"
RECORDED_NOT_JUDGED = {
    "ReceiptsRecord.jumps_left_out": "those that are kept decide; how many more there are is for a person",
    "ClockEstimate.at_us": _ITSELF,
    "LoadRecord.max_rss_bytes": _ITSELF,
    "LoadRecord.trips": "for the benchmark that divides a latency into its parts",
    "Readback.max_rss_bytes": "for the benchmark of the reader",
    "MonitoringRecord.scrape_s": _ITSELF,
    "HostSample.mem_used_bytes": _PERSON,
    "AlertTransition.active_us": "what fires is judged, not since when it was pending",
    "StateSeen.stale": "the network's doing",
    "StateSeen.bad": "the network's doing",
    "Interruption.login_us": "`converged_us` is later, and is judged",
    "PlayersRow.result_p50_ms": _PERSON,
    "PlayersRow.result_p99_ms": "the histograms are judged",
    "PlayersRow.age_p99_ms": "the histograms are judged",
    "TrailRead.by_key": "the drill of a rotation is judged",
}


def _read_names() -> set[str]:
    """Names of attributes, and texts, in the code that reads records."""
    package = Path(necp_validate.__file__).parent
    names: set[str] = set()
    for folder in ("claims", "evidence", "report", "scenario", "external", "chaos", "record"):
        for path in (package / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                    names.add(node.attr)
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    names.add(node.value)
    return names


def test_every_field_is_read_by_something_or_has_a_reason_not_to_be() -> None:
    read = _read_names()
    idle = {
        f"{name}.{field.name}"
        for name, kind in kinds().items()
        for field in dataclasses.fields(kind)
        if field.name not in read
    }
    assert idle == set(RECORDED_NOT_JUDGED)
