"""The handlers of a domain alone in this process: lists in the place of topics, thousands of steps in seconds.

A batch goes through the event core's own decoder, `handle_batch`, handler and ledger. In the place of the loops stands
what they promise of a transaction, or of handling at least once.
"""

from __future__ import annotations

import atexit
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final
from zlib import crc32

from necp_validate.events.envelope import Decoder
from necp_validate.events.ledger import decode_ledger_record
from necp_validate.events.receipts import Outcome
from necp_validate.events.registry import event_types
from necp_validate.events.topics import LEDGER_TOPIC, TOPICS, Domain
from necp_validate.fuzz.machines.driver import Crash, Sent, Written
from necp_validate.reference.audit import Keyring, Trail
from necp_validate.reference.eventcore.combat import CombatHandler
from necp_validate.reference.eventcore.economy import EconomyHandler
from necp_validate.reference.eventcore.handling import (
    BatchResult,
    Handler,
    Headers,
    Output,
    dead_letter_outputs,
    handle_batch,
)
from necp_validate.reference.eventcore.ledger import Books
from necp_validate.reference.eventcore.social import SocialHandler
from necp_validate.reference.eventcore.system import SystemHandler

_DECODE: Final = {domain: Decoder(event_types(domain)).decode for domain in Domain}
_CRASHES: Final = (Crash.AFTER_COMMIT, Crash.BEFORE_COMMIT, Crash.BEFORE_OUTPUT)


@dataclass(frozen=True, slots=True)
class _Record:
    """A record of an input topic, as the Kafka client would hand it over."""

    where: tuple[int, int]
    sent: Sent

    def partition(self) -> int:
        return self.where[0]

    def offset(self) -> int:
        return self.where[1]

    def key(self) -> bytes:
        return self.sent.key.encode()

    def value(self) -> bytes:
        return self.sent.value

    def headers(self) -> Headers | None:
        return None


@dataclass(slots=True)
class _Transaction:
    """What has come of some batches, before it is committed."""

    outputs: list[Output] = field(default_factory=list)
    outcomes: list[tuple[tuple[int, int], Outcome]] = field(default_factory=list)
    totals: Mapping[str, Any] = field(default_factory=dict)
    positions: dict[int, int] = field(default_factory=dict)


class Alone:
    """One domain's handler, and everything that outlives it.

    Args:
        domain: the domain.
        make_handler: makes the handler, at the beginning and after each crash; by default the domain's own.
    """

    number: Final = 1

    def __init__(self, domain: Domain, make_handler: Callable[[], Handler] | None = None) -> None:
        self.domain: Final = domain
        self._make_handler = make_handler or self._own_handler
        self._input: dict[int, list[_Record]] = {}
        self._positions: dict[int, int] = {}
        self._outcomes: dict[tuple[int, int], list[Outcome]] = {}
        self._written: dict[str, dict[int, list[Written]]] = {}
        self._totals: dict[str, int] = {}
        self._now_s = 0.0
        self._handler = self._make_handler()

    @property
    def crashes(self) -> Sequence[Crash]:
        """See :class:`necp_validate.fuzz.machines.driver.Driver`; only a transaction can be aborted."""
        return (*_CRASHES, Crash.ABORTED) if self.domain is Domain.ECONOMY else _CRASHES

    def deliver(self, batch: Sequence[Sent], crash: Crash | None = None) -> list[tuple[Outcome, ...]]:
        """See :class:`necp_validate.fuzz.machines.driver.Driver`."""
        places = [self._append(sent) for sent in batch]
        if crash is not None:
            self._crash(crash, self._handle(closed=crash is not Crash.BEFORE_OUTPUT))
        self._commit(self._handle(closed=True))
        return [tuple(self._outcomes.get(place, ())) for place in places]

    def written(self, topic: str) -> list[Written]:
        """See :class:`necp_validate.fuzz.machines.driver.Driver`."""
        return [record for partition in self._written.get(topic, {}).values() for record in partition]

    def total(self, name: str) -> int:
        """See :class:`necp_validate.fuzz.machines.driver.Driver`."""
        return self._totals.get(name, 0)

    def holding(self, shard: str, account: str, asset: str) -> int | None:
        """See :class:`necp_validate.fuzz.machines.driver.Driver`."""
        if not isinstance(self._handler, EconomyHandler):
            return None
        return self._handler.books(_partition(self.domain, shard)).holding(shard, account, asset)

    def members(self, region: str, guild: str) -> set[str] | None:
        """See :class:`necp_validate.fuzz.machines.driver.Driver`."""
        if not isinstance(self._handler, SocialHandler):
            return None
        return self._handler.members(_partition(self.domain, region), region, guild)

    def settle(self, check: Callable[[], None]) -> None:
        """See :class:`necp_validate.fuzz.machines.driver.Driver`; nothing takes time here."""
        check()

    def audit_keys(self) -> Path:
        """See :class:`necp_validate.fuzz.machines.driver.Driver`."""
        return _keyring()

    def close(self) -> None:
        """See :class:`necp_validate.fuzz.machines.driver.Driver`."""
        self._end_handler()

    def _own_handler(self) -> Handler:
        match self.domain:
            case Domain.COMBAT:
                return CombatHandler()
            case Domain.ECONOMY:
                return EconomyHandler(clock_s=lambda: self._now_s)
            case Domain.SOCIAL:
                return SocialHandler()
        self._trail = Trail(Keyring(self.audit_keys()), "alone")
        return SystemHandler(self._trail)

    def _end_handler(self) -> None:
        trail = self.__dict__.pop("_trail", None)
        if trail is not None:
            trail.close()

    def _append(self, sent: Sent) -> tuple[int, int]:
        partition = _partition(self.domain, sent.key)
        records = self._input.setdefault(partition, [])
        records.append(_Record((partition, len(records)), sent))
        return partition, len(records) - 1

    def _handle(self, *, closed: bool) -> _Transaction:
        """Let the handler take everything that waits; unless ``closed``, nothing is collected of it."""
        transaction = _Transaction()
        self._now_s += 10.0  # market data are due with every transaction
        for partition, records in self._input.items():
            waiting = records[self._positions.get(partition, 0) :]
            if not waiting:
                continue
            handle = self._handler.open(partition)
            result = handle_batch(partition, waiting, _DECODE[self.domain], handle, now_us=lambda: 0)
            transaction.positions[partition] = result.last_offset + 1
            if closed:
                self._close(result, transaction)
        if closed:
            outputs, transaction.totals = self._handler.collect()
            transaction.outputs += outputs
        return transaction

    def _close(self, result: BatchResult, transaction: _Transaction) -> None:
        if isinstance(self._handler, EconomyHandler):
            self._handler.close(result)
        transaction.outputs += dead_letter_outputs(
            result, source_topic=self.domain.topic, topic=self.domain.dead_letter_topic, partition=0
        )
        transaction.outcomes += [
            ((partition, offset), outcome)
            for partition, first, last, outcome, _ in result.runs
            for offset in range(first, last + 1)
        ]

    def _commit(self, transaction: _Transaction, *, offsets: bool = True) -> None:
        for output in transaction.outputs:
            records = self._written.setdefault(output.topic, {}).setdefault(output.partition, [])
            records.append(
                Written(
                    partition=output.partition, offset=len(records), key=output.key or b"", value=output.value or b""
                )
            )
        for place, outcome in transaction.outcomes:
            self._outcomes.setdefault(place, []).append(outcome)
        for name, total in transaction.totals.items():
            amount = sum(total.values()) if isinstance(total, dict) else total
            self._totals[name] = self._totals.get(name, 0) + amount
        if offsets:
            self._positions.update(transaction.positions)

    def _crash(self, crash: Crash, transaction: _Transaction) -> None:
        """Let what the crash spares be written, and a successor go on from there."""
        economy = self.domain is Domain.ECONOMY
        if crash is Crash.AFTER_COMMIT:
            self._commit(transaction)
        elif crash is Crash.BEFORE_COMMIT and not economy:
            self._commit(transaction, offsets=False)
        if crash is Crash.ABORTED and isinstance(self._handler, EconomyHandler):
            self._handler.discard()
        else:
            self._end_handler()
            self._handler = self._make_handler()
        if economy:
            self._recover()

    def _recover(self) -> None:
        """Rebuild the books from the ledger, and go on from where it ends."""
        assert isinstance(self._handler, EconomyHandler)
        books = {partition: Books() for partition in self._input}
        for record in self.written(LEDGER_TOPIC):
            books[int(record.key)].apply(decode_ledger_record(record.value))
        for partition, rebuilt in books.items():
            self._handler.adopt(partition, rebuilt)
            self._positions[partition] = rebuilt.next_offset or 0


def _partition(domain: Domain, key: str) -> int:
    return crc32(key.encode()) % TOPICS[domain.topic].partitions


@cache
def _keyring() -> Path:
    """Make the keys of all audit trails of this process: to make them takes longer than to use them."""
    folder = tempfile.TemporaryDirectory(prefix="necp-machine-")
    atexit.register(folder.cleanup)
    path = Path(folder.name) / "keyring"
    Keyring.create(path)
    return path
