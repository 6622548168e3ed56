"""Cut and lossy links between brokers and clients: what every backend shares, and the proof that a cut took effect."""

from __future__ import annotations

import re
import socket
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from necp_validate.core import StackError, UsageError
from necp_validate.stack.config import BROKERS, broker_principal
from necp_validate.stack.delays import Delays
from necp_validate.stack.packet_filter import Hook, PacketFilter, Rule
from necp_validate.stack.protocol import CLIENTS

_CUT_PROBE_S = 0.7  # a first packet that a rule drops is dropped at once
_OPEN_PROBE_S = 3.5  # twice as long as a connection takes that loses its first packet

# Runs at the source of a link, and says what became of a connection.
PROBE = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=float(sys.argv[3])).close()
    print("open")
except ConnectionRefusedError:
    print("refused")
except OSError as error:
    print(type(error).__name__)
"""


@dataclass
class LinkFaults:
    """What is wanted of the links.

    Args:
        cuts: source and target of every link that is cut, one way each.
        loss: node to the share of its packets that is lost, each way.
        delay_ms: node to the time by which its packets are late, each way.
    """

    cuts: set[tuple[str, str]] = field(default_factory=set)
    loss: dict[str, float] = field(default_factory=dict)
    delay_ms: dict[str, float] = field(default_factory=dict)

    @classmethod
    def from_labels(cls, labels: Sequence[str]) -> LinkFaults:
        """Return what the labels of rules say."""
        found = cls()
        for label in labels:
            if match := re.fullmatch(r"cut (\S+) (\S+)", label):
                found.cuts.add((match[1], match[2]))
            elif match := re.fullmatch(r"loss (\S+) ([\d.]+)", label):
                found.loss[match[1]] = float(match[2])
            elif match := re.fullmatch(r"delay (\S+) ([\d.]+) ms", label):
                found.delay_ms[match[1]] = float(match[2])
        return found

    def __bool__(self) -> bool:
        return bool(self.cuts or self.loss or self.delay_ms)


def cut_label(source: str, target: str) -> str:
    """Return the label of a cut's rules."""
    return f"cut {source} {target}"


def loss_label(node: str, loss: float) -> str:
    """Return the label of the rules that lose packets."""
    return f"loss {node} {loss:g}"


def delay_label(node: str, delay_ms: float) -> str:
    """Return the label of the rules that hold packets back."""
    return f"delay {node} {delay_ms:g} ms"


def loss_match(loss: float) -> str:
    """Return the words that match a share of all packets, at random."""
    return f"-m statistic --mode random --probability {loss:g}"


Chains = Mapping[Hook, Sequence[Rule]]
T = TypeVar("T")


class Links(ABC):
    """The links of one stack."""

    def __init__(self, delays: Delays) -> None:
        self._delays = delays
        self._wanted: LinkFaults | None = None
        self._applied: dict[Hashable, Chains] = {}

    @abstractmethod
    def _filters(self) -> Mapping[Hashable, PacketFilter]:
        """Return the packet filters that can be reached now, by a key that changes with every new namespace."""

    @abstractmethod
    def _chains(self, key: Hashable, faults: LinkFaults) -> Chains:
        """Return the rules that one of the filters needs; nothing if none."""

    @abstractmethod
    def _nodes(self, key: Hashable) -> Sequence[str]:
        """Return the brokers whose packets a filter can hold back."""

    @abstractmethod
    def _enter(self, key: Hashable) -> Sequence[str]:
        """Return the program, with arguments, that runs a command where a filter is; nothing if that is here."""

    @abstractmethod
    def _connect(self, source: str, target: str, timeout_s: float) -> str:
        """Try a connection from a node to another: ``open``, ``refused`` or why not.

        Raises:
            StackError: the source does not run.
        """

    def cut(self, source: str, target: str) -> None:
        """Drop every packet from a node to another; nothing happens if that is so."""
        require_link(source, target)
        self._load().cuts.add((source, target))
        self.apply()

    def slow(self, node: str, *, delay_ms: float, loss: float) -> None:
        """Hold the packets of a broker's links back, lose a share of them, or both, each way; instead of before."""
        faults = self._load()
        for wanted, value in ((faults.delay_ms, delay_ms), (faults.loss, loss)):
            wanted.pop(node, None)
            if value:
                wanted[node] = value
        self._delays.want(node, delay_ms)
        self.apply()

    def heal(self) -> None:
        """Remove every cut and every loss."""
        self._wanted = LinkFaults()
        self._each(lambda key, rules: self._put(key, rules, {}, always=True))
        self._delays.clear()

    def check_alive(self) -> None:
        """Do nothing if what is slow is kept slow.

        Raises:
            StackError: a program that held packets back ended early, and they pass. Where the broker's network has
                gone as well, as a killed container's has, that is no surprise.
        """
        ended = self._delays.ended_early()
        for key in self._filters() if ended else ():
            for node in self._nodes(key):
                where, why = ended.get(node, ((), ""))
                if why and where == tuple(self._enter(key)):
                    raise StackError(f"the packets of {node} are not held back any more: {why}")

    def touched(self) -> bool:
        """Tell whether this object has ever changed a link."""
        return self._wanted is not None

    def apply(self) -> None:
        """Make the rules in every filter what they should be; those of a broker that was away, too."""
        if self._wanted is None:
            return
        faults = self._wanted
        self._each(lambda key, rules: self._put(key, rules, self._chains(key, faults)))

    def _put(self, key: Hashable, rules: PacketFilter, chains: Chains, *, always: bool = False) -> None:
        if self._applied.get(key) == chains and not always:
            return
        for node in self._nodes(key):
            self._delays.keep(node, self._enter(key))
        if chains:
            rules.replace(chains)
        else:
            rules.remove()
        self._applied[key] = chains

    def _each(self, work: Callable[[Hashable, PacketFilter], T]) -> list[T]:
        """Do something to every filter that can be reached, at the same time."""
        filters = self._filters()
        with ThreadPoolExecutor(max_workers=max(1, len(filters))) as pool:
            return list(pool.map(work, filters.keys(), filters.values()))

    def _load(self) -> LinkFaults:
        """Return what is wanted; at first, what an earlier command has put in force."""
        if self._wanted is None:
            self._wanted = LinkFaults.from_labels(list(self._counts()))
        return self._wanted

    def _counts(self) -> Counter[str]:
        total: Counter[str] = Counter()
        for counts in self._each(lambda _, rules: rules.counts()):
            total.update(counts)
        return total

    def touched_packets(self, node: str) -> int:
        """Return how many packets have been lost or held back for a node, by the rules that are in force."""
        return sum(
            count for label, count in self._counts().items() if label.startswith((f"loss {node} ", f"delay {node} "))
        )

    def remaining(self) -> list[str]:
        """Return the labels of what is in force."""
        found = dict(self._each(lambda key, rules: (key, rules.counts())))
        # A frozen broker's own filter cannot be asked; it has what it was given.
        known = [
            rule.label
            for key, chains in self._applied.items()
            for rules in chains.values()
            for rule in rules
            if key not in found and self._exists(key)
        ]
        return sorted({*known, *(label for counts in found.values() for label in counts)} - {""})

    @abstractmethod
    def _exists(self, key: Hashable) -> bool:
        """Tell whether the namespace of a filter that cannot be reached is still there."""

    def open(self, source: str, target: str) -> bool:
        """Tell by a real connection whether packets get from a node to another.

        A connection needs both ways. When it fails, the rules' counters tell which way its packets were dropped.

        Raises:
            StackError: the source does not run.
        """
        require_link(source, target)
        label, back = cut_label(source, target), cut_label(target, source)
        before = self._counts()
        expected = any(name in before for name in (label, back))
        result = self._connect(source, target, _CUT_PROBE_S if expected else _OPEN_PROBE_S)
        if result in ("open", "refused"):
            return True
        after = self._counts()
        if after[label] > before[label]:
            return False
        return after[back] > before[back]


def require_node(node: str, *, clients: bool = True) -> None:
    """Do nothing if there is such a node.

    Raises:
        UsageError: there is none.
    """
    known = [*nodes(), *([CLIENTS] if clients else [])]
    if node not in known:
        raise UsageError(f"there is no node {node!r} here; known: {', '.join(known)}")


def require_link(source: str, target: str) -> None:
    """Do nothing if both nodes exist and are two.

    Raises:
        UsageError: one does not, or they are the same.
    """
    require_node(source)
    require_node(target)
    if source == target:
        raise UsageError(f"a link joins two nodes, not {source} to itself")


def nodes() -> list[str]:
    """Return the names of every broker as a node."""
    return [broker_principal(broker) for broker in range(1, BROKERS + 1)]


def number(node: str) -> int:
    """Return a broker's id by its name as a node."""
    return nodes().index(node) + 1


def connect_from_here(host: str, port: int, timeout_s: float) -> str:
    """Try a connection from this process, which is one of the clients: ``open``, ``refused`` or why not."""
    try:
        socket.create_connection((host, port), timeout=timeout_s).close()
    except ConnectionRefusedError:
        return "refused"
    except OSError as error:
        return type(error).__name__
    return "open"
