"""Defects of the audit trail: of its records, its keys and its topic, and of who should have written into it."""

from __future__ import annotations

from dataclasses import replace

from necp_validate.core import Verdict
from necp_validate.record import parts
from necp_validate.security.trail import StoredRecord
from necp_validate.selftest.contents import Contents
from necp_validate.selftest.defect import Defect, changed, seeded, setting
from necp_validate.selftest.simulated.audit import BEFORE

_CLEAR = b'{"id":"5e1f0300-000000000001","actor":"player-00001","action":"ban","decision":"denied"}'


def _alter(records: list[StoredRecord]) -> None:
    """One bit of a ciphertext."""
    at = len(records) // 2
    value = bytearray(records[at].value)
    value[110] ^= 1
    records[at] = records[at]._replace(value=bytes(value))


def _remove(records: list[StoredRecord]) -> None:
    del records[len(records) // 2]


def _cut_off(records: list[StoredRecord]) -> None:
    """The last records of one chain, as if they had never been."""
    partition = records[-1].partition
    ends = [at for at, record in enumerate(records) if record.partition == partition]
    for at in reversed(ends[-3:]):
        del records[at]


def _swap(records: list[StoredRecord]) -> None:
    """Two neighbours of one chain."""
    at = len(records) // 2
    other = next(i for i in range(at + 1, len(records)) if records[i].partition == records[at].partition)
    a, b = records[at], records[other]
    records[at], records[other] = a._replace(value=b.value), b._replace(value=a.value)


def _in_clear(records: list[StoredRecord]) -> None:
    """A record that the event core did not seal, beside all that it did."""
    records.append(records[0]._replace(offset=100_000, value=_CLEAR))


def _missed(record: Contents) -> None:
    """One of the tamperings with copies of the records goes unseen."""
    audit = record[parts.AUDIT]
    first, *rest = audit.tampering
    record[parts.AUDIT] = replace(audit, tampering=(replace(first, held=False), *rest))


_NEEDS = "needs the local or the docker stack: the audit trail cannot be opened"
AUDIT_DEFECTS: tuple[Defect, ...] = (
    *(
        Defect(name=f"audit: {name}", caught_by=caught_by, make=seeded(setting("audited", **changes)))
        for name, caught_by, changes in (
            ("record altered", "audit-trail", {"change": _alter}),
            ("record removed", "audit-trail", {"change": _remove}),
            ("end of a chain removed", "audit-trail", {"change": _cut_off}),
            ("two records swapped", "audit-trail", {"change": _swap}),
            ("record in clear", "audit-trail", {"change": _in_clear}),
            ("nonce used twice", "audit-trail", {"nonce_again": True}),
            ("violation without its entry", "audit-trail", {"left_out": 1}),
            ("kept 7 days", "audit-retention", {"retention_ms": 7 * 24 * 60 * 60 * 1000}),
            ("keyring that others may read", "audit-retention", {"keyring_mode": 0o644}),
            ("ends of chains not noted", "audit-tampering", {"ends_noted": False}),
            ("key of an erased person still there", "audit-tampering", {"erasing_works": False}),
            ("new key not taken up", "audit-tampering", {"key_after": BEFORE}),
        )
    ),
    Defect(name="audit: tampering not seen", caught_by="audit-tampering", make=changed(_missed)),
    Defect(
        name="audit: trail that cannot be opened",
        caught_by="audit-trail",
        make=seeded(setting("audited", needs=_NEEDS)),
        verdict=Verdict.UNKNOWN,
        missing=("audit",),
    ),
)
