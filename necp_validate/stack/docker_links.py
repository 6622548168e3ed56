"""Links of brokers in containers: each has a network namespace, and in it a packet filter, of its own."""

from __future__ import annotations

import contextlib
import shlex
import socket
from collections.abc import Hashable, Mapping, Sequence

from necp_validate.core import StackError
from necp_validate.stack.config import BrokerSettings, broker_principal
from necp_validate.stack.delays import Delays
from necp_validate.stack.docker_service import ManagedContainer
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
    number,
)
from necp_validate.stack.packet_filter import PacketFilter, Rule
from necp_validate.stack.protocol import CLIENTS
from necp_validate.stack.root import find

NEEDS = "needs containers that may change their packet filter (an engine that allows privileged commands)"
_OUT, _IN = ("filter", "OUTPUT"), ("filter", "INPUT")


class DockerLinks(Links):
    """The links of the docker stack.

    A container that starts again has a new namespace, without rules: ``apply`` puts them there.

    Args:
        stack_id: the stack's id.
        settings: of every broker; ``internal_host`` is its address.
        containers: of every broker.
        program: the iptables program that works in them.
        delays: what holds packets back.
    """

    def __init__(
        self,
        stack_id: str,
        settings: Mapping[int, BrokerSettings],
        containers: Mapping[int, ManagedContainer],
        program: str,
        delays: Delays,
    ) -> None:
        super().__init__(delays)
        self._id = stack_id
        self._settings = settings
        self._containers = containers
        self._program = program

    def _filters(self) -> Mapping[Hashable, PacketFilter]:
        found: dict[Hashable, PacketFilter] = {}
        for broker, container in self._containers.items():
            pid = container.pid
            if pid is not None and container.has_shell():
                found[(broker, pid)] = PacketFilter(container.shell, self._id, self._program)
        return found

    def _nodes(self, key: Hashable) -> Sequence[str]:
        assert isinstance(key, tuple)
        return (broker_principal(key[0]),)

    def _enter(self, key: Hashable) -> Sequence[str]:
        assert isinstance(key, tuple)
        return (find("nsenter"), "-t", str(key[1]), "-n", "--")

    def _exists(self, key: Hashable) -> bool:
        return any(key == (broker, container.pid) for broker, container in self._containers.items())

    def _chains(self, key: Hashable, faults: LinkFaults) -> Chains:
        assert isinstance(key, tuple)
        own = broker_principal(key[0])
        addresses = {broker_principal(b): s.internal_host for b, s in self._settings.items() if b != key[0]}
        sent = [
            Rule(cut_label(own, peer), f"-d {address}/32")
            for peer, address in addresses.items()
            if (own, peer) in faults.cuts
        ]
        received: list[Rule] = []
        if own in faults.loss:
            lost = Rule(loss_label(own, faults.loss[own]), loss_match(faults.loss[own]))
            sent.append(lost)
            received.append(lost)
        # Clients are whatever is not a broker.
        if (own, CLIENTS) in faults.cuts:
            sent += [Rule("", f"-d {address}/32", "RETURN") for address in addresses.values()]
            sent.append(Rule(cut_label(own, CLIENTS), ""))
        if (CLIENTS, own) in faults.cuts:
            received += [Rule("", f"-s {address}/32", "RETURN") for address in addresses.values()]
            received.append(Rule(cut_label(CLIENTS, own), ""))
        chains = {}
        # The engine's name server and the container itself are reached over the loopback interface.
        if sent:
            chains[_OUT] = [Rule("", "-o lo", "RETURN"), *sent]
        if received:
            chains[_IN] = [Rule("", "-i lo", "RETURN"), *received]
        if own in faults.delay_ms:
            label, target = delay_label(own, faults.delay_ms[own]), self._delays.target(own)
            chains[("mangle", "POSTROUTING")] = [Rule(label, "! -o lo", target)]
            chains[("mangle", "PREROUTING")] = [Rule(label, "! -i lo", target)]
        return chains

    def _connect(self, source: str, target: str, timeout_s: float) -> str:
        if source == CLIENTS:
            # Not the published port: there the engine's proxy answers, whatever becomes of the link.
            settings = self._settings[number(target)]
            return connect_from_here(settings.internal_host, settings.external_port, timeout_s)
        if target != CLIENTS:
            settings = self._settings[number(target)]
            return self._connect_in(source, settings.internal_host, settings.internal_port, timeout_s)
        gateway = f"{self._settings[number(source)].internal_host.rpartition('.')[0]}.1"
        with contextlib.closing(socket.create_server((gateway, 0))) as client:
            return self._connect_in(source, gateway, client.getsockname()[1], timeout_s)

    def _connect_in(self, source: str, host: str, port: int, timeout_s: float) -> str:
        command = shlex.join(["python3", "-I", "-S", "-c", PROBE, host, str(port), str(timeout_s)])
        code, output = self._containers[number(source)].shell(command)
        if code != 0:
            raise StackError(f"{source} could not try a connection", detail=output)
        return output.strip()
