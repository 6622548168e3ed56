from __future__ import annotations

import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.core import GaugeMetricFamily

from necp_validate.monitoring import exporter
from necp_validate.monitoring.exporter import LastSaid, Subject, guarded
from necp_validate.monitoring.prometheus import Job, Login, Prometheus


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
        self.made = 0

    def make(self) -> Any:
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
    assert (brokers.made, subject.worked) == (2, False)


def test_a_subject_ends_when_it_is_told_to() -> None:
    stopped = threading.Event()
    stopped.set()
    subject = Subject("lag", Brokers().make, 60.0)
    subject.run(stopped)
    assert subject.worked


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
