"""What every stack that can be broken must show, with real brokers; its test module says which stack that is."""

from __future__ import annotations

import json
import socket
import ssl
import time
from collections.abc import Iterator

import pytest
from confluent_kafka import Producer
from shared_stacks import restore

from necp_validate.clients.wire import PartitionView, WireClient, partitions_seen_by
from necp_validate.core import StackError, UsageError
from necp_validate.stack import FAULT_KINDS, Stack, wait_until
from necp_validate.stack.base import BrokerStack
from necp_validate.stack.protocol import CLIENTS
from necp_validate.stack.provision import SILENT

# Seconds instead of half a minute until a broker that is cut off counts as gone.
QUICK = {
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
    "replica.lag.time.max.ms": "3000",
}
TOPIC = "game.combat.events"
OTHERS = {1: (2, 3), 2: (1, 3), 3: (1, 2)}


def seen_by(stack: Stack, broker: int) -> list[PartitionView]:
    """Return the partitions of a topic as one broker sees them.

    A librdkafka client could not say whom it asked: it knows all brokers after the first answer, also the one that is
    cut off and sees what used to be.
    """
    assert isinstance(stack, BrokerStack)
    settings = stack.layout.settings[broker]
    address = f"{settings.internal_host}:{settings.internal_port}"
    client = WireClient(stack.internal_client_config())
    try:
        return [partition for partition in partitions_seen_by(client, address) if partition.topic == TOPIC]
    finally:
        client.close()


def wait_out_of_sync(stack: Stack, broker: int, witness: int) -> None:
    """Wait until a broker is in sync in no partition, as another one sees it."""
    wait_until(
        lambda: not any(broker in partition.in_sync for partition in seen_by(stack, witness)),
        timeout_s=30,
        message=f"broker {broker} is still in sync",
        retry_on=(OSError,),
    )


def wait_all_in_sync(stack: Stack) -> None:
    wait_until(
        lambda: all(set(p.in_sync) == {1, 2, 3} for broker in OTHERS for p in seen_by(stack, broker)),
        timeout_s=40,
        message="not in sync again",
        retry_on=(OSError,),
    )


def controller_of(stack: Stack) -> int:
    """Return the leader of the controllers, as a broker's own note of it says."""
    assert isinstance(stack, BrokerStack)
    notes = [home / "data" / "__cluster_metadata-0" / "quorum-state" for home in map(stack.layout.home, OTHERS)]
    newest = max((json.loads(note.read_text()) for note in notes), key=lambda note: int(note["leaderEpoch"]))
    return int(newest["leaderId"])


def open_connection(stack: Stack, broker: int) -> socket.socket:
    """Return a connection to a broker's listener for clients, as a container's own network has it."""
    assert isinstance(stack, BrokerStack)
    settings = stack.layout.settings[broker]
    return socket.create_connection((settings.internal_host, settings.external_port), timeout=5)


def connect_s(stack: Stack, broker: int) -> float:
    """Return the seconds that a connection to a broker takes, the best of three."""
    taken = []
    for _ in range(3):
        started = time.monotonic()
        open_connection(stack, broker).close()
        taken.append(time.monotonic() - started)
    return min(taken)


def handshake_s(connection: socket.socket) -> float:
    """Return the seconds that TLS takes on a connection."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    started = time.monotonic()
    context.wrap_socket(connection).close()
    return time.monotonic() - started


class FaultCases:
    """Tests; each leaves a sound stack."""

    @pytest.fixture(autouse=True)
    def mended(self, stack: Stack) -> Iterator[None]:
        yield
        stack.undo_faults()
        restore(stack)

    def test_every_kind_of_fault_can_be_done(self, stack: Stack) -> None:
        assert stack.describe_unavailable() == {}
        assert stack.describe().faults == set(FAULT_KINDS)
        assert stack.remaining_faults() == []

    def test_a_link_that_cannot_be_is_a_usage_error(self, stack: Stack) -> None:
        with pytest.raises(UsageError, match="there is no node 'broker-9' here; known: broker-1, "):
            stack.cut("broker-9", "broker-1")
        with pytest.raises(UsageError, match="joins two nodes"):
            stack.link_open(CLIENTS, CLIENTS)
        with pytest.raises(UsageError, match="a share of 2 of them lost"):
            stack.slow("broker-1", delay_ms=0, loss=2)

    @pytest.mark.parametrize(
        ("source", "target"), [("broker-1", "broker-2"), (CLIENTS, "broker-3"), ("broker-3", CLIENTS)]
    )
    def test_a_cut_is_one_way_and_healed(self, stack: Stack, source: str, target: str) -> None:
        assert stack.link_open(source, target)
        stack.cut(source, target)
        stack.cut(source, target)
        assert not stack.link_open(source, target)
        assert stack.link_open(target, source)
        assert stack.remaining_faults() == [f"cut {source} {target}"]
        stack.heal()
        assert stack.link_open(source, target)
        assert stack.remaining_faults() == []

    def test_a_cut_spares_every_other_link(self, stack: Stack) -> None:
        stack.cut("broker-1", "broker-2")
        stack.cut("broker-2", "broker-1")
        assert not stack.link_open("broker-2", "broker-1")
        for source, target in (("broker-1", "broker-3"), ("broker-3", "broker-2"), (CLIENTS, "broker-1")):
            assert stack.link_open(source, target)
        stack.heal()

    def test_one_way_is_enough_to_lose_a_follower(self, stack: Stack) -> None:
        """What a leader answers, on connections that its follower has made, is dropped.

        Neither is the controller, which would fence the leader first. What it leads may change: a test before may have
        moved leaders, and the brokers move them back within five minutes.
        """
        controller = controller_of(stack)
        leader, follower = OTHERS[controller]
        stack.cut(f"broker-{leader}", f"broker-{follower}")
        producer = Producer({**stack.client_config("combat-service"), "log_level": "2"}, logger=SILENT)

        def lost() -> bool:
            partition = next(p for p in seen_by(stack, controller) if p.leader == leader)
            # Who has everything is in sync for ever; and what it had asked for before the cut, it still gets.
            producer.produce(TOPIC, b"{}", partition=partition.number)
            return set(partition.in_sync) == {leader, controller}

        wait_until(lost, timeout_s=30, message="still in the ISR", retry_on=(OSError,))
        assert producer.flush(20) == 0
        stack.heal()
        wait_all_in_sync(stack)

    def test_a_leader_that_is_cut_off_from_followers_leaves_the_isr_and_comes_back(self, stack: Stack) -> None:
        """Its connections were open before: those are cut, too."""
        for other in OTHERS[2]:
            stack.cut("broker-2", f"broker-{other}")
            stack.cut(f"broker-{other}", "broker-2")
        for other in OTHERS[2]:
            wait_out_of_sync(stack, 2, witness=other)
        assert stack.broker_alive(2)
        assert stack.link_open(CLIENTS, "broker-2")
        stack.heal()
        wait_all_in_sync(stack)

    def test_a_slow_link_is_slow_each_way_and_then_as_before(self, stack: Stack) -> None:
        with open_connection(stack, 1) as early, open_connection(stack, 1) as late:
            stack.slow("broker-1", delay_ms=60)
            assert stack.remaining_faults() == ["delay broker-1 60 ms"]
            assert handshake_s(early) >= 0.12  # there and back, on a connection that was open before
            assert 0.12 <= connect_s(stack, 1) < 0.28
            assert connect_s(stack, 2) < 0.1
            assert stack.link_open(CLIENTS, "broker-1")
            stack.slow("broker-1", delay_ms=60, loss=0.01)
            assert stack.remaining_faults() == ["delay broker-1 60 ms", "loss broker-1 0.01"]
            stack.slow("broker-1", delay_ms=140)
            assert stack.remaining_faults() == ["delay broker-1 140 ms"]
            assert handshake_s(late) >= 0.28
        stack.heal()
        assert connect_s(stack, 1) < 0.1

    def test_lost_packets_are_counted_and_end(self, stack: Stack) -> None:
        stack.slow("broker-3", delay_ms=0, loss=0.2)
        assert stack.remaining_faults() == ["loss broker-3 0.2"]
        stack.slow("broker-3", delay_ms=0, loss=0.1)
        assert stack.remaining_faults() == ["loss broker-3 0.1"]
        assert stack.link_open("broker-1", "broker-3")
        stack.heal()
        assert stack.remaining_faults() == []

    def test_a_frozen_broker_is_a_remaining_fault(self, stack: Stack) -> None:
        stack.cut("broker-1", "broker-3")
        stack.pause_broker(1)
        assert stack.remaining_faults() == ["broker 1 is paused", "cut broker-1 broker-3"]
        stack.undo_faults()
        assert stack.remaining_faults() == []
        assert stack.link_open("broker-1", "broker-3")

    def test_a_frozen_service_is_a_remaining_fault(self, stack: Stack) -> None:
        core = stack.start_core("core-0", {})
        core.wait_ready(60)
        core.pause()
        assert core.paused()
        assert stack.remaining_faults() == ["core-0 is paused"]
        core.resume()
        assert not core.paused()
        core.kill()
        assert stack.remaining_faults() == []

    def test_a_cut_outlives_the_broker(self, stack: Stack) -> None:
        stack.cut("broker-3", CLIENTS)
        stack.kill_broker(3)
        with pytest.raises(StackError):
            stack.start_broker(3, timeout_s=6)  # its listener for clients cannot be reached
        assert not stack.link_open("broker-3", CLIENTS)
        stack.heal()
        wait_all_in_sync(stack)

    def test_a_full_disk_ends_the_broker_and_keeps_its_data(self, stack: Stack) -> None:
        stack.fill_disk(1)
        stack.fill_disk(1)
        assert stack.remaining_faults() == ["broker 1's disk is full"]
        self.ends_with(stack, 1, "No space left on device")
        stack.free_disk(1)
        assert stack.remaining_faults() == []
        stack.start_broker(1)

    def test_a_read_only_disk_ends_the_broker_and_keeps_its_data(self, stack: Stack) -> None:
        stack.read_only_disk(2)
        assert stack.remaining_faults() == ["broker 2's disk is read-only"]
        with pytest.raises(StackError, match="is read-only already"):
            stack.fill_disk(2)
        self.ends_with(stack, 2, "Read-only file system")
        stack.writable_disk(2)
        stack.start_broker(2)
        wait_all_in_sync(stack)
        assert stack.remaining_faults() == []

    def ends_with(self, stack: Stack, broker: int, words: str) -> None:
        wait_until(lambda: not stack.broker_alive(broker), timeout_s=30, message=f"broker {broker} goes on")
        stack.check_alive()
        log = self.log_of(stack, broker)
        assert words in log
        assert "LogDirFailure" in log or "failed" in log

    @staticmethod
    def log_of(stack: Stack, broker: int) -> str:
        raise NotImplementedError
