"""The event core's own decoding and handlers without Kafka: one partition of each topic, batch after batch.

What a loop of the event core does between a record and its outputs is done here with the same parts: decoder, handler,
batch, receipts, dead letters, ledger. What is not here is Kafka: groups, commits, transactions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Final, Self

from confluent_kafka import Message

from necp_validate.events.base import Event, EventData
from necp_validate.events.envelope import Decoder
from necp_validate.events.ledger import LedgerRecord, decode_ledger_record
from necp_validate.events.registry import event_types
from necp_validate.events.topics import LEDGER_TOPIC, Domain
from necp_validate.fuzz.cases import Case
from necp_validate.fuzz.judging import Judged, Sent, judge
from necp_validate.fuzz.observed import Observed
from necp_validate.reference.audit import Keyring, Trail
from necp_validate.reference.eventcore.combat import CombatHandler
from necp_validate.reference.eventcore.economy import EconomyHandler
from necp_validate.reference.eventcore.exactly_once import shares
from necp_validate.reference.eventcore.handling import (
    BatchResult,
    Handler,
    Output,
    dead_letter_outputs,
    handle_batch,
)
from necp_validate.reference.eventcore.ledger import Books
from necp_validate.reference.eventcore.receipting import ReceiptBook
from necp_validate.reference.eventcore.social import SocialHandler
from necp_validate.reference.eventcore.system import SystemHandler
from necp_validate.security.keys import KeyFile
from necp_validate.security.trail import read_trail

PARTITION: Final = 0
BATCH: Final = 500
INSTANCE: Final = "fuzz"

Decode = Callable[[bytes], Event[EventData]]
DeadLetters = Callable[..., list[Output]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the event core is made of; a test puts a defective part in the place of one.

    Args:
        handlers: makes a domain's handler; the system domain's, where it is missing, has a keyring of its own.
        decoders: a domain's decoder.
        dead_letters: makes the dead-letter records of a batch.
    """

    handlers: Mapping[Domain, Callable[[], Handler]] = field(
        default_factory=lambda: {
            Domain.COMBAT: CombatHandler,
            Domain.ECONOMY: EconomyHandler,
            Domain.SOCIAL: SocialHandler,
        }
    )
    decoders: Mapping[Domain, Decode] = field(
        default_factory=lambda: {domain: Decoder(event_types(domain)).decode for domain in Domain}
    )
    dead_letters: DeadLetters = dead_letter_outputs


class HandlersAlone:
    """Takes cases as a partition's records and observes the outputs; a context manager, since it makes a keyring.

    Args:
        parts: what the event core is made of.
        abort_every: every so manieth batch of the economy is handled, aborted, and handled again by an instance that
            has rebuilt the books from the ledger; never by default.
    """

    def __init__(self, parts: Parts | None = None, *, abort_every: int = 0) -> None:
        self._parts = parts or Parts()
        self._abort_every = abort_every
        self._ledger: list[LedgerRecord] = []
        self._folder = TemporaryDirectory(prefix="necp-fuzz-")
        keyring = Path(self._folder.name) / "keyring"
        Keyring.create(keyring).close()
        self._trail = Trail(Keyring(keyring), INSTANCE)
        self._keyring = keyring
        made = self._parts.handlers
        self._handlers: dict[Domain, Handler] = {
            domain: made[domain]() if domain in made else SystemHandler(self._trail) for domain in Domain
        }
        self._receipts = {domain: ReceiptBook(domain, INSTANCE) for domain in Domain}
        self._offsets = dict.fromkeys(Domain, 0)
        self.observed = Observed()
        self.sent: list[Sent] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._trail.close()
        self._folder.cleanup()

    def take(self, domain: Domain, cases: Iterable[Case]) -> None:
        """Handle events of one domain, in batches."""
        waiting = list(cases)
        for start in range(0, len(waiting), BATCH):
            self._batch(domain, waiting[start : start + BATCH])

    def judge(self) -> Judged:
        """Judge everything that was taken."""
        found = read_trail(self.observed.sealed, KeyFile(self._keyring))
        self.observed.audit.clear()
        self.observed.audit.update(entry.id for entry, _, _ in found.entries)
        return judge(self.sent, self.observed)

    def unbalanced(self) -> dict[str, int]:
        """By asset, the sum over all accounts of the economy where it is not zero: money or goods from nowhere."""
        handler = self._handlers[Domain.ECONOMY]
        assert isinstance(handler, EconomyHandler)
        return {asset: left for asset, left in handler.books(PARTITION).circulation().items() if left}

    def _batch(self, domain: Domain, cases: Sequence[Case]) -> None:
        first = self._offsets[domain]
        self._offsets[domain] = first + len(cases)
        records = [_record(domain, first + at, case) for at, case in enumerate(cases)]
        self.sent += [
            Sent(case=case, topic=domain.topic, partition=PARTITION, offset=first + at) for at, case in enumerate(cases)
        ]
        handler, outputs = self._handlers[domain], []
        if isinstance(handler, EconomyHandler) and self._abort_every and first // BATCH % self._abort_every == 0:
            self._abort(handler, records)
        for ((_, share),) in shares([(PARTITION, records)]):
            result = handle_batch(PARTITION, share, self._parts.decoders[domain], handler.open(PARTITION))
            outputs += self._finish(domain, handler, result)
        made, totals = handler.collect()
        for number, output in enumerate([*made, *outputs, *self._receipts[domain].write(totals)]):
            self._observe(output, first + number)

    def _abort(self, handler: EconomyHandler, records: list[Message]) -> None:
        """Handle a batch whose transaction is not committed, and take the partition over as a successor does."""
        handler.close(handle_batch(PARTITION, records, self._parts.decoders[Domain.ECONOMY], handler.open(PARTITION)))
        handler.discard()
        handler.drop(PARTITION)
        books = Books()
        for record in self._ledger:
            books.apply(record)
        handler.adopt(PARTITION, books)

    def _finish(self, domain: Domain, handler: Handler, result: BatchResult) -> list[Output]:
        if isinstance(handler, EconomyHandler):
            handler.close(result)
        self._receipts[domain].add(result.runs)
        return self._parts.dead_letters(
            result, source_topic=domain.topic, topic=domain.dead_letter_topic, partition=PARTITION
        )

    def _observe(self, output: Output, offset: int) -> None:
        headers: list[tuple[str, str | bytes | None]] = list(output.headers)
        self.observed.take(output.topic, output.partition, offset, output.key, output.value, headers)
        if output.topic == LEDGER_TOPIC:
            self._ledger.append(decode_ledger_record(output.value or b""))
        if output.acknowledged is not None:
            output.acknowledged()


def judge_alone(cases: Mapping[Domain, Sequence[Case]], parts: Parts | None = None) -> Judged:
    """Put events through fresh handlers and judge what came of them.

    Args:
        cases: by domain, in their order.
        parts: what the event core is made of.
    """
    with HandlersAlone(parts) as handlers:
        for domain, some in cases.items():
            handlers.take(domain, some)
        return handlers.judge()


def _record(domain: Domain, offset: int, case: Case) -> Message:
    headers: Any = list(case.headers) or None
    return Message(
        topic=domain.topic, partition=PARTITION, offset=offset, key=case.key, value=case.value, headers=headers
    )
