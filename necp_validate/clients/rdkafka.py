"""librdkafka by column: thousands of records a call, no Python object per record.

``confluent_kafka`` ships librdkafka and costs 5-6 µs of CPU an event, most of it spent in making one Python
object and calling one Python function per record. The generator and the reader account for whole runs of records,
so this module binds the same shared library through ``ctypes`` and moves the fields of many records at once
between its C structures and numpy arrays. Source of every signature: ``rdkafka.h``, librdkafka 2.x (stable ABI).
"""

from __future__ import annotations

import ctypes
import ctypes.util
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import confluent_kafka
import numpy as np
import numpy.typing as npt

from necp_validate.core import SuiteError

Int64Array = npt.NDArray[np.int64]

#: ``rd_kafka_message_t``: one record, by its fields and their offsets in bytes.
MESSAGE = np.dtype(
    {
        "names": ["err", "rkt", "partition", "payload", "len", "key", "key_len", "offset", "private"],
        "formats": ["<i4", "<u8", "<i4", "<u8", "<u8", "<u8", "<u8", "<i8", "<u8"],
        "offsets": [0, 8, 16, 24, 32, 40, 48, 56, 64],
        "itemsize": 72,
    }
)
PARTITION_EOF = -191
PARTITION_UNASSIGNED = -1
_COPY_PAYLOAD = 0x2
_FATAL = -150
_DENIED = 29
_PURGE_QUEUED = 0x1
_EVENT_DELIVERY, _EVENT_ERROR, _EVENT_STATS = 0x1, 0x8, 0x40
_PRODUCER, _CONSUMER = 0, 1
_NOT_PERSISTED = 0
_LOG_APPEND_TIME = 2


class _AddressSpace:
    """This process's memory as an array: base address 8, because numpy takes 0 for 'no data'."""

    base = 8

    def __init__(self, typestr: str, itemsize: int) -> None:
        self.__array_interface__ = {
            "shape": ((1 << 47) // itemsize - 1,),
            "typestr": typestr,
            "data": (self.base, True),
            "version": 3,
        }


_words = np.asarray(_AddressSpace("<i8", 8))
_bytes = np.asarray(_AddressSpace("|u1", 1))
_MESSAGE_WORDS = np.arange(MESSAGE.itemsize // 8)


def gather_messages(pointers: Int64Array) -> npt.NDArray[np.void]:
    """Copy the ``rd_kafka_message_t`` behind each pointer into one structured array.

    Args:
        pointers: addresses, int64, shape (n,); each points at a live, 8-byte aligned message.
    """
    rows: npt.NDArray[np.int64] = _words[((pointers - _AddressSpace.base) >> 3)[:, None] + _MESSAGE_WORDS]
    messages: npt.NDArray[np.void] = rows.view(MESSAGE).reshape(len(pointers))
    return messages


def gather_bytes(addresses: Int64Array, width: int) -> npt.NDArray[np.uint8]:
    """Copy ``width`` bytes from each address: uint8, shape (..., width). Every byte must be readable."""
    gathered: npt.NDArray[np.uint8] = _bytes[(addresses - _AddressSpace.base)[..., None] + np.arange(width)]
    return gathered


@lru_cache(maxsize=1)
def memory() -> tuple[memoryview, int]:
    """This process's memory as a buffer, and the address of its first byte: slice only what is known to live."""
    return memoryview(_bytes), _AddressSpace.base  # type: ignore[arg-type]  # an ndarray is a buffer


@lru_cache(maxsize=1)
def library() -> ctypes.CDLL:
    """Load the librdkafka that ``confluent_kafka`` itself runs on.

    Raises:
        SuiteError: no librdkafka beside ``confluent_kafka`` and none in the system.
    """
    package = Path(confluent_kafka.__file__).parent
    bundled = [*package.parent.glob("confluent_kafka.libs/librdkafka*"), *package.glob(".dylibs/librdkafka*")]
    name = str(bundled[0]) if bundled else ctypes.util.find_library("rdkafka")
    if name is None:
        raise SuiteError(
            "no librdkafka found beside the confluent_kafka package",
            hint="install confluent-kafka from a binary wheel, or librdkafka in the system",
        )
    lib = ctypes.CDLL(name)
    pointer, text, size = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t
    signatures: dict[str, tuple[Any, list[Any]]] = {
        "rd_kafka_conf_new": (pointer, []),
        "rd_kafka_conf_destroy": (None, [pointer]),
        "rd_kafka_conf_set": (ctypes.c_int, [pointer, text, text, text, size]),
        "rd_kafka_conf_set_events": (None, [pointer, ctypes.c_int]),
        "rd_kafka_new": (pointer, [ctypes.c_int, pointer, text, size]),
        "rd_kafka_destroy_flags": (None, [pointer, ctypes.c_int]),
        "rd_kafka_topic_new": (pointer, [pointer, text, pointer]),
        "rd_kafka_topic_destroy": (None, [pointer]),
        "rd_kafka_topic_name": (text, [pointer]),
        "rd_kafka_purge": (ctypes.c_int, [pointer, ctypes.c_int]),
        "rd_kafka_sasl_set_credentials": (pointer, [pointer, text, text]),
        "rd_kafka_error_string": (text, [pointer]),
        "rd_kafka_error_destroy": (None, [pointer]),
        "rd_kafka_err2name": (text, [ctypes.c_int]),
        "rd_kafka_outq_len": (ctypes.c_int, [pointer]),
        "rd_kafka_produce_batch": (
            ctypes.c_int,
            [pointer, ctypes.c_int32, ctypes.c_int, pointer, ctypes.c_int],
        ),
        "rd_kafka_queue_get_main": (pointer, [pointer]),
        "rd_kafka_queue_get_consumer": (pointer, [pointer]),
        "rd_kafka_queue_destroy": (None, [pointer]),
        "rd_kafka_queue_poll": (pointer, [pointer, ctypes.c_int]),
        "rd_kafka_event_type": (ctypes.c_int, [pointer]),
        "rd_kafka_event_message_count": (size, [pointer]),
        "rd_kafka_event_message_array": (size, [pointer, pointer, size]),
        "rd_kafka_event_error": (ctypes.c_int, [pointer]),
        "rd_kafka_event_error_string": (text, [pointer]),
        "rd_kafka_event_error_is_fatal": (ctypes.c_int, [pointer]),
        "rd_kafka_event_stats": (text, [pointer]),
        "rd_kafka_event_destroy": (None, [pointer]),
        "rd_kafka_topic_partition_list_new": (pointer, [ctypes.c_int]),
        "rd_kafka_topic_partition_list_add": (pointer, [pointer, text, ctypes.c_int32]),
        "rd_kafka_topic_partition_list_set_offset": (
            ctypes.c_int,
            [pointer, text, ctypes.c_int32, ctypes.c_int64],
        ),
        "rd_kafka_topic_partition_list_destroy": (None, [pointer]),
        "rd_kafka_assign": (ctypes.c_int, [pointer, pointer]),
        "rd_kafka_consume_batch_queue": (ctypes.c_ssize_t, [pointer, ctypes.c_int, pointer, size]),
        "rd_kafka_message_destroy": (None, [pointer]),
        "rd_kafka_message_leader_epoch": (ctypes.c_int32, [pointer]),
        "rd_kafka_message_timestamp": (ctypes.c_int64, [pointer, ctypes.POINTER(ctypes.c_int)]),
        "rd_kafka_message_status": (ctypes.c_int, [pointer]),
        "rd_kafka_poll_set_consumer": (ctypes.c_int, [pointer]),
    }
    for function, (result, arguments) in signatures.items():
        bound = getattr(lib, function)
        bound.restype, bound.argtypes = result, arguments
    return lib


def error_name(code: int) -> str:
    """Name of a librdkafka error code, e.g. ``_MSG_TIMED_OUT``."""
    return str(library().rd_kafka_err2name(code).decode())


def _new_handle(kind: int, config: Mapping[str, str], events: int) -> int:
    lib = library()
    conf = lib.rd_kafka_conf_new()
    message = ctypes.create_string_buffer(512)
    for key, value in config.items():
        if lib.rd_kafka_conf_set(conf, key.encode(), value.encode(), message, len(message)) != 0:
            lib.rd_kafka_conf_destroy(conf)
            raise SuiteError(f"librdkafka refuses {key}={value!r}: {message.value.decode()}")
    lib.rd_kafka_conf_set_events(conf, events)
    handle = lib.rd_kafka_new(kind, conf, message, len(message))
    if not handle:
        lib.rd_kafka_conf_destroy(conf)
        raise SuiteError(f"librdkafka could not make a client: {message.value.decode()}")
    return int(handle)


@dataclass(frozen=True, slots=True)
class Deliveries:
    """Delivery reports by column, each of shape (n,): error code, partition, offset, and what was sent along.

    ``maybe_written``, if there is any error among them, says of which the client holds it possible that one of its
    attempts was written.
    """

    err: npt.NDArray[np.int32]
    partition: Int64Array
    offset: Int64Array
    opaque: Int64Array
    maybe_written: npt.NDArray[np.bool_] | None = None


@dataclass(slots=True)
class ClientEvents:
    """Everything else a client said since the last poll: errors by text, and the newest statistics (JSON)."""

    errors: list[str]
    stats: bytes | None = None

    def take_stats(self) -> bytes | None:
        """The newest statistics, once."""
        stats, self.stats = self.stats, None
        return stats


class BatchProducer:
    """A producer whose records go in, and whose delivery reports come out, by the batch.

    Args:
        config: librdkafka properties.
        topic: the one topic it writes to.

    Raises:
        SuiteError: librdkafka refuses a property; the message names it.
    """

    def __init__(self, config: Mapping[str, str], topic: str) -> None:
        self._lib = library()
        self._rk = _new_handle(_PRODUCER, config, _EVENT_DELIVERY | _EVENT_ERROR | _EVENT_STATS)
        self._queue = self._lib.rd_kafka_queue_get_main(self._rk)
        self._topic = self._lib.rd_kafka_topic_new(self._rk, topic.encode(), None)
        self._pointers = np.empty(4096, dtype=np.int64)
        self.failed = False
        """Whether it sends no more, for good or for long: another one has to take over."""

    def produce(self, messages: npt.NDArray[np.void]) -> int:
        """Hand records to the client, which copies them; returns how many it took.

        Args:
            messages: dtype ``MESSAGE``, contiguous; ``payload``, ``len``, ``key``, ``key_len`` and ``private``
                (handed back with the delivery report) are set. ``err`` of those not taken is set afterwards.
        """
        taken = self._lib.rd_kafka_produce_batch(
            self._topic, PARTITION_UNASSIGNED, _COPY_PAYLOAD, messages.ctypes.data, len(messages)
        )
        if taken < len(messages):
            self.failed |= bool(np.isin(messages["err"], (_FATAL, _DENIED)).any())
        return int(taken)

    def poll(self, events: ClientEvents, *, timeout_ms: int = 0) -> Deliveries | None:
        """Take one batch of delivery reports, or None when there is none; errors and statistics go to ``events``."""
        lib = self._lib
        while True:
            event = lib.rd_kafka_queue_poll(self._queue, timeout_ms)
            if not event:
                return None
            try:
                kind = lib.rd_kafka_event_type(event)
                if kind == _EVENT_DELIVERY:
                    return self._deliveries(event)
                if kind == _EVENT_ERROR:
                    text = lib.rd_kafka_event_error_string(event) or b""
                    self.failed |= bool(lib.rd_kafka_event_error_is_fatal(event))
                    name = error_name(lib.rd_kafka_event_error(event))
                    events.errors.append(f"{name}: {text.decode(errors='replace')}")
                elif kind == _EVENT_STATS:
                    events.stats = lib.rd_kafka_event_stats(event)
            finally:
                lib.rd_kafka_event_destroy(event)

    def _deliveries(self, event: int) -> Deliveries:
        count = self._lib.rd_kafka_event_message_count(event)
        if count > len(self._pointers):
            self._pointers = np.empty(2 * count, dtype=np.int64)
        got = self._lib.rd_kafka_event_message_array(event, self._pointers.ctypes.data, count)
        rows = gather_messages(self._pointers[:got])
        # It would go on refusing by itself until it next asks for the topic's metadata.
        self.failed |= bool((rows["err"] == _DENIED).any())
        return Deliveries(
            err=rows["err"],
            partition=rows["partition"].astype(np.int64),
            offset=rows["offset"],
            opaque=rows["private"].astype(np.int64),
            maybe_written=self._maybe_written(rows["err"], got) if rows["err"].any() else None,
        )

    def _maybe_written(self, err: npt.NDArray[np.int32], count: int) -> npt.NDArray[np.bool_]:
        status = self._lib.rd_kafka_message_status
        found = np.zeros(count, dtype=np.bool_)
        for at in np.flatnonzero(err).tolist():
            found[at] = status(int(self._pointers[at])) != _NOT_PERSISTED
        return found

    def set_password(self, user: str, password: str) -> None:
        """Log in with another password from now on; connections that are open stay.

        Raises:
            SuiteError: the client does not take it.
        """
        error = self._lib.rd_kafka_sasl_set_credentials(self._rk, user.encode(), password.encode())
        if error:
            words = self._lib.rd_kafka_error_string(error).decode(errors="replace")
            self._lib.rd_kafka_error_destroy(error)
            raise SuiteError(f"librdkafka refuses the new password of {user}: {words}")

    def give_up(self) -> None:
        """Let everything that has not been sent come back as failed; what is under way is still answered."""
        self._lib.rd_kafka_purge(self._rk, _PURGE_QUEUED)

    @property
    def queued(self) -> int:
        """Records and requests not yet answered, plus delivery reports not yet polled."""
        return int(self._lib.rd_kafka_outq_len(self._rk))

    def close(self) -> None:
        """Free the client. What is still queued is dropped: poll until ``queued`` is 0 first."""
        if self._rk:
            self._lib.rd_kafka_queue_destroy(self._queue)
            self._lib.rd_kafka_topic_destroy(self._topic)
            self._lib.rd_kafka_destroy_flags(self._rk, 0)
            self._rk = 0


class BatchConsumer:
    """A consumer without a group that reads assigned partitions by the batch.

    Args:
        config: librdkafka properties; ``group.id`` is required by the library, and never committed to.
        assignment: (topic, partition, first offset).

    Raises:
        SuiteError: librdkafka refuses a property or the assignment.
    """

    def __init__(self, config: Mapping[str, str], assignment: list[tuple[str, int, int]]) -> None:
        self._lib = lib = library()
        self._rk = _new_handle(_CONSUMER, config, 0)
        lib.rd_kafka_poll_set_consumer(self._rk)
        self._queue = lib.rd_kafka_queue_get_consumer(self._rk)
        self._pointers = np.empty(8192, dtype=np.int64)
        self._topics: dict[int, str] = {}
        partitions = lib.rd_kafka_topic_partition_list_new(len(assignment))
        for topic, partition, offset in assignment:
            lib.rd_kafka_topic_partition_list_add(partitions, topic.encode(), partition)
            lib.rd_kafka_topic_partition_list_set_offset(partitions, topic.encode(), partition, offset)
        err = lib.rd_kafka_assign(self._rk, partitions)
        lib.rd_kafka_topic_partition_list_destroy(partitions)
        if err:
            raise SuiteError(f"cannot assign {len(assignment)} partitions: {error_name(err)}")

    def read(self, *, timeout_ms: int) -> MessageBatch | None:
        """Read what has arrived, up to 8,192 records; None when nothing came in ``timeout_ms``.

        The batch points into the client's memory: use it in a ``with`` block, which gives the memory back.
        """
        count = self._lib.rd_kafka_consume_batch_queue(
            self._queue, timeout_ms, self._pointers.ctypes.data, len(self._pointers)
        )
        if count <= 0:
            return None
        return MessageBatch(self, self._pointers[:count].copy())

    def topic_name(self, handle: int) -> str:
        """Name of the topic behind a record's ``rkt`` field."""
        name = self._topics.get(handle)
        if name is None:
            name = self._topics[handle] = self._lib.rd_kafka_topic_name(handle).decode()
        return name

    def close(self) -> None:
        """Free the client."""
        if self._rk:
            self._lib.rd_kafka_queue_destroy(self._queue)
            self._lib.rd_kafka_destroy_flags(self._rk, 0x8)  # no consumer close: there is no group to leave
            self._rk = 0


class MessageBatch:
    """Records read at once; ``rows`` has dtype ``MESSAGE``, its pointers live until the ``with`` block ends."""

    def __init__(self, consumer: BatchConsumer, pointers: Int64Array) -> None:
        self.consumer = consumer
        self._pointers = pointers
        self.rows = gather_messages(pointers)

    def leader_epoch(self, index: int) -> int:
        """Leader epoch in which a record of the batch was written; -1 if the log does not say."""
        epoch: int = self.consumer._lib.rd_kafka_message_leader_epoch(int(self._pointers[index]))
        return epoch

    def appended_us(self, index: int) -> int | None:
        """When a broker appended a record (epoch, microseconds); None where it has its producer's time instead."""
        kind = ctypes.c_int()
        time_ms: int = self.consumer._lib.rd_kafka_message_timestamp(int(self._pointers[index]), ctypes.byref(kind))
        return time_ms * 1_000 if kind.value == _LOG_APPEND_TIME else None

    def __enter__(self) -> MessageBatch:
        return self

    def __exit__(self, *_: object) -> None:
        destroy = self.consumer._lib.rd_kafka_message_destroy
        for pointer in self._pointers.tolist():
            destroy(pointer)
