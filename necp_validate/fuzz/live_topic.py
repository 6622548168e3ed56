"""A topic of somebody else's: records are sent to it, read back, and looked for where its consumer puts them."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from necp_validate.clients.watermarks import watermarks_of
from necp_validate.core import SuiteError, UsageError
from necp_validate.fuzz.cases import Case, Headers
from necp_validate.ledger.client_errors import Fate, fate_of
from necp_validate.ledger.delivery_reports import place_of
from necp_validate.stack.external_config import ExternalSettings, FuzzTarget
from necp_validate.stack.provision import SILENT

ID_HEADER: Final = "fuzz-id"
_WAIT_S: Final = 15.0
_POLL_S: Final = 0.5
_READER: Final[Mapping[str, Any]] = {
    "enable.auto.commit": False,
    "enable.partition.eof": True,
    "isolation.level": "read_committed",
    "auto.offset.reset": "earliest",
    "fetch.message.max.bytes": 2_000_000,
}

Place = tuple[str, int]
"""``(topic, partition)``"""


@dataclass(slots=True, kw_only=True)
class Sent:
    """A case that was sent.

    Args:
        case: the case.
        id: carried in the header ``fuzz-id``.
        partition: where it was written; -1 if it was not.
        offset: likewise.
        refused: why it was not written; "" if it was.
        lost: why it may have been written or not.
    """

    case: Case
    id: str
    partition: int = -1
    offset: int = -1
    refused: str = ""
    lost: str = ""

    @property
    def headers(self) -> Headers:
        """The case's headers and the identity."""
        return (*self.case.headers, (ID_HEADER, self.id.encode()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A record as it was read."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]

    @property
    def where(self) -> str:
        """``topic[partition]@offset``"""
        return f"{self.topic}[{self.partition}]@{self.offset}"


class LiveTopic:
    """Sends to a topic and reads what becomes of it; a context manager.

    Args:
        config: librdkafka properties.
        topic: where to send.
        target: where one can see what becomes of records.
    """

    def __init__(self, config: Mapping[str, Any], topic: str, target: FuzzTarget) -> None:
        self.topic = topic
        self.target = target
        self._config = dict(config)
        quiet = {"log_level": 2, "acks": "all", "delivery.timeout.ms": 30_000, "linger.ms": 5}
        self._producer = Producer({**config, **quiet}, logger=SILENT)
        group = target.group or "necp-verifier"
        # Never subscribed: it only asks for watermarks and for what the group has committed.
        self._asker = Consumer({**config, **_READER, "group.id": group, "log_level": 2}, logger=SILENT)
        self._run = f"{time.time_ns():x}"
        self._count = 0

    def __enter__(self) -> LiveTopic:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._producer.purge()
        self._producer.flush(5.0)
        self._asker.close()

    def ends(self, topics: Iterable[str]) -> dict[Place, int]:
        """High watermark of every partition of these topics.

        Raises:
            UsageError: one of them cannot be seen.
        """
        try:
            marks = watermarks_of(self._asker, topics, who="the principal", unseen=UsageError)
        except KafkaException as error:
            raise SuiteError(f"the cluster did not answer: {error.args[0].str()}") from error
        return {place: high for place, (_, high) in marks.items()}

    def send(self, cases: Sequence[Case]) -> list[Sent]:
        """Send cases and wait until each is written or refused."""
        sent = []
        for case in cases:
            self._count += 1
            one = Sent(case=case, id=f"{self._run}-{self._count}")
            sent.append(one)
            try:
                self._producer.produce(
                    self.topic,
                    case.value,
                    case.key,
                    headers=list(one.headers),
                    on_delivery=functools.partial(_delivered, one),
                )
            except KafkaException as error:  # larger than the client sends
                one.refused = error.args[0].str()
            except BufferError:
                self._producer.flush(_WAIT_S)
                one.refused = "the client's queue was full"
            self._producer.poll(0)
        left = self._producer.flush(60.0)
        if left:
            raise SuiteError(f"{left} records were neither written nor refused within 60 s", hint="is the cluster up?")
        if lost := [one.lost for one in sent if one.lost]:
            raise SuiteError(f"{len(lost)} records may be written or not: {lost[0]}", hint="is the cluster up?")
        return sent

    def read_back(self, sent: Sequence[Sent]) -> dict[str, Found]:
        """Read what was sent from where it was written, by its identity."""
        written = [one for one in sent if not one.refused]
        begin: dict[Place, int] = {}
        end: dict[Place, int] = {}
        for one in written:
            place = (self.topic, one.partition)
            begin[place] = min(begin.get(place, one.offset), one.offset)
            end[place] = max(end.get(place, 0), one.offset + 1)
        where = {(one.partition, one.offset): one.id for one in written}
        found = {}
        for record in self.read(begin, end):
            identity = where.get((record.partition, record.offset))
            if identity is not None:
                found[identity] = record
        return found

    def read(self, begin: Mapping[Place, int], end: Mapping[Place, int], *, timeout_s: float = 60.0) -> Iterator[Found]:
        """Read every record from ``begin`` to, without, ``end``."""
        places = [place for place in begin if begin[place] < end.get(place, 0)]
        if not places:
            return
        reader = Consumer({**self._config, **_READER, "group.id": "necp-verifier", "log_level": 2}, logger=SILENT)
        try:
            reader.assign([TopicPartition(topic, partition, begin[topic, partition]) for topic, partition in places])
            left, deadline = set(places), time.monotonic() + timeout_s
            while left and time.monotonic() < deadline:
                for message in reader.consume(500, _POLL_S):
                    place = (str(message.topic()), int(message.partition() or 0))
                    error = message.error()
                    if error is not None:
                        if error.code() == KafkaError._PARTITION_EOF:
                            left.discard(place)
                        continue
                    offset = int(message.offset() or 0)
                    if offset < end[place]:
                        yield _found(message)
                    if offset + 1 >= end[place]:
                        left.discard(place)
            if left:
                names = ", ".join(f"{topic}[{partition}]" for topic, partition in sorted(left))
                raise SuiteError(f"{names} could not be read to the end within {timeout_s:g} s")
        finally:
            reader.close()

    def committed(self, partitions: Iterable[int]) -> dict[int, int]:
        """What the target's group has committed, by partition; partitions without any are left out."""
        wanted = [TopicPartition(self.topic, partition) for partition in partitions]
        try:
            return {
                one.partition: one.offset for one in self._asker.committed(wanted, timeout=_WAIT_S) if one.offset >= 0
            }
        except KafkaException:
            return {}


def config_of(settings: ExternalSettings) -> dict[str, Any]:
    """Librdkafka properties of the principal that the target names, or of the first there is.

    Raises:
        UsageError: there is none of this name.
    """
    if not settings.client["security.protocol"].startswith("SASL"):
        return dict(settings.client)
    name = settings.fuzz.principal or next(iter(settings.principals), None)
    if settings.fuzz.principal is None and settings.login is not None:
        return {**settings.client, "sasl.username": settings.login[0], "sasl.password": settings.login[1]}
    if name is None or name not in settings.principals:
        known = ", ".join(settings.principals) or "none"
        raise UsageError(f"{settings.file}: there is no principal {name or 'at all'}; known: {known}")
    user, password = settings.principals[name]
    return {**settings.client, "sasl.username": user, "sasl.password": password}


def _delivered(one: Sent, error: KafkaError | None, message: Message) -> None:
    if error is not None and fate_of(error.name()) is Fate.UNKNOWN:
        one.lost = error.str()
    elif error is not None:
        one.refused = error.str()
    else:
        one.partition, one.offset = place_of(message)


def _found(message: Message) -> Found:
    headers: Any = message.headers() or ()
    return Found(
        topic=str(message.topic()),
        partition=int(message.partition() or 0),
        offset=int(message.offset() or 0),
        key=message.key(),
        value=message.value(),
        headers=tuple((name, text) for name, text in headers),
    )
