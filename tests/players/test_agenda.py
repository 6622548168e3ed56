"""Who is online when: worked out from the plan alone."""

from __future__ import annotations

from necp_validate.players.agenda import agenda
from necp_validate.players.plan import PlayersPlan, PlayPhase, TlsFiles


def planned(*phases: tuple[str, float, int]) -> PlayersPlan:
    return PlayersPlan(
        run_dir="run",
        run_id="run",
        seed=1,
        phases=[PlayPhase(name=f"{n}", kind=k, duration_s=s, players=p) for n, (k, s, p) in enumerate(phases)],
        websocket_url="wss://127.0.0.1:1",
        udp_host="127.0.0.1",
        tls=TlsFiles(ca="ca"),
        login_per_s=10,
    )


def test_players_come_one_after_the_other_and_leave_when_there_are_fewer() -> None:
    stays = agenda(planned(("steady", 10, 2), ("surge", 10, 3), ("recovery", 5, 1)))
    spans = [[(stay.from_s, stay.until_s) for stay in one] for one in stays]
    assert spans[:3] == [[(0.0, 25)], [(0.1, 20)], [(10.0, 20)]]


def test_a_greedy_player_leaves_before_a_surge() -> None:
    (greedy,) = agenda(planned(("warmup", 5, 1), ("steady", 20, 1), ("surge", 10, 5), ("recovery", 5, 1)))[-1]
    assert (greedy.from_s, greedy.until_s) == (0.0, 25.0)


def test_without_a_surge_a_greedy_player_stays_to_the_end() -> None:
    (greedy,) = agenda(planned(("steady", 20, 1), ("fault", 10, 1)))[-1]
    assert greedy.until_s == 30.0
