"""Faults of a stack whose brokers this suite started: made, measured, undone; what cannot be had says why."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Unpack

from necp_validate.core import StackError, UsageError
from necp_validate.stack.base import Broker
from necp_validate.stack.disks import Disk
from necp_validate.stack.fault_guard import FaultGuard
from necp_validate.stack.links import Links, require_link, require_node
from necp_validate.stack.options import StackOptions
from necp_validate.stack.player_links import PlayerLinks
from necp_validate.stack.protocol import FAULT_KINDS, GATEWAY_NODE, FaultUnavailable
from necp_validate.stack.rotating import RotatingStack

_NO_GATEWAY = "use a scenario with players"


class FaultyStack(RotatingStack[Broker]):
    """A stack with faults in its links and disks.

    The system itself is asked what is in force: what another command has left is found, and undone, too.
    """

    def __init__(self, **options: Unpack[StackOptions]) -> None:
        super().__init__(**options)
        self._links: Links | None = None
        self._player_links: PlayerLinks | None = None
        self._disks: dict[int, Disk] = {}
        self._fault_guard: FaultGuard | None = None

    @abstractmethod
    def _why_no_links(self) -> str:
        """Say what cutting links needs that is not there: "needs …"; nothing if it can be done."""

    @abstractmethod
    def _why_no_delay(self) -> str:
        """Say what slow links need that is not there, where links can be cut: "needs …"; nothing if it can be done."""

    @abstractmethod
    def _why_no_disks(self) -> str:
        """Say what faults of the disk need that is not there: "needs …"; nothing if they can be done."""

    @abstractmethod
    def _make_links(self) -> Links:
        """Return the links of the brokers."""

    @abstractmethod
    def _make_player_links(self) -> PlayerLinks:
        """Return the links between players and the gateway."""

    @abstractmethod
    def _has_gateway(self) -> bool:
        """Tell whether a gateway has been started."""

    @abstractmethod
    def _make_disk(self, broker: int) -> Disk:
        """Return a broker's disk."""

    def cut(self, source: str, target: str) -> None:
        """Drop every packet from a node to another, one way, of open connections too; nothing happens if that is so."""
        require_link(source, target)
        self._change_links("cut", source).cut(source, target)

    def slow(self, node: str, *, delay_ms: float, loss: float = 0.0) -> None:
        """Make every link of a node slow, lossy or both, each way; the last call for a node counts."""
        if node != GATEWAY_NODE:
            require_node(node, clients=False)
        elif not self._has_gateway():
            raise UsageError("no gateway has been started: no link to players can be slow", hint=_NO_GATEWAY)
        if delay_ms < 0 or not (0 <= loss <= 1) or not (delay_ms or loss):
            raise UsageError(f"packets cannot be {delay_ms:g} ms late and a share of {loss:g} of them lost")
        if loss:
            self._require("loss")
        self._change_links("slow" if delay_ms else "loss", node).slow(node, delay_ms=delay_ms, loss=loss)

    def touched_packets(self, node: str) -> int:
        """Return how many packets ``slow`` has lost or held back for a node so far."""
        self._require("loss")
        return self._links_with(node).touched_packets(node)

    def heal(self) -> None:
        """Undo every cut and everything slow; nothing happens if there is nothing to undo."""
        if self._layout is not None and not self._why_no_links():
            self._known_links().heal()
            self._known_player_links().heal()

    def link_open(self, source: str, target: str) -> bool:
        """Tell by a real connection, made from the source's side, whether packets get from a node to another."""
        require_link(source, target)
        self._require("cut")
        return self._known_links().open(source, target)

    def fill_disk(self, broker: int) -> None:
        """Leave no space for whatever a broker creates from now on."""
        self._break_disk("disk-full", broker, Disk.fill)

    def crowd_disk(self, broker: int, percent: float) -> None:
        """Let a broker's disk be used to a percentage, with space enough to go on."""
        disk = self._disk(broker)
        self._require("disk-full")
        self._watch()
        disk.crowd(percent)

    def free_disk(self, broker: int) -> None:
        """Undo ``fill_disk`` and ``crowd_disk``; the data is as it was."""
        self._mend_disk(broker)

    def read_only_disk(self, broker: int) -> None:
        """Let a broker create nothing on its disk from now on."""
        self._break_disk("read-only", broker, Disk.read_only)

    def writable_disk(self, broker: int) -> None:
        """Undo ``read_only_disk``."""
        self._mend_disk(broker)

    def pause_broker(self, broker: int) -> None:
        """Freeze a broker: its connections stay open, it does nothing."""
        self._watch()
        super().pause_broker(broker)

    def resume_broker(self, broker: int) -> None:
        """Let a frozen broker go on."""
        super().resume_broker(broker)
        self._links_again()

    def check_alive(self) -> None:
        """Do nothing if all is well.

        Raises:
            StackError: as for any stack, or a slow link is not slow any more.
        """
        super().check_alive()
        for links in (self._links, self._player_links):
            if links is not None:
                links.check_alive()

    def _launched_again(self) -> None:
        self._links_again()

    def remaining_faults(self) -> list[str]:
        """Return what is still in force, as the system itself has it."""
        found = [f"broker {b} is paused" for b, running in self._brokers.items() if running.paused()]
        found += [f"{service.name} is paused" for service in self._services if service.paused()]
        if self._layout is not None and not self._why_no_links():
            found += self._known_links().remaining() + self._known_player_links().remaining()
        if self._layout is not None and not self._why_no_disks():
            disks = ((broker, self._disk_fault(broker)) for broker in self._brokers)
            found += [f"broker {broker}'s disk is {fault}" for broker, fault in disks if fault]
        return found

    def undo_faults(self) -> None:
        """Undo all of ``remaining_faults``.

        Raises:
            StackError: something could not be undone, and what; the rest has been.
        """
        steps: list[Callable[[], None]] = [running.resume for running in self._brokers.values()]
        steps += [service.resume for service in self._services]
        if self._attached or any(links is not None and links.touched() for links in (self._links, self._player_links)):
            steps.append(self.heal)
        if self._layout is not None and (self._attached or self._disks):
            steps += [lambda broker=broker: self._mend_disk(broker) for broker in self._brokers]  # type: ignore[misc]
        problems = []
        for step in steps:
            try:
                step()
            except StackError as error:
                problems.append(str(error))
        if problems:
            raise StackError("not every fault could be undone", detail="\n".join(problems))
        if self._fault_guard is not None:
            self._fault_guard.dismiss()
            self._fault_guard = None

    def describe_unavailable(self) -> Mapping[str, str]:
        """Return what this stack cannot inject on this machine: kind of fault to "needs …"."""
        links, disks = self._why_no_links(), self._why_no_disks()
        reasons = {
            "cut": links,
            "loss": links,
            "slow": links or self._why_no_delay(),
            "disk-full": disks,
            "read-only": disks,
        }
        return {kind: reason for kind, reason in reasons.items() if reason}

    @property
    def faults(self) -> frozenset[str]:
        """What this stack can inject on this machine."""
        return frozenset(FAULT_KINDS) - set(self.describe_unavailable())

    def _require(self, kind: str) -> None:
        reason = self.describe_unavailable().get(kind)
        if reason:
            raise FaultUnavailable(reason)

    def _known_links(self) -> Links:
        if self._links is None:
            self._links = self._make_links()
        return self._links

    def _known_player_links(self) -> PlayerLinks:
        if self._player_links is None:
            self._player_links = self._make_player_links()
        return self._player_links

    def _links_with(self, node: str) -> Links:
        return self._known_player_links() if node == GATEWAY_NODE else self._known_links()

    def _change_links(self, kind: str, node: str) -> Links:
        self._require(kind)
        self._watch()
        return self._links_with(node)

    def _links_again(self) -> None:
        for links in (self._links, self._player_links):
            if links is not None:
                links.apply()

    def _disk(self, broker: int) -> Disk:
        self._broker(broker)
        if broker not in self._disks:
            self._disks[broker] = self._make_disk(broker)
        return self._disks[broker]

    @abstractmethod
    def _reachable(self, broker: int) -> bool:
        """Tell whether a broker's disk can be looked at now."""

    def _break_disk(self, kind: str, broker: int, fault: Callable[[Disk], None]) -> None:
        disk = self._disk(broker)
        self._require(kind)
        self._watch()
        self._ended.add(broker)  # it will end by itself, and that is no surprise
        fault(disk)

    def _mend_disk(self, broker: int) -> None:
        if self._why_no_disks() or not self._disk_fault(broker):
            return
        try:
            self._disk(broker).clear()
        except StackError:
            if self._reachable(broker):
                raise
        if self._broker(broker).alive():
            self._ended.discard(broker)

    def _disk_fault(self, broker: int) -> str:
        """What a broker's disk is; nothing where it cannot be looked at, or cannot be any more: brokers end by it."""
        if not self._reachable(broker):
            return ""
        try:
            return self._disk(broker).fault()
        except StackError:
            if self._reachable(broker):
                raise
            return ""

    def _watch(self) -> None:
        """See that the faults are undone if this process is killed."""
        if self._fault_guard is None:
            self._fault_guard = FaultGuard(self.backend)
        self._fault_guard.note(self.state())
