"""What every stack that starts a gateway must show, with real brokers; its test module says which stack that is."""

from __future__ import annotations

import re
import socket
import ssl
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import OFFSET_END, Consumer, KafkaError, KafkaException, Producer, TopicPartition
from websockets.sync.client import connect

from necp_validate.core import StackError
from necp_validate.events.envelope import decode
from necp_validate.events.topics import TOPICS, Domain
from necp_validate.realtime import messages as m
from necp_validate.stack import GatewayHandle, Stack, wait_until
from necp_validate.stack.protocol import PlayerTls, PlayerVariant
from necp_validate.stack.provision import SILENT, admin_client

_SYSTEM = Domain.SYSTEM.topic
_UPGRADE = (
    "GET / HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def knock(gateway: GatewayHandle, tls: PlayerTls | None, ca: Path) -> str:
    """Ask for a WebSocket with a certificate or without; returns the first line, or why there was none."""
    host, _, port = gateway.websocket_url.removeprefix("wss://").rpartition(":")
    context = ssl.create_default_context(cafile=str(ca))
    if tls is not None:
        context.load_cert_chain(tls.certificate, tls.key)
    try:
        plain = socket.create_connection((host, int(port)), timeout=5)
        with plain, context.wrap_socket(plain, server_hostname=host) as connection:
            connection.sendall(_UPGRADE.format(host=host).encode())
            return connection.recv(1000).decode().partition("\r\n")[0]
    except (ssl.SSLError, OSError) as error:
        return str(error)


def send(gateway: GatewayHandle, count: int) -> None:
    """Send datagrams that mean nothing."""
    with socket.socket(type=socket.SOCK_DGRAM) as player:
        for _ in range(count):
            player.sendto(b"nothing", gateway.udp_address)


def _reader(stack: Stack) -> Consumer:
    config = {**stack.client_config("necp-verifier"), "group.id": "necp-verifier-cases", "enable.auto.commit": False}
    return Consumer({**config, "enable.partition.eof": "true", "log_level": "2"}, logger=SILENT)


def _end(stack: Stack, partition: int) -> int:
    consumer = _reader(stack)
    try:
        return int(consumer.get_watermark_offsets(TopicPartition(_SYSTEM, partition), timeout=20)[1])
    finally:
        consumer.close()


def _events(stack: Stack, partition: int, begin: int) -> list[Any]:
    """The system events of a partition from an offset on."""
    consumer, found = _reader(stack), []
    try:
        consumer.assign([TopicPartition(_SYSTEM, partition, begin)])
        for _ in range(100):
            message = consumer.poll(1.0)
            if message is not None and message.error() is not None:
                assert message.error().code() == KafkaError._PARTITION_EOF
                return found
            if message is not None:
                found.append(decode(message.value() or b""))
    finally:
        consumer.close()
    raise AssertionError(f"the end of {_SYSTEM}-{partition} was not reached")


class GatewayCases:
    @pytest.fixture
    def gateway(self, stack: Stack) -> Iterator[GatewayHandle]:
        gateway = stack.start_gateway("gateway-0", {})
        try:
            gateway.wait_ready(60)
            yield gateway
        finally:
            stack.undo_faults()
            gateway.kill()

    def test_players_need_a_certificate_of_their_authority(self, stack: Stack, gateway: GatewayHandle) -> None:
        assert isinstance(gateway, GatewayHandle)
        valid = stack.player_tls()
        assert knock(gateway, valid, valid.ca) == "HTTP/1.1 101 Switching Protocols"
        for refused in (stack.player_tls("expired"), stack.player_tls("stranger"), None):
            said = knock(gateway, refused, valid.ca)
            assert "HTTP" not in said

    def test_who_asks_too_often_is_refused_counted_and_audited(self, stack: Stack) -> None:
        """Twenty pings where ten requests a minute are allowed, the login being one of them."""
        ends = {number: _end(stack, number) for number in range(TOPICS[_SYSTEM].partitions)}
        gateway = stack.start_gateway("gateway-limit", {"RATE_LIMIT_REQUESTS_PER_MINUTE": "10"})
        try:
            gateway.wait_ready(60)
            tls = stack.player_tls()
            context = ssl.create_default_context(cafile=str(tls.ca))
            context.load_cert_chain(tls.certificate, tls.key)
            with connect(gateway.websocket_url, ssl=context, proxy=None) as line:
                line.send(m.encode(m.Login(player="often", match="match", region="region", build="1")).decode())
                for number in range(20):
                    line.send(m.encode(m.Ping(n=number + 1)).decode())
                answers = [m.decode_gateway(line.recv(timeout=10)) for _ in range(20)]
            assert [type(one).__name__ for one in answers[:10]] == ["Welcome", *["Pong"] * 9]
            assert {(type(one).__name__, getattr(one, "reason", "")) for one in answers[10:]} == {
                ("Refused", "rate-limited")
            }
            with urllib.request.urlopen(gateway.metrics_url, timeout=5) as answer:
                counted = re.search(r"^gateway_limited_total (\S+)$", answer.read().decode(), re.MULTILINE)
            assert counted is not None
            assert float(counted[1]) >= 10
            assert gateway.stop(30)
        finally:
            gateway.kill()
        audited = [event for number, end in ends.items() for event in _events(stack, number, end)]
        assert [(event.data.actor, event.data.action, event.data.decision) for event in audited] == [
            ("often", "rate-limit", "denied")
        ]

    @pytest.mark.parametrize("variant", ["valid", "stranger"])
    def test_with_a_players_certificate_nobody_logs_in_to_a_broker(self, stack: Stack, variant: PlayerVariant) -> None:
        player, config = stack.player_tls(variant), stack.internal_client_config()
        assert admin_client(config).list_topics(timeout=10).topics
        as_player = {"ssl.certificate.location": str(player.certificate), "ssl.key.location": str(player.key)}
        with pytest.raises(KafkaException):
            admin_client({**config, **as_player}).list_topics(timeout=3)

    def test_to_kafka_it_writes_events_and_reads_no_others(self, stack: Stack) -> None:
        config = {**stack.client_config("gateway"), "message.timeout.ms": "10000", "log_level": "2"}
        ends: dict[str, KafkaError | None] = {}
        producer = Producer(config, logger=SILENT)
        for topic in ("game.combat.events", "game.core.receipts"):
            producer.produce(topic, b"{}", on_delivery=lambda error, m: ends.update({str(m.topic()): error}))
        producer.flush(15)
        refused = ends["game.core.receipts"]
        assert ends["game.combat.events"] is None
        assert refused is not None
        assert refused.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED
        assert self._reads(stack, "game.core.receipts") == "end"
        assert self._reads(stack, "game.combat.events") == "refused"

    @staticmethod
    def _reads(stack: Stack, topic: str) -> str:
        """Read at the end of a partition, by assignment and in no group; returns ``end``, or ``refused``."""
        config = {**stack.client_config("gateway"), "group.id": "none", "enable.auto.commit": False}
        config |= {"enable.partition.eof": "true", "log_level": "2"}
        consumer = Consumer(config, logger=SILENT)
        try:
            consumer.assign([TopicPartition(topic, 0, OFFSET_END)])
            for _ in range(30):
                message = consumer.poll(1.0)
                error = message.error() if message is not None else None
                if error is not None and error.code() == KafkaError._PARTITION_EOF:
                    return "end"
                if error is not None and error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
                    return "refused"
        finally:
            consumer.close()
        raise AssertionError(f"{topic}: no answer")

    def test_one_runs_at_a_time_and_the_next_has_its_address(self, stack: Stack, gateway: GatewayHandle) -> None:
        with pytest.raises(StackError, match="gateway-0 runs at"):
            stack.start_gateway("gateway-1", {})
        gateway.pause()
        assert stack.remaining_faults() == ["gateway-0 is paused"]
        gateway.resume()
        gateway.kill()
        after = stack.start_gateway("gateway-1", {})
        try:
            after.wait_ready(60)
            assert (after.udp_address, after.websocket_url) == (gateway.udp_address, gateway.websocket_url)
            assert "101" in knock(after, stack.player_tls(), stack.player_tls().ca)
            assert after.cpu_s() > 0
            assert after.stop(30)
        finally:
            after.kill()

    def test_datagrams_are_lost_and_late_until_healed(self, stack: Stack, gateway: GatewayHandle) -> None:
        stack.slow("gateway", delay_ms=0, loss=0.999999)
        assert stack.remaining_faults() == ["loss gateway 0.999999"]
        send(gateway, 20)
        wait_until(lambda: stack.touched_packets("gateway") == 20, timeout_s=5, message="not counted")
        stack.slow("gateway", delay_ms=30, loss=0.5)
        assert stack.remaining_faults() == ["delay gateway 30 ms", "loss gateway 0.5"]
        before = stack.touched_packets("gateway")
        send(gateway, 20)
        wait_until(lambda: stack.touched_packets("gateway") >= before + 20, timeout_s=5, message="not counted")
        assert "101" in knock(gateway, stack.player_tls(), stack.player_tls().ca), "the WebSocket is not concerned"
        stack.heal()
        assert stack.remaining_faults() == []
        send(gateway, 5)
        assert stack.touched_packets("gateway") == 0

    def test_a_bad_line_outlives_the_gateway(self, stack: Stack, gateway: GatewayHandle) -> None:
        stack.slow("gateway", delay_ms=0, loss=0.999999)
        gateway.kill()
        after = stack.start_gateway("gateway-1", {})
        try:
            after.wait_ready(60)
            before = stack.touched_packets("gateway")
            send(after, 10)
            wait_until(lambda: stack.touched_packets("gateway") >= before + 10, timeout_s=5, message="it was healed")
        finally:
            stack.heal()
            after.kill()
        assert stack.remaining_faults() == []
