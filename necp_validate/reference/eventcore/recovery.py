"""Recovery: the books of partitions rebuilt from their ledger."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from threading import Event as Flag
from typing import Any, Final

import msgspec
from confluent_kafka import OFFSET_BEGINNING, KafkaError, KafkaException, TopicPartition

from necp_validate.events.ledger import decode_ledger_record
from necp_validate.events.topics import LEDGER_TOPIC
from necp_validate.reference.clients import Clients
from necp_validate.reference.eventcore.ledger import Books, ledger_partition
from necp_validate.reference.eventcore.transactions import error_of

log: Final = logging.getLogger(__name__)

READ_TIMEOUT_S: Final = 30.0
BEHIND_TIMEOUT_S: Final = 20.0
"""Longer than a transaction of a dead instance can stay open, which keeps the ledger's end from being read."""

OFFSETS_TIMEOUT_S: Final = 30.0
"""Longer than the group's coordinator takes to move to another broker."""

_POLL_S: Final = 0.02
_AGAIN_S: Final = 0.1
_FINAL: Final = frozenset((KafkaError.GROUP_AUTHORIZATION_FAILED, KafkaError.TOPIC_AUTHORIZATION_FAILED))


class RecoveryError(Exception):
    """The books could not be rebuilt, so the partitions cannot be served."""


def committed_offsets(ask: Callable[[float], Mapping[int, int]], stop: Flag) -> Mapping[int, int]:
    """Ask for committed offsets until they are told: the group's coordinator may be moving to another broker.

    Args:
        ask: asks once, within so many seconds.
        stop: ends the asking.

    Raises:
        RecoveryError: they may not be known, or were not told in ``OFFSETS_TIMEOUT_S``.
    """
    deadline = time.monotonic() + OFFSETS_TIMEOUT_S
    while True:
        try:
            return ask(max(deadline - time.monotonic(), _AGAIN_S))
        except KafkaException as exception:
            error = error_of(exception)
            if error.code() in _FINAL or time.monotonic() >= deadline or stop.wait(_AGAIN_S):
                raise RecoveryError(f"committed offsets are not to be had: {error.str()}") from exception
            log.info("committed offsets are asked for again: %s", error.str())


class LedgerReader:
    """Reads ledger partitions up to the end of what is committed.

    Args:
        clients: makes the reader.
        config: its librdkafka configuration.
    """

    def __init__(self, clients: Clients, config: Mapping[str, Any]) -> None:
        self._consumer = clients.consumer({**config, "logger": log})

    def rebuild(self, partitions: Sequence[int], *, committed: Callable[[], Mapping[int, int]]) -> dict[int, Books]:
        """Rebuild the books of partitions.

        The markers of a committed transaction reach its partitions one by one, so the input's offsets may be
        committed for a moment while the ledger's newest record is not yet to be read: then it is read again.

        Args:
            partitions: input partitions.
            committed: asks for the committed offsets of the input, after the ledger was read.

        Raises:
            RecoveryError: the ledger could not be read in time.
        """
        books = {partition: Books() for partition in partitions}
        positions = {ledger_partition(partition): OFFSET_BEGINNING for partition in partitions}
        deadline = time.monotonic() + BEHIND_TIMEOUT_S
        wanted = set(positions)
        while True:
            read = {partition: positions[partition] for partition in wanted}
            self._read(read, books)
            positions |= read
            offsets = committed()
            behind = [p for p in partitions if (books[p].next_offset or 0) < offsets.get(p, 0)]
            if not behind:
                return books
            if time.monotonic() > deadline:
                # Somebody has moved the group's offsets forward on purpose: what they skipped stays skipped.
                log.warning("economy: offsets are committed beyond the ledger in partitions %s", behind)
                for partition in behind:
                    books[partition].next_offset = offsets[partition]
                return books
            # Another one than before, too: whoever had the partition until now may have committed meanwhile.
            wanted = {ledger_partition(partition) for partition in behind}

    def _read(self, positions: dict[int, int], books: Mapping[int, Books]) -> None:
        """Read on from ``positions`` to the end, and move them there."""
        deadline = time.monotonic() + READ_TIMEOUT_S
        unfinished = set(positions)
        self._consumer.assign([TopicPartition(LEDGER_TOPIC, p, offset) for p, offset in positions.items()])
        try:
            while unfinished:
                if time.monotonic() > deadline:
                    raise RecoveryError(
                        f"ledger partitions {sorted(unfinished)} were not read within {READ_TIMEOUT_S:.0f} s"
                    )
                for message in self._consumer.consume(1_000, _POLL_S):
                    partition = message.partition()
                    error = message.error()
                    if partition is None or partition not in positions:
                        continue
                    if error is None:
                        _apply(message.value() or b"", message.key(), books)
                        positions[partition] = (message.offset() or 0) + 1
                        deadline = time.monotonic() + READ_TIMEOUT_S
                    elif error.code() == KafkaError._PARTITION_EOF:
                        unfinished.discard(partition)
                    elif not error.retriable():
                        raise RecoveryError(f"ledger partition {partition}: {error.str()}")
        except KafkaException as exception:
            raise RecoveryError(f"ledger: {exception.args[0].str()}") from exception
        except msgspec.DecodeError as exception:
            raise RecoveryError(f"ledger: a record is not to be read: {exception}") from exception
        finally:
            self._consumer.unassign()

    def close(self) -> None:
        """Let go of the connection."""
        self._consumer.close()


def _apply(value: bytes, key: bytes | None, books: Mapping[int, Books]) -> None:
    """Apply a ledger record if it is about a wanted partition; the key says so without decoding."""
    wanted = books.get(int(key or b"-1"))
    if wanted is not None:
        wanted.apply(decode_ledger_record(value))
