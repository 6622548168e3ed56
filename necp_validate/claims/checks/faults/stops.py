"""How an event core ends that is asked to while events come: in time, cleanly, with what it answered committed."""

from __future__ import annotations

from necp_validate.claims.checks.anomalies import Anomalies, not_applicable
from necp_validate.claims.checks.registry import check
from necp_validate.claims.limits import limit
from necp_validate.claims.needs import need_receipts
from necp_validate.core import Finding
from necp_validate.evidence.inventory import CORE_STOPS, EVENTS_READ, FAULTS, RECEIPTS
from necp_validate.evidence.subjects import FAULTS as FAULTS_SUBJECT
from necp_validate.record import Record


@check("graceful-stop", FAULTS_SUBJECT, FAULTS, CORE_STOPS, EVENTS_READ, RECEIPTS, limits=("shutdown_s",))
def graceful_stop(history: Record) -> Finding:
    """An event core that was asked to end under load, and left answered events uncommitted: its successor repeats them.

    What it had committed and not answered has no outcome at all, which `conservation` finds.
    """
    name = "graceful-stop"
    faults = [one for one in history.faults if one.kind == "core-stop"]
    if not faults:
        return not_applicable(name, "no event core was asked to end under load")
    limit_s = limit(history, "shutdown_s")
    anomalies = Anomalies(name, history)
    stops = {one.fault: one for one in history.core_stops}
    for fault in faults:
        stop = stops.get(fault.id)
        if stop is None or fault.needs:
            anomalies.doubt(fault.id, fault.needs or "how it ended was not recorded")
            continue
        anomalies.add(int(not stop.clean), fault.id, f"{stop.instance} ended with an error, or did not end by itself")
        anomalies.add(int(stop.seconds > limit_s), fault.id, f"it took {stop.seconds:.1f} s, allowed {limit_s:g} s")
        if not stop.lag_after:
            anomalies.doubt(fault.id, "nothing was uncommitted after its end: no load was on it")
    twice = sum(one.duplicate_outcomes for one in need_receipts(history).receipts)
    if twice and any(one.upsets and one.kind != "core-stop" for one in history.faults):
        anomalies.doubt("duplicates", f"{twice:,} events were handled twice, maybe after another fault")
    else:
        anomalies.add(
            twice, "duplicates", f"{twice:,} events had an outcome, were not committed, and were handled again"
        )
    took = ", ".join(f"{one.instance} in {one.seconds:.1f} s, {one.lag_after:,} events left" for one in stops.values())
    return anomalies.finding(
        clean=f"{took}; the successor went on where it had stopped",
        found=f"{{count}} things wrong after an end under load: {took}",
        measured=took,
        sees="1 event that was answered and not committed",
    )
