"""Rate limits and circuit breakers against real brokers: what was let in, what lies in the log, and what was read."""

from __future__ import annotations

import http.client
import itertools
import json
import random
import threading
import time
import urllib.parse
import urllib.request
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import pytest
from kafka_bench import OUTCOME, Accounts, Tail, Traffic

from necp_validate.events.envelope import event_id, head, seal
from necp_validate.events.samples import sample_event
from necp_validate.events.topics import Domain
from necp_validate.stack import LocalStack
from necp_validate.stack.protocol import ServiceHandle
from necp_validate.stack.waiting import wait_until

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

TOKEN = "a token that nobody can guess"
RATE, BURST, FLOOD_S = 2_000, 1_000, 4.0
COMBAT = Domain.COMBAT.topic


class Publishing:
    """One producer of the publisher: what it offered, and what was answered."""

    def __init__(self, publisher: ServiceHandle, name: str) -> None:
        address = urllib.parse.urlsplit(publisher.http_url)
        self._connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)
        self._name = name
        self._stream = f"f1{zlib.crc32(f'{name}{time.time()}'.encode()) & 0xFFFFFF:06x}"
        self._numbers = itertools.count()
        rng = random.Random(name)
        samples = [sample_event(Domain.COMBAT, rng) for _ in range(50)]
        # Real events: the event cores of other tests read this topic, too.
        self._heads = [head(kind, version, key=name, data=data) for kind, version, data in samples]
        self.accepted: dict[tuple[int, int], bytes] = {}
        self.refused = 0
        self.waits_s: list[float] = []

    def offer(self, count: int, topic: str = COMBAT) -> tuple[int, Mapping[str, Any]]:
        """Offer a batch; what is refused is forgotten."""
        events = [(self._name.encode(), self._event(next(self._numbers))) for _ in range(count)]
        headers = {"Authorization": f"Bearer {TOKEN}", "Producer-Id": self._name}
        self._connection.request("POST", f"/v1/events/{topic}", msgspec.msgpack.encode(events), headers)
        reply = self._connection.getresponse()
        answer = json.loads(reply.read())
        for first, partition, offset, length in answer["runs"]:
            for i in range(length):
                self.accepted[partition, offset + i] = events[first + i][1]
        self.refused += answer["refused"]
        if answer["refused"]:
            self.waits_s.append(answer["retry_after_s"])
            assert int(reply.headers["Retry-After"]) >= answer["retry_after_s"]
        return reply.status, answer

    def _event(self, number: int) -> bytes:
        front = self._heads[number % len(self._heads)]
        return seal(front, time.time_ns() // 1_000, event_id(self._stream, number))

    def close(self) -> None:
        self._connection.close()


@pytest.fixture
def publisher(brokers: LocalStack) -> Iterator[ServiceHandle]:
    env = {
        "PUBLISHER_TOKEN": TOKEN,
        "PRODUCER_MAX_RATE_PER_SECOND": str(RATE),
        "PRODUCER_BURST_LIMIT": str(BURST),
    }
    service = brokers.start_publisher(Domain.COMBAT, env)
    try:
        service.wait_ready(60)
        yield service
    finally:
        service.kill()


def _lie_there(tail: Tail, senders: list[Publishing]) -> None:
    """Everything acknowledged lies where its answer says, and nothing else was written."""
    found = {(m.partition(), m.offset()): m.value() for m in tail.of(COMBAT)}
    assert found == {place: value for one in senders for place, value in one.accepted.items()}


def test_a_flood_is_held_to_the_limit(brokers: LocalStack, publisher: ServiceHandle) -> None:
    """Whatever comes; what was let in is in the log, and who goes on is told to wait for ever longer."""
    tail = Tail(brokers, [COMBAT])
    senders = [Publishing(publisher, f"server-{number}") for number in range(4)]
    begin_s = time.monotonic()

    def flood(one: Publishing) -> None:
        while time.monotonic() < begin_s + FLOOD_S:
            one.offer(250)

    threads = [threading.Thread(target=flood, args=(one,)) for one in senders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took_s = time.monotonic() - begin_s
    accepted = sum(len(one.accepted) for one in senders)
    tail.read_until(lambda: len(tail.messages) >= accepted)
    tail.read_to_end()
    with urllib.request.urlopen(publisher.metrics_url, timeout=5) as answer:
        metrics = answer.read().decode()
    tail.close()

    assert 0.95 * (BURST + RATE * FLOOD_S) <= accepted <= BURST + RATE * took_s
    _lie_there(tail, senders)
    refused = sum(one.refused for one in senders)
    assert f'kafka_producer_rate_limit_hits_total{{topic="{COMBAT}"}} {float(refused)}' in metrics
    assert all(one.waits_s[0] <= 0.1 and max(one.waits_s) >= 2.5 for one in senders)


def test_only_the_own_topic_and_whole_batches_are_taken(publisher: ServiceHandle) -> None:
    one = Publishing(publisher, "server-0")
    assert one.offer(10, Domain.ECONOMY.topic)[0] == 403
    status, answer = one.offer(10)
    assert (status, answer["accepted"], len(one.accepted)) == (200, 10, 10)
    one.close()


def test_a_graceful_stop_answers_for_what_it_has_accepted(brokers: LocalStack, publisher: ServiceHandle) -> None:
    tail = Tail(brokers, [COMBAT])
    one = Publishing(publisher, "server-0")
    ended: list[int] = []

    def go_on() -> None:
        try:
            while (status := one.offer(20)[0]) in (200, 429):
                time.sleep(0.005)
            ended.append(status)
        except (OSError, http.client.HTTPException):
            ended.append(0)

    thread = threading.Thread(target=go_on)
    thread.start()
    wait_until(lambda: len(one.accepted) >= 500, timeout_s=30, message="too little was accepted")
    assert publisher.stop(30), publisher.log_tail()
    thread.join(10)
    tail.read_to_end()
    tail.close()
    assert ended in ([503], [0])
    assert one.accepted
    _lie_there(tail, [one])


class Watched:
    """A breaker as ``/health`` describes it: how often it opened and tried is counted, however short a state was."""

    def __init__(self, core: ServiceHandle, domain: Domain) -> None:
        self._core = core
        self._domain = domain
        self.opened_s: list[float] = []
        self.tried_s: list[float] = []

    def look(self) -> str:
        breaker = self._core.health().get("domains", {}).get(self._domain.value, {}).get("breaker", {})
        now_s = time.monotonic()
        if len(self.opened_s) < breaker.get("openings", 0) and breaker["state"] == "open":
            self.opened_s.append(now_s - breaker["in_state_s"])
        if len(self.tried_s) < breaker.get("trials", 0):
            self.tried_s.append(now_s)
        return str(breaker.get("state", ""))

    def wait(self, state: str, *, openings: int, timeout_s: float = 90.0) -> None:
        def reached() -> bool:
            return self.look() == state and len(self.opened_s) == openings

        wait_until(reached, timeout_s=timeout_s, backoff_s=0.02, message=f"not {state} after {openings} openings")


@pytest.mark.parametrize("domain", [Domain.SOCIAL, Domain.ECONOMY])
def test_poison_opens_the_breaker_and_nothing_is_lost(brokers: LocalStack, domain: Domain) -> None:
    """A bad trial opens it again, a good one closes it; other domains go on, and each event has its outcome."""
    accounts = Accounts(brokers)
    core = brokers.start_core(
        f"core-breaker-{domain}",
        {
            "CIRCUIT_BREAKER_RECOVERY_TIMEOUT": "3s",
            "CIRCUIT_BREAKER_MINIMUM_EVENTS": "60",
            "CIRCUIT_BREAKER_TRIAL_EVENTS": "50",
        },
    )
    try:
        core.wait_ready(60)
        watched, traffic = Watched(core, domain), Traffic(brokers, seed=70 + domain.number)
        watched.wait("closed", openings=0)
        traffic.send(domain, 100, streams=1, cheats=0.6, poison=0.0)
        accounts.wait_for(traffic.sent)
        assert watched.look() == "closed"  # what the rules reject is no failure
        traffic.send(domain, 150, streams=1, poison=1.0)
        watched.wait("open", openings=1)
        known = set(traffic.sent)
        traffic.send(domain, 60, streams=1, poison=1.0)
        traffic.send(domain, 400, streams=1, cheats=0.0, poison=0.0)
        waiting = set(traffic.sent) - known
        traffic.send(Domain.COMBAT, 200)
        combat = {place: sent for place, sent in traffic.sent.items() if place[0] == COMBAT}
        accounts.wait_for(combat)
        assert watched.look() == "open"
        assert not waiting & set(accounts.outcomes)
        core.hold()  # both at once must not confuse it
        core.release()
        watched.wait("closed", openings=2)
        accounts.wait_for(traffic.sent)
        with urllib.request.urlopen(core.metrics_url, timeout=5) as answer:
            metrics = answer.read().decode()
        assert core.stop(30), core.log_tail()
        accounts.read_to_end()
    finally:
        core.kill()
        accounts.close()
    assert [tried - opened >= 2.8 for opened, tried in zip(watched.opened_s, watched.tried_s, strict=True)] == [
        True
    ] * 2
    expected = {place: [OUTCOME[sent.kind]] for place, sent in traffic.sent.items()}
    assert {place: accounts.outcomes.get(place) for place in expected} == expected
    assert f'necp_core_breaker_state{{domain="{domain}"}} 0.0' in metrics
    assert f'necp_core_breaker_transitions_total{{domain="{domain}",to="open"}} 2.0' in metrics
