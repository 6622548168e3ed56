"""What a run directory must hold: exactly the fields of the record's dataclasses, none of them missing or left out."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from necp_validate.record import LoadRecord, Record, read_record
from necp_validate.record.store import Document, Histograms, Listing, Part, PerWorker, Rows, parts_of

PARTS = parts_of(Record)


def kinds() -> dict[str, type[Any]]:
    """Every dataclass of a record by its name, nested ones too."""
    found: dict[str, type[Any]] = {}

    def take(hint: Any) -> None:
        if dataclasses.is_dataclass(hint) and isinstance(hint, type):
            if hint.__name__ not in found:
                found[hint.__name__] = hint
                for inner in get_type_hints(hint, include_extras=True).values():
                    take(inner)
            return
        for inner in () if get_origin(hint) is Annotated else get_args(hint):
            take(inner)

    for part in PARTS.values():
        if not isinstance(part, Histograms):
            take(part.kind)  # type: ignore[attr-defined]
    return found


def fields_in(part: Part[Any]) -> list[str]:
    """The fields that a file of a part has: what a reader takes from the file's name is not among them."""
    if not isinstance(part, (Document, Listing, PerWorker, Rows)):
        return []
    names = [field.name for field in dataclasses.fields(part.kind)]
    return [name for name in names if not (isinstance(part, Rows) and name in part.given("w0"))]


def wrong_fields(run_dir: Path) -> list[str]:
    """Where a file of a run has other fields than its dataclass, at its top: ``file: names``."""
    wrong = []
    for part in PARTS.values():
        expected = fields_in(part)
        for path in part.files(run_dir).values():
            wrong += [
                f"{path.name}: {sorted(set(found) ^ set(expected))}"
                for found in _fields(path)
                if expected and sorted(found) != sorted(expected)
            ]
    return wrong


def _fields(path: Path) -> Iterator[list[str]]:
    if path.suffix == ".csv":
        yield path.read_text(encoding="utf-8").splitlines()[0].split(",")
    elif path.suffix == ".jsonl":
        yield from (list(json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines())
    elif path.suffix == ".json":
        whole = json.loads(path.read_text(encoding="utf-8"))
        yield from (list(one) for one in (whole if isinstance(whole, list) else [whole]))


def not_recorded(run_dir: Path) -> set[str]:
    """Fields that are ``None`` in every place where a run has them, as ``LoadRecord.trips``."""
    seen: dict[str, bool] = {}

    def look(value: Any) -> None:
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            for field in dataclasses.fields(value):
                name, inner = f"{type(value).__name__}.{field.name}", getattr(value, field.name)
                seen[name] = seen.get(name, False) or inner is not None
                look(inner)
        elif isinstance(value, Mapping):
            for inner in value.values():
                look(inner)
        elif isinstance(value, (tuple, list)):
            for inner in value:
                look(inner)

    record = read_record(run_dir)
    for name in PARTS:
        look(getattr(record, name))
    return {name for name, known in seen.items() if not known}


def adds_up(record: Record) -> None:
    """Hold the load to its sums: by stream, by phase, and second by second."""
    for load in record.loads:
        load_adds_up(load)
    counted = [one for load in record.loads for of in (load.phases or {}).values() for one in of.values()]
    for name in ("scheduled", "sent", "acked", "failed", "unknown"):
        of_phases = sum(getattr(one, name) for one in counted)
        assert of_phases == sum(getattr(row, name) for row in record.timeline), name
    assert sum(one.sent for one in counted) == sum(s.sent for load in record.loads for s in load.streams)


def load_adds_up(load: LoadRecord) -> None:
    """Acked, failed and unknown are all that was sent: of a stream each number once, and by phase."""
    for stream in load.streams:
        assert stream.failed is not None
        together = stream.acked.union(stream.failed).union(stream.unknown)
        assert stream.acked.count + stream.failed.count + stream.unknown.count == together.count == stream.sent
        assert together.last in (None, stream.sent - 1)
    for of_phase in (load.phases or {}).values():
        for one in of_phase.values():
            assert one.unknown is not None
            assert one.sent == one.acked + one.failed + one.unknown
