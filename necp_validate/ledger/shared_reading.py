"""Reading back by several processes: each takes some partitions, and their accounts add up to that of one reader.

What is accounted for lies in one partition, with two exceptions that are sums: a stream's account, whose parts may lie
in several partitions where a topic grew meanwhile, and the number of what is wrong anywhere.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

from necp_validate.core.intervals import IntervalSet
from necp_validate.ledger.readback import MAX_EXAMPLES
from necp_validate.record.readback import EpochRead, PartitionRead, Readback, Sighting, StreamRead

Place = TypeVar("Place", bound=tuple[str, int])
Row = TypeVar("Row", PartitionRead, EpochRead)


def share_of_partitions(places: Collection[Place], reader: int, readers: int) -> set[Place]:
    """Return the partitions that one of several readers takes: dealt out in turn, so that each topic is divided."""
    return {place for number, place in enumerate(sorted(places)) if number % readers == reader}


def merge_accounts(parts: Sequence[Readback]) -> Readback:
    """Merge what readers of different partitions found of the events.

    Times are those of the slowest, since they read at the same time; memory is that of all together.
    """
    events_read, slowest_s = sum(part.events_read for part in parts), max(part.elapsed_s or 0.0 for part in parts)
    return replace(
        parts[0],
        events_read=events_read,
        partitions=_by_place(row for part in parts for row in part.partitions),
        epochs=_by_place(row for part in parts for row in part.epochs or ()),
        streams={name: _merge_streams([part.streams[name] for part in parts]) for name in parts[0].streams},
        bad_value=sum(part.bad_value or 0 for part in parts),
        bad_key=sum(part.bad_key or 0 for part in parts),
        unknown_records=sum(part.unknown_records or 0 for part in parts),
        examples=_first_examples(example for part in parts for example in part.examples or ()),
        elapsed_s=slowest_s,
        cpu_s=sum(part.cpu_s or 0.0 for part in parts),
        events_per_s=events_read / slowest_s if slowest_s else 0.0,
        max_rss_bytes=sum(part.max_rss_bytes or 0 for part in parts),
    )


def _by_place(rows: Iterable[Row]) -> tuple[Row, ...]:
    return tuple(sorted(rows, key=lambda row: (row.topic, row.partition)))


def _merge_streams(parts: Sequence[StreamRead]) -> StreamRead:
    """What several readers found of one stream; an event that two of them found is there twice."""
    read, duplicates = IntervalSet(), 0
    for part in parts:
        for first, last in part.read.intervals():
            duplicates += read.add(first, last)
    return StreamRead(
        read=read,
        duplicates=duplicates + sum(part.duplicates for part in parts),
        out_of_order=sum(part.out_of_order for part in parts),
        digest=sum(part.digest for part in parts) % 2**64,
        partitions=tuple(sorted({partition for part in parts for partition in part.partitions})),
    )


def _first_examples(examples: Iterable[Sighting]) -> tuple[Sighting, ...]:
    kept: list[Sighting] = []
    for example in examples:
        if sum(one.check == example.check for one in kept) < MAX_EXAMPLES:
            kept.append(example)
    return tuple(kept)
