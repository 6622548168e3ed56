"""Links of brokers that are processes on one host and share its loopback interface.

Every broker runs under a group of its own, which is how the kernel's packet filter tells who sends a packet. To whom
it goes is told by the port: a broker's, where the sender has made the connection; where the receiver has made it,
the port is any, and the connection's mark says who that was. The marks are set by rules of the same kind, at the
first packet that the maker of a connection sends after they are in force.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Hashable, Mapping, Sequence
from functools import cache

from necp_validate.stack.config import BrokerSettings
from necp_validate.stack.delays import Delays
from necp_validate.stack.links import (
    PROBE,
    Chains,
    LinkFaults,
    Links,
    connect_from_here,
    cut_label,
    delay_label,
    loss_label,
    loss_match,
    nodes,
    number,
)
from necp_validate.stack.packet_filter import PacketFilter, Rule, find_program
from necp_validate.stack.protocol import CLIENTS
from necp_validate.stack.root import root_shell

NEEDS = "needs root and iptables"
_FIRST_GROUP = 61_000
_TCP = "-o lo -p tcp"
_MASK = "0xff0000"
_CLIENTS_MARK = 0xFE0000
_HOST = ""


@cache
def host_program() -> str:
    """Return the iptables program that works on this host; nothing if there is none or this is not root."""
    return find_program(root_shell) if os.geteuid() == 0 else ""


@cache
def group_of(broker: int) -> int | None:
    """Return the group that a broker is to run under; None if this process may not give it one."""
    group = _FIRST_GROUP + broker
    if os.geteuid() != 0:
        return None
    try:
        subprocess.run(["true"], group=group, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return group


class LocalLinks(Links):
    """The links of the local stack.

    Args:
        stack_id: the stack's id.
        settings: of every broker.
        delays: what holds packets back.
    """

    def __init__(self, stack_id: str, settings: Mapping[int, BrokerSettings], delays: Delays) -> None:
        super().__init__(delays)
        self._settings = settings
        self._filter = PacketFilter(root_shell, stack_id, host_program())

    def _filters(self) -> Mapping[Hashable, PacketFilter]:
        return {_HOST: self._filter}

    def _nodes(self, key: Hashable) -> Sequence[str]:
        return nodes() if self._exists(key) else ()

    def _enter(self, key: Hashable) -> Sequence[str]:
        assert self._exists(key)
        return ()

    def _exists(self, key: Hashable) -> bool:
        return key == _HOST

    def _chains(self, key: Hashable, faults: LinkFaults) -> Chains:
        if not (faults and self._exists(key)):
            return {}
        rules = [rule for source, target in sorted(faults.cuts) for rule in self._cut(source, target)]
        rules += [rule for node, loss in sorted(faults.loss.items()) for rule in self._lose(node, loss)]
        chains = {("mangle", "OUTPUT"): self._marks(), ("filter", "OUTPUT"): rules}
        late = [rule for node, delay_ms in sorted(faults.delay_ms.items()) for rule in self._late(node, delay_ms)]
        if late:
            chains[("mangle", "POSTROUTING")] = late
        return chains

    def _marks(self) -> list[Rule]:
        """Mark every connection with who has made it; a broker's rules come last and have the last word."""
        makers = [("", _CLIENTS_MARK)] + [(_sent_by(broker), _mark(broker)) for broker in self._settings]
        to_a_broker = f"{_TCP} -m multiport --dports {self._ports(*self._settings)}"
        return [
            Rule("", f"{to_a_broker} {sender}".rstrip(), f"CONNMARK --set-xmark {mark:#x}/{_MASK}")
            for sender, mark in makers
        ]

    def _cut(self, source: str, target: str) -> list[Rule]:
        label = cut_label(source, target)
        if source == CLIENTS:
            broker = number(target)
            return [Rule(label, f"{_TCP} -m multiport --dports {self._ports(broker)} {_made_by(_CLIENTS_MARK)}")]
        sender = number(source)
        own = self._ports(sender)
        answers = f"{_TCP} {_sent_by(sender)} -m multiport --sports {own}"
        if target == CLIENTS:
            every = self._ports(*self._settings)
            elsewhere = f"-m multiport ! --dports {every} -m multiport ! --sports {own}"
            return [
                # Only clients use this listener: no need to wait for the marks.
                Rule(label, f"{_TCP} {_sent_by(sender)} --sport {self._settings[sender].external_port}"),
                Rule(label, f"{answers} {_made_by(_CLIENTS_MARK)}"),
                Rule(label, f"{_TCP} {_sent_by(sender)} {elsewhere}"),
            ]
        receiver = number(target)
        return [
            Rule(label, f"{_TCP} {_sent_by(sender)} -m multiport --dports {self._ports(receiver)}"),
            Rule(label, f"{answers} {_made_by(_mark(receiver))}"),
        ]

    def _lose(self, node: str, loss: float) -> list[Rule]:
        label = loss_label(node, loss)
        return [Rule(label, f"{match} {loss_match(loss)}") for match in self._links_of(number(node))]

    def _late(self, node: str, delay_ms: float) -> list[Rule]:
        """Return rules that come after those that drop; a packet between two slow brokers is late once."""
        label, target = delay_label(node, delay_ms), self._delays.target(node)
        return [Rule(label, match, target) for match in self._links_of(number(node))]

    def _links_of(self, broker: int) -> list[str]:
        """Return what matches every packet that a broker sends or is sent."""
        not_own = f"-m owner ! --gid-owner {_FIRST_GROUP + broker}"
        return [
            f"{_TCP} {_sent_by(broker)}",
            f"{_TCP} -m multiport --dports {self._ports(broker)}",
            f"{_TCP} {_made_by(_mark(broker))} {not_own}",
        ]

    def _ports(self, *brokers: int) -> str:
        chosen = [self._settings[broker] for broker in brokers]
        return ",".join(str(port) for s in chosen for port in (s.controller_port, s.internal_port, s.external_port))

    def _connect(self, source: str, target: str, timeout_s: float) -> str:
        if source == CLIENTS:
            settings = self._settings[number(target)]
            return connect_from_here(settings.external_host, settings.external_port, timeout_s)
        group = group_of(number(source))
        if target != CLIENTS:
            settings = self._settings[number(target)]
            return _connect_as(group, settings.internal_host, settings.internal_port, timeout_s)
        with contextlib.closing(socket.create_server((self._settings[number(source)].external_host, 0))) as client:
            host, port = client.getsockname()[:2]
            return _connect_as(group, host, port, timeout_s)


def _connect_as(group: int | None, host: str, port: int, timeout_s: float) -> str:
    """Try a connection that the packet filter takes for a broker's."""
    command: Sequence[str] = [sys.executable, "-I", "-S", "-c", PROBE, host, str(port), str(timeout_s)]
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, group=group)
    return result.stdout.strip()


def _sent_by(broker: int) -> str:
    return f"-m owner --gid-owner {_FIRST_GROUP + broker}"


def _made_by(mark: int) -> str:
    return f"-m connmark --mark {mark:#x}/{_MASK}"


def _mark(broker: int) -> int:
    return broker << 16
