"""Rules for the links between players and gateway: UDP of one port, each way, and nothing else."""

from __future__ import annotations

import contextlib
import secrets
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import psutil
import pytest

from necp_validate.core import StackError, UsageError
from necp_validate.stack.delays import Delays, can_delay
from necp_validate.stack.docker_service import ManagedContainer
from necp_validate.stack.links import LinkFaults
from necp_validate.stack.local import LocalStack
from necp_validate.stack.local_links import host_program
from necp_validate.stack.packet_filter import PacketFilter, Rule
from necp_validate.stack.player_links import DockerPlayerLinks, LocalPlayerLinks, players_filter_id
from necp_validate.stack.process import ManagedProcess
from necp_validate.stack.root import root_shell
from necp_validate.stack.waiting import wait_until

LOSSY = LinkFaults(loss={"gateway": 0.1}, delay_ms={"gateway": 40.0})


class Container:
    """A container that runs and takes commands."""

    pid = 4711

    def has_shell(self) -> bool:
        return True

    def shell(self, script: str) -> tuple[int, str]:
        raise AssertionError(script)


def test_local_rules_are_about_the_port_of_the_gateway(tmp_path: Path) -> None:
    delays = Delays("id", tmp_path)
    links = LocalPlayerLinks("id", delays, lambda: 7777)
    lost = "-m statistic --mode random --probability 0.1"
    assert links._chains("", LOSSY) == {
        ("filter", "INPUT"): [
            Rule("loss gateway 0.1", f"-i lo -p udp --dport 7777 {lost}"),
            Rule("loss gateway 0.1", f"-i lo -p udp --sport 7777 {lost}"),
        ],
        ("mangle", "PREROUTING"): [
            Rule("delay gateway 40 ms", "-i lo -p udp --dport 7777", delays.target("gateway")),
            Rule("delay gateway 40 ms", "-i lo -p udp --sport 7777", delays.target("gateway")),
        ],
    }
    assert links._chains("", LinkFaults()) == {}
    assert LocalPlayerLinks("id", delays, lambda: 0)._chains("", LOSSY) == {}


def test_rules_in_a_container_lose_what_it_sends_without_telling_it(tmp_path: Path) -> None:
    container = cast(ManagedContainer, Container())
    links = DockerPlayerLinks("id", Delays("id", tmp_path), "iptables", lambda: container, 7777)
    chains = links._chains(4711, LinkFaults(loss={"gateway": 0.1}))
    assert {hook: [rule.target for rule in rules] for hook, rules in chains.items()} == {
        ("filter", "INPUT"): ["DROP"],
        ("filter", "OUTPUT"): ["NFQUEUE --queue-num 65535"],
    }
    assert list(links._filters()) == [4711]
    assert links._chains(4712, LOSSY) == {}, "the container before is gone, and its rules with it"
    assert DockerPlayerLinks("id", Delays("id", tmp_path), "iptables", lambda: None, 7777)._filters() == {}


def test_the_rules_of_brokers_and_players_do_not_touch_each_other() -> None:
    """The chains of one are never taken for those of the other, and fit the kernel's 28 characters."""
    saved: list[str] = ["*filter\n:NECP-abcdefgh-INPUT - [0:0]\n:NECP-abcdefghp-INPUT - [0:0]\nCOMMIT"]
    restored: list[str] = []

    def shell(script: str) -> tuple[int, str]:
        if "-save" in script:
            return 0, saved[0]
        restored.append(script)
        return 0, ""

    for name, other in (("abcdefgh", players_filter_id("abcdefgh")), (players_filter_id("abcdefgh"), "abcdefgh")):
        PacketFilter(shell, name, "iptables").remove()
        assert f"-X NECP-{name}-INPUT" in restored[-1]
        assert f"NECP-{other}-" not in restored[-1]
    assert len(f"NECP-{players_filter_id('abcdefgh')}-POSTROUTING") <= 28


def test_without_a_gateway_there_is_no_link_to_players() -> None:
    with pytest.raises(UsageError, match="no gateway has been started"):
        LocalStack().slow("gateway", delay_ms=10)


def test_touched_packets_are_those_of_the_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    links: Any = LocalPlayerLinks("id", Delays("id", tmp_path), lambda: 7777)
    counts = {"loss gateway 0.1": 3, "delay gateway 40 ms": 4, "loss gateway-2 0.1": 50, "cut gateway x": 60}
    monkeypatch.setattr(links, "_counts", lambda: counts)
    assert links.touched_packets("gateway") == 7


@pytest.fixture
def real(tmp_path: Path) -> Iterator[tuple[LocalPlayerLinks, socket.socket, socket.socket]]:
    """Links of a real socket on this host, and a client's; healed afterwards."""
    if not (host_program() and can_delay(root_shell, host_program())):
        pytest.skip("needs root, iptables, and NFQUEUE in the kernel")
    with socket.socket(type=socket.SOCK_DGRAM) as gateway, socket.socket(type=socket.SOCK_DGRAM) as player:
        for one in (gateway, player):
            one.bind(("127.0.0.1", 0))
            one.settimeout(1.0)
        name = secrets.token_hex(4)
        links = LocalPlayerLinks(name, Delays(name, tmp_path), lambda: gateway.getsockname()[1])
        try:
            yield links, gateway, player
        finally:
            links.heal()
            assert links.remaining() == []


def _arrived(source: socket.socket, target: socket.socket, count: int) -> int:
    """Send datagrams; returns how many arrived. Sending never fails: whoever sends must not notice."""
    for _ in range(count):
        source.sendto(b"x", target.getsockname())
    source.sendto(b"end", target.getsockname())
    found = 0
    with contextlib.suppress(TimeoutError):
        while target.recv(10) != b"end":
            found += 1
    return found


def test_datagrams_are_lost_each_way_and_no_longer_once_healed(
    real: tuple[LocalPlayerLinks, socket.socket, socket.socket],
) -> None:
    links, gateway, player = real
    assert _arrived(player, gateway, 100) == 100
    links.slow("gateway", delay_ms=0.0, loss=0.999999)
    assert links.remaining() == ["loss gateway 0.999999"]
    assert (_arrived(player, gateway, 100), _arrived(gateway, player, 100)) == (0, 0)
    assert links.touched_packets("gateway") == 202
    links.heal()
    assert (_arrived(player, gateway, 100), _arrived(gateway, player, 100)) == (100, 100)


def test_datagrams_are_late_each_way(real: tuple[LocalPlayerLinks, socket.socket, socket.socket]) -> None:
    """At least as late as asked for, and all of them arrive in order."""
    links, gateway, player = real
    links.slow("gateway", delay_ms=80.0, loss=0.0)
    for source, target in ((player, gateway), (gateway, player)):
        begun = time.monotonic()
        for number in range(50):
            source.sendto(bytes([number]), target.getsockname())
        assert [target.recv(1)[0] for _ in range(50)] == list(range(50))
        assert time.monotonic() - begun >= 0.08
    assert links.touched_packets("gateway") == 100


def test_a_program_that_holds_packets_back_and_ends_early_is_an_error(
    real: tuple[LocalPlayerLinks, socket.socket, socket.socket],
) -> None:
    """Packets pass without it: a fault that is recorded as in force would not be."""
    links, _, _ = real
    links.check_alive()
    links.slow("gateway", delay_ms=80.0, loss=0.0)
    links.check_alive()
    (program,) = [child for child in psutil.Process().children() if "delay.py" in " ".join(child.cmdline())]
    program.kill()
    wait_until(lambda: bool(links._delays.ended_early()), timeout_s=10, message="its end was not noticed")
    with pytest.raises(StackError, match=r"packets of gateway are not held back any more: it ended with exit code -9"):
        links.check_alive()
    links.heal()
    links.check_alive()


def test_a_program_that_ended_with_the_network_it_was_in_is_no_surprise(tmp_path: Path) -> None:
    """As in a container that was killed; started again it has another network, and a program of its own."""
    delays = Delays("id", tmp_path)
    links = LocalPlayerLinks("id", delays, lambda: 7777)
    ended = ManagedProcess.spawn([sys.executable, "-c", "print('no such packet')"], log=tmp_path / "log")
    assert ended.wait(10)
    delays._running["gateway"] = (("nsenter", "-t", "77"), 80.0, ended)
    assert delays.ended_early() == {"gateway": (("nsenter", "-t", "77"), "it ended with exit code 0: no such packet")}
    links.check_alive()
