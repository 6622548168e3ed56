"""What an error of a send says of its event: certainly not written, or unknown. One table, for every sender.

librdkafka has an opinion of its own (``rd_kafka_message_status``). It is trusted where it says that an event *may* have
been written, since that is kept over all attempts; not where it says that none was: after ``NOT_LEADER_FOR_PARTITION``
or ``KAFKA_STORAGE_ERROR`` it takes that for granted (``rd_kafka_err_action``), but a leader that loses its partition
while a write waits for its followers answers so, too, and that write may be there in the end.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from necp_validate.record.model import SendError


class Fate(StrEnum):
    """What is known of an event whose send ended in an error."""

    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class ClientError:
    """One error, by Kafka's or librdkafka's name.

    Args:
        fate: of an event whose only attempt met it.
        reason: why.
        lasting: whether an attempt before would have met it, too: it is about the event itself.
    """

    name: str
    fate: Fate
    reason: str
    lasting: bool = False


_NEVER_SENT = "the client let go of it before any request had held it"
_REFUSED = "brokers check this before they append anything"
_LASTING = frozenset(
    {
        *("MSG_SIZE_TOO_LARGE", "INVALID_MSG_SIZE", "RECORD_LIST_TOO_LARGE", "INVALID_MSG", "INVALID_RECORD"),
        *("INVALID_TIMESTAMP", "INVALID_REQUIRED_ACKS", "POLICY_VIOLATION"),
        *("UNSUPPORTED_FOR_MESSAGE_FORMAT", "UNSUPPORTED_COMPRESSION_TYPE"),
    }
)

_ROWS: Final = (
    ("_QUEUE_FULL", Fate.FAILED, "the client's own queue had no room for it"),
    ("_INVALID_ARG", Fate.FAILED, "the client did not take it"),
    ("_STATE", Fate.FAILED, "the client did not take it"),
    ("_FATAL", Fate.FAILED, "the client has failed for good and sends nothing more"),
    ("_PURGE_QUEUE", Fate.FAILED, _NEVER_SENT),
    ("_UNKNOWN_TOPIC", Fate.FAILED, "there is no such topic to send it to"),
    ("_UNKNOWN_PARTITION", Fate.FAILED, "there is no such partition to send it to"),
    ("MSG_SIZE_TOO_LARGE", Fate.FAILED, _REFUSED),
    ("INVALID_MSG_SIZE", Fate.FAILED, _REFUSED),
    ("RECORD_LIST_TOO_LARGE", Fate.FAILED, _REFUSED),
    ("INVALID_MSG", Fate.FAILED, _REFUSED),
    ("INVALID_RECORD", Fate.FAILED, _REFUSED),
    ("INVALID_TIMESTAMP", Fate.FAILED, _REFUSED),
    ("INVALID_REQUIRED_ACKS", Fate.FAILED, _REFUSED),
    ("POLICY_VIOLATION", Fate.FAILED, _REFUSED),
    ("UNSUPPORTED_FOR_MESSAGE_FORMAT", Fate.FAILED, _REFUSED),
    ("UNSUPPORTED_COMPRESSION_TYPE", Fate.FAILED, _REFUSED),
    ("TOPIC_AUTHORIZATION_FAILED", Fate.FAILED, _REFUSED),
    ("CLUSTER_AUTHORIZATION_FAILED", Fate.FAILED, _REFUSED),
    ("NOT_ENOUGH_REPLICAS", Fate.FAILED, "the leader saw too few replicas in sync, and appended nothing"),
    ("_MSG_TIMED_OUT", Fate.UNKNOWN, "its time was over, in the queue or with a request that was not answered"),
    ("_TIMED_OUT", Fate.UNKNOWN, "a request was not answered in time, and may have been carried out"),
    ("_TRANSPORT", Fate.UNKNOWN, "the connection broke, and the request may have been carried out"),
    ("_PURGE_INFLIGHT", Fate.UNKNOWN, "a request held it, and the answer was not waited for"),
    ("_DESTROY", Fate.UNKNOWN, "the client was ended while a request may have held it"),
    ("REQUEST_TIMED_OUT", Fate.UNKNOWN, "the leader has it, and not enough followers had it in time"),
    ("NOT_ENOUGH_REPLICAS_AFTER_APPEND", Fate.UNKNOWN, "the leader has it, and too few followers do"),
    ("NOT_LEADER_FOR_PARTITION", Fate.UNKNOWN, "the leader may have had it, and lost its partition while it waited"),
    ("KAFKA_STORAGE_ERROR", Fate.UNKNOWN, "the leader's disk failed, before or after it was appended"),
    ("OUT_OF_ORDER_SEQUENCE_NUMBER", Fate.UNKNOWN, "an earlier attempt may have been written"),
    ("DUPLICATE_SEQUENCE_NUMBER", Fate.UNKNOWN, "an earlier attempt was probably written"),
    ("UNKNOWN_PRODUCER_ID", Fate.UNKNOWN, "the log no longer says whether an earlier attempt was written"),
    (
        "INVALID_PRODUCER_EPOCH",
        Fate.UNKNOWN,
        "another producer took over; an earlier attempt may have been written",
    ),
)

CLIENT_ERRORS: Final = {name: ClientError(name, fate, reason, name in _LASTING) for name, fate, reason in _ROWS}


def fate_of(name: str, *, maybe_written: bool | None = None) -> Fate:
    """What became of an event that the client took, and whose send ended in an error.

    Args:
        name: of the error, e.g. ``_MSG_TIMED_OUT``. One that is not in the table is unknown.
        maybe_written: whether the client knows of an attempt that may have been written, whatever the last one met;
            None if it does not say: what the last attempt met is then certain only if each would have met it.
    """
    known = CLIENT_ERRORS.get(name)
    if known is None or maybe_written or (maybe_written is None and not known.lasting):
        return Fate.UNKNOWN
    return known.fate


class SendErrors:
    """Counts the errors that the sends of one domain ended in."""

    def __init__(self, domain: str) -> None:
        self._domain = domain
        self._found: dict[tuple[str, Fate], list[int]] = {}  # count, first and last report

    def add(self, name: str, fate: Fate, count: int, now_us: int) -> None:
        """Count events that were reported with one error."""
        found = self._found.setdefault((name, fate), [0, now_us, now_us])
        found[0] += count
        found[2] = now_us

    def records(self) -> Iterator[SendError]:
        """The errors as the record keeps them."""
        for (name, fate), (count, first_us, last_us) in sorted(self._found.items()):
            yield SendError(
                domain=self._domain,
                error=name,
                fate=fate.value,
                count=count,
                first_us=first_us,
                last_us=max(first_us, last_us),
            )
