"""The real gateway with a stand-in for Kafka and the event core: ``python gateway_with_stand_in.py``.

Everything up to the gateway's own backbone is real: datagrams, TLS, WebSockets, ticks. Behind it, events are
acknowledged at once at made-up offsets, and a receipt says a little later that they were processed.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from typing import Any
from zlib import crc32

import msgspec
import uvloop

from necp_validate.events.receipts import Outcome, Receipt
from necp_validate.events.topics import Domain
from necp_validate.reference.gateway.backbone import ChatRecord, Delivered, Listener
from necp_validate.reference.gateway.config import load_config
from necp_validate.reference.gateway.service import Service

PARTITIONS = 4
RECEIPT_AFTER_S = 0.02


class StandInForKafka:
    """A backbone that needs no broker."""

    ready = True

    def __init__(self) -> None:
        self._offsets: dict[tuple[str, int], int] = {}
        self._chat: dict[int, int] = {}
        self._sent: list[tuple[str, int, int, bytes, Any]] = []

    def start(self, listener: Listener) -> None:
        self._listener = listener
        self._loop = asyncio.get_running_loop()
        self._task = self._loop.create_task(self._work())

    def send(self, topic: str, key: bytes, value: bytes, token: object) -> bool:
        partition = crc32(key) % PARTITIONS
        offset = self._offsets.get((topic, partition), -1) + 1
        self._offsets[topic, partition] = offset
        self._sent.append((topic, partition, offset, value, token))
        return True

    def close(self, timeout_s: float) -> None:
        self._loop.call_soon_threadsafe(self._task.cancel)

    async def _work(self) -> None:
        while True:
            await asyncio.sleep(RECEIPT_AFTER_S)
            sent, self._sent = self._sent, []
            self._listener.on_delivered([Delivered(token, "", t, p, o) for t, p, o, _, token in sent])
            await asyncio.sleep(RECEIPT_AFTER_S)
            for domain in Domain:
                runs = [(p, o, o, Outcome.PROCESSED, 1) for t, p, o, _, _ in sent if t == domain.topic]
                if runs:
                    receipt = Receipt(
                        instance="stand-in",
                        domain=str(domain),
                        topic=domain.topic,
                        sent_us=1,
                        transactional=False,
                        runs=runs,
                    )
                    self._listener.on_receipts([receipt])
            self._listener.on_chat([r for t, p, _, v, _ in sent if t == Domain.SOCIAL.topic for r in self._said(p, v)])

    def _said(self, partition: int, value: bytes) -> list[ChatRecord]:
        event = msgspec.json.decode(value)
        if event["type"] != "social.chat_message":
            return []
        offset = self._chat[partition] = self._chat.get(partition, -1) + 1
        data = event["data"]
        line = (event["id"], data["sender"], data["language"], data["text"])
        return [ChatRecord(event["key"], data["channel"], [line], partition, offset)]


async def _serve() -> int:
    service = Service(load_config(), StandInForKafka())
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, service.stop)
    running = loop.create_task(service.run())
    while not running.done() and not (service.metrics_port and service.gateway.udp_port and service.websocket_port):
        await asyncio.sleep(0.01)
    ports = {"udp": service.gateway.udp_port, "ws": service.websocket_port, "http": service.http_port}
    print(json.dumps(ports), flush=True)
    return await running


if __name__ == "__main__":
    code = uvloop.run(_serve())
    sys.stdout.flush()
    os._exit(code)
