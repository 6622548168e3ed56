"""Which faults of a run are evidence for which claims."""

from __future__ import annotations

from necp_validate.claims.catalogue import claims_of_kind
from necp_validate.record import FaultRecord, Record


def faults_for(history: Record, claim_id: str) -> list[FaultRecord]:
    """The faults that are evidence for a claim, whether or not they took effect."""
    return [fault for fault in history.faults if claim_id in claims_of(fault)]


def claims_of(fault: FaultRecord) -> tuple[str, ...]:
    """The claims that a fault is evidence for: by its own record, or where that is silent by its kind."""
    claims = fault.claims or claims_of_kind(fault.kind)
    scaled = {"SCALE-CONSUMERS", "SCALE-PARTITIONS"} & set(claims)
    return tuple(dict.fromkeys((*claims, *(("LAT-SCALING",) if scaled else ()))))
