"""The gateway as a process, with real brokers and the real event core behind it."""

from __future__ import annotations

import asyncio
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import uvloop
from gateway_bench import Certificates, Client, client_context, make_certificates
from kafka_bench import Tail
from websockets.asyncio.client import connect

from necp_validate.events.envelope import decode
from necp_validate.events.topics import Domain
from necp_validate.realtime import messages as m
from necp_validate.stack import LocalStack
from necp_validate.stack.service import ProcessService

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

ACTIONS: list[tuple[str, m.ActionData, str]] = [
    ("hit", m.Hit(target=1, weapon="pistol", damage=20, distance_cm=500), "processed"),
    ("hit", m.Hit(target=1, weapon="katana", damage=20, distance_cm=90_000), "rejected"),
    ("trade", m.Trade(order="order-1", seller="bob", item="ammo", quantity=2, unit_price=3), "processed"),
    ("transfer", m.Transfer(credit="bob", amount=5), "processed"),
    ("transfer", m.Transfer(credit="ann", amount=5), "rejected"),
    ("chat", m.Say(channel="general", text="first", sent_last_minute=1), "processed"),
    ("chat", m.Say(channel="general", text="second", sent_last_minute=2), "processed"),
    ("chat", m.Say(channel="general", text="flood", sent_last_minute=61), "rejected"),
    ("guild", m.Guild(do="create", guild="guild-1"), "processed"),
]


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return make_certificates(tmp_path)


@pytest.fixture
def core(brokers: LocalStack) -> Iterator[ProcessService]:
    core = brokers.start_core("core-gateway", {})
    try:
        core.wait_ready(60)
        yield core
        core.stop(30)  # in order: the next one need not wait until a dead member's session is over
    finally:
        core.kill()


class Target:
    """A gateway as a process."""

    def __init__(self, brokers: LocalStack, certificates: Certificates) -> None:
        self.certificates = certificates
        env = {**certificates.env, "RATE_LIMIT_REQUESTS_PER_MINUTE": "40"}
        self.service = brokers.start_gateway("gateway-real", env)
        self.address = self.service.udp_address
        self.websocket = urlsplit(self.service.websocket_url).port

    async def login(self, player: str) -> Client:
        url = f"wss://localhost:{self.websocket}/"
        context = client_context(self.certificates)
        client = Client(await connect(url, host="127.0.0.1", ssl=context, proxy=None), self.address)
        await client.send(m.Login(player=player, match="match-1", region="gateway-test", build="1"))
        client.accept(await client.expect(m.Welcome))
        client.hello()
        return client


def test_actions_end_as_the_core_decides(brokers: LocalStack, core: ProcessService, certificates: Certificates) -> None:
    """Over both transports: accepted where Kafka has them, each with its outcome; chat reaches the region in order."""
    tail = Tail(brokers, [domain.topic for domain in Domain])
    target = Target(brokers, certificates)
    try:
        target.service.wait_ready(60)
        accepted, stopped = uvloop.run(asyncio.wait_for(_play(target), 120))
        found: dict[tuple[str, int, int], str] = {}

        def all_read() -> bool:
            for message in tail.messages:
                place = (message.topic() or "", message.partition() or 0, message.offset() or 0)
                found[place] = decode(message.value() or b"").id
            return found.keys() >= accepted.keys() and any(topic == Domain.SYSTEM.topic for topic, _, _ in found)

        tail.read_until(all_read)
        assert {place: found[place] for place in accepted} == accepted
        assert stopped, target.service.log_tail()
    finally:
        target.service.kill()
        tail.close()


async def _play(target: Target) -> tuple[dict[tuple[str, int, int], str], bool]:
    """Play until the gateway ends; give what was accepted where, and whether the end was a good one."""
    ann, bob = await target.login("ann"), await target.login("bob")
    outcomes: dict[int, str] = {}
    for udp in (False, True):  # one transport after the other: nothing orders what is under way on both
        for kind, data, outcome in ACTIONS:
            outcomes[await ann.act(kind, data, udp=udp)] = outcome
        while len([one for one in ann.received if isinstance(one, m.Result)]) < len(outcomes):
            await ann.expect(m.Result, timeout_s=30)
    results = {one.n: one.outcome for one in ann.received if isinstance(one, m.Result)}
    assert results == outcomes
    accepted = {
        (one.topic, one.partition, one.offset): one.event for one in ann.received if isinstance(one, m.Accepted)
    }
    assert len(accepted) == len(outcomes)
    heard = [await bob.expect(m.Chat, timeout_s=30) for _ in range(4)]
    assert [chat.text for chat in heard] == ["first", "second"] * 2
    assert [(chat.partition, chat.offset) for chat in heard] == sorted((chat.partition, chat.offset) for chat in heard)
    await ann.play_until(lambda: {one.id for one in ann.replica.entities()} >= {ann.welcome.entity})
    assert ann.replica.counts.divergences == ann.replica.counts.missing_base == 0
    limited = 0
    while not limited:
        await bob.send(m.Ping(n=1))
        answer = m.decode_gateway(await bob.connection.recv())
        limited += isinstance(answer, m.Refused)
    metrics = await asyncio.to_thread(_read, target.service.metrics_url)
    assert 'gateway_actions_total{kind="hit",outcome="rejected"} 2.0' in metrics
    stopped = await asyncio.to_thread(target.service.stop, 30)
    goodbye = (await ann.closed())[-1]
    assert isinstance(goodbye, m.Goodbye)
    assert goodbye.reason == "shutdown"
    ranges = goodbye.summary.ws_actions + goodbye.summary.udp_actions
    assert sorted(n for first, last in ranges for n in range(first, last + 1)) == sorted(outcomes)
    for client in (ann, bob):
        await client.close()
    return accepted, stopped


def _read(url: str) -> str:
    with urllib.request.urlopen(url, timeout=5) as answer:
        text: str = answer.read().decode()
        return text
