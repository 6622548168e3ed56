"""The gateway on real sockets, with TLS and client certificates; only Kafka is stood in for."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import urllib.error
import urllib.request
import warnings
from collections.abc import Coroutine
from typing import Any

import pytest
import uvloop
from gateway_bench import (
    Certificates,
    Client,
    Running,
    StandInBackbone,
    client_context,
    make_certificates,
    running,
    udp_socket,
    until,
)
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from necp_validate.events.receipts import Outcome
from necp_validate.events.topics import Domain
from necp_validate.realtime import messages as m
from necp_validate.realtime.frames import Ack, Direction, Input, Kind, Sealer, encode_ack, encode_input
from necp_validate.reference.gateway import websocket

HIT = m.Hit(target=1, weapon="pistol", damage=20)
SAY = m.Say(channel="general", text="hello", sent_last_minute=1)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("pki"))


def play(test: Coroutine[Any, Any, None]) -> None:
    """Run a test in the event loop that the service has."""
    uvloop.run(asyncio.wait_for(test, 60))


def _get(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return int(answer.status), answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


async def get(port: int, path: str) -> tuple[int, str]:
    return await asyncio.to_thread(_get, port, path)


def same_world(gateway: Running, client: Client) -> bool:
    """Whether the client has the cells around it exactly as they are."""
    world, encoder = gateway.service.gateway.world, gateway.service.gateway.encoder
    center = client.replica.center[1] * world.cells + client.replica.center[0]
    for cell in encoder.near(center):
        log = world.logs.get(cell)
        copy = client.replica.cells.get((cell % world.cells, cell // world.cells))
        if log is not None and (copy is None or copy.content.checksum != log.checksum):
            return False
    return client.replica.own() is not None and client.replica.counts.divergences == 0


# --- who gets in


def test_only_a_valid_client_certificate_gets_in(certificates: Certificates) -> None:
    """None, an expired one and a stranger's are refused; with the requirement off, none is needed."""

    async def scenario() -> None:
        async with running(certificates) as gateway:
            for context in (
                client_context(certificates, anonymous=True),
                client_context(certificates, certificates.expired),
                client_context(certificates, certificates.foreign),
            ):
                with pytest.raises((ssl.SSLError, ConnectionError, InvalidHandshake, EOFError)):
                    await gateway.connect(context)
            client = await gateway.login()
            assert client.welcome.udp_port == gateway.address[1]
        async with running(certificates, CLIENT_CERT_REQUIRED="false", TLS_CLIENT_CA_LOCATION="") as gateway:
            connection = await gateway.connect(client_context(certificates, anonymous=True))
            await connection.close()

    play(scenario())


def test_tls_1_1_is_refused(certificates: Certificates) -> None:
    """Old versions are not spoken."""

    async def scenario() -> None:
        async with running(certificates) as gateway:
            context = client_context(certificates)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # that it is old is the point
                context.minimum_version = ssl.TLSVersion.TLSv1
                context.maximum_version = ssl.TLSVersion.TLSv1_1
            with pytest.raises((ssl.SSLError, ConnectionError, EOFError)):
                await gateway.connect(context)

    play(scenario())


def test_who_does_not_log_in_is_disconnected(certificates: Certificates, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the time for it, here a short one; the error says why."""
    monkeypatch.setattr(websocket, "LOGIN_TIMEOUT_S", 0.2)

    async def scenario() -> None:
        async with running(certificates) as gateway:
            connection = await gateway.connect()
            message = m.decode_gateway(await connection.recv())
            assert isinstance(message, m.Error)
            assert message.code == "login-timeout"
            with pytest.raises(ConnectionClosed):
                await connection.recv()
            assert gateway.service.gateway.tally.disconnects["login-timeout"] == 1

    play(scenario())


@pytest.mark.parametrize(
    ("first", "code"),
    [
        ('{"t":"ping","n":1}', "not-logged-in"),
        ("nonsense", "bad-message"),
        (b"\x00\x01", "bad-message"),
        ('{"t":"login","player":"","match":"m","region":"r","build":"1"}', "bad-message"),
    ],
)
def test_a_wrong_first_message_is_answered_with_an_error(
    certificates: Certificates, first: str | bytes, code: str
) -> None:
    """And the end of the connection."""

    async def scenario() -> None:
        async with running(certificates) as gateway:
            connection = await gateway.connect()
            await connection.send(first)
            message = m.decode_gateway(await connection.recv())
            assert isinstance(message, m.Error)
            assert message.code == code
            with pytest.raises(ConnectionClosed):
                await connection.recv()
            assert len(gateway.service.gateway.sessions) == 0

    play(scenario())


def test_an_oversized_message_ends_the_connection(certificates: Certificates) -> None:
    """And the session with it; others are not disturbed."""

    async def scenario() -> None:
        async with running(certificates) as gateway:
            ann, bob = await gateway.login("ann"), await gateway.login("bob")
            await ann.connection.send('{"t":"ping","n":1}' + " " * 5_000)
            await ann.closed()
            await until(lambda: len(gateway.service.gateway.sessions) == 1)
            await bob.send(m.Ping(n=1))
            assert (await bob.expect(m.Pong)).n == 1

    play(scenario())


def test_another_login_of_a_player_replaces_the_session(certificates: Certificates) -> None:
    """The older client is told, with its summary; its datagrams count no more."""

    async def scenario() -> None:
        async with running(certificates) as gateway:
            old = await gateway.login("ann")
            new = await gateway.login("ann")
            goodbye = (await old.closed())[-1]
            assert isinstance(goodbye, m.Goodbye)
            assert goodbye.reason == "replaced"
            old.hello()
            await until(lambda: gateway.dropped("session") == 1)
            assert len(gateway.service.gateway.sessions) == 1
            assert new.welcome.entity != old.welcome.entity

    play(scenario())


# --- state by datagrams


def test_players_see_each_other_and_nothing_else(certificates: Certificates) -> None:
    """Two of a match hold the same world as the gateway; one far away is not in it."""

    async def scenario() -> None:
        async with running(certificates) as gateway:
            ann, bob = await gateway.login("ann", match="here"), await gateway.login("bob", match="here")
            far = await gateway.login("far", match="elsewhere")
            world = gateway.service.gateway.world
            for client, x in ((ann, 10_500), (bob, 11_500), (far, 30_500)):
                slot = world._slots[client.welcome.entity]
                world._x[slot] = world._y[slot] = x
            for client in (ann, bob):
                client.hello()
                client.wish(1, mode=1, vx=30, vy=-40, yaw=7)
            await ann.play_until(lambda: ann.replica.last_input == 1 and same_world(gateway, ann))
            seen = {one.id for one in ann.replica.entities()}
            assert seen == {ann.welcome.entity, bob.welcome.entity}
            own = ann.replica.own()
            assert own is not None
            assert (own.vx, own.vy, own.yaw, own.mode) == (30, -40, 7, 1)
            assert ann.replica.counts.missing_base == 0
            assert far.take() == 0

    play(scenario())


def test_a_player_walks_through_cells_and_comes_back(certificates: Certificates) -> None:
    """Cells are entered and forgotten; the copy is right all the time."""

    async def scenario() -> None:
        async with running(certificates, SPATIAL_GRID_SIZE="20", WORLD_CELLS="8") as gateway:
            ann, bob = await gateway.login("ann"), await gateway.login("bob")
            ann.hello()
            bob.hello()
            number = 0
            centers = set()
            for vx, vy in ((250, 0), (0, 250), (-250, 0), (0, -250)):
                number += 1
                ann.wish(number, mode=2, vx=vx, vy=vy)
                start = ann.replica.tick
                await ann.play_until(lambda start=start: ann.replica.tick > start + 12)
                centers.add(ann.replica.center)
            ann.wish(number + 1)
            await ann.play_until(lambda: ann.replica.last_input == number + 1 and same_world(gateway, ann))
            assert len(centers) > 2
            assert ann.replica.counts.missing_base == ann.replica.counts.divergences == 0

    play(scenario())


def test_nobody_is_faster_than_the_mode_allows(certificates: Certificates) -> None:
    """A velocity beyond it is cut down and counted."""

    async def scenario() -> None:
        async with running(certificates) as gateway:
            ann = await gateway.login()
            ann.hello()
            ann.wish(1, mode=0, vx=30_000, vy=0)
            await ann.play_until(lambda: ann.replica.last_input == 1 and ann.replica.own())
            await ann.play_until(lambda: (ann.replica.own() or Input(0, 0, 0, 0, 0)).vx == 30)
            assert gateway.dropped("speed") == 1

    play(scenario())


def test_a_quiet_world_still_sends_a_sign_of_life(certificates: Certificates) -> None:
    """An empty state once a second at most, not one at each tick."""

    async def scenario() -> None:
        async with running(certificates) as gateway:
            ann = await gateway.login()
            ann.hello()
            await ann.play_until(lambda: same_world(gateway, ann))
            tick, before = ann.replica.tick, ann.datagrams
            await ann.play_until(lambda: ann.replica.tick > tick + 25)
            assert 1 <= ann.datagrams - before <= 4

    play(scenario())


# --- who may send datagrams


def test_nothing_is_sent_to_who_does_not_prove_itself(certificates: Certificates) -> None:
    """Rubbish, unknown sessions and wrong tags: dropped, counted by reason, never answered."""

    async def scenario() -> None:
        async with running(certificates) as gateway:
            ann = await gateway.login()
            stranger = udp_socket()
            wrong_key = Sealer(int(ann.welcome.session, 16), bytes(32), Direction.TO_GATEWAY)
            nobody = Sealer(99, bytes(32), Direction.TO_GATEWAY)
            good = ann.sealer.seal(Kind.HELLO)
            for datagram in (
                b"",
                b"hello",
                bytes(1_300),
                bytes(24),
                good[:2] + b"\x02" + good[3:],
                good[:-1],
                wrong_key.seal(Kind.HELLO),
                nobody.seal(Kind.HELLO),
            ):
                stranger.sendto(datagram, gateway.address)
            await until(lambda: gateway.service.gateway.tally.datagrams_in == 8)
            tally = gateway.service.gateway.tally
            assert dict(tally.dropped) == {"length": 4, "magic": 1, "version": 1, "tag": 1, "session": 1}
            start = gateway.service.gateway.world.tick
            await until(lambda: gateway.service.gateway.world.tick > start + 25)
            assert tally.datagrams_out == 0
            with pytest.raises(BlockingIOError):
                stranger.recv(2_048)
            stranger.close()

    play(scenario())


def test_a_session_is_bound_by_hello_only(certificates: Certificates) -> None:
    """Until then its other datagrams are dropped, and it gets none."""

    async def scenario() -> None:
        async with running(certificates) as gateway:
            ann = await gateway.login()
            ann.wish(1, vx=5)
            await until(lambda: gateway.dropped("unbound") == 1)
            start = gateway.service.gateway.world.tick
            await until(lambda: gateway.service.gateway.world.tick > start + 3)
            assert ann.take() == 0
            ann.hello()
            await ann.play_until(lambda: ann.datagrams)

    play(scenario())


def test_an_address_moves_only_with_a_valid_and_newest_datagram(certificates: Certificates) -> None:
    """A replay from elsewhere, or a tag of somebody else, takes nothing away; a player behind a new NAT goes on."""

    async def scenario() -> None:
        async with running(certificates) as gateway:
            ann = await gateway.login()
            hello = ann.datagram(Kind.HELLO)
            delayed = ann.sealer.seal(Kind.ACK, encode_ack(Ack(0, 0)))
            ann.ack()
            session = next(iter(gateway.service.gateway.sessions))
            await until(lambda: session.datagrams_in == 2)
            home = session.address
            thief = udp_socket()
            thief.sendto(hello, gateway.address)
            await until(lambda: gateway.dropped("replayed") == 1)
            wrong = Sealer(session.id, bytes(32), Direction.TO_GATEWAY)
            wrong.seq = 1_000
            thief.sendto(wrong.seal(Kind.HELLO), gateway.address)
            await until(lambda: gateway.dropped("tag") == 1)
            thief.sendto(delayed, gateway.address)
            await until(lambda: session.datagrams_in == 3)
            assert session.address == home
            ann.socket.close()
            ann.socket = udp_socket()
            ann.ack()
            await until(lambda: session.address == ann.socket.getsockname())
            await ann.play_until(lambda: same_world(gateway, ann))
            assert session.dropped == {"replayed": 1}
            thief.close()

    play(scenario())


def test_players_may_share_an_address(certificates: Certificates) -> None:
    """Behind one NAT, the session's key tells them apart."""

    async def scenario() -> None:
        async with running(certificates) as gateway:
            ann, bob = await gateway.login("ann"), await gateway.login("bob")
            for client in (ann, bob):
                ann.socket.sendto(client.sealer.seal(Kind.HELLO), gateway.address)
            await until(lambda: len({one.address for one in gateway.service.gateway.sessions}) == 1)
            got = set()

            def both() -> bool:
                try:
                    got.add(int.from_bytes(ann.socket.recv(2_048)[4:12], "little"))
                except BlockingIOError:
                    return False
                return len(got) == 2

            await until(both)
            assert got == {int(client.welcome.session, 16) for client in (ann, bob)}

    play(scenario())


def test_states_beyond_sixty_a_second_are_dropped(certificates: Certificates) -> None:
    """A flood of one session is cut; another session's input is applied as ever."""

    async def scenario() -> None:
        async with running(certificates) as gateway:
            ann, bob = await gateway.login("ann"), await gateway.login("bob")
            ann.hello()
            bob.hello()
            for number in range(1, 501):
                ann.wish(number, vx=1)
            bob.wish(1, vx=3)
            await until(lambda: gateway.service.gateway.tally.datagrams_in == 503)
            assert gateway.dropped("rate") > 400
            await bob.play_until(lambda: bob.replica.last_input == 1)

    play(scenario())


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (Kind.HELLO, b"x"),
        (Kind.INPUT, b""),
        (Kind.INPUT, encode_input(Ack(0, 0), Input(1, 200, 0, 0, 0))),
        (Kind.ACK, b"1234567"),
        (Kind.ACTION, encode_ack(Ack(0, 0)) + b"\xc1"),
        (Kind.ACTION, encode_ack(Ack(0, 0))),
    ],
)
def test_a_valid_tag_excuses_no_wrong_body(certificates: Certificates, kind: Kind, body: bytes) -> None:
    """It is counted as such, and the session goes on."""

    async def scenario() -> None:
        async with running(certificates) as gateway:
            ann = await gateway.login()
            ann.hello()
            ann.datagram(kind, body)
            await until(lambda: gateway.dropped("body") == 1)
            ann.datagram(77)
            await until(lambda: gateway.dropped("kind") == 1)
            await ann.play_until(lambda: same_world(gateway, ann))

    play(scenario())


# --- actions


@pytest.mark.parametrize("udp", [False, True])
def test_an_action_becomes_an_event_and_gets_its_result(certificates: Certificates, udp: bool) -> None:
    """Accepted with its place, then the outcome; whichever transport and whichever comes first from Kafka."""

    async def scenario() -> None:
        backbone = StandInBackbone()
        async with running(certificates, backbone) as gateway:
            ann = await gateway.login(match="match-7")
            ann.hello()
            for receipt_first, outcome, name in (
                (False, Outcome.PROCESSED, "processed"),
                (True, Outcome.REJECTED, "rejected"),
                (False, Outcome.DEAD_LETTERED, "dead-lettered"),
            ):
                backbone.receipt_first = receipt_first
                backbone.outcome = lambda _, outcome=outcome: outcome
                n = await ann.act("hit", HIT, udp=udp)
                accepted = await ann.expect(m.Accepted)
                result = await ann.expect(m.Result)
                event = backbone.of(Domain.COMBAT)[-1]
                assert (accepted.n, accepted.event, accepted.topic) == (n, event.id, Domain.COMBAT.topic)
                assert (result.n, result.outcome) == (n, name)
            events = backbone.of(Domain.COMBAT)
            assert [event.seq for event in events] == [0, 1, 2]
            assert {event.stream for event in events} == {ann.welcome.streams.combat}
            assert {(event.key, event.data.attacker, event.data.target) for event in events} == {
                ("match-7", "ann", "entity-1")
            }
            await ann.send(m.Leave())
            summary = (await ann.expect(m.Goodbye)).summary
            assert (summary.udp_actions, summary.ws_actions) == (([(1, 3)], []) if udp else ([], [(1, 3)]))

    play(scenario())


def test_each_kind_of_action_becomes_its_event(certificates: Certificates) -> None:
    """In the player's name, with the key of its domain."""

    async def scenario() -> None:
        backbone = StandInBackbone()
        async with running(certificates, backbone) as gateway:
            ann = await gateway.login(region="asia")
            for kind, data in (
                ("trade", m.Trade(order="o1", seller="bob", item="ammo", quantity=2, unit_price=3)),
                ("transfer", m.Transfer(credit="bob", amount=5)),
                ("chat", SAY),
                ("guild", m.Guild(do="create", guild="g1", name="The Guild", tag="TG")),
                ("guild", m.Guild(do="join", guild="g1", invited_by="bob", rank="officer")),
                ("guild", m.Guild(do="leave", guild="g1", rank="leader", successor="bob")),
            ):
                await ann.act(kind, data)
                await ann.expect(m.Result)
            assert [event.type for _, _, event in backbone.events] == [
                "economy.trade",
                "economy.transfer",
                "social.chat_message",
                "social.guild_create",
                "social.guild_join",
                "social.guild_leave",
            ]
            keys = {(topic, key) for topic, key, _ in backbone.events}
            assert (Domain.SOCIAL.topic, b"asia") in keys
            assert {key[:7] for topic, key in keys if topic == Domain.ECONOMY.topic} == {b"market-"}
            trade, transfer, chat, founded, joined, left = (event.data for _, _, event in backbone.events)
            assert (trade.buyer, transfer.debit, chat.sender, founded.leader, joined.player, left.player) == (
                "ann",
            ) * 6

    play(scenario())


def test_a_processed_hit_is_felt(certificates: Certificates) -> None:
    """The target's hit points fall in the world that everybody sees; those of a rejected hit do not."""

    async def scenario() -> None:
        backbone = StandInBackbone()
        async with running(certificates, backbone) as gateway:
            ann = await gateway.login("ann")
            ann.hello()
            target = m.Hit(target=ann.welcome.entity, weapon="pistol", damage=20)
            await ann.act("hit", target)
            await ann.play_until(lambda: ann.replica.own() and ann.replica.own().hp == 980)  # type: ignore[union-attr]
            backbone.outcome = lambda _: Outcome.REJECTED
            await ann.act("hit", target)
            assert (await ann.expect(m.Result)).outcome == "processed"
            assert (await ann.expect(m.Result)).outcome == "rejected"
            await ann.play_until(lambda: same_world(gateway, ann))
            own = ann.replica.own()
            assert own is not None
            assert own.hp == 980

    play(scenario())


def test_what_is_invalid_is_refused(certificates: Certificates) -> None:
    """Wrong data, an unknown kind and a wrong time; the session goes on, and no event is made."""

    async def scenario() -> None:
        backbone = StandInBackbone()
        async with running(certificates, backbone) as gateway:
            ann = await gateway.login()
            for n, (kind, ts_us) in enumerate(
                [("hit", 10**15), ("steal", 1_764_000_000_000_000), ("hit", 9 * 10**15)], start=1
            ):
                text = {"t": "action", "n": n, "ts_us": ts_us, "kind": kind, "data": json.loads(json_of(HIT))}
                await ann.connection.send(json.dumps(text))
                refused = await ann.expect(m.Refused)
                assert (refused.n, refused.reason) == (n, "invalid")
            assert backbone.events == []
            await ann.act("hit", HIT, n=4)
            assert (await ann.expect(m.Result)).n == 4
            assert gateway.service.gateway.tally.actions["unknown", "invalid"] == 1

    play(scenario())


def json_of(data: m.ActionData) -> str:
    return m.json_action(1, 10**15, "hit", data).decode().partition('"data":')[2][:-1]


def test_a_repeated_number_is_answered_once(certificates: Certificates) -> None:
    """Over the same transport and over the other one; it is counted, and makes no second event."""

    async def scenario() -> None:
        backbone = StandInBackbone()
        async with running(certificates, backbone) as gateway:
            ann = await gateway.login()
            ann.hello()
            for udp in (False, False, True):
                await ann.act("hit", HIT, n=1, udp=udp)
            await until(lambda: gateway.dropped("duplicate") == 2)
            await ann.act("hit", HIT, n=2)
            while (await ann.expect(m.Result)).n != 2:
                pass
            ends = [message.n for message in ann.received if isinstance(message, m.Result | m.Refused)]
            assert ends == [1, 2]
            assert len(backbone.events) == 2

    play(scenario())


def test_a_backbone_that_cannot_take_events_is_unavailable(certificates: Certificates) -> None:
    """No room, a failed delivery: refused. Sequence numbers have no hole where there was no room."""

    async def scenario() -> None:
        backbone = StandInBackbone()
        async with running(certificates, backbone) as gateway:
            ann = await gateway.login()
            backbone.full = True
            await ann.act("hit", HIT)
            assert (await ann.expect(m.Refused)).reason == "unavailable"
            backbone.full, backbone.failing = False, True
            await ann.act("hit", HIT)
            assert (await ann.expect(m.Refused)).reason == "unavailable"
            backbone.failing = False
            await ann.act("hit", HIT)
            assert (await ann.expect(m.Result)).n == 3
            assert [event.seq for event in backbone.of(Domain.COMBAT)] == [0, 1]
            backbone.ready = False
            await ann.act("hit", HIT)
            assert (await ann.expect(m.Refused)).reason == "unavailable"

    play(scenario())


def test_more_than_the_limit_is_refused_and_audited_once(certificates: Certificates) -> None:
    """Actions over both transports, pings and logins share one limit, which survives a new login."""

    async def scenario() -> None:
        backbone = StandInBackbone()
        async with running(certificates, backbone, RATE_LIMIT_REQUESTS_PER_MINUTE="6") as gateway:
            ann, bob = await gateway.login("ann"), await gateway.login("bob")
            ann.hello()
            for _ in range(2):
                await ann.act("hit", HIT)
                await ann.act("hit", HIT, udp=True)
            await ann.send(m.Ping(n=1))
            await ann.expect(m.Pong)
            for _ in range(3):
                await ann.act("hit", HIT)
                refused = await ann.expect(m.Refused)
                assert refused.reason == "rate-limited"
                assert 0 < refused.retry_after_ms <= 10_001
            await ann.send(m.Ping(n=2))
            assert (await ann.expect(m.Refused)).n == 0
            (audit,) = backbone.of(Domain.SYSTEM)
            assert (audit.data.actor, audit.data.action, audit.data.decision) == ("ann", "rate-limit", "denied")
            await bob.send(m.Ping(n=1))
            await bob.expect(m.Pong)
            again = Client(await gateway.connect(), gateway.address)
            gateway.clients.append(again)
            await again.send(m.Login(player="ann", match="m", region="eu", build="1"))
            assert (await again.expect(m.Error)).code == "rate-limited"
            assert gateway.service.gateway.tally.limited == 5

    play(scenario())


def test_a_flood_of_requests_ends_the_connection(certificates: Certificates) -> None:
    """Who goes on far beyond the limit is told so, and dismissed."""

    async def scenario() -> None:
        async with running(certificates, RATE_LIMIT_REQUESTS_PER_MINUTE="5") as gateway:
            ann = await gateway.login()
            for number in range(1, 30):
                await ann.send(m.Ping(n=number))
            last = (await ann.closed())[-1]
            assert isinstance(last, m.Error)
            assert last.code == "flood"

    play(scenario())


def test_a_flood_of_actions_by_datagram_is_not_even_answered(certificates: Certificates) -> None:
    """Refusals have a limit of their own; who waits is heard again."""

    async def scenario() -> None:
        async with running(certificates, RATE_LIMIT_REQUESTS_PER_MINUTE="5") as gateway:
            ann = await gateway.login()
            ann.hello()
            for _ in range(40):
                await ann.act("hit", HIT, udp=True)
            await until(lambda: gateway.service.gateway.tally.datagrams_in == 41)
            assert gateway.dropped("flood") == 40 - 4 - 5 - 1
            await ann.send(m.Leave())
            summary = (await ann.expect(m.Goodbye)).summary
            assert summary.udp_actions == [(1, 10)]
            assert summary.dropped == {"flood": 30}

    play(scenario())


# --- chat, slow readers, the end


def test_chat_goes_to_the_players_of_the_region_in_order(certificates: Certificates) -> None:
    """And to nobody else."""

    async def scenario() -> None:
        async with running(certificates) as gateway:
            ann, bob = await gateway.login("ann", region="eu"), await gateway.login("bob", region="asia")
            gateway.backbone.say("eu", "general", "one", "two", offset=7)
            gateway.backbone.say("asia", "general", "three", offset=8)
            got = [await ann.expect(m.Chat), await ann.expect(m.Chat)]
            assert [(chat.text, chat.offset, chat.sender) for chat in got] == [
                ("one", 7, "somebody"),
                ("two", 7, "somebody"),
            ]
            assert (await bob.expect(m.Chat)).text == "three"

    play(scenario())


def test_who_does_not_read_is_disconnected(certificates: Certificates) -> None:
    """Its messages are bounded; the others get theirs all the time."""

    async def scenario() -> None:
        async with running(certificates) as gateway:
            slow, good = await gateway.login("slow", region="eu"), await gateway.login("good", region="eu")
            slow.connection.transport.pause_reading()  # type: ignore[attr-defined]
            # With the megabytes that the kernel would hold for it this takes ten seconds.
            slow.connection.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            text = "\N{GRINNING FACE}" * 500
            sent = 0
            while gateway.service.gateway.tally.disconnects["slow-reader"] == 0:
                gateway.backbone.say("eu", "general", *[text] * 100, offset=sent)
                sent += 100
                for _ in range(100):
                    await good.expect(m.Chat)
                assert sent < 200_000
            await until(lambda: len(gateway.service.gateway.sessions) == 1)
            await good.send(m.Ping(n=1))
            await good.expect(m.Pong)

    play(scenario())


def test_a_graceful_end_answers_everything(certificates: Certificates) -> None:
    """What is on its way gets its result, new actions and logins are refused, then everybody is told goodbye."""

    async def scenario() -> None:
        backbone = StandInBackbone(answering=False)
        async with running(certificates, backbone) as gateway:
            ann = await gateway.login()
            first = await ann.act("hit", HIT)
            await ann.expect(m.Accepted)
            gateway.service.stop()
            await until(lambda: gateway.service.gateway.draining)
            assert (await get(gateway.service.http_port, "/health"))[0] == 503
            second = await ann.act("hit", HIT)
            refused = await ann.expect(m.Refused)
            assert (refused.n, refused.reason) == (second, "unavailable")
            with pytest.raises((OSError, InvalidHandshake)):
                await gateway.connect()
            backbone.answer()
            assert (await ann.expect(m.Result)).n == first
            goodbye = await ann.expect(m.Goodbye)
            assert goodbye.reason == "shutdown"
            assert goodbye.summary.ws_actions == [(1, 2)]
            assert await gateway.task == 0
            assert backbone.closed

    play(scenario())


def test_an_end_without_results_says_unavailable(certificates: Certificates) -> None:
    """When the core does not answer in time, the players are not left waiting."""

    async def scenario() -> None:
        backbone = StandInBackbone(answering=False)
        async with running(certificates, backbone, GRACEFUL_SHUTDOWN_TIMEOUT="1s") as gateway:
            ann = await gateway.login()
            n = await ann.act("hit", HIT)
            await ann.expect(m.Accepted)
            gateway.service.stop()
            refused = await ann.expect(m.Refused)
            assert (refused.n, refused.reason) == (n, "unavailable")
            assert (await ann.expect(m.Goodbye)).reason == "shutdown"

    play(scenario())


def test_health_and_metrics(certificates: Certificates) -> None:
    """Both say what is; nothing is healthy before its backbone is."""

    async def scenario() -> None:
        backbone = StandInBackbone()
        backbone.ready = False
        async with running(certificates, backbone) as gateway:
            service = gateway.service
            status, text = await get(service.http_port, "/health")
            assert (status, json.loads(text)["status"]) == (503, "starting")
            early = Client(await gateway.connect(), gateway.address)
            gateway.clients.append(early)
            await early.send(m.Login(player="ann", match="m", region="eu", build="1"))
            assert (await early.expect(m.Error)).code == "starting"
            backbone.ready = True
            ann = await gateway.login()
            ann.hello()
            await ann.play_until(lambda: same_world(gateway, ann))
            await ann.act("hit", HIT)
            await ann.expect(m.Result)
            status, text = await get(service.http_port, "/health")
            report = json.loads(text)
            assert (status, report["status"], report["sessions"]) == (200, "ok", 1)
            assert (report["udp_port"], report["ws_port"]) == (gateway.address[1], service.websocket_port)
            assert report["tick"] > 0
            _, metrics = await get(service.metrics_port, "/metrics")
            for line in (
                "gateway_sessions 1.0",
                'gateway_actions_total{kind="hit",outcome="processed"} 1.0',
                'gateway_logins_total{outcome="accepted"} 1.0',
                'gateway_logins_total{outcome="starting"} 1.0',
            ):
                assert line in metrics.splitlines()
            for name in (
                "tick_hz",
                "tick_seconds_count",
                'datagrams_total{direction="in"}',
                'bytes_total{direction="out"}',
                "full_snapshot_bytes_total",
                "updates_total",
                "sends_total",
                "limited_total",
            ):
                assert f"gateway_{name} " in metrics

    play(scenario())
