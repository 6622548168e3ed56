"""Who is online when, and in which match: worked out beforehand from the plan, whatever the gateway does."""

from __future__ import annotations

from dataclasses import dataclass

from necp_validate.players.plan import PlayersPlan

HOT_MATCH = "match-hot"
PLAYERS_IN_A_MATCH = 20
PLAYERS_IN_A_REGION = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Stay:
    """One stay of a player in a match, in seconds since the start."""

    from_s: float
    until_s: float
    match: str


def home_match(number: int) -> str:
    """The match that a player is in unless it joins the hot one."""
    return f"match-{number // PLAYERS_IN_A_MATCH:04d}"


def region(number: int) -> str:
    """The region whose chat a player gets."""
    return f"region-{number // PLAYERS_IN_A_REGION:03d}"


def agenda(plan: PlayersPlan) -> list[list[Stay]]:
    """The stays of every player, in order of time.

    Who is missing at the beginning of a phase logs in one after the other, ``login_per_s`` of them in a second; so
    does who changes to or from the hot match. Greedy players come last and stay to the first surge, in which it is
    everybody else that is to be measured, or to the end.
    """
    stays: list[list[Stay]] = [[] for _ in range(plan.most_players)]
    now: list[str | None] = [None] * plan.most_players
    at_s = 0.0
    surge_s: float | None = None
    for phase in plan.phases:
        if phase.kind == "surge" and surge_s is None:
            surge_s = at_s
        end_s = at_s + phase.duration_s
        hot = round(phase.players * phase.hot_share)
        moved = 0
        for number in range(plan.most_players):
            wanted = None
            if number < phase.players:
                wanted = HOT_MATCH if number < hot else home_match(number)
            if wanted == now[number]:
                if wanted is not None:
                    before = stays[number].pop()
                    stays[number].append(Stay(from_s=before.from_s, until_s=end_s, match=wanted))
                continue
            now[number] = wanted
            if wanted is not None:
                begin_s = at_s + moved / plan.login_per_s
                moved += 1
                if begin_s < end_s:
                    stays[number].append(Stay(from_s=begin_s, until_s=end_s, match=wanted))
                else:
                    now[number] = None  # too late for this phase; the next one has it log in
        at_s = end_s
    greedy_until_s = surge_s or at_s
    greedy = [[Stay(from_s=0.0, until_s=greedy_until_s, match=f"match-greedy-{n}")] for n in range(plan.greedy)]
    return stays + greedy
