"""The publisher as a whole: what it does with a batch, its health, its end."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from threading import Condition
from threading import Event as Flag
from typing import Any, Final

from necp_validate.reference.clients import Clients
from necp_validate.reference.endpoints import Endpoints
from necp_validate.reference.publisher.config import PublisherConfig
from necp_validate.reference.publisher.http import Reply, publishing_handler
from necp_validate.reference.publisher.limit import Backoff, TopicLimit
from necp_validate.reference.publisher.metrics import PublisherMetrics
from necp_validate.reference.publisher.sending import Sending
from necp_validate.reference.publisher.wire import Answer, BadBatch, decode_batch

log: Final = logging.getLogger(__name__)


class Service:
    """One publisher.

    Args:
        config: its configuration.
    """

    def __init__(self, config: PublisherConfig) -> None:
        self._config = config
        self._topic = config.domain.topic
        self._started = time.monotonic()
        self._stop = Flag()
        self._busy = Condition()
        self._under_way = 0
        self._limit = TopicLimit(config.rate_per_s, config.burst)
        self._backoff = Backoff(config.backoff_base_s, config.backoff_max_s)
        self._metrics = PublisherMetrics(self._topic)
        self._clients = Clients(config.kafka, config.password_file)
        self._sending = Sending(self._clients, config.kafka, config.instance, self._topic)

    def stop(self) -> None:
        """Ask for a graceful end; may be called in a signal handler."""
        self._stop.set()

    def run(self) -> int:
        """Serve until stopped; give the exit code: 0, or 1 if something accepted was not answered for in time.

        Raises:
            OSError: a port is not to be had.
        """
        config = self._config
        handler = partial(publishing_handler, token=config.token, publish=self.publish)
        endpoints = Endpoints(config, self.health, self._metrics.registry, handler)
        log.info("events and health on port %d, metrics on port %d", endpoints.http_port, endpoints.metrics_port)
        self._clients.start()
        self._sending.start()
        self._stop.wait()
        log.info("stopping")
        deadline = time.monotonic() + config.shutdown_timeout_s
        with self._busy:
            answered = self._busy.wait_for(lambda: not self._under_way, max(0.0, deadline - time.monotonic()))
        written = self._sending.close(max(0.0, deadline - time.monotonic()))
        endpoints.close()
        if not (answered and written):
            log.error("not finished within %.0f s", config.shutdown_timeout_s)
            return 1
        log.info("stopped")
        return 0

    def publish(self, topic: str, sender: str, body: bytes, answer: Callable[[Reply], None]) -> None:
        """Take a batch; answer when every event of it has been refused, written, or given up.

        Args:
            topic: where it is to go.
            sender: whose it is, for backing off.
            body: the batch.
            answer: sends the answer; this publisher does not end before it has.
        """
        with self._busy:
            stopping = self._stop.is_set()
            self._under_way += not stopping
        if stopping:
            answer(self._reply(HTTPStatus.SERVICE_UNAVAILABLE, error="the publisher is stopping"))
            return
        try:
            answer(self._publish(topic, sender, body))
        finally:
            with self._busy:
                self._under_way -= 1
                self._busy.notify_all()

    def _publish(self, topic: str, sender: str, body: bytes) -> Reply:
        if topic != self._topic:
            return self._reply(HTTPStatus.FORBIDDEN, error=f"this publisher has {self._topic}, not {topic}")
        try:
            events = decode_batch(body)
        except BadBatch as error:
            return self._reply(HTTPStatus.BAD_REQUEST, error=str(error))
        accepted = self._limit.admit(len(events))
        refused = len(events) - accepted
        wait_s = 0.0
        if refused:
            self._metrics.limited.inc(refused)
            wait_s = self._backoff.refuse(sender)
        begun = time.perf_counter()
        written = self._sending.write(events[:accepted])
        if accepted:
            self._metrics.queue_seconds.observe(time.perf_counter() - begun)
        failed, unknown = (sum(count for _, count in ranges) for ranges in (written.failed, written.unknown))
        self._metrics.failed.inc(failed)
        self._metrics.unknown.inc(unknown)
        self._metrics.acknowledged.inc(accepted - failed - unknown)
        status = HTTPStatus.OK
        if failed or unknown:
            status = HTTPStatus.SERVICE_UNAVAILABLE
        elif refused:
            status = HTTPStatus.TOO_MANY_REQUESTS
        return self._reply(
            status,
            Answer(
                accepted=accepted,
                refused=refused,
                runs=written.runs,
                failed=written.failed,
                unknown=written.unknown,
                retry_after_s=round(wait_s, 4),
                error=written.error,
            ),
        )

    def _reply(self, status: HTTPStatus, answer: Answer | None = None, *, error: str = "") -> Reply:
        self._metrics.requests.labels(self._topic, str(int(status))).inc()
        answer = answer or Answer(accepted=0, refused=0, error=error)
        # The header has whole seconds (RFC 9110); the body has the wait itself.
        headers = {"Retry-After": str(math.ceil(answer.retry_after_s))} if answer.retry_after_s else {}
        return Reply(status=status, answer=answer, headers=headers)

    def health(self) -> tuple[bool, dict[str, Any]]:
        """Say whether all is well, and describe the state."""
        if self._stop.is_set():
            status = "draining"
        elif not self._sending.ready:
            status = "starting"
        elif not self._sending.brokers_up:
            status = "no-brokers"
        else:
            status = "ok"
        return status == "ok", {
            "status": status,
            "instance": self._config.instance,
            "topic": self._topic,
            "max_rate_per_second": self._config.rate_per_s,
            "burst_limit": self._config.burst,
            "uptime_s": round(time.monotonic() - self._started, 1),
        }
