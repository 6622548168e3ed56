"""The event core as a whole: its loops, its health, its end."""

from __future__ import annotations

import gc
import logging
import sys
import time
from collections.abc import Callable
from threading import Event as Flag
from threading import Thread
from typing import Any, Final, Protocol
from zlib import crc32

from necp_validate.events.topics import TOPICS, Domain
from necp_validate.reference.audit import Keyring, Trail
from necp_validate.reference.clients import Clients
from necp_validate.reference.endpoints import Endpoints
from necp_validate.reference.eventcore.at_least_once import AtLeastOnceLoop
from necp_validate.reference.eventcore.clock import Clock
from necp_validate.reference.eventcore.combat import CombatHandler
from necp_validate.reference.eventcore.config import CoreConfig
from necp_validate.reference.eventcore.exactly_once import ExactlyOnceLoop
from necp_validate.reference.eventcore.handling import Handler
from necp_validate.reference.eventcore.metrics import CoreMetrics
from necp_validate.reference.eventcore.social import SocialHandler
from necp_validate.reference.eventcore.system import SystemHandler
from necp_validate.reference.eventcore.tuning import producer_config

log: Final = logging.getLogger(__name__)

SWITCH_INTERVAL_S: Final = 0.002
"""A thread gives the interpreter up after this long; at the default of 5 ms, loops would delay each other."""

GC_THRESHOLDS: Final = (100_000, 20, 1_000)
"""Records live for one batch and have no cycles: collecting them often costs time and frees nothing."""

_HANDLERS: Final[dict[Domain, Callable[[], Handler]]] = {Domain.COMBAT: CombatHandler, Domain.SOCIAL: SocialHandler}


class Loop(Protocol):
    """What serves one domain."""

    @property
    def domain(self) -> Domain:
        """The domain."""

    @property
    def ready(self) -> bool:
        """Whether it takes part in its group."""

    def run(self, stop: Flag) -> None:
        """Work until told to stop."""

    def describe(self) -> dict[str, Any]:
        """Describe the state for ``/health``."""


class Service:
    """One event core.

    Args:
        config: its configuration.

    Raises:
        KeyringError: the audit trail's keys cannot be used.
    """

    def __init__(self, config: CoreConfig) -> None:
        self._config = config
        self._stop = Flag()
        self._held = Flag()
        self._clock = Clock(config.clock_offset_file)
        self._started = time.monotonic()
        self._failure: str | None = None
        self._metrics = CoreMetrics()
        self._clients = Clients(config.kafka, config.password_file)
        keyring = config.audit_keyring
        self._trail = None if keyring is None else Trail(Keyring(keyring), config.instance)
        self._producer = self._clients.producer({**producer_config(config.kafka, config.instance), "logger": log})
        self._loops: list[Loop] = [self._loop(domain) for domain in config.domains]
        self._threads = [
            Thread(target=self._run, args=(loop,), name=loop.domain.value, daemon=True) for loop in self._loops
        ]

    def stop(self) -> None:
        """Ask for a graceful end; may be called in a signal handler."""
        self._stop.set()

    def hold(self) -> None:
        """Read nothing more until `release`; the groups keep their members. May be called in a signal handler."""
        self._held.set()

    def release(self) -> None:
        """Go on reading. May be called in a signal handler."""
        self._held.clear()

    def run(self) -> int:
        """Serve until stopped; give the exit code: 0, or 1 if a loop failed or did not end in time."""
        endpoints = Endpoints(self._config, self.health, self._metrics.registry)
        log.info("health on port %d, metrics on port %d", endpoints.http_port, endpoints.metrics_port)
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        gc.collect()
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)
        self._clients.start()
        for thread in self._threads:
            thread.start()
        self._stop.wait()
        log.info("stopping")
        self._clients.close()
        deadline = time.monotonic() + self._config.shutdown_timeout_s
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        late = [thread.name for thread in self._threads if thread.is_alive()]
        if late:
            log.error("not finished within %.0f s: %s", self._config.shutdown_timeout_s, ", ".join(late))
            return 1
        self._producer.flush(max(0.0, deadline - time.monotonic()))
        if self._trail is not None:
            self._trail.close()
        endpoints.close()
        log.info("stopped")
        return 1 if self._failure else 0

    def health(self) -> tuple[bool, dict[str, Any]]:
        """Say whether all is well, and describe the state."""
        domains = {loop.domain.value: loop.describe() for loop in self._loops}
        if self._failure:
            status = "failed"
        elif self._stop.is_set():
            status = "draining"
        elif not all(loop.ready for loop in self._loops):
            status = "starting"
        elif not all(state["brokers_up"] for state in domains.values()):
            status = "no-brokers"
        else:
            status = "ok"
        return status == "ok", {
            "status": status,
            "instance": self._config.instance,
            "version": self._config.version,
            "clock_us": self._clock.now_us(),
            "uptime_s": round(time.monotonic() - self._started, 1),
            "domains": domains,
            "password_taken_us": self._clients.taken_us,
            **({"failure": self._failure} if self._failure else {}),
        }

    def _loop(self, domain: Domain) -> Loop:
        # Outputs that need no order of their own go to one partition for each instance: requests cost.
        sticky = crc32(self._config.instance.encode()) % TOPICS[domain.dead_letter_topic].partitions
        if domain is Domain.ECONOMY:
            return ExactlyOnceLoop(
                self._config, self._clients, self._metrics, self._stop, self._held, sticky_partition=sticky
            )
        return AtLeastOnceLoop(
            domain,
            self._config,
            self._clients,
            self._handler(domain),
            self._producer,
            self._metrics,
            self._held,
            dead_letter_partition=sticky,
        )

    def _handler(self, domain: Domain) -> Handler:
        if domain is Domain.SYSTEM:
            assert self._trail is not None  # the configuration has a keyring where it has this domain
            return SystemHandler(self._trail)
        return _HANDLERS[domain]()

    def _run(self, loop: Loop) -> None:
        try:
            loop.run(self._stop)
        except Exception as error:  # a service without one of its loops must not live on
            log.error("%s failed", loop.domain, exc_info=error)
            self._failure = f"{loop.domain}: {error}"
            self._stop.set()
