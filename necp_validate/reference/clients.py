"""Kafka clients whose password may change while they run: it is in a file, as an orchestrator mounts a secret."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from pathlib import Path
from threading import Event as Flag
from threading import Lock, Thread
from typing import Any, Final
from weakref import WeakSet

from confluent_kafka import Consumer, KafkaException, Producer

log: Final = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 0.1
"""How often the file is looked at: so long may new connections be refused after the password has been changed."""


# Python's own classes can be referred to weakly, the library's cannot: a client that is let go of must go.
class _Producer(Producer):
    """A producer of ours."""


class _Consumer(Consumer):
    """A consumer of ours."""


class Clients:
    """Makes the clients of a service, and tells them all when their password changes.

    A client asks for its password when it connects, or when the broker wants its login renewed. Connections that are
    open stay open.

    Args:
        kafka: librdkafka's connection properties.
        password_file: holds the password and is watched; None for one that stays.
    """

    def __init__(self, kafka: Mapping[str, str], password_file: Path | None) -> None:
        self._user = kafka.get("sasl.username", "")
        self._password = kafka.get("sasl.password", "")
        self._file = password_file
        self._made: WeakSet[_Producer | _Consumer] = WeakSet()
        self._lock = Lock()
        self._stop = Flag()
        self.taken_us: int | None = None
        """When a new password was taken over last (epoch); None if it never was."""

    def producer(self, config: Mapping[str, Any]) -> Producer:
        """Make a producer."""
        with self._lock:
            client = _Producer(self._with_login(config))
            self._made.add(client)
        return client

    def consumer(self, config: Mapping[str, Any]) -> Consumer:
        """Make a consumer."""
        with self._lock:
            client = _Consumer(self._with_login(config))
            self._made.add(client)
        return client

    def _with_login(self, config: Mapping[str, Any]) -> dict[str, Any]:
        return {**config, "sasl.password": self._password} if "sasl.password" in config else dict(config)

    def start(self) -> None:
        """Watch the file from now on, if there is one."""
        if self._file is not None:
            Thread(target=self._watch, name="password", daemon=True).start()

    def close(self) -> None:
        """Watch it no more."""
        self._stop.set()

    def _watch(self) -> None:
        while not self._stop.wait(LOOK_EVERY_S):
            self.look()

    def look(self) -> bool:
        """Look at the file once; tell whether it held a new password, which all clients now have."""
        if self._file is None:
            return False
        try:
            password = self._file.read_text(encoding="utf-8").strip()
        except OSError as error:
            log.warning("the password file cannot be read: %s", error.strerror)
            return False
        if not password or password == self._password:
            return False
        with self._lock:
            self._password = password
            for client in list(self._made):
                _tell(client, self._user, password)
            self.taken_us = time.time_ns() // 1000
        log.info("a new password of %s was taken over by %d clients", self._user, len(self._made))
        return True


def _tell(client: _Producer | _Consumer, user: str, password: str) -> None:
    try:
        client.set_sasl_credentials(user, password)
    except RuntimeError:
        pass  # it has been closed meanwhile
    except KafkaException as error:
        log.error("a client refuses the new password: %s", error.args[0].str())
