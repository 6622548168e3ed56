"""A service as a process: its log, its signals, its exit code."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Callable
from typing import NoReturn, Protocol, TypeVar

from confluent_kafka import KafkaException

from necp_validate.reference.environment import ConfigError, ServiceConfig

WRONG_CONFIGURATION = 2


class Service(Protocol):
    """A service that runs in threads until it is stopped."""

    def run(self) -> int:
        """Serve until stopped; give the exit code."""

    def stop(self) -> None:
        """Ask for a graceful end; may be called in a signal handler."""


C = TypeVar("C", bound=ServiceConfig)
S = TypeVar("S", bound=Service)
T = TypeVar("T")


def start_log() -> None:
    """Write the log to standard error, as ``LOG_LEVEL`` says."""
    logging.basicConfig(
        level=os.environ.get("LOG_LEVEL", "INFO").upper(),
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(threadName)s %(message)s",
    )


def configured(name: str, make: Callable[[], T], wrong: tuple[type[Exception], ...] = (ConfigError,)) -> T | None:
    """Make what a configuration asks for; None where it is wrong, which has been said.

    Args:
        name: of the service, for the message.
        make: reads the configuration, and makes it.
        wrong: what it raises for a wrong one.
    """
    try:
        return make()
    except wrong as error:
        print(f"{name}: {error}", file=sys.stderr)
    except KafkaException as error:
        print(f"{name}: the Kafka client refuses its configuration: {error}", file=sys.stderr)
    return None


def run_service(
    name: str,
    load: Callable[[], C],
    make: Callable[[C], S],
    *,
    wrong: tuple[type[Exception], ...] = (ConfigError,),
    on_ready: Callable[[S], None] = lambda _: None,
) -> int:
    """Run a service until SIGTERM or SIGINT; give its exit code, 2 for a wrong configuration.

    Args:
        name: of the service, for messages.
        load: reads its configuration.
        make: makes it.
        wrong: what both raise for a wrong configuration.
        on_ready: called before it runs, e.g. to heed further signals.
    """
    start_log()

    def both() -> tuple[C, S]:
        config = load()
        return config, make(config)

    made = configured(name, both, wrong)
    if made is None:
        return WRONG_CONFIGURATION
    config, service = made
    signal.signal(signal.SIGTERM, lambda *_: service.stop())
    signal.signal(signal.SIGINT, lambda *_: service.stop())
    on_ready(service)
    try:
        return service.run()
    except OSError as error:
        print(f"{name}: HTTP_PORT {config.http_port}, METRICS_PORT {config.metrics_port}: {error}", file=sys.stderr)
        return WRONG_CONFIGURATION


def leave(code: int) -> NoReturn:
    """End the process now: threads of the Kafka client may still wait for brokers that are gone."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
