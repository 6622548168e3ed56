"""From brokers that have just been started to a cluster that is ready; the same for every backend."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from necp_validate.stack.layout import ClusterLayout
from necp_validate.stack.ports import listening
from necp_validate.stack.protocol import Progress
from necp_validate.stack.provision import admin_client, provision
from necp_validate.stack.readiness import wait_brokers, wait_ready
from necp_validate.stack.waiting import wait_until

_BROKERS_TIMEOUT_S = 120.0
_READY_TIMEOUT_S = 60.0


class Stages:
    """Says how long after the start each stage was complete."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._seconds: dict[str, float] = {}

    def mark(self, stage: str) -> None:
        """Note that a stage is complete."""
        self._seconds[stage] = round(time.monotonic() - self._started, 3)

    def seconds(self) -> Mapping[str, float]:
        """Return the stages so far."""
        return dict(self._seconds)


def wait_listening(layout: ClusterLayout, broker: int, *, timeout_s: float, check: Callable[[], None]) -> None:
    """Wait until both listeners of a broker accept connections.

    Args:
        layout: the cluster.
        broker: its id.
        timeout_s: give up after this long.
        check: raises if a broker has died meanwhile.
    """
    settings = layout.settings[broker]
    external_port = settings.advertised_external_port or settings.external_port

    def both() -> bool:
        check()
        return listening(settings.internal_host, settings.internal_port) and listening(
            settings.external_host, external_port
        )

    wait_until(both, timeout_s=timeout_s, backoff_s=0.05, message=f"broker {broker} did not listen")


def bring_up(layout: ClusterLayout, stages: Stages, progress: Progress, check: Callable[[], None]) -> None:
    """Wait for the brokers, make users, topics and ACLs, come back when all of it is effective.

    Args:
        layout: the cluster, its brokers just started.
        stages: takes the time of each stage.
        progress: receives a sentence for each stage.
        check: raises if a broker has died meanwhile.

    Raises:
        StackError: a stage did not complete, and which.
    """
    for broker in layout.settings:
        wait_listening(layout, broker, timeout_s=_BROKERS_TIMEOUT_S, check=check)
    stages.mark("listening")
    admin = admin_client(layout.internal_client_config())
    wait_brokers(admin, len(layout.settings), timeout_s=_BROKERS_TIMEOUT_S, check=check)
    stages.mark("joined")
    progress("creating topics, users and ACLs")
    provision(admin, layout.passwords)
    stages.mark("provisioned")
    progress("waiting for leaders, coordinators and ACLs")
    wait_ready(admin, layout.client_config_at, list(layout.settings), timeout_s=_READY_TIMEOUT_S, check=check)
    stages.mark("ready")
