"""Kafka clients whose password may change while they run: it is in a file, as an orchestrator mounts a secret."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from pathlib import Path
from threading import Event as Flag
from threading import Lock, RLock, Thread
from typing import Any, Final
from weakref import WeakSet

from confluent_kafka import Consumer, KafkaException, Message, Producer

log: Final = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 0.1
"""How often the file is looked at: so long may new connections be refused after the password has been changed."""

LONGEST_READ_S: Final = 5.0
"""For so long a consumer may be in the midst of a read; one that nobody reads with takes a password over at once."""


NOWHERE: Final = -1
"""Offset of a record that was acknowledged without one."""


def place_of(message: Message) -> tuple[int, int]:
    """Return the partition and the offset of a record that was acknowledged.

    The offset is `NOWHERE` if the client does not know it: so it is when the record was sent again, and its partition
    had it already. Nobody may take that for the partition's first.
    """
    offset = message.offset()
    return message.partition() or 0, NOWHERE if offset is None or offset < 0 else offset


# Python's own classes can be referred to weakly, the library's cannot: a client that is let go of must go.
class _Producer(Producer):
    """A producer of ours."""

    def tell(self, user: str, password: str) -> None:
        """Give it a new password."""
        _tell(self, user, password)


class _Consumer(Consumer):
    """A consumer of ours; whoever reads with it has it take a new password over, between one read and the next.

    The library locks a consumer while it reads. One that reads all the time is never free for another thread: giving it
    a password from there was seen to wait for minutes.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__(config)
        self._reading = RLock()
        self._news: tuple[str, str] | None = None

    def poll(self, timeout: float = -1) -> Message | None:
        """Read one record, as the library does."""
        with self._reading:
            self._take()
            found = super().poll(timeout)
        self._take_if_free()
        return found

    def consume(self, num_messages: int = 1, timeout: float = -1) -> list[Message]:
        """Read records, as the library does."""
        with self._reading:
            self._take()
            found = super().consume(num_messages, timeout)
        self._take_if_free()
        return found

    def tell(self, user: str, password: str) -> None:
        """Give it a new password: now, or when the read that is under way has ended."""
        self._news = (user, password)
        self._take_if_free()

    @property
    def told(self) -> bool:
        """Whether it has what it was told last."""
        return self._news is None

    def _take_if_free(self) -> None:
        if self._news is not None and self._reading.acquire(blocking=False):
            try:
                self._take()
            finally:
                self._reading.release()

    def _take(self) -> None:
        if self._news is not None:
            user, password = self._news
            _tell(self, user, password)
            if self._news == (user, password):
                self._news = None


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
        self._taken_us: int | None = None

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

    @property
    def taken_us(self) -> int | None:
        """When a new password was taken over last by every client (epoch); None if it never was."""
        return self._taken_us

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
            # Consumers first: they are never waited for.
            told = sorted(self._made, key=lambda client: isinstance(client, Producer))
            for client in told:
                client.tell(self._user, password)
        deadline = time.monotonic() + LONGEST_READ_S
        while time.monotonic() < deadline and not all(one.told for one in told if isinstance(one, _Consumer)):
            self._stop.wait(LOOK_EVERY_S / 10)
        self._taken_us = time.time_ns() // 1000
        log.info("a new password of %s was taken over by %d clients", self._user, len(told))
        return True


def _tell(client: _Producer | _Consumer, user: str, password: str) -> None:
    try:
        client.set_sasl_credentials(user, password)
    except RuntimeError:
        pass  # it has been closed meanwhile
    except KafkaException as error:
        log.error("a client refuses the new password: %s", error.args[0].str())
