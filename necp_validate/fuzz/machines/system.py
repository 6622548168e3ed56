"""Audit and health: every audit event reaches the sealed trail as it was sent, and reports make sense.

What must hold: what cannot be true, or must not be let in, is rejected; every processed audit event is in the trail
with all that it says, in the order of its server's events, and nothing else is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from hypothesis import strategies as st
from hypothesis.stateful import rule

from necp_validate.events.base import EventData
from necp_validate.events.receipts import Outcome
from necp_validate.events.system import (
    CORES_MAX,
    MAX_SESSION_S,
    MIN_CLIENT_BUILD,
    AuditV1,
    AuditV2,
    HealthV1,
    SessionEndV1,
    SessionStartV1,
    Severity,
)
from necp_validate.events.topics import AUDIT_TOPIC, Domain
from necp_validate.fuzz.machines.driver import Crash, Driver, Sent
from necp_validate.fuzz.machines.machine import KEYS, DomainMachine, assert_same, at_least_once
from necp_validate.security.keys import KeyFile
from necp_validate.security.trail import StoredRecord, read_trail

servers: Final = st.sampled_from(KEYS)
decisions: Final[st.SearchStrategy[Literal["allowed", "denied"]]] = st.sampled_from(("allowed", "denied"))
severities: Final[st.SearchStrategy[Severity]] = st.sampled_from(("info", "warning", "critical"))
around: Final = st.sampled_from((0, 1, -1)) | st.integers(-4_000, 10**6)
words: Final = st.text(st.characters(codec="utf-8"), min_size=1, max_size=40)


class Watch:
    """Judges reports one by one, and keeps the trail as it must be."""

    def __init__(self) -> None:
        self.trail: dict[str, list[tuple[object, ...]]] = {}
        """By server, each entry's id, actor, action, resource, decision, severity and source."""

    def apply(self, sent: Sent) -> bool:
        """Take an event in; say whether it makes sense."""
        data = sent.data
        match data:
            case AuditV1():
                severity = "warning" if data.decision == "denied" else "info"
                self._note(sent, data.actor, data.action, data.resource, data.decision, severity, None)
            case AuditV2():
                self._note(sent, data.actor, data.action, data.resource, data.decision, data.severity, data.source)
        return _sensible(data)

    def forget(self) -> None:
        """Nothing is remembered of one event for the next."""

    def _note(self, sent: Sent, *said: object) -> None:
        self.trail.setdefault(sent.key, []).append((sent.id, *said))


def _sensible(data: EventData) -> bool:
    match data:
        case HealthV1():
            return data.cpu_millis <= 1_000 * data.cores
        case SessionStartV1():
            return data.client_build >= MIN_CLIENT_BUILD
        case SessionEndV1():
            return data.duration_s <= MAX_SESSION_S
    return True


class SystemMachine(DomainMachine):
    """Drives audit, health and sessions and compares them with :class:`Watch`."""

    domain = Domain.SYSTEM
    events = DomainMachine.events

    def __init__(self, driver: Driver) -> None:
        super().__init__(driver)
        self.watch = Watch()

    @rule(
        target=events,
        server=servers,
        actor=words,
        action=words,
        decision=decisions,
        severity=severities,
        source=st.none() | st.ip_addresses().map(str),
    )
    def audit(
        self,
        server: str,
        actor: str,
        action: str,
        decision: Literal["allowed", "denied"],
        severity: Severity,
        source: str | None,
    ) -> Sent:
        """Who did what, and whether they were allowed to."""
        data = AuditV2(
            actor=actor, action=action, resource="vault", decision=decision, severity=severity, source=source
        )
        return self.send(self.make(server, data))

    @rule(target=events, server=servers, actor=words, action=words, decision=decisions)
    def audit_v1(self, server: str, actor: str, action: str, decision: Literal["allowed", "denied"]) -> Sent:
        """The same from a server of the version before."""
        return self.send(self.make(server, AuditV1(actor=actor, action=action, resource="vault", decision=decision)))

    @rule(target=events, server=servers, cores=st.integers(1, CORES_MAX), over=around)
    def health(self, server: str, cores: int, over: int) -> Sent:
        """A report around as much CPU as there is."""
        data = HealthV1(
            service="s",
            status="up",
            cores=cores,
            cpu_millis=max(0, 1_000 * cores + over),
            memory_bytes=1,
            uptime_s=1,
        )
        return self.send(self.make(server, data))

    @rule(target=events, server=servers, over=around)
    def session_start(self, server: str, over: int) -> Sent:
        """A client connects, around the oldest build that is let in."""
        build = min(max(1, MIN_CLIENT_BUILD + over), 1_000_000)
        return self.send(self.make(server, SessionStartV1(session="s", player="p", client_build=build, platform="pc")))

    @rule(target=events, server=servers, over=around)
    def session_end(self, server: str, over: int) -> Sent:
        """A client goes away, after about as long as any may be connected."""
        duration = max(0, MAX_SESSION_S + over)
        return self.send(self.make(server, SessionEndV1(session="s", player="p", duration_s=duration, cause="logout")))

    def predict(self, batch: Sequence[Sent], crash: Crash | None) -> list[tuple[Outcome, ...]]:
        """The verdict on each event, again for those that are handled again."""
        return at_least_once(batch, crash, self.watch)

    def check(self) -> None:
        """Open the trail as an outsider with the keys, and compare it with the model."""
        records = [StoredRecord(r.partition, r.offset, r.key, r.value) for r in self.driver.written(AUDIT_TOPIC)]
        trail = read_trail(records, KeyFile(self.driver.audit_keys()))
        # Chains of the drivers before this one are not among what was read.
        assert not trail.faults.keys() - {"chain"}, trail.examples
        told: dict[str, list[tuple[object, ...]]] = {}
        ours = set(map(self.name, KEYS))
        for entry, _, _ in trail.entries:
            if entry.server not in ours:
                continue
            said = (entry.actor, entry.action, entry.resource, entry.decision, entry.severity, entry.source)
            told.setdefault(entry.server, []).append((entry.id, *said))
        assert_same("audit trail", told, self.watch.trail)
