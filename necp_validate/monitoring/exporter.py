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
from pathlib import Path
from types import FrameType
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import msgspec
from confluent_kafka import KafkaException
from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from necp_validate.monitoring.prometheus import HOST, Login
from necp_validate.monitoring.sampling import ExporterPlan, Samplers

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
        self._sample = make()
        self._every_s = every_s
        self._last: tuple[float, list[GaugeMetricFamily]] = (0.0, [])
        self.seconds = 0.0
        self.worked = False

    def ask(self) -> None:
        """Ask now; what cannot be had leaves what there was."""
        begun = time.monotonic()
        try:
            found = list(self._sample())
        except (KafkaException, LookupError, OSError) as error:
            self.worked = False
            self._sample = self._make()
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
    """Export until told to stop."""
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
        for work in (server.serve_forever, *(_loop(one, stopped) for one in subjects)):
            threading.Thread(target=work, daemon=True).start()
        print(_READY, flush=True)
        stopped.wait()
        server.shutdown()


def _loop(subject: Subject, stopped: threading.Event) -> Callable[[], None]:
    return lambda: subject.run(stopped)


def main() -> None:
    """Read the plan, then export."""
    if len(sys.argv) != 2:
        print("usage: python -m necp_validate.monitoring.exporter PLAN", file=sys.stderr)
        raise SystemExit(2)
    plan = msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=ExporterPlan)
    stopped = threading.Event()

    def stop(_: int, __: FrameType | None) -> None:
        stopped.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    serve(plan, stopped)


if __name__ == "__main__":
    main()
