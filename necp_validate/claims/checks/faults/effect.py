"""Whether the faults that were asked for took effect."""

from __future__ import annotations

from necp_validate.claims.checks.registry import check
from necp_validate.claims.metrics.faults import not_in_effect
from necp_validate.core import Finding, Verdict
from necp_validate.evidence.inventory import FAULTS
from necp_validate.evidence.missing import NoEvidence
from necp_validate.evidence.subjects import FAULTS as FAULTS_SUBJECT
from necp_validate.record import Record


@check("fault-in-effect", FAULTS_SUBJECT, FAULTS)
def fault_in_effect(history: Record) -> Finding:
    """Faults that were asked for and never seen: what is found, or not found, under them proves nothing."""
    if not history.faults:
        raise NoEvidence("no fault was injected")
    idle = [reason for fault in history.faults if (reason := not_in_effect(fault))]
    if idle:
        more = f" and {len(idle) - 3} more" if len(idle) > 3 else ""
        raise NoEvidence(f"{'; '.join(idle[:3])}{more}")
    summary = f"all {len(history.faults)} faults were seen to take effect"
    return Finding(name="fault-in-effect", verdict=Verdict.PASS, count=0, summary=summary)
