"""What one event core writes into the audit trail: sealed records, in one chain for each partition.

A reader with the keyring notices every record that was altered, added, moved or removed, with these exceptions:

- The end of a chain that no note in the keyring covers yet: what an event core that was killed had got acknowledged
  since the last note, about a second's worth. A core that ends by itself notes the very end.
- A whole chain of which nothing was noted, for the same reason.
- Whoever has both the keyring and the right to write the topic can write a trail that never was. So can somebody who
  brings back an older copy of both.

A record that the producer has given up (after two minutes without an acknowledgement) and sent again lies behind later
ones, and is reported as moved.
"""

from __future__ import annotations

import logging
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterable
from threading import Event as Flag
from threading import Lock, Thread
from typing import Final, NamedTuple

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from necp_validate.reference.audit.keyring import Anchor, Keyring
from necp_validate.reference.audit.record import ENCODE, FIRST, TAG_BYTES, WRITER_BYTES, AuditEntry, seal, writer_key

log: Final = logging.getLogger(__name__)

ANCHOR_S: Final = 1.0
"""How often the keyring is told how far the chains are acknowledged; of what is younger, an end cut off shows not."""

MAX_KEYS: Final = 50_000
"""Derived keys that are kept; beyond, they are derived anew."""


class Sealed(NamedTuple):
    """A record to be produced.

    Args:
        value: the record.
        acknowledged: to be called once the brokers have it.
    """

    value: bytes
    acknowledged: Callable[[], None]


class _Chain:
    """One chain: what comes next in it, and how far it is acknowledged."""

    __slots__ = ("acked", "anchored", "before", "pending", "seq")

    def __init__(self) -> None:
        self.seq = 0
        self.before = FIRST
        self.pending: dict[int, bytes] = {}
        self.acked: tuple[int, bytes] | None = None
        self.anchored: tuple[int, bytes] | None = None


class Trail:
    """Seals entries as one writer, which this object is for as long as it lives.

    Args:
        keyring: the keys; looked at again for each batch, so a rotation or an erasure holds from the next one on.
        instance: name of the event core.
        anchor_s: how often the keyring is told, in s.
    """

    def __init__(self, keyring: Keyring, instance: str, *, anchor_s: float = ANCHOR_S) -> None:
        self.writer = secrets.token_bytes(WRITER_BYTES)
        self._keyring = keyring
        self._notes = Keyring(keyring.path)  # of its own: waiting to note something must not keep records waiting
        self._instance = instance
        self._anchor_s = anchor_s
        self._chain_key = keyring.chain_key(self.writer)
        self._chains: dict[int, _Chain] = {}
        self._keys: dict[str, tuple[bytes, int, AESGCM]] = {}
        self._changes = keyring.changes()
        self._lock = Lock()
        self._closed = Flag()
        self._anchoring = Thread(target=self._keep_anchoring, name="audit-anchor", daemon=True)
        self._anchoring.start()

    def seal(self, entries: Iterable[tuple[int, AuditEntry]]) -> list[Sealed]:
        """Seal entries, each with the partition it goes to; they must be produced in this order."""
        entries = list(entries)
        self._learn_keys({entry.actor for _, entry in entries})
        return [self._seal(partition, entry) for partition, entry in entries]

    def _learn_keys(self, persons: set[str]) -> None:
        """Have the present key of each of these persons at hand."""
        changes = self._keyring.changes()
        if changes != self._changes or len(self._keys) + len(persons) > MAX_KEYS:
            self._keys.clear()
            self._changes = changes
        missing = persons - self._keys.keys()
        if missing:
            for person, (pseudonym, key_id, key) in self._keyring.data_keys(missing).items():
                self._keys[person] = (pseudonym, key_id, writer_key(key, self.writer))

    def _seal(self, partition: int, entry: AuditEntry) -> Sealed:
        pseudonym, key_id, key = self._keys[entry.actor]
        chain = self._chains.setdefault(partition, _Chain())
        seq = chain.seq
        value = seal(
            key,
            self._chain_key,
            ENCODE(entry),
            key_id=key_id,
            pseudonym=pseudonym,
            writer=self.writer,
            partition=partition,
            seq=seq,
            before=chain.before,
        )
        chain.before = tag = value[-TAG_BYTES:]
        chain.seq += 1
        return Sealed(value, lambda: self._acknowledged(chain, seq, tag))

    def _acknowledged(self, chain: _Chain, seq: int, tag: bytes) -> None:
        with self._lock:
            chain.pending[seq] = tag
            after = -1 if chain.acked is None else chain.acked[0]
            while (next_tag := chain.pending.pop(after + 1, None)) is not None:
                after += 1
                chain.acked = (after, next_tag)

    def anchor(self, *, closed: bool = False) -> None:
        """Tell the keyring how far the chains are acknowledged."""
        with self._lock:
            chains = [(partition, chain, chain.acked) for partition, chain in self._chains.items()]
        due = [(p, chain, acked) for p, chain, acked in chains if acked and (closed or acked != chain.anchored)]
        if due:
            anchors = [Anchor(partition, *acked) for partition, _, acked in due]
            self._notes.anchor(self.writer, self._instance, anchors, closed=closed)
            for _, chain, acked in due:
                chain.anchored = acked

    def close(self) -> None:
        """End the chains: what was acknowledged by now is their end, if nothing is outstanding."""
        self._closed.set()
        self._anchoring.join()
        self.anchor(closed=self._complete())
        self._notes.close()
        self._keyring.close()

    def _complete(self) -> bool:
        with self._lock:
            return all(chain.acked is not None and chain.acked[0] == chain.seq - 1 for chain in self._chains.values())

    def _keep_anchoring(self) -> None:
        while not self._closed.wait(self._anchor_s - time.monotonic() % self._anchor_s):
            try:
                self.anchor()
            except sqlite3.Error as error:  # the next time will tell as much, and more
                log.warning("the keyring was not told how far the audit trail is: %s", error)
