"""From the real senders' and readers' accounts into the files of a run directory, and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaError
from contract import PARTS, adds_up, load_adds_up, not_recorded, wrong_fields

from necp_validate.core.intervals import IntervalSet
from necp_validate.events.combat import DamageV2
from necp_validate.events.topics import Domain
from necp_validate.external.book import TopicBook, topics_record
from necp_validate.external.plan import PlannedPhase, TopicPlan
from necp_validate.ledger.stream_account import AckedOffsets
from necp_validate.players.account import Account
from necp_validate.players.actions import SessionActions
from necp_validate.players.plan import PlayersPlan, PlayPhase, TlsFiles
from necp_validate.realtime.messages import Accepted, Summary
from necp_validate.record import SendError, parts, read_record
from necp_validate.security.sending import DrillStream, drill_record
from necp_validate.selftest.contents import write_run
from necp_validate.selftest.simulated.sound import sound_contents

START_US = 1_790_000_000_000_000
NOT_SIMULATED = {"fuzz", "gateway", "passwords_taken", "suite_failures"}
"""Parts that the simulated run does not leave."""

NOT_THERE = {
    "LoadRecord.lost_us": "no worker was lost",
    "RunInfo.error": "it came to its end",
    "HostSample.mem_used_bytes": "the simulated host has none",
    "BrokerSample.read_bytes": "likewise",
    "BrokerSample.write_bytes": "likewise",
}


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of the self-test: the load's own accounts, the fresh reader's, players, drills and monitoring."""
    run_dir = tmp_path_factory.mktemp("simulated")
    write_run(sound_contents(), run_dir)
    return run_dir


def test_a_whole_run_has_every_part_and_every_field(simulated: Path) -> None:
    record = read_record(simulated)
    assert {name for name, part in PARTS.items() if getattr(record, name) == part.absent()} == NOT_SIMULATED
    assert wrong_fields(simulated) == []
    assert not_recorded(simulated) == set(NOT_THERE)


def test_what_was_sent_adds_up_by_stream_by_phase_and_second_by_second(simulated: Path) -> None:
    adds_up(read_record(simulated))


class _Report:
    def __init__(self, offset: int) -> None:
        self._offset = offset

    def partition(self) -> int:
        return 0

    def offset(self) -> int:
        return self._offset


def test_topics_of_the_users_own(tmp_path: Path) -> None:
    phases = [PlannedPhase(name="steady", kind="steady", duration_s=10, load=1)]
    plan = TopicPlan(topic="orders", stream="00000001", rate_eps=1, values=[b"v"], output="orders.done")
    book = TopicBook(plan, phases, START_US)
    for offset in (7, -1001, None, None, None):
        book.due(0)
        seq = book.handed_over(0, START_US, START_US + 100)
        report: Any = _Report(offset or 0)
        if offset is not None:
            book.delivered(seq, 0, START_US, None, report, now_us=START_US + 5_000)
        elif seq < 4:
            code = KafkaError.MSG_SIZE_TOO_LARGE if seq == 2 else KafkaError._MSG_TIMED_OUT
            book.delivered(seq, 0, START_US, KafkaError(code), report, now_us=START_US + 6_000)
    book.close(START_US + 9_000_000)
    written = topics_record("0", [book], ["steady"], {"acks": "all"})
    parts.LOADS.write(tmp_path, written)
    (load,) = parts.LOADS.read(tmp_path)
    assert load == written
    load_adds_up(load)
    (stream,) = load.streams
    assert (stream.acked.to_list(), stream.unplaced, stream.unknown.to_list()) == ([[0, 1]], 1, [[3, 4]])
    assert [(one.error, one.fate) for one in load.send_errors or ()] == [
        ("MSG_SIZE_TOO_LARGE", "failed"),
        ("_MSG_TIMED_OUT", "unknown"),
    ]
    assert load.unmatched_receipts == 2
    assert [(gap.domain, gap.to_us) for gap in load.outcome_gaps or ()] == [("orders", None)]


def test_a_drill(tmp_path: Path) -> None:
    offsets = AckedOffsets()
    stream = DrillStream(Domain.COMBAT, "0a1b2c3d", "flood-0", kind="valid", batch=20, seed="1", offsets=offsets)
    stream.batch(START_US)
    stream.sent(20, [(0, 3, 100, 10), (10, 3, 105, 1)], failed=[(11, 4)])
    error = SendError(domain="combat", error="_QUEUE_FULL", fate="failed", count=4, first_us=START_US, last_us=START_US)
    written = drill_record("flood-0", Domain.COMBAT, [stream], offsets, planted={}, errors=[error])
    parts.DRILL_LOADS.write(tmp_path, written)
    (load,) = parts.DRILL_LOADS.read(tmp_path)
    assert load == written
    load_adds_up(load)
    assert (load.inconsistent_offsets, load.offset_not_monotonic) == (1, 0)
    assert load.streams[0].unknown == IntervalSet([(15, 19)])


HIT = DamageV2(
    attacker="a", target="b", weapon="pistol", damage=1, armour=0, critical=False, zone="torso", distance_cm=1,
    shots=1, window_ms=0,
)  # fmt: skip


def test_a_players_session(tmp_path: Path) -> None:
    """Two actions that became events, in the wrong order, and one of which nothing was heard."""
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
    account = Account(plan, "p0", START_US)
    actions = SessionActions(account, {"combat": ("0a1b2c3d", Domain.COMBAT.topic, "match-1")})
    for number in range(3):
        actions.begin("hit", "combat", START_US + number, HIT, by_udp=False)
    for seq, offset in ((0, 9), (1, 5)):
        event = f"0a1b2c3d-{seq:012d}"
        message = Accepted(n=seq + 1, event=event, topic=Domain.COMBAT.topic, partition=0, offset=offset)
        actions.accepted(message, START_US + 100)
    actions.close(Summary(udp_actions=[], ws_actions=[(1, 3)], datagrams_in=0, dropped={}))
    written = account.record()
    parts.PLAYERS.write(tmp_path, written)
    (players,) = parts.PLAYERS.read(tmp_path)
    assert players == written
    load = players.as_load()
    load_adds_up(load)
    assert (load.inconsistent_offsets, load.offset_not_monotonic) == (0, 1)
    assert [(s.sent, s.acked.count, s.unknown.to_list()) for s in load.streams] == [(3, 2, [[2, 2]])]
