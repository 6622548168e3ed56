"""The gateway's tick rate by the numbers in the state that came, and when it came."""

from __future__ import annotations

from pathlib import Path

import pytest

from necp_validate.players.account import Account
from necp_validate.players.plan import PlayersPlan, PlayPhase, TlsFiles
from necp_validate.players.view import View
from necp_validate.realtime.replica import Workshop

START_US = 1_790_000_000_000_000


@pytest.fixture
def account(tmp_path: Path) -> Account:
    plan = PlayersPlan(
        run_dir=str(tmp_path),
        run_id="run",
        seed=1,
        phases=[PlayPhase(name="steady", kind="steady", duration_s=10, players=1)],
        websocket_url="wss://127.0.0.1:1",
        udp_host="127.0.0.1",
        tls=TlsFiles(ca="ca"),
        login_per_s=10,
    )
    return Account(plan, "p0", START_US)


def seen(tick: int, after_s: float) -> View:
    """A view whose newest tick came so long after the start."""
    view = View(Workshop())
    view.tick, view.tick_us = tick, START_US + round(after_s * 1e6)
    return view


def rates(account: Account, *rows: tuple[float, list[View]]) -> list[float | None]:
    """The rate in rows at some seconds, each with the views that are open by then."""
    found = []
    for at_s, views in rows:
        account.views = set(views)
        found.append(account.row(START_US + round(at_s * 1e6), online=len(views)).tick_hz)
    return found


def test_it_is_exact_however_long_a_row_is(account: Account) -> None:
    """At 2 ticks a second, rows of 0.7 and 1.6 s: the first to see a tick tells when it came."""
    views = [[seen(11, 0.5), seen(11, 0.9)], [seen(12, 1.0), seen(12, 1.2)], [seen(15, 2.5)]]
    assert rates(account, (1.0, views[0]), (1.7, views[1]), (3.3, views[2])) == [None, 2.0, 2.0]


def test_a_row_without_a_tick_tells_how_fast_it_can_have_been_at_most(account: Account) -> None:
    assert rates(account, (1, [seen(9, 0.9)]), (1.7, [seen(9, 0.9)]), (4.9, [seen(9, 0.9)])) == [None, 1.25, 0.25]


def test_when_those_who_saw_the_newest_have_left_nothing_is_known_until_the_next(account: Account) -> None:
    late = seen(10, 0.95)
    assert rates(account, (1, [seen(11, 0.9), late]), (2, [late]), (3, [seen(14, 2.95)])) == [None, None, 2.0]
