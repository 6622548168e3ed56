"""Fuzz decoding and handlers alone, for the measurement of what that reaches: ``python fuzz_handlers.py EVENTS SEED``."""

from __future__ import annotations

import sys

from necp_validate.events.topics import Domain
from necp_validate.fuzz.handlers import HandlersAlone
from necp_validate.fuzz.making import tasks_of
from necp_validate.fuzz.source import make_chunk


def main(events: int, seed: int) -> int:
    """Fuzz; returns 1 and tells the flaws if there are any."""
    with HandlersAlone(abort_every=3) as handlers:
        for task in tasks_of(events, seed, "aa", 2):
            handlers.take(task.domain, make_chunk(task))
        handlers.take(Domain.COMBAT, [])
        judged = handlers.judge()
    for flaw in judged.flaws:
        print(flaw)
    print(f"{sum(group.count for group in judged.groups):,} events, {sum(judged.flaw_counts.values())} flaws")
    return 1 if judged.flaw_counts else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
