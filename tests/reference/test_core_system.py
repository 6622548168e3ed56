"""The audit trail, and reports that cannot be true."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from necp_validate.events.base import Event, EventData
from necp_validate.events.system import (
    MAX_SESSION_S,
    MIN_CLIENT_BUILD,
    AuditV2,
    HealthV1,
    SessionEndV1,
    SessionStartV1,
)
from necp_validate.events.topics import AUDIT_TOPIC
from necp_validate.reference.audit import AuditEntry, Keyring, Trail, open_record, split
from necp_validate.reference.eventcore.system import SystemHandler

AUDIT = AuditV2(
    actor="player-1", action="login", resource="shard-1", decision="denied", severity="warning", source=None
)


@pytest.fixture
def keyring(tmp_path: Path) -> Keyring:
    return Keyring.create(tmp_path / "keyring")


@pytest.fixture
def trail(keyring: Keyring) -> Iterator[Trail]:
    trail = Trail(keyring, "core-0")
    yield trail
    trail.close()


def event(data: EventData) -> Event[EventData]:
    """Wrap a payload as the decoder would."""
    return Event(
        type=data.type_name, v=data.version, key="node-1", data=data, ts=9, id="00000001-000000000000", crc="00000000"
    )


def health(cpu_millis: int) -> HealthV1:
    """A report of a service on two cores."""
    return HealthV1(service="s", status="up", cores=2, cpu_millis=cpu_millis, memory_bytes=1, uptime_s=1)


def test_every_audit_event_is_passed_on_sealed(keyring: Keyring, trail: Trail) -> None:
    """With its id, reporter and time; nothing else is."""
    handler = SystemHandler(trail)
    handle = handler.open(7)
    assert handle(event(AUDIT)) is None
    assert handle(event(health(1))) is None
    outputs, results = handler.collect()
    (output,) = outputs
    assert (output.topic, output.partition, output.key) == (AUDIT_TOPIC, 1, b"node-1")
    assert b"player-1" not in output.value
    header, _, _ = split(output.value)
    data_key = keyring.find_data_key(header.pseudonym, header.key_id)
    assert data_key is not None
    assert open_record(output.value, data_key, keyring.chain_key(trail.writer)) == AuditEntry(
        id="00000001-000000000000",
        server="node-1",
        at_us=9,
        actor="player-1",
        action="login",
        resource="shard-1",
        decision="denied",
        severity="warning",
        source=None,
    )
    assert results == {"system.audit": 1, "system.health": 1}
    assert handler.collect() == ([], {})


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (health(2_000), None),
        (health(2_001), "cpu-above-cores"),
        (SessionStartV1(session="s", player="p", client_build=MIN_CLIENT_BUILD, platform="pc"), None),
        (
            SessionStartV1(session="s", player="p", client_build=MIN_CLIENT_BUILD - 1, platform="pc"),
            "client-too-old",
        ),
        (SessionEndV1(session="s", player="p", duration_s=MAX_SESSION_S, cause="logout"), None),
        (SessionEndV1(session="s", player="p", duration_s=MAX_SESSION_S + 1, cause="logout"), "session-too-long"),
    ],
)
def test_reports_are_checked_for_sense(trail: Trail, data: EventData, reason: str | None) -> None:
    """Each limit, just kept and just broken."""
    assert SystemHandler(trail).open(0)(event(data)) == reason
