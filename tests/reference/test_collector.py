"""The collector of security events: lines as real brokers wrote them, files that grow, and its configuration."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from necp_validate.events.envelope import decode, encode
from necp_validate.events.system import AuditV2
from necp_validate.reference.collector import following
from necp_validate.reference.collector.following import Following
from necp_validate.reference.collector.lines import read_line
from necp_validate.security.trail import Entry
from necp_validate.security.violations import covered, violation_of

HANDSHAKE = (
    "2026-11-24T20:27:03.272+0000 [data-plane-kafka-network-thread-1-INTERNAL-SSL-0] INFO "
    "org.apache.kafka.common.network.Selector - [SocketServer listenerType=BROKER, nodeId=1] Failed authentication "
    "with /127.0.0.1 (channelId=127.0.0.1:23137-127.0.0.1:39500-0-7) (SSL handshake failed)"
)
PASSWORD = (
    "2026-11-24T20:27:05.046+0000 [data-plane-kafka-network-thread-2-EXTERNAL-SASL_SSL-2] INFO "
    "org.apache.kafka.common.network.Selector - [SocketServer listenerType=BROKER, nodeId=2] Failed authentication "
    "with /127.0.0.1 (channelId=127.0.0.1:30238-127.0.0.1:58268-2-23) (Authentication failed during authentication "
    "due to invalid credentials with SASL mechanism SCRAM-SHA-512)"
)
NO_LOGIN = (
    "2026-11-24T20:27:04.965+0000 [data-plane-kafka-network-thread-1-EXTERNAL-SASL_SSL-3] WARN "
    "org.apache.kafka.common.network.Selector - [SocketServer listenerType=BROKER, nodeId=1] Unexpected error from "
    "/127.0.0.1 (channelId=127.0.0.1:30238-127.0.0.1:58256-3-22); closing connection"
)
CONTROLLER = (
    "2026-11-24T20:27:04.245+0000 [data-plane-kafka-network-thread-3-CONTROLLER-SSL-1] INFO "
    "org.apache.kafka.common.network.Selector - [SocketServer listenerType=CONTROLLER, nodeId=3] Failed authentication "
    "with /172.18.0.1 (channelId=172.18.0.13:9092-172.18.0.1:36890-1-6) (SSL handshake failed)"
)
DENIED = (
    "2026-11-24T20:27:37.497+0000 [data-plane-kafka-request-handler-0] INFO kafka.authorizer.logger - Principal = "
    "User:combat-service is Denied operation = DESCRIBE_CONFIGS from host = 127.0.0.1 on resource = "
    "Topic:LITERAL:game.combat.events for request = DescribeConfigs with resourceRefCount = 1 based on rule DefaultDeny"
)
OTHERS = (
    "",
    "Caused by: org.apache.kafka.common.errors.InvalidRequestException: Unexpected Kafka request of type METADATA",
    "2026-11-24T20:27:00.000+0000 [main] INFO kafka.server.KafkaRaftServer - [KafkaRaftServer nodeId=1] started",
    # A broker as a client: another one has refused it, and logs that itself.
    "2026-11-24T20:27:01.000+0000 [ReplicaFetcherThread-0-2] ERROR org.apache.kafka.common.network.Selector - "
    "[ReplicaFetcher replicaId=1, leaderId=2, fetcherId=0] Failed authentication with localhost/127.0.0.1 "
    "(channelId=2) (SSL handshake failed)",
)


@pytest.mark.parametrize(
    ("line", "at_us", "expected"),
    [
        (
            HANDSHAKE,
            1_795_552_023_272_000,
            ("unauthenticated", "AUTHENTICATE: SSL handshake failed", "broker-1:INTERNAL", "127.0.0.1:39500"),
        ),
        (
            PASSWORD,
            1_795_552_025_046_000,
            (
                "unauthenticated",
                "AUTHENTICATE: Authentication failed during authentication due to invalid credentials with SASL "
                "mechanism SCRAM-SHA-512",
                "broker-2:EXTERNAL",
                "127.0.0.1:58268",
            ),
        ),
        (
            NO_LOGIN,
            1_795_552_024_965_000,
            ("unauthenticated", "AUTHENTICATE: Unexpected error", "broker-1:EXTERNAL", "127.0.0.1:58256"),
        ),
        (
            CONTROLLER,
            1_795_552_024_245_000,
            ("unauthenticated", "AUTHENTICATE: SSL handshake failed", "broker-3:CONTROLLER", "172.18.0.1:36890"),
        ),
        (
            DENIED,
            1_795_552_057_497_000,
            ("combat-service", "DESCRIBE_CONFIGS", "Topic:game.combat.events", "127.0.0.1"),
        ),
    ],
    ids=["handshake", "password", "no login", "controller", "denied"],
)
def test_lines_of_real_brokers(line: str, at_us: int, expected: tuple[str, ...]) -> None:
    """Each becomes an event that the event core takes."""
    noted = read_line(line)
    assert noted is not None
    event = noted.event
    assert noted.at_us == at_us
    assert (event.actor, event.action, event.resource, event.source) == expected
    assert (event.decision, event.severity) == ("denied", "warning")
    assert decode(encode(event, key="collector-0", ts_us=at_us, stream="0badcafe", seq=0)).data == event


@pytest.mark.parametrize("line", OTHERS)
def test_other_lines_are_no_security_events(line: str) -> None:
    assert read_line(line) is None
    assert violation_of(line) is None


def test_what_is_too_long_for_an_event_is_cut() -> None:
    line = DENIED.replace("combat-service", "p" * 300).replace("game.combat.events", "t" * 249)
    noted = read_line(line)
    assert noted is not None
    encoded = encode(noted.event, key="collector-0", ts_us=noted.at_us, stream="0badcafe", seq=0)
    assert isinstance(decode(encoded).data, AuditV2)


def test_collector_and_suite_read_the_same_lines_alike() -> None:
    """Each has its own eyes; of a line that only one of them knows the other misses the entry."""
    lines = [HANDSHAKE, PASSWORD, NO_LOGIN, CONTROLLER, DENIED, DENIED]
    entries = []
    for line in lines:
        noted = read_line(line)
        assert noted is not None
        one = noted.event
        said = (one.actor, one.action, one.resource, one.decision, one.severity, one.source)
        entries.append(Entry(f"0badcafe-{len(entries):012d}", "collector-0", noted.at_us, *said))
    assert covered([*lines, *OTHERS], entries, servers=["collector-0"]).missing == 0
    assert covered(lines, entries[:-1], servers=["collector-0"]).missing == 1
    assert covered(lines, entries, servers=["somebody-else"]).missing == len(lines)


def test_a_file_is_followed_from_its_end_and_a_new_one_from_its_start(tmp_path: Path) -> None:
    first = tmp_path / "broker-1.log"
    first.write_text("old\n")
    (tmp_path / "core-0.log").write_text("not a broker's\n")
    logs = Following(tmp_path, "broker-*.log")
    assert logs.lines() == []
    with first.open("a") as file:
        file.write("new\nhalf ")
    (tmp_path / "broker-2.log").write_text("other\n")
    assert logs.behind_bytes == len("new\nhalf ") + len("other\n")
    assert logs.lines() == ["new", "other"]
    assert logs.lines() == []
    with first.open("a") as file:
        file.write("and half\n")
    assert logs.lines() == ["half and half"]
    assert logs.behind_bytes == 0


def test_a_file_that_was_begun_anew_is_read_from_its_start(tmp_path: Path) -> None:
    log = tmp_path / "broker-1.log"
    log.write_text("a long line of before\n")
    logs = Following(tmp_path, "broker-*.log")
    log.write_text("short\n")
    assert logs.lines() == ["short"]
    log.unlink()
    assert logs.lines() == []


def test_much_is_read_in_parts_and_none_of_it_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "READ_BYTES", 64)
    logs = Following(tmp_path, "broker-*.log")
    expected = [f"line {number}" for number in range(100)]
    (tmp_path / "broker-1.log").write_text("\n".join(expected) + "\n")
    found: list[str] = []
    while lines := logs.lines():
        found += lines
    assert found == expected


def test_a_wrong_configuration_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("KAFKA_", "COLLECTOR_"))}
    for more, words in (
        ({}, "collector: COLLECTOR_LOG_DIR: '' is no folder; give the one of the brokers' logs\n"),
        ({"COLLECTOR_LOG_DIR": str(tmp_path)}, "collector: KAFKA_BOOTSTRAP_SERVERS is not set"),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "necp_validate.reference.collector"],
            env={**env, **more},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 2
        assert done.stderr.startswith(words)
