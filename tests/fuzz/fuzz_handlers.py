"""Fuzz decoding and handlers alone, to measure what that reaches: ``python fuzz_handlers.py EVENTS SEED``."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from necp_validate.events.envelope import decode, encode
from necp_validate.fuzz.cases import Case
from necp_validate.fuzz.handlers import HandlersAlone
from necp_validate.fuzz.making import tasks_of
from necp_validate.fuzz.source import make_chunk


def round_trips(cases: Iterable[Case]) -> list[Case]:
    """Valid events that are others once they were decoded, encoded and decoded again."""
    changed = []
    for case in cases:
        if case.valid:
            event = decode(case.value or b"")
            again = decode(encode(event.data, key=event.key, ts_us=event.ts, stream=event.stream, seq=event.seq))
            if (again.data, again.key, again.ts, again.id) != (event.data, event.key, event.ts, event.id):
                changed.append(case)
    return changed


def main(events: int, seed: int) -> int:
    """Fuzz; returns 1 and tells the flaws if there are any."""
    changed: list[Case] = []
    with HandlersAlone(abort_every=2) as handlers:
        for task in tasks_of(events, seed, "aa", 1):
            cases = make_chunk(task)
            handlers.take(task.domain, cases)
            changed += round_trips(cases)
        judged, unbalanced = handlers.judge(), handlers.unbalanced()
    for flaw in judged.flaws:
        print(flaw.plain())
    print(f"{sum(group.count for group in judged.groups):,} events, {sum(judged.flaw_counts.values())} flaws,")
    print(f"{len(changed)} changed by a round trip, out of balance: {unbalanced or 'nothing'}")
    return 1 if judged.flaw_counts or changed or unbalanced else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
