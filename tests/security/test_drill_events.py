"""What drills send on their own account: real events, accounted for as the load's are."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from neutral import neutral

from necp_validate.events.base import InvalidEvent
from necp_validate.events.envelope import decode
from necp_validate.events.expected_totals import expected_totals_of
from necp_validate.events.topics import Domain
from necp_validate.ledger.readback import ReadAccounting
from necp_validate.ledger.stream_account import AckedOffsets
from necp_validate.record import (
    BreakerSample,
    FloodRecord,
    FloodSecond,
    IntervalSet,
    RunInfo,
    parts,
    read_record,
)
from necp_validate.security.flood import limit_hits
from necp_validate.security.sending import DrillStream, drill_record, drill_stream_id

NOW_US = 1_790_000_000_000_000


def stream(kind: str = "valid") -> DrillStream:
    name = drill_stream_id("run", "flood-0", 7)
    return DrillStream(
        Domain.COMBAT,
        name,
        "flood-0-007",
        kind=kind,  # type: ignore[arg-type]
        batch=20,
        seed="1",
        offsets=AckedOffsets(),
    )


def test_a_partly_accepted_batch_leaves_no_hole_in_the_numbers() -> None:
    """What was refused comes again under the same numbers; reader and sender agree on where everything lies."""
    one = stream()
    first = one.batch(NOW_US)
    one.sent(13, [(0, 3, 100, 10), (10, 3, 200, 3)])
    second = one.batch(NOW_US + 1)
    one.sent(20, [(0, 3, 300, 19)], failed=[(19, 1)])
    record = one.account.record()
    assert (record.sent, record.acked.to_list(), record.failed.to_list()) == (33, [[0, 31]], [[32, 32]])
    assert record.max_acked_offset == 318
    reader = ReadAccounting({record.stream: (record.topic, record.key)})
    places = [*range(100, 110), *range(200, 203), *range(300, 319)]
    key = record.key.encode()
    reader.add_records(
        record.topic,
        [(3, place, key, value) for place, value in zip(places, [*first[:13], *second[:19]], strict=True)],
    )
    read = reader.record({}, {}).streams[record.stream]
    assert (read.read.to_list(), read.digest, read.duplicates) == ([[0, 31]], record.digest, 0)
    assert one.expected_totals == expected_totals_of([*first[:13], *second])


def test_poison_is_poison() -> None:
    for value in stream("poison").batch(NOW_US):
        with pytest.raises(InvalidEvent):
            decode(value)


def test_all_of_a_poisoned_stream_is_planted() -> None:
    one = stream("poison")
    one.batch(NOW_US)
    one.sent(20, [(0, 3, 100, 20)])
    assert one.account.record().planted == {"poison": IntervalSet([(0, 19)])}
    assert stream().account.record().planted == {}


def test_streams_of_runs_drills_and_senders_differ() -> None:
    ids = {drill_stream_id(run, drill, n) for run in ("a", "b") for drill in ("x", "y") for n in range(64)}
    assert len(ids) == 256
    assert {len(one) for one in ids} == {8}


@pytest.fixture
def metrics() -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(
                b"# TYPE kafka_producer_rate_limit_hits counter\n"
                b'kafka_producer_rate_limit_hits_total{topic="game.combat.events"} 41.0\n'
                b'kafka_producer_rate_limit_hits_total{topic="other"} 1.0\n'
            )

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/metrics"
    server.shutdown()
    server.server_close()
    thread.join()


def test_the_publishers_own_count_is_read_by_topic(metrics: str) -> None:
    """And is nothing where nobody answers."""
    assert limit_hits(metrics, "game.combat.events") == 41
    assert limit_hits(metrics, "third") is None
    assert limit_hits("http://127.0.0.1:1/metrics", "game.combat.events") is None


def test_the_history_keeps_floods_breakers_and_what_drills_sent(tmp_path: Path) -> None:
    flood = neutral(
        FloodRecord,
        topic="t",
        rate_eps=1.0,
        burst=2.0,
        begin_us=NOW_US,
        end_us=NOW_US + 1,
        offering_s=5.0,
        elapsed_s=6.0,
        due=7,
        passable=6,
        unanswered=0,
        seconds=(FloodSecond(offered=3, accepted=1, refused=2),),
        waits_s=((0.1, 0.2), ()),
        streams=("0a",),
    )
    sample = BreakerSample(
        t_us=NOW_US,
        instance="core-0",
        domain="social",
        state="closed",
        openings=0,
        trials=0,
        tried_events=0,
        window_events=1,
        window_failures=0,
        ratio_at_opening=None,
        failure_threshold=0.5,
        recovery_timeout_s=60.0,
        monitoring_window_s=300.0,
    )
    one = stream("poison")
    one.batch(NOW_US)
    one.sent(20, [(0, 0, 0, 20)])
    load = drill_record("poison-0", Domain.COMBAT, [one], AckedOffsets(), planted={"poison": 20}, errors=())
    parts.RUN.write(tmp_path, neutral(RunInfo, id="r", scenario="s", scale=1.0, seed=1))
    parts.DRILL_LOADS.write(tmp_path, load)
    parts.FLOODS.append(tmp_path, flood)
    with parts.BREAKERS.open(tmp_path) as rows:
        rows.write(sample)
    history = read_record(tmp_path)
    assert (history.floods, history.breakers, history.drill_loads) == ((flood,), (sample,), (load,))
    assert (flood.offered, flood.accepted, flood.refused) == (3, 1, 2)
    assert history.planted("poison", "combat") == 20
    assert history.senders == (load,)
    assert history.drill_loads[0].streams[0].acked == IntervalSet([(0, 19)])


def test_an_event_acknowledged_nowhere_is_acknowledged() -> None:
    one = stream()
    one.batch(NOW_US)
    one.sent(3, [(0, 3, 100, 2), (2, 3, -1, 1)])
    record = one.account.record()
    assert (record.acked.to_list(), record.unplaced, record.max_acked_offset) == ([[0, 2]], 1, 101)
