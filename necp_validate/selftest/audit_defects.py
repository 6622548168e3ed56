"""Defects of the audit trail: of its records, its keys and its topic, and of who should have written into it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from necp_validate.core import Verdict
from necp_validate.security.trail import StoredRecord
from necp_validate.selftest.auditing import BEFORE
from necp_validate.selftest.defect import Defect
from necp_validate.selftest.simulation import Simulation, Stage

_CLEAR = b'{"id":"5e1f0300-000000000001","actor":"player-00001","action":"ban","decision":"denied"}'


def _with(**changes: Any) -> Callable[[Simulation], None]:
    def seed(simulation: Simulation) -> None:
        for name, value in changes.items():
            setattr(simulation.audited, name, value)

    return seed


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


_NEEDS = "needs the local or the docker stack: the audit trail cannot be opened"
AUDIT_DEFECTS: tuple[Defect, ...] = (
    *(
        Defect(
            name=f"audit: {name}",
            caught_by="audit-trail",
            after=Stage.READ,
            seed=seed,
            claims=frozenset({"SEC-AUDIT"}),
        )
        for name, seed in (
            ("record altered", _with(change=_alter)),
            ("record removed", _with(change=_remove)),
            ("end of a chain removed", _with(change=_cut_off)),
            ("two records swapped", _with(change=_swap)),
            ("record in clear", _with(change=_in_clear)),
            ("nonce used twice", _with(nonce_again=True)),
            ("violation without its entry", _with(left_out=1)),
        )
    ),
    *(
        Defect(name=f"audit: {name}", caught_by="SEC-AUDIT", after=Stage.READ, seed=seed)
        for name, seed in (
            ("kept 7 days", _with(retention_ms=7 * 24 * 60 * 60 * 1000)),
            ("keyring that others may read", _with(keyring_mode=0o644)),
            ("ends of chains not noted", _with(ends_noted=False)),
            ("key of an erased person still there", _with(erasing_works=False)),
            ("new key not taken up", _with(key_after=BEFORE)),
        )
    ),
    Defect(
        name="audit: trail that cannot be opened",
        caught_by="audit-trail",
        after=Stage.READ,
        seed=_with(needs=_NEEDS),
        claims=frozenset({"SEC-AUDIT"}),
        verdict=Verdict.UNKNOWN,
    ),
)
