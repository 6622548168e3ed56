"""Lossy and slow links between players and the gateway: its UDP socket, and nothing else.

Their rules have chains of their own, beside those of the brokers' links. A packet is lost on its way in, or in a
place where its sender does not notice: the kernel tells a sender of UDP when a rule *drops* what it sends.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Hashable, Mapping, Sequence

from necp_validate.stack.delays import Delays
from necp_validate.stack.docker_service import ManagedContainer
from necp_validate.stack.links import Chains, LinkFaults, Links, delay_label, loss_label, loss_match
from necp_validate.stack.local_links import host_program
from necp_validate.stack.packet_filter import PacketFilter, Rule
from necp_validate.stack.protocol import GATEWAY_NODE
from necp_validate.stack.root import find, root_shell

_HOST = ""
# Packets for a queue that no program takes from are lost, and the sender is not told.
_NOWHERE = "NFQUEUE --queue-num 65535"


def players_filter_id(stack_id: str) -> str:
    """Return the id under which the packet filter knows these rules of a stack."""
    return f"{stack_id}p"


class PlayerLinks(Links):
    """The links between players and the gateway of one stack."""

    def _nodes(self, key: Hashable) -> Sequence[str]:
        return (GATEWAY_NODE,) if self._exists(key) else ()

    def _connect(self, source: str, target: str, timeout_s: float) -> str:
        raise NotImplementedError(f"nobody connects by UDP: {source}, {target}, {timeout_s}")

    def _chains(self, key: Hashable, faults: LinkFaults) -> Chains:
        if not (faults and self._exists(key)):
            return {}
        loss, delay_ms = faults.loss.get(GATEWAY_NODE), faults.delay_ms.get(GATEWAY_NODE)
        chains: dict[tuple[str, str], list[Rule]] = {}
        if loss:
            for hook, match, target in self._losing():
                rule = Rule(loss_label(GATEWAY_NODE, loss), f"{match} {loss_match(loss)}", target)
                chains.setdefault(("filter", hook), []).append(rule)
        if delay_ms:
            target = self._delays.target(GATEWAY_NODE)
            for hook, match in self._holding():
                rule = Rule(delay_label(GATEWAY_NODE, delay_ms), match, target)
                chains.setdefault(("mangle", hook), []).append(rule)
        return chains

    @abstractmethod
    def _losing(self) -> Sequence[tuple[str, str, str]]:
        """Return hook, match and target of the rules that lose packets, each way."""

    @abstractmethod
    def _holding(self) -> Sequence[tuple[str, str]]:
        """Return hook and match of the rules that hold packets back, each way."""


class LocalPlayerLinks(PlayerLinks):
    """Of a gateway that is a process on this host, like its players.

    Args:
        stack_id: the stack's id.
        delays: what holds packets back.
        udp_port: tells the gateway's UDP port; 0 if there is none.
    """

    def __init__(self, stack_id: str, delays: Delays, udp_port: Callable[[], int]) -> None:
        super().__init__(delays)
        self._filter = PacketFilter(root_shell, players_filter_id(stack_id), host_program())
        self._udp_port = udp_port

    def _filters(self) -> Mapping[Hashable, PacketFilter]:
        return {_HOST: self._filter}

    def _enter(self, key: Hashable) -> Sequence[str]:
        assert self._exists(key)
        return ()

    def _exists(self, key: Hashable) -> bool:
        return key == _HOST

    def _losing(self) -> Sequence[tuple[str, str, str]]:
        return [("INPUT", match, "DROP") for match in self._both()]

    def _holding(self) -> Sequence[tuple[str, str]]:
        # Here a packet is no longer on its sender's account, whose buffer would be full at once.
        return [("PREROUTING", match) for match in self._both()]

    def _both(self) -> list[str]:
        port = self._udp_port()
        return [f"-i lo -p udp --{side} {port}" for side in ("dport", "sport")] if port else []


class DockerPlayerLinks(PlayerLinks):
    """Of a gateway in a container: in its network namespace, whichever container it is now.

    Args:
        stack_id: the stack's id.
        delays: what holds packets back.
        program: the iptables program that works in containers.
        container: tells the gateway's container; None if there is none.
        udp_port: the gateway's UDP port in it.
    """

    def __init__(
        self,
        stack_id: str,
        delays: Delays,
        program: str,
        container: Callable[[], ManagedContainer | None],
        udp_port: int,
    ) -> None:
        super().__init__(delays)
        self._id = players_filter_id(stack_id)
        self._program = program
        self._container = container
        self._udp_port = udp_port

    def _filters(self) -> Mapping[Hashable, PacketFilter]:
        container = self._container()
        if container is None or container.pid is None or not container.has_shell():
            return {}
        return {container.pid: PacketFilter(container.shell, self._id, self._program)}

    def _enter(self, key: Hashable) -> Sequence[str]:
        return (find("nsenter"), "-t", str(key), "-n", "--")

    def _exists(self, key: Hashable) -> bool:
        container = self._container()
        return container is not None and container.pid == key

    def _losing(self) -> Sequence[tuple[str, str, str]]:
        (_, received), (_, sent) = self._ways()
        return [("INPUT", received, "DROP"), ("OUTPUT", sent, _NOWHERE)]

    def _holding(self) -> Sequence[tuple[str, str]]:
        return self._ways()

    def _ways(self) -> list[tuple[str, str]]:
        udp = f"-p udp --dport {self._udp_port}", f"-p udp --sport {self._udp_port}"
        return [("PREROUTING", f"! -i lo {udp[0]}"), ("POSTROUTING", f"! -o lo {udp[1]}")]
