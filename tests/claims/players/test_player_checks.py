"""Checks and claims of what players saw of the gateway, on records of two processes of players."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from histories import claim_of, failing, finding_of, timed_history, unknown
from sound.faults import with_config
from sound.players import (
    CHAT,
    GREEDY,
    INTEREST,
    LAYOUTS,
    PROBES,
    ROWS,
    SESSIONS,
    SETTINGS,
    STATE,
    WORKERS,
    played,
    process,
    row,
)

from necp_validate.core import Verdict
from necp_validate.core.histogram import HdrHistogram
from necp_validate.record import PlayersRow, Record, ServiceShutdown, SessionCounts

CLAIMS = {
    "GW-TRANSPORT": ("gateway-transport", "action-conservation"),
    "GW-SPATIAL": ("gateway-settings", "interest-violation"),
    "GW-DELTA": ("datagrams-lost", "state-divergence"),
    "GW-TICK": ("tick-bounds", "adaptive-tick"),
    "GW-BATCH": ("gateway-settings", "batch-size", "fewer-datagrams"),
    "GW-SECURITY": ("gateway-settings", "certificate-refusal", "request-limit"),
}
ALL_CHECKS = ("chat-order", "gateway-recovery", *dict.fromkeys(name for names in CLAIMS.values() for name in names))


def with_first(**changes: Any) -> Record:
    """One of the two processes saw something else."""
    return played(process("p0", **changes), process("p1"))


def of_claims(history: Record) -> dict[str, Verdict]:
    """Of each claim about the gateway."""
    return {claim: claim_of(history, claim).verdict for claim in CLAIMS}


def resting_on(check: str) -> set[str]:
    """The claims that a check decides."""
    return {claim for claim, names in CLAIMS.items() if check in names}


def test_what_players_saw_of_a_sound_gateway_passes() -> None:
    assert (failing(played()), unknown(played())) == (set(), set())
    assert of_claims(played()) == dict.fromkeys(CLAIMS, Verdict.PASS)
    assert claim_of(played(), "GW-DELTA").measured == "0 of 3,960 checksums wrong"
    assert claim_of(played(), "GW-TICK").measured == "10.0 → 5.0 → 10.0 ticks/s"
    assert "1 of 40 sessions without state" in claim_of(played(), "GW-TRANSPORT").sees


@pytest.mark.parametrize(
    ("check", "changes", "verdict", "words"),
    [
        (
            "action-conservation",
            {"actions": {"hit": {"processed": 90, "unavailable": 10}}},
            Verdict.UNKNOWN,
            "10 of 100 hit actions were turned away, with no fault to explain it",
        ),
        (
            "action-conservation",
            {"sessions": replace(SESSIONS, refused_logins=3, failed_logins=1)},
            Verdict.UNKNOWN,
            "4 logins were refused or failed, with no fault to explain it",
        ),
        (
            "request-limit",
            {"greedy": (replace(GREEDY, most_in_a_minute=1_000_000),)},
            Verdict.FAIL,
            "requests were answered over the limit",
        ),
    ],
)
def test_what_players_were_not_given_or_were_given_beyond_it(
    check: str, changes: dict[str, Any], verdict: Verdict, words: str
) -> None:
    finding = finding_of(with_first(**changes), check)
    assert finding.verdict is verdict
    assert words in finding.summary


def test_a_gateway_that_ends_badly_fails_and_one_whose_end_is_not_known_is_unknown() -> None:
    for shutdown, verdict in (
        (ServiceShutdown(exit_code=137, seconds=0.1, healthy_before=True), Verdict.FAIL),
        (ServiceShutdown(exit_code=0, seconds=500.0, healthy_before=True), Verdict.FAIL),
        (ServiceShutdown(exit_code=0, seconds=0.1, healthy_before=False), Verdict.FAIL),
        (None, Verdict.UNKNOWN),
    ):
        assert finding_of(played(gateway_shutdown=shutdown), "graceful-shutdown").verdict is verdict


def test_a_record_of_no_size_saves_nothing() -> None:
    layouts = tuple(replace(one, aligned=0) for one in LAYOUTS)
    result = claim_of(played(*(process(worker, layouts=layouts) for worker in WORKERS)), "RES-STRUCT")
    assert result.verdict is Verdict.UNKNOWN
    assert "no record can have such a layout" in result.evidence


ANOMALIES: dict[str, list[tuple[dict[str, Any], str]]] = {
    "state-divergence": [
        ({"state": replace(STATE, divergences=1)}, "1 cells with another checksum than the gateway's"),
        ({"state": replace(STATE, missing_base=2)}, "2 deltas to a state that the player was never given"),
        ({"state": replace(STATE, checks=0, divergences=1, examples=("cell 3",))}, "1 cells with another checksum"),
    ],
    "interest-violation": [
        ({"interest": replace(INTEREST, missing=1)}, "1 players near by were not shown"),
        ({"interest": replace(INTEREST, different=1)}, "1 players were shown in another state than theirs"),
        ({"interest": replace(INTEREST, outside=1)}, "1 entities were shown where they were not"),
    ],
    "chat-order": [
        ({"chat": replace(CHAT, disordered=1)}, "1 messages came after a later one of their channel"),
        ({"chat": replace(CHAT, undelivered=1)}, "1 processed messages were not shown to their sender"),
    ],
    "batch-size": [({"state": replace(STATE, largest_batch=101)}, "101 changes in one datagram")],
    "gateway-transport": [
        ({"sessions": replace(SESSIONS, without_state=3)}, "3 sessions got no state by UDP"),
    ],
    "fewer-datagrams": [
        ({"state": replace(STATE, changes=1_000, datagrams=90_000)}, "79,000 changes in 94,800 datagrams"),
    ],
    "action-conservation": [
        (
            {"actions": {"hit": {"processed": 9, "unexplained": 1}}},
            "1 hit actions came to no end",
        ),
        ({"answered_twice": 1}, "1 answers to actions that had theirs"),
    ],
    "request-limit": [
        ({"sessions": replace(SESSIONS, limited_unduly=2)}, "2 requests refused of players who made few"),
        (
            {"greedy": (replace(GREEDY, answered=3_000, limited=0, until_limited_s=None),)},
            "3,000 requests in 30 s, 3,000 of them answered, first refusal never",
        ),
        (
            {"greedy": (replace(GREEDY, answered_after=900),)},
            "3,000 requests in 30 s, 1,490 of them answered, first refusal after 12.0 s",
        ),
    ],
    "certificate-refusal": [
        ({"certificates": (*PROBES[1:], replace(PROBES[0], refused=False))}, "was let in: said so"),
        ({"certificates": (*PROBES[:-1], replace(PROBES[-1], refused=True))}, "was refused: said so"),
    ],
}
"""By check, what one of two processes saw, and what is told of it."""


@pytest.mark.parametrize(
    ("check", "changes", "words"), [(name, *one) for name, found in ANOMALIES.items() for one in found]
)
def test_what_one_process_saw_fails_its_check_and_the_claims_that_rest_on_it(
    check: str, changes: dict[str, Any], words: str
) -> None:
    history = with_first(**changes)
    assert failing(history) == {check}
    finding = finding_of(history, check)
    assert words in finding.examples[0].detail
    failed = {claim for claim, verdict in of_claims(history).items() if verdict is Verdict.FAIL}
    assert failed == resting_on(check)


@pytest.mark.parametrize(
    ("hz", "verdict"), [(12.0, Verdict.PASS), (12.1, Verdict.FAIL), (3.5, Verdict.PASS), (3.4, Verdict.FAIL)]
)
def test_one_second_with_too_fast_or_too_slow_a_tick_fails(hz: float, verdict: Verdict) -> None:
    """A tenth and one tick are allowed for: a second begins and ends within a tick."""
    rows = tuple(replace(one, tick_hz=hz) if one.t == ROWS[8].t else one for one in ROWS)
    history = played(players_timeline=rows)
    finding = finding_of(history, "tick-bounds")
    assert finding.verdict is verdict
    if verdict is Verdict.FAIL:
        assert finding.examples[0].detail == f"{hz:.1f} ticks a second"
        assert claim_of(history, "GW-TICK").verdict is Verdict.FAIL


def test_seconds_whose_tick_nobody_knows_are_not_within_bounds() -> None:
    """Somebody was online, and no tick was counted: of the first process, in 7 of 30 seconds."""
    rows = tuple(replace(one, tick_hz=None) if one.t <= ROWS[0].t + 6 else one for one in ROWS)
    finding = finding_of(played(players_timeline=rows), "tick-bounds")
    assert finding.verdict is Verdict.UNKNOWN
    assert "tick rate: known of 23 of 30 seconds with players" in finding.summary

    few = tuple(replace(one, tick_hz=None) if one.t <= ROWS[0].t + 2 else one for one in ROWS)
    assert finding_of(played(players_timeline=few), "tick-bounds").verdict is Verdict.PASS


def ticks(*levels: tuple[int, float, int]) -> tuple[PlayersRow, ...]:
    """So many seconds of a tick rate with so many players, one level after the other."""
    each = [(hz, online) for seconds, hz, online in levels for _ in range(seconds)]
    return tuple(
        row(second, worker, tick_hz=hz, online=online) for second, (hz, online) in enumerate(each) for worker in WORKERS
    )


@pytest.mark.parametrize(
    ("levels", "verdict", "words"),
    [
        (((10, 10.0, 8), (10, 5.0, 20), (10, 9.0, 8)), Verdict.PASS, "10.0 → 5.0 → 9.0 ticks/s"),
        (((10, 10.0, 8), (9, 5.0, 20), (11, 5.0, 8)), Verdict.FAIL, "the tick did not return"),
        (((10, 10.0, 8), (20, 5.0, 20)), Verdict.NOT_APPLICABLE, "the load was not taken away for long enough"),
        (((30, 10.0, 8),), Verdict.NOT_APPLICABLE, "the load never made the tick fall"),
        (((14, 10.0, 8), (1, 5.0, 20), (15, 10.0, 8)), Verdict.NOT_APPLICABLE, "the load never made the tick fall"),
    ],
)
def test_a_tick_rate_adapts_if_it_falls_under_load_and_returns(
    levels: tuple[tuple[int, float, int], ...], verdict: Verdict, words: str
) -> None:
    """A single second is no level: it may be the host's."""
    history = played(players_timeline=ticks(*levels))
    finding = finding_of(history, "adaptive-tick")
    assert (finding.verdict, words in finding.summary) == (verdict, True), finding.summary
    expected = Verdict.UNKNOWN if verdict is Verdict.NOT_APPLICABLE else verdict
    assert claim_of(history, "GW-TICK").verdict is expected


@pytest.mark.parametrize(
    ("changes", "check", "words"),
    [
        ({"state": replace(STATE, checks=400)}, "state-divergence", "800 checksums were compared; 1,000 are the least"),
        (
            {"interest": replace(INTEREST, expected=400)},
            "interest-violation",
            "800 players inside and 18,000 outside of 6,000 views; 1,000 of both are the least",
        ),
        (
            {"interest": replace(INTEREST, others=10)},
            "interest-violation",
            "12,000 players inside and 20 outside of 6,000 views; 1,000 of both are the least",
        ),
        ({"chat": replace(CHAT, messages=0)}, "chat-order", "no chat was delivered"),
        ({"limits": SETTINGS}, "gateway-settings", "grid_told was not recorded in history/players-p0.json: limits"),
        ({"limits": {"grid_told": 1_000.0}}, "batch-size", "nobody said how large a batch may be"),
        ({"state": replace(STATE, datagrams=0)}, "batch-size", "no state came"),
        ({"state": replace(STATE, changes=0)}, "fewer-datagrams", "no change came in any datagram"),
        ({"actions_by_datagram": 0}, "gateway-transport", "both transports: one of them was not used"),
        (
            {"messages": None},
            "gateway-transport",
            "messages was not recorded in history/players-p0.json",
        ),
        (
            {"sessions": replace(SESSIONS, without_state=None)},
            "gateway-transport",
            "sessions.without_state was not recorded",
        ),
        (
            {"sessions": replace(SESSIONS, limited_unduly=None)},
            "request-limit",
            "sessions.limited_unduly was not recorded",
        ),
        ({"actions": {}}, "action-conservation", "the players did nothing"),
        ({"greedy": ()}, "request-limit", "no player asked for more than the limit for long enough"),
        (
            {"greedy": (replace(GREEDY, requests=900, answered=900, limited=0, until_limited_s=None),)},
            "request-limit",
            "no player asked for more than the limit for long enough",
        ),
        ({"certificates": PROBES[1:]}, "certificate-refusal", "not tried, or with no answer: none at the start"),
        (
            {"certificates": (*PROBES[:-1], replace(PROBES[-1], refused=None))},
            "certificate-refusal",
            "not tried, or with no answer: valid at the end",
        ),
    ],
)
def test_too_little_to_compare_is_no_evidence(changes: dict[str, Any], check: str, words: str) -> None:
    """Both processes saw as little; nothing wrong was found, and that proves nothing."""
    history = played(*(process(worker, **changes) for worker in WORKERS))
    finding = finding_of(history, check)
    assert (finding.verdict, words in finding.summary) == (Verdict.UNKNOWN, True), finding.summary
    for claim in resting_on(check):
        assert claim_of(history, claim).verdict is Verdict.UNKNOWN


def test_without_a_lost_datagram_nothing_is_known_of_deltas_after_a_loss() -> None:
    history = played(*(process(worker, state=replace(STATE, lost=0)) for worker in WORKERS))
    finding = finding_of(history, "datagrams-lost")
    assert (finding.verdict, "no datagram was lost" in finding.summary) == (Verdict.NOT_APPLICABLE, True)
    assert of_claims(history) == dict.fromkeys(CLAIMS, Verdict.PASS) | {"GW-DELTA": Verdict.UNKNOWN}


@pytest.mark.parametrize(
    ("key", "limit"), [("grid_told", "gateway_grid"), ("batch", "gateway_batch"), ("per_minute", "gateway_per_minute")]
)
def test_a_gateway_that_is_not_set_as_claimed_is_no_evidence_for_the_claims_about_that(key: str, limit: str) -> None:
    """Nor can the scenario move what is claimed, either way."""
    other = {**SETTINGS, "grid_told": 1_000.0, key: 1_200.0}
    history = with_first(limits=other)
    finding = finding_of(history, "gateway-settings")
    assert finding.verdict is Verdict.NOT_APPLICABLE
    assert f"{limit} is 1200, claimed" in finding.summary
    for claim in ("GW-SPATIAL", "GW-BATCH", "GW-SECURITY"):
        assert claim_of(history, claim).verdict is not Verdict.PASS

    for value in (1, 1_000_000):
        moved = finding_of(with_config(played(), thresholds={limit: value}), "gateway-settings")
        assert moved.verdict is Verdict.UNKNOWN
        assert f"judged by a looser limit than claimed: {limit} is" in moved.summary


def test_more_comparisons_may_be_asked_for_and_not_fewer() -> None:
    for name, claim in (("state-divergence", "GW-DELTA"), ("interest-violation", "GW-SPATIAL")):
        stricter = with_config(played(), thresholds={"least_comparisons": 20_000})
        assert "20,000" in finding_of(stricter, name).summary
        assert claim_of(stricter, claim).verdict is Verdict.UNKNOWN
        looser = claim_of(with_config(played(), thresholds={"least_comparisons": 10}), claim)
        assert looser.verdict is Verdict.UNKNOWN
        assert "judged by a looser limit than claimed: least_comparisons is 10, claimed 1000" in looser.evidence


@pytest.mark.parametrize("check", ALL_CHECKS)
def test_one_process_of_two_without_a_record_leaves_every_check_unknown(check: str) -> None:
    for kept, found in (((process(),), "1 of 2"), ((), "0 of 2")):
        history = replace(played(), players=kept)
        finding = finding_of(history, check)
        assert finding.verdict is Verdict.UNKNOWN
        assert f"{found} records of players' processes (history/players-*.json)" in finding.summary


@pytest.mark.parametrize("check", ["tick-bounds", "adaptive-tick", "gateway-recovery"])
def test_seconds_without_a_row_are_missing(check: str) -> None:
    """Of the second process, whose thread died after 20 s; of both."""
    half = tuple(one for one in ROWS if one.worker == "p0" or one.t <= ROWS[0].t + 19)
    finding = finding_of(played(players_timeline=half), check)
    assert finding.verdict is Verdict.UNKNOWN
    assert "p1: 21 of 30 s" in finding.summary
    assert "seconds of the players' timeline (history/players-timeline-*.csv)" in finding.summary
    assert finding_of(played(players_timeline=()), check).verdict is Verdict.UNKNOWN


def test_without_players_no_check_is_applicable_and_every_claim_unknown() -> None:
    history = timed_history(seconds=30, eps={"combat": 100.0})
    for name in ALL_CHECKS:
        finding = finding_of(history, name)
        assert (finding.verdict, finding.summary) == (Verdict.NOT_APPLICABLE, "the scenario has no players")
    assert of_claims(history) == dict.fromkeys(CLAIMS, Verdict.UNKNOWN)
    assert claim_of(history, "RES-STRUCT").verdict is Verdict.UNKNOWN


def test_the_record_that_saves_least_decides_on_memory() -> None:
    result = claim_of(played(), "RES-STRUCT")
    assert (result.verdict, result.measured) == (Verdict.PASS, "33.33%")
    worse = tuple(replace(one, aligned=30) if one.record == "event" else one for one in LAYOUTS)
    result = claim_of(played(*(process(worker, layouts=worse) for worker in WORKERS)), "RES-STRUCT")
    assert (result.verdict, result.measured) == (Verdict.FAIL, "25%")
    none = claim_of(played(*(process(worker, layouts=()) for worker in WORKERS)), "RES-STRUCT")
    assert (none.verdict, "the layouts of records were not recorded" in none.evidence) == (Verdict.UNKNOWN, True)


# Copies of the same figure ----------------------------------------------------------------------------------------


def test_players_that_add_up_have_no_discrepancy() -> None:
    assert finding_of(played(), "players-account").verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"actions": {"hit": {"processed": 860, "rejected": 10}}}, "1,205 actions by transport, 870 by their ends"),
        ({"state": replace(STATE, datagrams=4_790)}, "4,790 datagrams (history/players-*.json), 4,800 in the rows"),
        ({"state": replace(STATE, divergences=2)}, "2 divergences (history/players-*.json), 0 in the rows"),
        ({"sessions": replace(SESSIONS, logins=19)}, "19 logins (history/players-*.json), 20 in the rows"),
        ({"sessions": replace(SESSIONS, broken=1)}, "1 broken (history/players-*.json), 0 in the rows"),
        ({"actions_by_datagram": 900}, "1,230 actions (history/players-*.json), 1,205 in the rows"),
    ],
)
def test_players_that_do_not_add_up_name_both_sides(changes: dict[str, Any], expected: str) -> None:
    finding = finding_of(afterwards(**changes), "players-account")
    assert finding.verdict is Verdict.UNKNOWN
    assert expected in " ".join([finding.summary, *(one.detail for one in finding.examples)])


def test_results_without_a_latency_do_not_add_up() -> None:
    """Both processes: 1,740 hits came to a result; their histograms have one less."""
    latency = {
        ("steady", "hit", "result"): histogram(1_739),
        ("steady", "hit", "late"): histogram(1_750),
        ("steady", "say", "result"): histogram(600),
        ("steady", "say", "late"): histogram(660),
        ("steady", "login", "login"): histogram(40),
    }
    finding = finding_of(played(players_latency=latency), "players-account")
    assert finding.verdict is Verdict.UNKNOWN
    assert "hit (result): 1,740 counted (history/players-*.json), 1,739 latencies" in finding.summary


def test_a_count_that_was_not_recorded_is_no_account() -> None:
    for changes in ({"sessions": SessionCounts()}, {"actions_by_message": None}):
        finding = finding_of(afterwards(**changes), "players-account")
        assert finding.verdict is Verdict.UNKNOWN
        assert "was not recorded in history/players-p0.json" in finding.summary


def test_without_any_latency_the_players_do_not_add_up() -> None:
    finding = finding_of(replace(played(), players_latency={}), "players-account")
    assert finding.verdict is Verdict.UNKNOWN
    assert "no latencies were recorded (history/players-latency-*.npz)" in finding.summary


def afterwards(**changes: Any) -> Record:
    """A run that added up, in which the record of one process was changed."""
    history = played()
    first, second = history.players
    return replace(history, players=(replace(first, **changes), second))


def histogram(count: int) -> HdrHistogram:
    """So many values of 20 ms."""
    found = HdrHistogram()
    found.record(20_000, count)
    return found
