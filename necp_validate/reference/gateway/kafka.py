"""The event backbone on Kafka: a producer, a reader of receipts and chat, and a thread for each."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from threading import Event as Flag
from threading import Thread
from typing import Any, Final

import msgspec
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from necp_validate.events.receipts import Receipt, decode_receipt
from necp_validate.events.topics import CHAT_TOPIC, RECEIPTS_TOPIC, TOPICS
from necp_validate.reference.clients import Clients, place_of
from necp_validate.reference.gateway.backbone import ChatRecord, Delivered, Listener

log: Final = logging.getLogger(__name__)

READ: Final = (RECEIPTS_TOPIC, CHAT_TOPIC)
QUEUE_RECORDS: Final = 50_000
"""Events that may wait in the producer; more are refused as ``unavailable``."""

_POLL_S: Final = 0.05
_RETRY_S: Final = 0.5
_GATHER_S: Final = 0.003
"""Delivery reports are handed over together: waking the event loop costs more than a report."""

_SHARED: Final[Mapping[str, Any]] = {
    "socket.nagle.disable": True,
    "socket.timeout.ms": 8_000,
    "socket.keepalive.enable": True,
    "reconnect.backoff.ms": 50,
    "reconnect.backoff.max.ms": 1_000,
    "topic.metadata.refresh.interval.ms": 5_000,
    "allow.auto.create.topics": False,
    "log.connection.close": False,
}


class _ChatValue(msgspec.Struct):
    region: str
    channel: str
    messages: list[tuple[str, str, str, str]]


_CHAT: Final = msgspec.json.Decoder(_ChatValue)


def producer_config(kafka: Mapping[str, str], instance: str) -> dict[str, Any]:
    """Configure the idempotent producer of players' events."""
    return {
        **kafka,
        **_SHARED,
        "client.id": f"{instance}-actions",
        "enable.idempotence": True,
        "acks": "all",
        "compression.type": "lz4",
        # Actions come one by one: so long they are gathered, which is little beside what players feel.
        "linger.ms": 5,
        "retry.backoff.ms": 50,
        "request.timeout.ms": 8_000,
        "delivery.timeout.ms": 120_000,
        "queue.buffering.max.messages": QUEUE_RECORDS,
    }


def consumer_config(kafka: Mapping[str, str], instance: str) -> dict[str, Any]:
    """Configure the reader of receipts and chat; it assigns itself all partitions and commits nothing."""
    return {
        **kafka,
        **_SHARED,
        "client.id": f"{instance}-results",
        # The library wants a name; no group of this name comes into being.
        "group.id": f"gateway-{instance}",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "latest",
        "isolation.level": "read_committed",
        "fetch.wait.max.ms": 100,
        "fetch.error.backoff.ms": 50,
        "queued.max.messages.kbytes": 16_384,
    }


class KafkaBackbone:
    """Sends players' events, and reads what became of them.

    Args:
        clients: makes its Kafka clients.
        kafka: librdkafka's connection properties.
        instance: name of the gateway.

    Raises:
        KafkaException: the configuration is refused.
    """

    def __init__(self, clients: Clients, kafka: Mapping[str, str], instance: str) -> None:
        self._clients = clients
        self._producer = clients.producer({**producer_config(kafka, instance), "logger": log})
        self._consumer_config = consumer_config(kafka, instance)
        self._stop = Flag()
        self._ready = Flag()
        self._reports: list[Delivered] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._listener: Listener | None = None
        self._threads = [
            Thread(target=self._serve_reports, name="delivery", daemon=True),
            Thread(target=self._read, name="results", daemon=True),
        ]

    @property
    def ready(self) -> bool:
        """See :class:`necp_validate.reference.gateway.backbone.Backbone`."""
        return self._ready.is_set()

    def start(self, listener: Listener) -> None:
        """See :class:`necp_validate.reference.gateway.backbone.Backbone`."""
        self._loop = asyncio.get_running_loop()
        self._listener = listener
        for thread in self._threads:
            thread.start()

    def send(self, topic: str, key: bytes, value: bytes, token: object) -> bool:
        """See :class:`necp_validate.reference.gateway.backbone.Backbone`."""

        def delivered(error: KafkaError | None, message: Message) -> None:
            self._reports.append(Delivered(token, error.str() if error else "", topic, *place_of(message)))

        try:
            self._producer.produce(topic, value, key, on_delivery=delivered)
        except BufferError:
            return False
        return True

    def close(self, timeout_s: float) -> None:
        """See :class:`necp_validate.reference.gateway.backbone.Backbone`."""
        deadline = time.monotonic() + timeout_s
        # Only the thread of the reports polls, so that none is handed over out of order or lost between two.
        while len(self._producer) and time.monotonic() < deadline:
            time.sleep(_POLL_S / 2)
        if len(self._producer):
            log.error("%d events were not acknowledged when the time was up", len(self._producer))
        self._stop.set()
        for thread in self._threads:
            thread.join(1.0)

    def _hand_over(self, call: Callable[[Any], None], items: list[Any]) -> None:
        assert self._loop is not None
        try:
            self._loop.call_soon_threadsafe(call, items)
        except RuntimeError:  # the loop has ended: nobody is left to be told
            self._stop.set()

    def _serve_reports(self) -> None:
        assert self._listener is not None
        while not self._stop.is_set():
            self._producer.poll(_POLL_S)
            if self._reports:
                self._stop.wait(_GATHER_S)
                self._producer.poll(0)
                reports, self._reports = self._reports, []
                self._hand_over(self._listener.on_delivered, reports)

    def _read(self) -> None:
        consumer = self._clients.consumer({**self._consumer_config, "logger": log})
        try:
            while not self._stop.is_set() and not self._assign(consumer):
                self._stop.wait(_RETRY_S)
            while not self._stop.is_set():
                self._take(consumer.consume(500, _POLL_S))
        except KafkaException as error:
            log.error("receipts and chat cannot be read any more: %s", error.args[0].str())
        finally:
            self._ready.clear()
            consumer.close()

    def _assign(self, consumer: Consumer) -> bool:
        """Begin at the present ends, which are fixed before any event is sent."""
        try:
            places = [TopicPartition(topic, number) for topic in READ for number in range(TOPICS[topic].partitions)]
            for place in places:
                place.offset = consumer.get_watermark_offsets(place, timeout=10)[1]
            consumer.assign(places)
        except KafkaException as error:
            log.warning("receipts and chat cannot be read yet: %s", error.args[0].str())
            return False
        self._ready.set()
        return True

    def _take(self, messages: list[Message]) -> None:
        assert self._listener is not None
        receipts: list[Receipt] = []
        chat: list[ChatRecord] = []
        for message in messages:
            error = message.error()
            if error is not None:
                log.warning("reading %s: %s", message.topic(), error.str())
                continue
            try:
                if message.topic() == RECEIPTS_TOPIC:
                    receipts.append(decode_receipt(message.value() or b""))
                else:
                    value = _CHAT.decode(message.value() or b"")
                    chat.append(
                        ChatRecord(
                            value.region, value.channel, value.messages, message.partition() or 0, message.offset() or 0
                        )
                    )
            except msgspec.MsgspecError as exception:
                log.warning("%s, offset %s, is not to be read: %s", message.topic(), message.offset(), exception)
        if receipts:
            self._hand_over(self._listener.on_receipts, receipts)
        if chat:
            self._hand_over(self._listener.on_chat, chat)
