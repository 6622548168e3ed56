"""What an exact limit would have let pass of a flood, worked out while it offers."""

from __future__ import annotations

from pathlib import Path

import pytest

from necp_validate.events.topics import Domain
from necp_validate.security import flood as module
from necp_validate.security.flood import BATCH, Flood, FloodPlan


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def monotonic(self) -> float:
        return self.now_s


def passable(clock: Clock, run_dir: Path, pauses_s: list[float]) -> float:
    """The answer for a limit of 10,000 events/s and 1,000 at once, and a batch after each pause."""
    plan = FloodPlan(
        **{"run_dir": str(run_dir), "run_id": "r", "name": "flood-0", "domain": Domain.COMBAT, "url": "http://x:1"},
        **{"metrics_url": "", "token": "", "rate_eps": 10_000, "burst": 1_000, "factor": 1.5, "seconds": 1.0},
        **{"polite": 1, "hostile": 0},
    )
    one = Flood(plan)
    one._last_offer_s = clock.now_s
    for pause_s in pauses_s:
        clock.now_s += pause_s
        one._note_offer()
    return one._passable


def test_a_flood_that_presses_gets_burst_and_rate_and_one_that_pauses_less(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(module.time, "monotonic", clock.monotonic)
    pressing = [0.01] * 200  # 25,000 events/s for 2 s
    assert passable(clock, tmp_path, pressing) == pytest.approx(1_000 + 2 * 10_000, abs=BATCH)
    # A second without an offer: 9,000 of its 10,000 events find no room.
    assert passable(clock, tmp_path, [*pressing, 1.0, *pressing]) == pytest.approx(
        1_000 + 5 * 10_000 - 9_000, abs=BATCH
    )
    assert passable(clock, tmp_path, [0.1] * 20) == 20 * BATCH, "what is offered slower than the limit passes"
