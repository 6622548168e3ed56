"""The publisher's parts on a clock moved by hand, and its HTTP endpoint as far as it goes without brokers."""

from __future__ import annotations

import http.client
import json
import random
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from confluent_kafka import KafkaError
from hypothesis import given
from hypothesis import strategies as st

from necp_validate.events.topics import Domain
from necp_validate.reference.health import HealthServer
from necp_validate.reference.publisher.config import ConfigError, load_config
from necp_validate.reference.publisher.http import publishing_handler
from necp_validate.reference.publisher.limit import MAX_SENDERS, Backoff, TopicLimit
from necp_validate.reference.publisher.sending import _Batch
from necp_validate.reference.publisher.service import Service
from necp_validate.reference.publisher.wire import EVENTS_MAX, BadBatch, decode_batch

TOKEN = "a token that nobody can guess"
ENV = {
    "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
    "KAFKA_SECURITY_PROTOCOL": "PLAINTEXT",
    "PUBLISHER_DOMAIN": "combat",
    "PUBLISHER_TOKEN": TOKEN,
}


class Hand:
    """A clock moved by hand."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


@given(st.lists(st.tuples(st.floats(0.0, 3.0), st.integers(1, 900)), min_size=1, max_size=80))
def test_no_stretch_of_time_sees_more_than_burst_and_rate(asked: list[tuple[float, int]]) -> None:
    """Nor less, as long as more is asked for than it allows."""
    clock = Hand()
    limit = TopicLimit(200, 100, clock)
    begin_s, passed = clock.now_s, []
    for pause_s, events in asked:
        clock.now_s += pause_s
        passed.append((clock.now_s, limit.admit(events), events))
    for first in range(len(passed)):
        since_s = passed[first][0]
        taken = 0
        for now_s, accepted, _ in passed[first:]:
            taken += accepted
            assert taken <= 100 + 200 * (now_s - since_s) + 1e-6
    total, refused = sum(a for _, a, _ in passed), any(a < wanted for _, a, wanted in passed)
    if refused and all(pause_s <= 0.5 for pause_s, _ in asked) and all(wanted >= 300 for _, _, wanted in passed):
        assert total >= 100 + 200 * (clock.now_s - begin_s) - 200 * 0.5 - 1


def test_a_clock_that_stands_still_gives_nothing_back() -> None:
    limit = TopicLimit(20_000, 10_000, Hand())
    assert [limit.admit(6_000) for _ in range(3)] == [6_000, 4_000, 0]


def test_waits_grow_while_violations_go_on_and_begin_anew_afterwards() -> None:
    """Each is in the upper half of a range that doubles, up to the longest."""
    clock = Hand()
    backoff = Backoff(0.1, 5.0, clock, random.Random(1))
    waits = []
    for _ in range(9):
        waits.append(backoff.refuse("a"))
        clock.now_s += waits[-1] + 0.2
    growing = waits[:6]
    assert all(a <= b for a, b in pairwise(growing))
    assert all(0.05 * 2**n <= wait <= 0.1 * 2**n for n, wait in enumerate(growing))
    assert all(2.5 <= wait <= 5.0 for wait in waits[6:])
    assert backoff.refuse("b") <= 0.1
    clock.now_s += 2 * waits[-1] + 5.1
    assert backoff.refuse("a") <= 0.1


def test_backing_off_remembers_a_bounded_number_of_senders() -> None:
    backoff = Backoff(0.1, 5.0, Hand())
    for number in range(MAX_SENDERS + 5):
        backoff.refuse(str(number))
    assert len(backoff._senders) == MAX_SENDERS


class _Report:
    def __init__(self, partition: int, offset: int) -> None:
        self._place = partition, offset

    def partition(self) -> int:
        return self._place[0]

    def offset(self) -> int:
        return self._place[1]


def test_what_became_of_a_batch_is_told_in_runs() -> None:
    """In the order of the batch, whatever the order of the reports; the reports here are made up."""
    batch = _Batch(8)
    batch.refused(5, KafkaError(KafkaError._QUEUE_FULL))
    batch.delivered(6, KafkaError(KafkaError._MSG_TIMED_OUT), _Report(0, -1))  # type: ignore[arg-type]
    for number, partition, offset in ((3, 1, 70), (0, 0, 10), (1, 0, 11), (2, 0, 12), (4, 1, 71)):
        batch.delivered(number, None, _Report(partition, offset))  # type: ignore[arg-type]
    assert not batch.done.is_set()
    batch.delivered(7, None, _Report(0, 13))  # type: ignore[arg-type]
    assert batch.done.is_set()
    written = batch.written()
    assert written.runs == [(0, 0, 10, 3), (3, 1, 70, 2), (7, 0, 13, 1)]
    assert (written.failed, written.unknown) == ([(5, 1)], [(6, 1)])
    assert "ueue full" in written.error


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "not a MessagePack array"),
        (b'[["a","b"]]', "not a MessagePack array"),
        (msgspec.msgpack.encode([]), "1 to 10,000 events, not 0"),
        (msgspec.msgpack.encode([(b"k", b"v")] * (EVENTS_MAX + 1)), "not 10,001"),
        (msgspec.msgpack.encode([(b"k", b"v"), (b"", b"v")]), "event 1: a key has 1 to 256 bytes, not 0"),
        (msgspec.msgpack.encode([(b"k", b"")]), "event 0: a value has 1 to 1,000,000 bytes, not 0"),
        (msgspec.msgpack.encode([(b"k", b"x" * 1_000_001)]), "not 1,000,001"),
        (msgspec.msgpack.encode([(b"k",)]), "not a MessagePack array"),
        (msgspec.msgpack.encode([("k", "v")]), "not a MessagePack array"),
    ],
)
def test_a_batch_that_cannot_be_taken_says_why(body: bytes, words: str) -> None:
    with pytest.raises(BadBatch, match=words):
        decode_batch(body)


@pytest.fixture
def address() -> Iterator[tuple[str, int]]:
    """A publisher's HTTP endpoint whose brokers nobody will ever reach."""
    service = Service(load_config(ENV))
    server = HealthServer(
        0, service.health, lambda report: publishing_handler(report, token=TOKEN, publish=service.publish)
    )
    yield "127.0.0.1", server.port
    server.close()


def _post(address: tuple[str, int], path: str, body: bytes, **headers: str) -> tuple[int, Mapping[str, Any]]:
    connection = http.client.HTTPConnection(*address, timeout=10)
    try:
        given = {"Authorization": f"Bearer {TOKEN}", **{name.replace("_", "-"): v for name, v in headers.items()}}
        connection.request("POST", path, body, given)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


GOOD = msgspec.msgpack.encode([(b"k", b"v")])
COMBAT = f"/v1/events/{Domain.COMBAT.topic}"


@pytest.mark.parametrize(
    ("path", "body", "headers", "status", "words"),
    [
        (COMBAT, b"nonsense", {}, 400, "not a MessagePack array"),
        (COMBAT, GOOD, {"Authorization": "Bearer wrong"}, 401, "token"),
        (COMBAT, GOOD, {"Authorization": ""}, 401, "token"),
        (f"/v1/events/{Domain.ECONOMY.topic}", GOOD, {}, 403, "this publisher has game.combat.events"),
        ("/v2/events/x", GOOD, {}, 404, "/v1/events/"),
        (COMBAT, GOOD, {"Content_Length": "many"}, 411, "Content-Length"),
        (COMBAT, GOOD, {"Content_Length": "99999999"}, 413, "at most"),
    ],
)
def test_what_is_wrong_is_refused(
    address: tuple[str, int], path: str, body: bytes, headers: dict[str, str], status: int, words: str
) -> None:
    found, answer = _post(address, path, body, **headers)
    assert (found, answer["accepted"]) == (status, 0)
    assert words in answer["error"]


def test_health_says_that_it_has_no_brokers_yet(address: tuple[str, int]) -> None:
    connection = http.client.HTTPConnection(*address, timeout=10)
    connection.request("GET", "/health")
    answer = connection.getresponse()
    said = json.loads(answer.read())
    connection.close()
    assert (answer.status, said["status"], said["max_rate_per_second"]) == (503, "starting", 20_000)


def test_who_stops_takes_nothing_more() -> None:
    service = Service(load_config(ENV))
    service.stop()
    replies: list[Any] = []
    service.publish(Domain.COMBAT.topic, "a", GOOD, replies.append)
    assert [int(reply.status) for reply in replies] == [503]


def test_the_defaults_are_the_claimed_ones() -> None:
    config = load_config(ENV)
    assert (config.rate_per_s, config.burst, config.domain) == (20_000, 10_000, Domain.COMBAT)
    assert (config.http_port, config.metrics_port, config.shutdown_timeout_s) == (8080, 9090, 30.0)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"PUBLISHER_DOMAIN": ""}, "PUBLISHER_DOMAIN is not set"),
        ({"PUBLISHER_DOMAIN": "combta"}, "Did you mean 'combat'"),
        ({"PUBLISHER_TOKEN": "short"}, "PUBLISHER_TOKEN: give 16"),
        ({"PRODUCER_MAX_RATE_PER_SECOND": "0"}, "PRODUCER_MAX_RATE_PER_SECOND: 0 is not between"),
        ({"PRODUCER_BACKOFF_BASE": "0s"}, "PRODUCER_BACKOFF_BASE: '0s' is less than"),
    ],
)
def test_a_wrong_setting_names_its_variable(changes: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        load_config({**ENV, **changes})
