"""A claim is lost by now only where nothing that is still to come can save it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from histories import START_S, timed_history
from own import claim

from necp_validate.claims.early_stop import Lost, lost_by_now
from necp_validate.claims.model import Claim, Repeats
from necp_validate.core import UsageError
from necp_validate.record import LagSample, Record
from necp_validate.scenario import early_stop
from necp_validate.scenario.early_stop import EarlyStop, StoppedEarly
from necp_validate.scenario.files import load_scenario
from necp_validate.scenario.runner import run_scenario


def going_on(seconds: int = 60, **changes: Any) -> Record:
    """What is written after ten seconds of a phase."""
    whole = timed_history(eps={"combat": 2_000.0}, seconds=seconds, **changes)
    written = [row for row in whole.timeline if row.t <= START_S + 10]
    host = tuple(one for one in whole.host if one.t <= START_S + 10)
    return replace(whole, loads=(), latency={}, readback=None, timeline=tuple(written), host=host)


def slow(history: Record, *, p50_ms: float, p99_ms: float, until_s: int = 10) -> Record:
    rows = [
        replace(row, e2e_p50_ms=p50_ms, e2e_p99_ms=p99_ms if row.t <= START_S + until_s else p50_ms)
        for row in history.timeline
    ]
    return replace(history, timeline=tuple(rows))


def lost(history: Record, *claims: Claim, at_s: float = 13.5) -> list[Lost]:
    return lost_by_now(history, claims, START_S + at_s)


WINDOWED = claim("e2e_p99", "<", 40, window_s=2)


def test_a_stretch_that_missed_is_a_miss_whatever_comes() -> None:
    (found,) = lost(slow(going_on(), p50_ms=60, p99_ms=90), WINDOWED)
    assert found.claim.id == "mine"
    assert "90 ms" in str(found) or "60 ms" in str(found)
    assert lost(slow(going_on(), p50_ms=10, p99_ms=30), WINDOWED) == []


def test_the_whole_phase_may_yet_turn_out_well() -> None:
    assert lost(slow(going_on(), p50_ms=60, p99_ms=90), claim("e2e_p99", "<", 40)) == []


def test_what_was_not_written_yet_is_no_miss() -> None:
    """Rows come later than what they tell of: the last seconds are empty for all one knows."""
    rate = claim("acked_rate", ">=", 1_900, window_s=2)
    assert lost(going_on(), rate) == []
    dead = replace(going_on(), timeline=tuple(replace(row, acked=0) for row in going_on().timeline if row.t > START_S))
    assert [one.claim for one in lost(dead, rate)] == [rate]


def test_a_maximum_is_exceeded_for_good() -> None:
    history = replace(going_on(), lag=(LagSample(t=START_S + 5, domain="combat", lag=5_000),))
    assert lost(history, claim("lag_max", "<", 4_000))
    assert lost(history, claim("lag_max", "<", 6_000)) == []
    assert lost(history, claim("lag_mean", "<", 4_000)) == [], "a mean may come down again"


def test_a_rate_counts_when_its_phase_is_over() -> None:
    rate = claim("acked_rate", ">=", 1_900)
    under_way = going_on(acked_eps={"combat": 1_000.0})
    assert lost(under_way, rate) == []
    over = going_on(seconds=10, acked_eps={"combat": 1_000.0})
    assert [one.claim for one in lost(over, rate)] == [rate]
    assert lost(going_on(seconds=10), rate) == []


def test_a_saturated_host_and_repeats_leave_it_open() -> None:
    missed = {"p50_ms": 60.0, "p99_ms": 90.0}
    assert lost(slow(going_on(busy_pct=99), **missed), WINDOWED) == []
    assert lost(slow(going_on(), **missed), replace(WINDOWED, repeats=Repeats(hold=1, of=2))) == []


def test_a_run_is_looked_at_every_few_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(early_stop, "read_record", lambda _: slow(going_on(), p50_ms=60, p99_ms=90))
    watched = EarlyStop(tmp_path, [claim("lag_max", "<", 1), WINDOWED], clock=lambda: now[0])
    watched.look()
    now[0] = 6.0
    with pytest.raises(StoppedEarly, match="cannot be met any more: mine"):
        watched.look()


def test_without_claims_nothing_can_stop_it(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="claims of your own"):
        run_scenario(load_scenario("smoke"), out=tmp_path, stop_early=True)
    assert list(tmp_path.iterdir()) == []
