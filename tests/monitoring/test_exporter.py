"""The exporter gives what brokers answered last; a password guards it, and a dead thread ends it."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.core import GaugeMetricFamily

from necp_validate.core import SuiteError
from necp_validate.monitoring import exporter
from necp_validate.monitoring.exporter import LastSaid, Subject, guarded
from necp_validate.monitoring.prometheus import HOST, Job, Login, Prometheus
from necp_validate.monitoring.sampling import ExporterPlan
from necp_validate.stack.ports import free_ports


def answer(header: str | None) -> tuple[str, bytes]:
    said: list[str] = []

    def app(_: dict[str, Any], start: Any) -> list[bytes]:
        start("200 OK", [])
        return [b"metrics"]

    environ = {} if header is None else {"HTTP_AUTHORIZATION": header}
    body = guarded(app, Login(user="u", password="secret"))(environ, lambda status, _: said.append(status))
    return said[0], b"".join(body)


def test_metrics_are_given_to_who_knows_the_password_alone() -> None:
    assert answer(Login(user="u", password="secret").header) == ("200 OK", b"metrics")
    for header in (None, "", "Basic x", Login(user="u", password="other").header):
        status, body = answer(header)
        assert status == "401 Unauthorized"
        assert b"metrics" not in body


class Brokers:
    """Answers, or not."""

    def __init__(self) -> None:
        self.broken = False
        self.make_fails = False
        self.made = 0

    def make(self) -> Any:
        if self.make_fails:
            raise FileNotFoundError("client.pem")
        self.made += 1
        return self.sample

    def sample(self) -> Iterable[GaugeMetricFamily]:
        if self.broken:
            raise ConnectionError("no broker answered")
        yield GaugeMetricFamily("x", "x", value=1.0)


def names(subject: Subject) -> set[str]:
    return {family.name for family in LastSaid([subject]).collect()}


def test_what_cannot_be_had_keeps_its_last_value_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    brokers = Brokers()
    subject = Subject("lag", brokers.make, 2.0)
    subject.ask()
    assert "x" in names(subject)
    brokers.broken = True
    subject.ask()
    assert "x" in names(subject)
    now = exporter.time.monotonic()
    monkeypatch.setattr(exporter.time, "monotonic", lambda: now + 8.0)
    assert names(subject) == {"necp_exporter_success", "necp_exporter_seconds"}


def test_whoever_got_no_answer_asks_with_new_connections() -> None:
    brokers = Brokers()
    subject = Subject("lag", brokers.make, 2.0)
    brokers.broken = True
    subject.ask()
    subject.ask()
    assert (brokers.made, subject.worked) == (2, False)


def test_who_cannot_even_connect_tries_again_later() -> None:
    """As with a certificate that is replaced at that moment."""
    brokers = Brokers()
    subject = Subject("lag", brokers.make, 2.0)
    brokers.broken = True
    subject.ask()
    brokers.make_fails = True
    subject.ask()
    assert not subject.worked
    brokers.make_fails = brokers.broken = False
    subject.ask()
    assert subject.worked


def test_a_subject_ends_when_it_is_told_to() -> None:
    stopped = threading.Event()
    stopped.set()
    subject = Subject("lag", Brokers().make, 60.0)
    subject.run(stopped)
    assert subject.worked


class Samples:
    """In the place of what asks brokers: all of it answers, but the lag only twice."""

    left = 2

    def __init__(self, _: ExporterPlan) -> None:
        pass

    def replicas(self) -> Iterable[GaugeMetricFamily]:
        return [GaugeMetricFamily("x", "x", value=1.0)]

    disks = listeners = certificates = replicas

    def lag(self) -> Iterable[GaugeMetricFamily]:
        Samples.left -= 1
        return [] if Samples.left >= 0 else 1 / 0  # type: ignore[return-value]


def test_an_exporter_with_a_thread_that_died_ends_instead_of_exporting_less(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(exporter, "Samplers", Samples)
    (port,) = free_ports(1, HOST)
    plan = ExporterPlan(
        port=port,
        user="u",
        password="p",
        interval_s=0.01,
        client={},
        internal=None,
        brokers={},
        listeners=(),
        certificate=None,
    )
    with pytest.raises(SuiteError, match=r"the exporter cannot go on: ZeroDivisionError: division by zero \("):
        exporter.serve(plan, threading.Event())
    assert capfd.readouterr() == ("ready\n", "")


def test_prometheus_is_told_no_password(tmp_path: Path) -> None:
    """They are in files of their own, which only their owner can read."""
    login = Login.new()
    job = Job(name="kafka", targets={"127.0.0.1:1": {"broker": "1"}}, login=login)
    server = Prometheus(Path("none"), tmp_path, tmp_path / "log", jobs=[job], rules=[], interval_s=2.0)
    assert login.password not in str(server.config())
    assert login.password not in repr(job)
    (secret,) = tmp_path.glob("*.password")
    assert secret.read_text() == login.password
    assert secret.stat().st_mode & 0o077 == 0


def test_a_login_is_never_the_same_twice() -> None:
    assert Login.new() != Login.new()
