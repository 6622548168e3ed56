"""Hostile datagrams against the gateway without its sockets: nothing makes it fail, answer, or remember too much."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from gateway_bench import Certificates, StandInBackbone, make_certificates, make_config
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from necp_validate.realtime import messages as m
from necp_validate.realtime.frames import (
    HEADER_BYTES,
    MAX_BODY,
    Ack,
    Direction,
    Input,
    Kind,
    Sealer,
    encode_ack,
    encode_input,
)
from necp_validate.reference.gateway.datagrams import Datagrams
from necp_validate.reference.gateway.gateway import Gateway
from necp_validate.reference.gateway.interest import MAX_UNACKED
from necp_validate.reference.gateway.limits import MAX_RANGES
from necp_validate.reference.gateway.metrics import GatewayMetrics
from necp_validate.reference.gateway.sessions import MAX_IN_FLIGHT, Session
from necp_validate.reference.gateway.updates import Updates

HOME = ("10.0.0.1", 1_000)
THIEF = ("10.6.6.6", 666)
NOW_US = 1_764_000_000_000_000


class Wire:
    """Takes what the gateway sends, to whomever."""

    def __init__(self) -> None:
        self.datagrams: list[tuple[str, int]] = []
        self.messages: list[m.Message] = []

    def send(self, what: Any, address: tuple[str, int] = ("", 0)) -> None:
        if isinstance(what, bytes):
            self.datagrams.append(address)
        else:
            self.messages.append(what)

    def send_encoded(self, text: bytes) -> None:
        self.messages.append(m.decode_gateway(text))

    def finish(self, message: m.Message) -> None:
        self.messages.append(message)


class Fort:
    """A gateway with one player in it, at a time that stands still."""

    def __init__(self, certificates: Certificates, **changes: str) -> None:
        self.now_s = 100.0
        self.backbone = StandInBackbone()
        self.backbone.silent = True
        config = make_config(certificates, **changes)
        self.gateway = Gateway(config, self.backbone, clock=lambda: self.now_s, now_us=lambda: NOW_US)
        self.datagrams = Datagrams(self.gateway)
        self.wire = Wire()
        self.updates = Updates(self.gateway, self.wire, GatewayMetrics(self.gateway.tally, list))
        login = m.Login(player="ann", match="m", region="eu", build="1")
        self.session: Session = self.gateway.login(login, self.wire)
        self.sealer = Sealer(self.session.id, self.session.secret, Direction.TO_GATEWAY)

    def tick(self) -> None:
        asyncio.run(self.updates.tick(0.05))

    @property
    def counted(self) -> bool:
        """Whether each datagram was either taken or dropped for a reason."""
        tally = self.gateway.tally
        dropped = sum(count for reason, count in tally.dropped.items() if reason not in {"speed", "duplicate"})
        return tally.datagrams_in == self.session.datagrams_in + dropped


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    directory: Path = tmp_path_factory.mktemp("pki")
    return make_certificates(directory)


ANY = settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])


@ANY
@given(st.lists(st.binary(max_size=1_400), max_size=20), st.data())
def test_strangers_get_nothing(certificates: Certificates, rubbish: list[bytes], data: st.DataObject) -> None:
    """Rubbish, and what was taken from the wire and changed, cut or lengthened, from another address."""
    fort = Fort(certificates)
    good = fort.sealer.seal(Kind.HELLO)
    fort.datagrams.receive(good, HOME)
    for datagram in rubbish:
        fort.datagrams.receive(datagram, THIEF)
    for _ in range(5):
        changed = bytearray(fort.sealer.seal(Kind.INPUT, encode_input(Ack(0, 0), Input(1, 0, 5, 5, 5))))
        changed[data.draw(st.integers(0, len(changed) - 1))] ^= data.draw(st.integers(1, 255))
        fort.datagrams.receive(bytes(changed), THIEF)
        fort.datagrams.receive(bytes(changed[: data.draw(st.integers(0, len(changed) - 1))]), THIEF)
        fort.datagrams.receive(good + bytes(changed), THIEF)
        fort.datagrams.receive(good, THIEF)
    for _ in range(3):
        fort.tick()
    assert fort.session.address == HOME
    assert fort.session.wished == 0
    assert fort.wire.datagrams
    assert set(fort.wire.datagrams) == {HOME}
    assert fort.session.datagrams_in == 1
    assert fort.counted


@ANY
@given(st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=MAX_BODY)), max_size=30))
def test_a_player_with_a_key_can_send_what_it_wants(certificates: Certificates, sent: list[tuple[int, bytes]]) -> None:
    """Any kind with any body: counted, and the world goes on."""
    fort = Fort(certificates)
    fort.datagrams.receive(fort.sealer.seal(Kind.HELLO), HOME)
    for kind, body in sent:
        fort.datagrams.receive(fort.sealer.seal(kind, body), HOME)
        fort.datagrams.receive(fort.sealer.seal(kind % 5, encode_ack(Ack(2**32 - 1, 2**32 - 1)) + body[:11]), HOME)
    fort.tick()
    assert fort.counted
    assert len(fort.gateway.sessions) == 1
    assert fort.backbone.events == []


def test_the_proof_that_counting_can_fail(certificates: Certificates) -> None:
    """A datagram that is neither taken nor dropped would be noticed."""
    fort = Fort(certificates)
    fort.datagrams.receive(fort.sealer.seal(Kind.HELLO), HOME)
    assert fort.counted
    fort.gateway.tally.datagrams_in += 1
    assert not fort.counted


def test_who_never_acknowledges_is_not_remembered_for_ever(certificates: Certificates) -> None:
    """Neither its datagrams under way, nor its inputs, nor its numbers."""
    fort = Fort(certificates)
    fort.datagrams.receive(fort.sealer.seal(Kind.HELLO), HOME)
    for number in range(1, MAX_UNACKED + 200):
        fort.now_s += 1.0
        body = encode_input(Ack(0, 0), Input(number, 0, number % 30, 0, 0))
        fort.datagrams.receive(fort.sealer.seal(Kind.INPUT, body), HOME)
        fort.gateway.world.step(0.05)
        fort.gateway.encoder.refresh()
        center = int(fort.gateway.world.cell[fort.session.slot])
        for _ in fort.session.view.update(fort.gateway.encoder, center, fort.now_s):
            fort.session.view.sent(number)
    assert len(fort.session.view._unacked) == MAX_UNACKED
    assert len(fort.gateway.world._wishes) == 0


def test_actions_in_flight_are_bounded(certificates: Certificates) -> None:
    """While Kafka says nothing, a player is refused before its actions fill the memory."""
    fort = Fort(certificates, RATE_LIMIT_REQUESTS_PER_MINUTE="100000")
    fort.datagrams.receive(fort.sealer.seal(Kind.HELLO), HOME)
    hit = m.Hit(target=1, weapon="pistol", damage=20)
    for n in range(1, MAX_IN_FLIGHT + 11):
        body = encode_ack(Ack(0, 0)) + m.udp_action(n, NOW_US, "hit", hit)
        fort.datagrams.receive(fort.sealer.seal(Kind.ACTION, body), HOME)
    refused = [message for message in fort.wire.messages if isinstance(message, m.Refused)]
    assert len(fort.backbone.events) == MAX_IN_FLIGHT == len(fort.session.in_flight)
    assert [(one.n, one.reason) for one in refused] == [
        (n, "unavailable") for n in range(MAX_IN_FLIGHT + 1, MAX_IN_FLIGHT + 11)
    ]


def test_numbers_full_of_holes_are_bounded(certificates: Certificates) -> None:
    """A client that skips every other number is refused in the end, not remembered without end."""
    fort = Fort(certificates, RATE_LIMIT_REQUESTS_PER_MINUTE="100000")
    fort.datagrams.receive(fort.sealer.seal(Kind.HELLO), HOME)
    for n in range(1, 4 * MAX_RANGES, 2):
        body = encode_ack(Ack(0, 0)) + m.udp_action(n, NOW_US, "nonsense", m.Transfer(credit="b", amount=1))
        fort.datagrams.receive(fort.sealer.seal(Kind.ACTION, body), HOME)
    assert len(fort.session.summary().udp_actions) == MAX_RANGES
    assert {message.reason for message in fort.wire.messages if isinstance(message, m.Refused)} == {"invalid"}


def test_a_datagram_is_as_long_as_its_header_or_it_is_nothing(certificates: Certificates) -> None:
    """The shortest that can be valid is; one byte less is not."""
    fort = Fort(certificates)
    hello = fort.sealer.seal(Kind.HELLO)
    assert len(hello) == HEADER_BYTES
    fort.datagrams.receive(hello[:-1], HOME)
    assert fort.gateway.tally.dropped == {"length": 1}
    fort.datagrams.receive(hello, HOME)
    assert fort.session.address == HOME
