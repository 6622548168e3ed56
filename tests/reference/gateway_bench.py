"""What the tests of the gateway need: certificates, a stand-in for Kafka, and clients on real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from zlib import crc32

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from necp_validate.events.envelope import Event, decode
from necp_validate.events.receipts import Outcome, Receipt
from necp_validate.events.topics import TOPICS, Domain
from necp_validate.realtime import messages as m
from necp_validate.realtime.frames import (
    BadFrame,
    Direction,
    Input,
    Kind,
    Opener,
    Sealer,
    encode_ack,
    encode_input,
    read_header,
)
from necp_validate.realtime.replica import Replica
from necp_validate.reference.gateway.backbone import ChatRecord, Delivered, Listener
from necp_validate.reference.gateway.config import GatewayConfig, load_config
from necp_validate.reference.gateway.service import Service
from necp_validate.stack.pki import Authority

MessageT = TypeVar("MessageT", bound=m.Message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificates:
    """Files for the gateway and for players."""

    env: dict[str, str]
    ca: Path
    cert: Path
    key: Path
    expired: tuple[Path, Path]
    foreign: tuple[Path, Path]


def make_certificates(directory: Path) -> Certificates:
    """One authority for the gateway, one for players, and one that nobody trusts."""
    servers = Authority(directory / "servers")
    clients = Authority(directory / "clients")
    strangers = Authority(directory / "strangers")
    gateway = servers.issue_server("gateway", ["localhost", "127.0.0.1"])
    player = clients.issue_client("player")
    expired = clients.issue_client("late", validity_days=-1)
    foreign = strangers.issue_client("stranger")
    return Certificates(
        env={
            "TLS_CERT_LOCATION": str(gateway.cert),
            "TLS_KEY_LOCATION": str(gateway.key),
            "TLS_CLIENT_CA_LOCATION": str(clients.ca_path),
        },
        ca=servers.ca_path,
        cert=player.cert,
        key=player.key,
        expired=(expired.cert, expired.key),
        foreign=(foreign.cert, foreign.key),
    )


def make_config(certificates: Certificates, **changes: str) -> GatewayConfig:
    """A configuration with free ports, on this host only."""
    return load_config(
        {
            "KAFKA_BOOTSTRAP_SERVERS": "none:1",
            "KAFKA_SECURITY_PROTOCOL": "PLAINTEXT",
            "GATEWAY_INSTANCE": "gateway-test",
            "UDP_LISTEN_ADDR": "127.0.0.1:0",
            "WEBSOCKET_ADDR": "127.0.0.1:0",
            "HTTP_PORT": "0",
            "METRICS_PORT": "0",
            "GRACEFUL_SHUTDOWN_TIMEOUT": "5s",
            **certificates.env,
            **changes,
        }
    )


class StandInBackbone:
    """Stands in for Kafka and the event core: acknowledges at once, and answers when told to.

    Args:
        answering: whether receipts follow acknowledgements by themselves.
    """

    def __init__(self, *, answering: bool = True) -> None:
        self.ready = True
        self.full = False
        self.failing = False
        self.silent = False
        self.answering = answering
        self.receipt_first = False
        self.outcome: Callable[[Event[Any]], Outcome] = lambda _: Outcome.PROCESSED
        self.events: list[tuple[str, bytes, Event[Any]]] = []
        self.unanswered: list[Receipt] = []
        self.closed = False
        self._listener: Listener | None = None
        self._offsets: dict[tuple[str, int], int] = {}

    def start(self, listener: Listener) -> None:
        """See ``Backbone``."""
        self._listener = listener

    def send(self, topic: str, key: bytes, value: bytes, token: object) -> bool:
        """See ``Backbone``."""
        if self.full:
            return False
        event = decode(value)
        self.events.append((topic, key, event))
        partition = crc32(key) % TOPICS[topic].partitions
        offset = self._offsets[topic, partition] = self._offsets.get((topic, partition), -1) + 1
        if self.silent:
            return True
        delivered = Delivered(token, "stand-in: failed" if self.failing else "", topic, partition, offset)
        receipt = Receipt(
            instance="stand-in",
            domain=event.type.split(".")[0],
            topic=topic,
            sent_us=time.time_ns() // 1_000,
            transactional=False,
            runs=[(partition, offset, offset, self.outcome(event), time.time_ns() // 1_000)],
        )
        calls: list[tuple[Callable[[Any], None], Any]] = [(self.listener.on_delivered, [delivered])]
        if self.answering and not self.failing:
            calls.append((self.listener.on_receipts, [receipt]))
        else:
            self.unanswered.append(receipt)
        for call, items in reversed(calls) if self.receipt_first else calls:
            asyncio.get_running_loop().call_soon(call, items)
        return True

    @property
    def listener(self) -> Listener:
        """Whom it tells."""
        assert self._listener is not None
        return self._listener

    def answer(self) -> None:
        """Send the receipts that were held back."""
        receipts, self.unanswered = self.unanswered, []
        self.listener.on_receipts(receipts)

    def say(self, region: str, channel: str, *texts: str, offset: int = 0) -> None:
        """Put out a chat record."""
        lines = [(f"0011aabb-{number:012d}", "somebody", "und", text) for number, text in enumerate(texts)]
        self.listener.on_chat([ChatRecord(region, channel, lines, 0, offset)])

    def close(self, timeout_s: float) -> None:
        """See ``Backbone``."""
        self.closed = True

    def of(self, domain: Domain) -> list[Event[Any]]:
        """The events of a domain."""
        return [event for topic, _, event in self.events if topic == domain.topic]


@dataclass(slots=True)
class Running:
    """A gateway that runs in the test's own event loop."""

    service: Service
    backbone: StandInBackbone
    certificates: Certificates
    task: asyncio.Task[int]
    clients: list[Client] = field(default_factory=list)

    @property
    def address(self) -> tuple[str, int]:
        """Where datagrams go."""
        return "127.0.0.1", self.service.gateway.udp_port

    def dropped(self, reason: str) -> int:
        """Datagrams dropped for a reason."""
        return self.service.gateway.tally.dropped[reason]

    async def connect(self, context: ssl.SSLContext | None = None) -> ClientConnection:
        """Open a connection without logging in."""
        return await connect(
            f"wss://localhost:{self.service.websocket_port}/",
            host="127.0.0.1",
            ssl=context or client_context(self.certificates),
            compression=None,
            proxy=None,
        )

    async def login(self, player: str = "ann", *, match: str = "match-1", region: str = "eu") -> Client:
        """Log a player in."""
        client = Client(await self.connect(), self.address)
        self.clients.append(client)
        await client.send(m.Login(player=player, match=match, region=region, build="1"))
        client.accept(await client.expect(m.Welcome))
        return client


@contextlib.asynccontextmanager
async def running(
    certificates: Certificates, backbone: StandInBackbone | None = None, **changes: str
) -> AsyncIterator[Running]:
    """Run a gateway; it must end well."""
    backbone = backbone or StandInBackbone()
    service = Service(make_config(certificates, **changes), backbone)
    task = asyncio.create_task(service.run())
    gateway = Running(service, backbone, certificates, task)
    try:
        await until(lambda: service.metrics_port or task.done())
        yield gateway
    finally:
        for client in gateway.clients:
            await client.close()
        service.stop()
        code = await task
    assert code == 0


def client_context(
    certificates: Certificates, identity: tuple[Path, Path] | None = None, *, anonymous: bool = False
) -> ssl.SSLContext:
    """TLS of a player."""
    context = ssl.create_default_context(cafile=str(certificates.ca))
    if not anonymous:
        cert, key = identity or (certificates.cert, certificates.key)
        context.load_cert_chain(cert, key)
    return context


class Client:
    """A player's client: a WebSocket, a datagram socket, and its copy of the world."""

    def __init__(self, connection: ClientConnection, address: tuple[str, int]) -> None:
        self.connection = connection
        self.address = address
        self.received: list[m.GatewayMessage] = []
        self.replica = Replica()
        self.datagrams = 0
        self.socket = udp_socket()
        self.sealer: Sealer
        self.opener: Opener
        self.welcome: m.Welcome
        self._n = 0

    def accept(self, welcome: m.Welcome) -> None:
        """Take what is needed for datagrams."""
        self.welcome = welcome
        key = bytes.fromhex(welcome.key)
        self.sealer = Sealer(int(welcome.session, 16), key, Direction.TO_GATEWAY)
        self.opener = Opener(key, Direction.TO_CLIENT)

    async def send(self, message: m.Message) -> None:
        """Send a message."""
        await self.connection.send(m.encode(message).decode())

    async def act(self, kind: str, data: m.ActionData, *, n: int | None = None, udp: bool = False) -> int:
        """Send an action; give its number."""
        self._n = n or self._n + 1
        ts_us = time.time_ns() // 1_000
        if udp:
            body = encode_ack(self.replica.ack()) + m.udp_action(self._n, ts_us, kind, data)
            self.datagram(Kind.ACTION, body)
        else:
            await self.connection.send(m.json_action(self._n, ts_us, kind, data).decode())
        return self._n

    async def expect(self, kind: type[MessageT], *, timeout_s: float = 10.0) -> MessageT:
        """Wait for the next message of a kind; others are kept in ``received``."""
        async with asyncio.timeout(timeout_s):
            while True:
                message = m.decode_gateway(await self.connection.recv())
                self.received.append(message)
                if isinstance(message, kind):
                    return message

    async def closed(self) -> list[m.GatewayMessage]:
        """Wait until the gateway has closed the connection; give what it said before."""
        async with asyncio.timeout(10):
            with contextlib.suppress(ConnectionClosed):
                while True:
                    self.received.append(m.decode_gateway(await self.connection.recv()))
        return self.received

    def datagram(self, kind: int, body: bytes = b"") -> bytes:
        """Send a datagram; give its bytes."""
        datagram = self.sealer.seal(kind, body)
        self.socket.sendto(datagram, self.address)
        return datagram

    def hello(self) -> None:
        """Bind the address."""
        self.datagram(Kind.HELLO)

    def wish(self, number: int, *, mode: int = 0, vx: int = 0, vy: int = 0, yaw: int = 0) -> None:
        """Send an input."""
        self.datagram(Kind.INPUT, encode_input(self.replica.ack(), Input(number, mode, vx, vy, yaw)))

    def ack(self) -> None:
        """Acknowledge."""
        self.datagram(Kind.ACK, encode_ack(self.replica.ack()))

    def take(self) -> int:
        """Take the datagrams that have come; give their number."""
        count = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                datagram = self.socket.recv(2_048)
                count += 1
                try:
                    header = read_header(datagram)
                    body, _ = self.opener.open(datagram, header.seq)
                except BadFrame as bad:
                    raise AssertionError(f"the gateway sent a bad datagram: {bad.reason}") from bad
                assert header.kind == Kind.STATE
                self.replica.receive(header.seq, body)
        self.datagrams += count
        return count

    async def play_until(self, condition: Callable[[], Any]) -> None:
        """Take and acknowledge state until a condition holds."""

        def round_() -> Any:
            if self.take():
                self.ack()
            return condition()

        await until(round_, pause_s=0.04)

    async def close(self) -> None:
        """Let go of everything."""
        await self.connection.close()
        self.socket.close()


def udp_socket() -> socket.socket:
    """A socket of its own on a free port."""
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind(("127.0.0.1", 0))
    made.setblocking(False)
    return made


async def until(condition: Callable[[], Any], *, timeout_s: float = 20.0, pause_s: float = 0.005) -> None:
    """Wait until a condition holds."""
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(pause_s)
