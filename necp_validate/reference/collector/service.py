"""The collector as a whole: it follows the brokers' logs and sends an audit event for each refusal in them.

It begins at the present ends of the logs and keeps no place on disk: what is logged while no collector runs is not
collected. An event that is not acknowledged is sent again.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from threading import Event as Flag
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Message
from prometheus_client import CollectorRegistry, Counter

from necp_validate.events.envelope import encode
from necp_validate.events.topics import Domain
from necp_validate.reference.clients import Clients
from necp_validate.reference.collector.following import Following
from necp_validate.reference.collector.lines import Noted, read_line
from necp_validate.reference.endpoints import Endpoints
from necp_validate.reference.environment import ConfigError, ServiceConfig, common

log: Final = logging.getLogger(__name__)

LOOK_S: Final = 0.2
"""How often the logs are looked at."""

_PRODUCER: Final[Mapping[str, Any]] = {
    "enable.idempotence": True,
    "acks": "all",
    "compression.type": "lz4",
    "linger.ms": 20,
    "request.timeout.ms": 8_000,
    "socket.timeout.ms": 8_000,
    "reconnect.backoff.ms": 50,
    "reconnect.backoff.max.ms": 1_000,
    "delivery.timeout.ms": 120_000,
    "allow.auto.create.topics": False,
    "log.connection.close": False,
}


class CollectorConfig(ServiceConfig, frozen=True, kw_only=True):
    """The configuration, resolved.

    Args:
        instance: name of this instance; the key of its events.
        log_dir: folder of the brokers' logs.
        log_pattern: names of the logs.
    """

    instance: str
    log_dir: Path
    log_pattern: str


def load_config(env: Mapping[str, str] | None = None) -> CollectorConfig:
    """Read the configuration from the environment.

    Args:
        env: the environment; by default the process's own.

    Raises:
        ConfigError: a variable is missing or wrong.
    """
    env = os.environ if env is None else env
    folder = env.get("COLLECTOR_LOG_DIR", "")
    if not folder or not Path(folder).is_dir():
        raise ConfigError(f"COLLECTOR_LOG_DIR: {folder!r} is no folder; give the one of the brokers' logs")
    return CollectorConfig(
        instance=(env.get("COLLECTOR_INSTANCE") or socket.gethostname())[:64],
        log_dir=Path(folder),
        log_pattern=env.get("COLLECTOR_LOG_PATTERN") or "broker-*.log",
        **common(env, http_port=8082, metrics_port=9092),
    )


class Collector:
    """One collector.

    Args:
        config: its configuration.
    """

    def __init__(self, config: CollectorConfig) -> None:
        self._config = config
        self._stop = Flag()
        self._logs = Following(config.log_dir, config.log_pattern)
        self._stream = secrets.token_hex(4)
        self._sent = self._acked = 0
        self._connected = False
        self._clients = Clients(config.kafka, config.password_file)
        self._settings = {**config.kafka, **_PRODUCER, "client.id": config.instance, "logger": log}
        self._producer = self._clients.producer(self._settings)
        self._again: list[tuple[bytes, bytes]] = []
        self._failed_for_good = False
        self._registry = CollectorRegistry()
        self._events = Counter(
            "necp_collector_events", "Refusals found in brokers' logs", ["kind"], registry=self._registry
        )

    def stop(self) -> None:
        """Ask for a graceful end; may be called in a signal handler."""
        self._stop.set()

    def run(self) -> int:
        """Follow the logs until stopped; give the exit code: 0, or 1 if events are left that no broker took."""
        endpoints = Endpoints(self._config, self.health, self._registry)
        log.info("health on port %d, metrics on port %d", endpoints.http_port, endpoints.metrics_port)
        self._clients.start()
        while not self._stop.is_set():
            if not self._connected:
                self._connect()
            self.look()
            self._stop.wait(LOOK_S)
        self._finish()
        self._clients.close()
        endpoints.close()
        log.info("stopped; %d events sent, %d acknowledged", self._sent, self._acked)
        return 1 if self._acked < self._sent else 0

    def look(self) -> bool:
        """Send an event for every refusal that has been logged since; tell whether anything had been logged."""
        lines = self._logs.lines()
        for line in lines:
            noted = read_line(line)
            if noted is not None:
                self._send(noted)
        self._producer.poll(0)
        self._send_again()
        return bool(lines)

    def _finish(self) -> None:
        """Send what was logged last, and wait for all acknowledgements."""
        deadline = time.monotonic() + self._config.shutdown_timeout_s
        while self.look() or (self._acked < self._sent and time.monotonic() < deadline):
            self._producer.flush(LOOK_S)

    def _send_again(self) -> None:
        """Send what was not acknowledged once more, and with another client if this one is of no use any more."""
        if self._failed_for_good:
            self._failed_for_good = False
            self._producer.purge()
            self._producer.flush(1.0)
            self._producer = self._clients.producer(self._settings)
        again, self._again = self._again, []
        for key, value in again:
            self._produce(key, value)

    def _connect(self) -> None:
        try:
            self._producer.list_topics(Domain.SYSTEM.topic, timeout=2.0)
        except KafkaException as error:
            log.warning("no broker answers yet: %s", error.args[0].str())
        else:
            self._connected = True

    def _send(self, noted: Noted) -> None:
        key = self._config.instance
        value = encode(noted.event, key=key, ts_us=noted.at_us, stream=self._stream, seq=self._sent)
        self._sent += 1
        self._events.labels(noted.kind).inc()
        self._produce(key.encode(), value)

    def _produce(self, key: bytes, value: bytes) -> None:
        def delivered(error: KafkaError | None, _: Message) -> None:
            if error is None:
                self._acked += 1
                return
            log.warning("sent again: %s", error.str())
            self._again.append((key, value))
            self._failed_for_good |= error.fatal()

        while True:
            try:
                self._producer.produce(Domain.SYSTEM.topic, value, key, on_delivery=delivered)
            except BufferError:
                self._producer.poll(0.05)
            else:
                return

    def health(self) -> tuple[bool, dict[str, Any]]:
        """Say whether all is well, and what was collected."""
        status = "draining" if self._stop.is_set() else "ok" if self._connected else "starting"
        return status == "ok", {
            "status": status,
            "instance": self._config.instance,
            "behind_bytes": self._logs.behind_bytes,
            "acked": self._acked,
            "audits": {"stream": self._stream, "key": self._config.instance, "sent": self._sent},
        }
