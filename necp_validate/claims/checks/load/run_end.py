"""Checks of how a run ended: to its end, every part of the suite at work, event core and gateway stopped gracefully."""

from __future__ import annotations

from necp_validate.claims.checks.anomalies import Anomalies
from necp_validate.claims.checks.registry import check
from necp_validate.claims.limits import limit
from necp_validate.core import Example, Finding, Verdict
from necp_validate.evidence.inventory import CORE_SHUTDOWN, GATEWAY_SHUTDOWN
from necp_validate.evidence.missing import NoEvidence
from necp_validate.evidence.subjects import OWN_EVENT_CORE, RUN
from necp_validate.record import Record, ServiceShutdown


@check("complete-run", RUN)
def complete_run(history: Record) -> Finding:
    """A run that did not come to its end: what was not done cannot have been found wrong."""
    status = history.run.status
    if status == "finished" and history.run.finished_us is not None and not history.run.error:
        return Finding(name="complete-run", verdict=Verdict.PASS, count=0, summary="the run came to its end")
    raise NoEvidence(f"the run is {status}: {history.run.error or 'it did not come to its end'}")


@check("suite-failure", RUN)
def suite_failure(history: Record) -> Finding:
    """Parts of the suite itself that ended early: what they would have recorded is missing."""
    failures = history.suite_failures
    if not failures:
        summary = "every part of the suite worked to the end"
        return Finding(name="suite-failure", verdict=Verdict.PASS, count=0, summary=summary)
    first = failures[0]
    return Finding(
        name="suite-failure",
        verdict=Verdict.UNKNOWN,
        count=len(failures),
        summary=f"{first.component}: {first.problem}"
        + (f"; and {len(failures) - 1} more" if len(failures) > 1 else ""),
        examples=tuple(Example(where=one.component, detail=one.problem) for one in failures),
    )


@check("graceful-shutdown", OWN_EVENT_CORE, CORE_SHUTDOWN, GATEWAY_SHUTDOWN, limits=("shutdown_s",))
def graceful_shutdown(history: Record) -> Finding:
    """An event core or a gateway that was not healthy, or did not stop in time and cleanly when it was asked to."""
    ended = {"event core": history.core_shutdown, "gateway": history.gateway_shutdown}
    shutdowns = {name: one for name, one in ended.items() if one is not None}
    if not shutdowns:
        raise NoEvidence("no shutdown was recorded")
    limit_s = limit(history, "shutdown_s")
    anomalies = Anomalies("graceful-shutdown", history)
    for name, one in shutdowns.items():
        anomalies.add(int(not one.healthy_before), name, "it was not healthy before")
        anomalies.add(int(one.exit_code != 0), name, f"it ended with exit code {one.exit_code}")
        anomalies.add(int(one.seconds > limit_s), name, f"it took longer than {limit_s:g} s")
    measured = ", ".join(_measured(name, one) for name, one in shutdowns.items())
    return anomalies.finding(
        clean=measured,
        found=f"{{count}} things wrong at the end: {measured}",
        measured=measured,
        sees=f"an end later than {limit_s:g} s, or with an error",
    )


def _measured(name: str, shutdown: ServiceShutdown) -> str:
    health = "healthy" if shutdown.healthy_before else "not healthy"
    return f"{name} {health}, exit {shutdown.exit_code} after {shutdown.seconds:.1f} s"
