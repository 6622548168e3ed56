"""What is taken down of certificates that change, and of passwords; the system behind it is a stand-in here."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography import x509

from necp_validate.chaos import rotation, swaps
from necp_validate.chaos.rotation import Rotation
from necp_validate.record import parts
from necp_validate.record.drills import PasswordTaken
from necp_validate.stack.pki import Authority
from necp_validate.stack.protocol import ListenerInfo

LISTENERS = tuple(
    ListenerInfo(name=name, broker=broker, address=f"127.0.0.1:{broker}{i}", mutual=name == "internal")
    for broker in (1, 2)
    for i, name in enumerate(("internal", "external"))
)


def certificate(tmp_path: Path) -> x509.Certificate:
    pair = Authority(tmp_path).issue_server("broker-1", ["localhost"])
    return x509.load_pem_x509_certificates(pair.cert.read_bytes())[0]


class Cluster:
    """What the rows are made from."""

    def __init__(self) -> None:
        self.served: dict[int, dict[str, x509.Certificate | None]] = {}
        self.pids = {1: 11, 2: 12}
        self.stack = SimpleNamespace(
            listeners=lambda: LISTENERS,
            brokers=lambda: tuple(SimpleNamespace(id=b, pid=pid) for b, pid in self.pids.items()),
        )


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    made = Cluster()
    monkeypatch.setattr(swaps, "served_by", lambda _, broker: made.served[broker])
    return made


def test_a_row_for_every_listener_says_what_was_served_before_and_is_served_now(
    cluster: Cluster, tmp_path: Path
) -> None:
    old, new = certificate(tmp_path), certificate(tmp_path)
    both = {"internal": old, "external": old}
    cluster.served = {1: dict(both), 2: dict(both)}
    session: Any = cluster
    before = swaps.look(session, [1, 2])
    cluster.served = {1: {"internal": new, "external": new}, 2: {"internal": new, "external": old}}
    issued = dict.fromkeys((1, 2), new.serial_number)
    rows = swaps.rows(session, "reload", before, issued, 5)
    assert [(row.broker, row.listener, row.served_us is not None) for row in rows] == [
        (1, "internal", True),
        (1, "external", True),
        (2, "internal", True),
        (2, "external", False),
    ]
    assert {row.before for row in rows} == {f"{old.serial_number:x}"}
    assert swaps.summary(rows) == ""
    cluster.served[2]["external"] = new
    assert swaps.summary(swaps.rows(session, "reload", before, issued, 5)).endswith("their processes are the same")
    cluster.pids[2] = 99
    assert "NOT all of their processes" in swaps.summary(swaps.rows(session, "reload", before, issued, 5))


def test_a_listener_that_does_not_answer_serves_nothing(cluster: Cluster) -> None:
    cluster.served = {1: {"internal": None, "external": None}}
    session: Any = cluster
    (row, _) = swaps.rows(session, "reload", swaps.look(session, [1]), {1: 7}, 5)
    assert (row.before, row.issued, row.served, row.valid_until_us, row.served_us) == ("", "7", "", 0, None)
    assert swaps.summary([row]) == swaps.summary([]) == ""


class Rotated:
    """A stack whose password changes, one core and one worker of the load."""

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir
        self.password = "old"
        self.core_taken: int | None = None
        core = SimpleNamespace(name="core-0", health=lambda: {"password_taken_us": self.core_taken})
        self.fleet = SimpleNamespace(running=lambda: [core])
        self.stack = self

    def client_config(self, principal: str) -> dict[str, str]:
        return {"sasl.username": principal, "sasl.password": self.password}

    def rotate_password(self, _: str) -> None:
        self.password = "new"


@pytest.fixture
def rotated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rotated:
    made = Rotated(tmp_path)
    timeline = parts.TIMELINE.file(tmp_path, "w0")
    timeline.parent.mkdir(parents=True)
    timeline.touch()

    def let_in(_: object, __: str, password: str) -> dict[int, int | None]:
        return dict.fromkeys((1, 2), 10_000 if password == made.password else None)

    monkeypatch.setattr(rotation, "let_in", let_in)
    return made


def test_a_producers_password_is_changed_when_every_worker_has_it(rotated: Rotated) -> None:
    session: Any = rotated
    change = Rotation(session, "combat-service")
    change.do()
    assert change.seen() == ""
    assert change.found.refused_us is not None
    assert change.found.taken_us == {"load w0": None}
    stale, new = change.found.asked_us - 1, change.found.asked_us + 250_000
    parts.PASSWORDS_TAKEN.append(
        rotated.run_dir, PasswordTaken(principal="combat-service", taken_us=stale), worker="w0"
    )
    parts.PASSWORDS_TAKEN.append(rotated.run_dir, PasswordTaken(principal="social-service", taken_us=new), worker="w0")
    assert change.seen() == ""
    parts.PASSWORDS_TAKEN.append(rotated.run_dir, PasswordTaken(principal="combat-service", taken_us=new), worker="w0")
    assert "1 clients had it 250 ms after" in change.seen()
    assert (change.found.session_ms, change.found.domains) == (10_000, ("combat",))
    watched = change.watched()
    assert (watched.tried_later, watched.let_in_later) == (2, 0)


def test_the_event_cores_password_is_changed_when_every_instance_says_so(rotated: Rotated) -> None:
    session: Any = rotated
    change = Rotation(session, "event-core")
    change.do()
    assert change.seen() == ""
    rotated.core_taken = change.found.asked_us + 90_000
    assert "90 ms after" in change.seen()
    assert len(change.found.domains) == 4


def test_settling_changes_a_password_again_only_where_the_cluster_refuses_it(rotated: Rotated) -> None:
    session: Any = rotated
    change = Rotation(session, "combat-service")
    change.do()
    rotated.rotate_password = lambda _: pytest.fail("it was changed again")  # type: ignore[method-assign, assignment]
    change.settle()
