"""What became of the audit trail (``history/audit.json``), and the collector's own stream (``collector.json``)."""

from __future__ import annotations

from dataclasses import dataclass

from necp_validate.record.gateway import OwnStream, unheard_load
from necp_validate.record.model import LoadRecord
from necp_validate.record.values import Signed


@dataclass(frozen=True, slots=True, kw_only=True)
class TrailSighting:
    """One thing that must not be in the trail.

    Args:
        kind: ``clear``, ``unopened``, ``nonce``, ``chain``, ``event`` or ``violation``.
        where: where it is.
        detail: what it is.
    """

    kind: str
    where: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrailRead:
    """What was read of ``game.system.audit``, all of it.

    Args:
        records: how many there are.
        opened: those that opened with the keyring's keys.
        erased: those whose person was erased; they are to stay shut.
        repeated: those that are there again, byte for byte.
        chains: one for each run of an event core and partition.
        clear: those that are not sealed.
        unopened: those that do not open and must.
        nonces_repeated: nonces that came back under the same key.
        chain_breaks: records that were altered, removed, added or moved.
        unnoted: records behind the last that the keyring notes of their chain, whose removal would not show: of event
            cores that were killed.
        by_key: opened records by the id of the key-encryption key.
        examples: of what must not be.
    """

    records: int
    opened: int
    erased: int
    repeated: int
    chains: int
    clear: int
    unopened: int
    nonces_repeated: int
    chain_breaks: int
    unnoted: int
    by_key: dict[str, int]
    examples: tuple[TrailSighting, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Covered:
    """Whether each of some security events has its entry in the trail.

    Args:
        due: how many events there are.
        missing: those without an entry.
        examples: of these.
    """

    due: int
    missing: int
    examples: tuple[TrailSighting, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditDrill:
    """Something that was done to the trail or its keys, to see what follows.

    Args:
        name: what was done.
        held: whether it went as it must; for tampering, whether it was detected.
        evidence: what was seen.
    """

    name: str
    held: bool
    evidence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRecord:
    """Everything on the audit trail of a run.

    Args:
        trail: what was read.
        events: the audit events of ``game.system.events``, whoever sent them.
        violations: the refusals in the brokers' logs while the collector ran.
        provoked: the refused attempts of this suite that a broker has logged.
        retention_ms: of the topic, as the brokers have it; None if they could not be asked.
        retention_bytes: likewise.
        cleanup_policy: likewise.
        keyring_mode: access rights of the keyring's file.
        rotation: whether records of before and after a rotation open.
        erasure: whether an erased person's records are shut, and nobody else's.
        tampering: what was done to copies of the records, and whether it was detected.
        needs: why nothing could be read, if so.
    """

    trail: TrailRead | None = None
    events: Covered | None = None
    violations: Covered | None = None
    provoked: Covered | None = None
    retention_ms: Signed | None = None
    retention_bytes: Signed | None = None
    cleanup_policy: str | None = None
    keyring_mode: int | None = None
    rotation: AuditDrill | None = None
    erasure: AuditDrill | None = None
    tampering: tuple[AuditDrill, ...] | None = None
    needs: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectorRecord:
    """The streams that collectors of security events sent."""

    streams: tuple[OwnStream, ...]

    def as_load(self) -> LoadRecord:
        """As the checks of delivery want it; as with the gateway's own events, none can be missing by their account.

        Whether each refusal got there is for the check of the audit trail, which knows of it from the brokers' logs.
        """
        return unheard_load("collector", self.streams)
