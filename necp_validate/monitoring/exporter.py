"""The suite's own exporter: ``python -m necp_validate.monitoring.exporter PLAN``, with what brokers do not export.

Brokers are asked in threads of their own, and a scrape gets what they said last: a broker that hangs must not make the
scrape late. What is older than three intervals is left out.
"""

from __future__ import annotations

import hmac
import signal
import socketserver
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import msgspec
from confluent_kafka import KafkaException
from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from necp_validate.core import SuiteError
from necp_validate.monitoring.prometheus import HOST, Login
from necp_validate.monitoring.sampling import ExporterPlan, Samplers
from necp_validate.record.self_watch import WatchedThread

_CERTIFICATES_S = 5.0
_KEPT = 3.0
_READY = "ready"

Sample = Callable[[], Iterable[GaugeMetricFamily]]


class Subject:
    """One subject that brokers are asked about, again and again.

    Args:
        name: what it is.
        make: makes what asks; again after it failed, as certificates may be others by then.
        every_s: between two times.
    """

    def __init__(self, name: str, make: Callable[[], Sample], every_s: float) -> None:
        self.name = name
        self._make = make
        self._sample: Sample | None = make()
        self._every_s = every_s
        self._last: tuple[float, list[GaugeMetricFamily]] = (0.0, [])
        self.seconds = 0.0
        self.worked = False

    def ask(self) -> None:
        """Ask now; what cannot be had leaves what there was."""
        begun = time.monotonic()
        try:
            self._sample = self._sample or self._make()
            found = list(self._sample())
        except (KafkaException, LookupError, OSError) as error:
            self.worked, self._sample = False, None
            print(f"{self.name}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
            return
        self.seconds, self.worked = time.monotonic() - begun, True
        self._last = (time.monotonic(), found)

    def run(self, stopped: threading.Event) -> None:
        """Ask until told to stop."""
        while True:
            begun = time.monotonic()
            self.ask()
            if stopped.wait(max(self._every_s - (time.monotonic() - begun), 0.1)):
                return

    def families(self) -> list[GaugeMetricFamily]:
        """What was said last; nothing if that is too long ago."""
        at, found = self._last
        return found if time.monotonic() - at < _KEPT * self._every_s + 1.0 else []


class LastSaid(Collector):
    """What brokers said last of every subject."""

    def __init__(self, subjects: Iterable[Subject]) -> None:
        self.subjects = tuple(subjects)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Give it to a scrape."""
        worked = GaugeMetricFamily("necp_exporter_success", "Whether brokers answered last time.", labels=["subject"])
        took = GaugeMetricFamily("necp_exporter_seconds", "How long it took to ask.", labels=["subject"])
        for one in self.subjects:
            worked.add_metric([one.name], float(one.worked))
            took.add_metric([one.name], one.seconds)
            yield from one.families()
        yield from (worked, took)


class _Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def guarded(app: Any, login: Login) -> Any:
    """Let in only who knows the password."""

    def checked(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        given = str(environ.get("HTTP_AUTHORIZATION", ""))
        if not hmac.compare_digest(given.encode(), login.header.encode()):
            start_response("401 Unauthorized", [("WWW-Authenticate", 'Basic realm="metrics"')])
            return [b"a login is needed\n"]
        return app(environ, start_response)

    return checked


def serve(plan: ExporterPlan, stopped: threading.Event) -> None:
    """Export until asked to stop.

    Raises:
        SuiteError: a thread ended early; what it asks for would be missing without a trace.
    """
    problems: list[str] = []

    def failed(problem: str) -> None:
        problems.append(problem)
        stopped.set()

    # Each with connections of its own: they are not shared by threads.
    subjects = [
        Subject("lag", lambda: Samplers(plan).lag, plan.interval_s),
        Subject("replicas", lambda: Samplers(plan).replicas, plan.interval_s),
        Subject("disks", lambda: Samplers(plan).disks, plan.interval_s),
        Subject("listeners", lambda: Samplers(plan).listeners, plan.interval_s),
        Subject("certificates", lambda: Samplers(plan).certificates, max(_CERTIFICATES_S, plan.interval_s)),
    ]
    registry = CollectorRegistry()
    registry.register(LastSaid(subjects))
    app = guarded(make_wsgi_app(registry), Login(user=plan.user, password=plan.password))
    with make_server(HOST, plan.port, app, _Server, _Quiet) as server:
        works: dict[str, Callable[[], None]] = {one.name: partial(one.run, stopped) for one in subjects}
        for name, work in {"server": server.serve_forever, **works}.items():
            WatchedThread(work, name=name, asked=stopped, on_failure=failed).start()
        print(_READY, flush=True)
        stopped.wait()
        server.shutdown()
    if problems:
        raise SuiteError(f"the exporter cannot go on: {problems[0]}")


def main() -> None:
    """Read the plan, then export; exit code 4 if it could not go on."""
    if len(sys.argv) != 2:
        print("usage: python -m necp_validate.monitoring.exporter PLAN", file=sys.stderr)
        raise SystemExit(2)
    plan = msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=ExporterPlan)
    stopped = threading.Event()

    def stop(_: int, __: FrameType | None) -> None:
        stopped.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    try:
        serve(plan, stopped)
    except SuiteError as error:
        print(error, file=sys.stderr)
        raise SystemExit(error.exit_code) from error


if __name__ == "__main__":
    main()
