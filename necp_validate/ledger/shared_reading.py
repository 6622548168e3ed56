"""Reading back by several processes: each takes some partitions, and their accounts add up to that of one reader.

What is accounted for lies in one partition, with two exceptions that are sums: a stream's account, whose parts may lie
in several partitions where a topic grew meanwhile, and the number of what is wrong anywhere.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, TypeVar

from necp_validate.core.intervals import IntervalSet
from necp_validate.ledger.readback import MAX_EXAMPLES

_SUMS = ("events_read", "bad_value", "bad_key", "unknown_records", "cpu_s", "max_rss_bytes")
Place = TypeVar("Place", bound=tuple[str, int])


def share_of_partitions(places: Collection[Place], reader: int, readers: int) -> set[Place]:
    """Return the partitions that one of several readers takes: dealt out in turn, so that each topic is divided."""
    return {place for number, place in enumerate(sorted(places)) if number % readers == reader}


def merge_accounts(parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Merge what readers of different partitions say of the events, as in ``readback.json``.

    Times are those of the slowest, since they read at the same time; memory is that of all together.
    """
    merged: dict[str, Any] = {name: sum(part[name] for part in parts) for name in _SUMS}
    for name in ("partitions", "epochs"):
        rows = [row for part in parts for row in part[name]]
        merged[name] = sorted(rows, key=lambda row: (row["topic"], row["partition"]))
    merged["streams"] = {
        name: _merge_streams([part["streams"][name] for part in parts])
        for name in (parts[0]["streams"] if parts else ())
    }
    merged["examples"] = _first_examples([example for part in parts for example in part["examples"]])
    merged["elapsed_s"] = slowest_s = max(part["elapsed_s"] for part in parts)
    merged["events_per_s"] = merged["events_read"] / slowest_s if slowest_s else 0.0
    return merged


def _merge_streams(parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What several readers found of one stream; an event that two of them found is there twice."""
    read, duplicates = IntervalSet(), 0
    for part in parts:
        for first, last in part["read"]:
            duplicates += read.add(first, last)
    return {
        "read": read.to_list(),
        "duplicates": duplicates + sum(part["duplicates"] for part in parts),
        "out_of_order": sum(part["out_of_order"] for part in parts),
        "digest": sum(part["digest"] for part in parts) % 2**64,
        "partitions": sorted({partition for part in parts for partition in part["partitions"]}),
    }


def _first_examples(examples: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    kept: list[dict[str, Any]] = []
    for example in examples:
        if sum(one["check"] == example["check"] for one in kept) < MAX_EXAMPLES:
            kept.append(example)
    return kept
