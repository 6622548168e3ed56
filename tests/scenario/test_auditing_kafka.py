"""The audit trail on real brokers: collector, event core, rotation, a killed core, and a topic tampered with."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from necp_validate.clients.reader import end_offsets
from necp_validate.events.topics import AUDIT_TOPIC, CORE_PRINCIPAL, VERIFIER_PRINCIPAL, Domain
from necp_validate.record import parts
from necp_validate.record.audit import AuditRecord, CollectorRecord
from necp_validate.record.codec import from_plain
from necp_validate.scenario.auditing import AuditRun
from necp_validate.security.audit import _read, audit_trail
from necp_validate.security.policy import load_policy
from necp_validate.security.probing import try_everything
from necp_validate.stack import LocalStack, Stack
from necp_validate.stack.docker import DockerStack
from necp_validate.stack.docker_engine import why_not_docker
from necp_validate.stack.fleet import CoreFleet
from necp_validate.stack.protocol import ADMIN

pytestmark = [pytest.mark.kafka, pytest.mark.slow]
DAY_MS = 24 * 60 * 60 * 1000


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """In containers if there is an engine: there the brokers' logs are farther away."""
    stack: Stack = (LocalStack if why_not_docker() else DockerStack)(log_dir=tmp_path / "logs")
    try:
        stack.start(lambda _: None)
        yield stack
    finally:
        stack.stop()


@pytest.mark.docker
def test_every_refusal_in_docker_is_sealed_and_whatever_is_done_to_the_trail_shows(
    stack: Stack, tmp_path: Path
) -> None:
    fleet = CoreFleet(stack)
    begin = end_offsets(stack.client_config(VERIFIER_PRINCIPAL), [Domain.SYSTEM.topic])
    run_dir = tmp_path / "run"
    with ExitStack() as undo:
        undo.callback(fleet.close)
        fleet.start(2)
        run = AuditRun(stack, run_dir, undo)
        parts.SECURITY.append(run_dir, try_everything(stack, load_policy(), "start"))
        run.rotate()
        parts.SECURITY.append(run_dir, try_everything(stack, load_policy(), "end"))
        fleet.kill(fleet.running()[0])
        run.finish()
        assert fleet.stop(30)
        run.read(begin)
    record = from_plain(AuditRecord, json.loads((parts.AUDIT.file(run_dir)).read_bytes()))
    trail = record.trail
    assert (trail.clear, trail.unopened, trail.nonces_repeated, trail.chain_breaks) == (0, 0, 0, 0), trail.examples
    assert record.provoked.due > 1_400
    assert record.violations.due >= record.provoked.due
    assert record.events.due >= record.violations.due
    assert (record.provoked.missing, record.violations.missing, record.events.missing) == (0, 0, 0), record
    assert set(trail.by_key) == {"1", "2"}
    assert record.rotation is not None
    assert record.rotation.held, record.rotation
    assert record.erasure is not None
    assert record.erasure.held, record.erasure
    assert len(record.tampering) == 7
    assert all(one.held for one in record.tampering), record.tampering
    assert (record.retention_ms, record.retention_bytes, record.cleanup_policy) == (2_555 * DAY_MS, -1, "delete")
    assert record.keyring_mode == 0o600
    (stream,) = from_plain(CollectorRecord, json.loads((parts.COLLECTOR_RECORD.file(run_dir)).read_bytes())).streams
    assert stream.sent == record.violations.due

    _tamper(stack)
    again = audit_trail(stack, begin=begin, lines=(), provoked=(), servers=(), rotation=None)
    assert (again.trail.clear, again.trail.chain_breaks) == (1, 1), again.trail.examples
    assert again.retention_ms == 7 * DAY_MS


def _tamper(stack: Stack) -> None:
    """Somebody with the event core's password adds a record in clear and a forged one, and cuts retention."""
    like = _read(stack.client_config(VERIFIER_PRINCIPAL), AUDIT_TOPIC, ())[0]
    producer = Producer(dict(stack.client_config(CORE_PRINCIPAL)))
    producer.produce(AUDIT_TOPIC, b'{"actor":"ann","action":"ban","decision":"allowed"}', like.key, like.partition)
    producer.produce(AUDIT_TOPIC, like.value[:-1] + bytes([like.value[-1] ^ 1]), like.key, like.partition)
    assert producer.flush(30) == 0
    resource = ConfigResource(
        ResourceType.TOPIC,
        AUDIT_TOPIC,
        incremental_configs=[ConfigEntry("retention.ms", str(7 * DAY_MS), incremental_operation=AlterConfigOpType.SET)],
    )
    admin = AdminClient(dict(stack.client_config(ADMIN)))
    for future in admin.incremental_alter_configs([resource]).values():
        future.result(timeout=30)
