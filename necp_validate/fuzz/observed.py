"""What the event core made of events, as its outputs tell: receipts, dead letters, ledger, chat and audit trail."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from necp_validate.clients.bookkeeping import LedgerAccounting
from necp_validate.events.ledger import decode_ledger_record
from necp_validate.events.receipts import Outcome, decode_receipt
from necp_validate.events.topics import AUDIT_TOPIC, CHAT_TOPIC, LEDGER_TOPIC, RECEIPTS_TOPIC
from necp_validate.fuzz.cases import Expected
from necp_validate.fuzz.oracle import Leg
from necp_validate.security.trail import StoredRecord

Place = tuple[str, int, int]
"""Topic, partition and offset of an event."""

RawHeaders = Sequence[tuple[str, str | bytes | None]]

OUTCOMES = {
    Outcome.PROCESSED: Expected.PROCESSED,
    Outcome.REJECTED: Expected.REJECTED,
    Outcome.DEAD_LETTERED: Expected.DEAD_LETTERED,
}
_SAID = ("reason", "detail", "source-topic", "source-partition", "source-offset")
_CUT = ("cut-from-bytes", "cut-from-sha256")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetterSeen:
    """A record of a dead-letter topic.

    Args:
        key, value, headers: of the event, as it is kept there.
        said: what is said of it, by name; names that are missing are missing.
        topic, partition, offset: where it lies itself; -1 where it lies nowhere.
    """

    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]
    said: dict[str, str]
    topic: str = ""
    partition: int = -1
    offset: int = -1

    @property
    def cut(self) -> bool:
        """Whether it says that it is not whole."""
        return _CUT[0] in self.said


@dataclass(slots=True)
class Observed:
    """Everything the outputs said since it was made.

    Args:
        ended: events with an outcome, by topic.
        audit: ids of the entries of the audit trail, once it was opened.
        audit_read: whether it can be opened at all.
    """

    outcomes: dict[Place, list[Expected]] = field(default_factory=lambda: defaultdict(list))
    ended: Counter[str] = field(default_factory=Counter)
    dead_letters: dict[Place, list[DeadLetterSeen]] = field(default_factory=lambda: defaultdict(list))
    astray: list[DeadLetterSeen] = field(default_factory=list)
    legs: dict[str, list[Leg]] = field(default_factory=lambda: defaultdict(list))
    chat: dict[tuple[str, str], list[str]] = field(default_factory=lambda: defaultdict(list))
    audit: Counter[str] = field(default_factory=Counter)
    audit_read: bool = True
    sealed: list[StoredRecord] = field(default_factory=list)
    ledger: LedgerAccounting = field(default_factory=LedgerAccounting)
    damage: int = 0

    def take(
        self, topic: str, partition: int, offset: int, key: bytes | None, value: bytes | None, headers: RawHeaders
    ) -> None:
        """Take one record of an output topic, those of a partition in their order."""
        if topic == RECEIPTS_TOPIC:
            self._receipt(value or b"")
        elif topic == LEDGER_TOPIC:
            self._ledger_record(value or b"")
        elif topic == CHAT_TOPIC:
            chat = json.loads(value or b"")
            self.chat[chat["region"], chat["channel"]] += [line[0] for line in chat["messages"]]
        elif topic == AUDIT_TOPIC:
            self.sealed.append(StoredRecord(partition, offset, key or b"", value or b""))
        elif topic.endswith(".dlt"):
            self._dead_letter(topic, partition, offset, key, value, headers)

    def _receipt(self, value: bytes) -> None:
        receipt = decode_receipt(value)
        for partition, first, last, outcome, _ in receipt.runs:
            for offset in range(first, last + 1):
                told = self.outcomes[receipt.topic, partition, offset]
                self.ended[receipt.topic] += not told
                told.append(OUTCOMES[outcome])
        self.damage += sum(receipt.results.get("damage", {}).values())

    def _ledger_record(self, value: bytes) -> None:
        record = decode_ledger_record(value)
        self.ledger.add([record])
        for posting in record.postings:
            self.legs[posting.id].append(posting[1:])

    def _dead_letter(
        self, topic: str, partition: int, offset: int, key: bytes | None, value: bytes | None, headers: RawHeaders
    ) -> None:
        own, said = split_headers(headers)
        letter = DeadLetterSeen(
            key=key, value=value, headers=own, said=said, topic=topic, partition=partition, offset=offset
        )
        try:
            place = (said["source-topic"], int(said["source-partition"]), int(said["source-offset"]))
        except (KeyError, ValueError):
            self.astray.append(letter)
        else:
            self.dead_letters[place].append(letter)

    @property
    def settled(self) -> int:
        """Number of events with an outcome."""
        return len(self.outcomes)


def split_headers(headers: RawHeaders) -> tuple[tuple[tuple[str, bytes | None], ...], dict[str, str]]:
    """Tell a dead letter's own headers from what is said of it, which comes last and once."""
    plain = [(name, content.encode() if isinstance(content, str) else content) for name, content in headers]
    said: dict[str, str] = {}
    for names in (_CUT, _SAID):
        while plain and plain[-1][0] in names and plain[-1][0] not in said:
            name, content = plain.pop()
            said[name] = (content or b"").decode(errors="replace")
    return tuple(plain), said
