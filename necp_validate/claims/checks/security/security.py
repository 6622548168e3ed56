"""Checks and claims of who gets in, and who may do what: every attempt that must be refused was, and no other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from necp_validate.claims.checks.anomalies import Anomalies
from necp_validate.claims.checks.registry import NoEvidence, check
from necp_validate.claims.judge import Evidence, Ruling, judges
from necp_validate.core import Finding, Verdict
from necp_validate.record import (
    ACCEPTED,
    REFUSED,
    UNTRIED,
    AccessProbe,
    FaultRecord,
    History,
    ListenerProbe,
    SecurityRound,
)

MUTUAL_LISTENERS = ("internal", "controller")
"""Those that want a client's certificate; all others want a login."""

_NEEDED = {
    "SEC-MTLS": {
        "valid-certificate",
        "no-certificate",
        "expired-certificate",
        "wrong-ca",
        "wrong-host-name",
        "plaintext",
        "tls-1.1",
    },
    "SEC-SASL": {"valid-login", "no-login", "wrong-password", "unknown-user", "plain", "plaintext"},
}
"""What the evidence of a claim must hold."""


Tried: TypeAlias = tuple[str, str, ListenerProbe | AccessProbe]
"""The round, what was tried in it, in words, and the probe."""

_CALM = ("start", "end")
"""Rounds in which everybody must answer; any other is made while something is broken, or just afterwards."""


def need_rounds(history: History) -> tuple[SecurityRound, ...]:
    """The rounds of attempts.

    Raises:
        NoEvidence: nothing was tried.
    """
    if not history.security:
        raise NoEvidence("nothing was tried that must be refused: the scenario has no [security]")
    return history.security


def _rounds_missing(history: History) -> str:
    """Which rounds the scenario asks for that were not made, in words; empty if none."""
    asked = history.run.config.get("security")
    wanted = asked.get("at", ()) if isinstance(asked, dict) else ()
    missing = [str(when) for when in wanted if when not in {one.when for one in history.security}]
    return f"the attempts at the {', '.join(missing)} were not made" if missing else ""


def _finding(name: str, history: History, probes: Sequence[Tried]) -> Finding:
    """Judge attempts; who does not answer under a fault says nothing."""
    anomalies = Anomalies(name, history)
    probes = [(when, what, one) for when, what, one in probes if when in _CALM or one.outcome != UNTRIED]
    for when, what, probe in probes:
        if probe.outcome not in (probe.expected, UNTRIED):
            anomalies.add(1, what, f"{probe.outcome} at the {when}, and had to be {probe.expected}: {probe.answer}")
    untried = [(when, what, probe) for when, what, probe in probes if probe.outcome == UNTRIED]
    refused = [probe for _, _, probe in probes if probe.outcome == REFUSED]
    logged = sum(bool(probe.log_line) for probe in refused)
    accepted = sum(probe.outcome == ACCEPTED for _, _, probe in probes)
    finding = anomalies.finding(
        clean=f"{len(refused):,} refused as they must be ({logged:,} of these in brokers' logs), {accepted:,} let in",
        found="{count} attempts ended otherwise than they must",
        needs_all_workers=False,
    )
    gaps = [_rounds_missing(history)] if _rounds_missing(history) else []
    if untried:
        when, what, probe = untried[0]
        gaps.append(f"{len(untried):,} attempts could not be made, e.g. {what} at the {when}: {probe.answer}")
    if gaps and finding.verdict is Verdict.PASS:
        summary = "; ".join([*gaps, finding.summary])
        return Finding(name=name, verdict=Verdict.UNKNOWN, count=0, summary=summary)
    return finding


def _without(history: History, name: str) -> Finding | None:
    """A finding for runs in which nothing was to be tried."""
    if history.security or history.run.config.get("security"):
        return None
    return Finding(name=name, verdict=Verdict.PASS, count=0, summary="the scenario tries nothing that must be refused")


@check("listener-refusal")
def listener_refusal(history: History) -> Finding:
    """Attempts to get in that were let in and must not be, or the other way round."""
    if (none := _without(history, "listener-refusal")) is not None:
        return none
    probes = _of_listeners(need_rounds(history))
    return _finding("listener-refusal", history, probes)


@check("access-matrix")
def access_matrix(history: History) -> Finding:
    """Cells of principal, resource and operation that are not what the policy says."""
    if (none := _without(history, "access-matrix")) is not None:
        return none
    probes = _of_access(need_rounds(history))
    if not probes:
        raise NoEvidence("no principal was tried on any resource")
    return _finding("access-matrix", history, probes)


def _of_listeners(rounds: Iterable[SecurityRound], *, mutual: bool | None = None) -> list[Tried]:
    """Attempts to get in: at listeners with mutual TLS, at those with a login, or at all."""
    return [
        (one.when, f"{probe.attempt} at listener {probe.listener} of broker {probe.broker}", probe)
        for one in rounds
        for probe in one.listeners
        if mutual is None or (probe.listener in MUTUAL_LISTENERS) == mutual
    ]


def _of_access(rounds: Iterable[SecurityRound]) -> list[Tried]:
    """Attempts to do something."""
    return [
        (one.when, f"{probe.principal} {probe.operation} {probe.resource}", probe)
        for one in rounds
        for probe in one.access
    ]


def _told(finding: Finding, *more: str) -> str:
    """What a finding says, with the first of its examples, and more."""
    return "; ".join([finding.summary, *(f"{one.where}: {one.detail}" for one in finding.examples[:3]), *more])


def _judge_listeners(evidence: Evidence, claim: str, *, mutual: bool) -> Ruling:
    history = evidence.history
    probes = _of_listeners(need_rounds(history), mutual=mutual)
    if not probes:
        raise NoEvidence(f"no listener with {'mutual TLS' if mutual else 'a login'} was tried")
    finding = _finding("listener-refusal", history, probes)
    tried = {probe.attempt for _, _, probe in probes if isinstance(probe, ListenerProbe) and probe.outcome != UNTRIED}
    missing = sorted(_NEEDED[claim] - tried)
    refused = sum(probe.outcome == REFUSED and probe.expected == REFUSED for _, _, probe in probes)
    due = sum(probe.expected == REFUSED for _, _, probe in probes)
    measured = f"{refused:,} of {due:,} bad attempts refused"
    text = _told(finding)
    if missing and finding.verdict is Verdict.PASS:
        return Ruling(verdict=Verdict.UNKNOWN, measured=measured, evidence=f"not tried: {', '.join(missing)}; {text}")
    return Ruling(verdict=finding.verdict, measured=measured, evidence=text)


@judges("SEC-MTLS", "internal and controller listeners answer who has a valid certificate, and refuse everything else")
def mutual_tls(evidence: Evidence) -> Ruling:
    """Listeners with mutual TLS."""
    return _judge_listeners(evidence, "SEC-MTLS", mutual=True)


@judges("SEC-SASL", "external listeners answer who logs in by SCRAM-SHA-512 over TLS, and refuse everything else")
def sasl(evidence: Evidence) -> Ruling:
    """Listeners with a login."""
    return _judge_listeners(evidence, "SEC-SASL", mutual=False)


@judges("SEC-ACL", "every cell of principal, resource and operation is as the declared policy says")
def access(evidence: Evidence) -> Ruling:
    """The matrix."""
    rounds = need_rounds(evidence.history)
    finding = evidence.finding("access-matrix")
    cells = {_key(probe): probe.allowed for one in rounds for probe in one.access}
    allowed = sum(cells.values())
    counted = f"{allowed:,} cells allowed, {len(cells) - allowed:,} denied, {len(rounds)} rounds"
    return Ruling(
        verdict=finding.verdict,
        measured=f"{finding.count:,} of {len(cells):,} cells wrong",
        evidence=_told(finding, counted),
    )


def _key(probe: AccessProbe) -> tuple[str, str, str]:
    return probe.principal, probe.resource, probe.operation


@judges("SEC-UNDER-CHAOS", "every attempt refused as it must be while something is broken, and again afterwards")
def under_chaos(evidence: Evidence) -> Ruling:
    """Rounds that were made while a fault was seen to be in force, and after it."""
    history = evidence.history
    rounds = need_rounds(history)
    seen = [fault for fault in history.faults if fault.effective_us is not None]
    during = [one for one in rounds if any(_within(one, fault) for fault in seen)]
    after = [one for one in rounds if any(fault.end_us is not None and one.begin_us >= fault.end_us for fault in seen)]
    if not during or not after:
        raise NoEvidence(f"nothing was tried {'after' if during else 'while'} a fault was in force")
    tried = [*_of_listeners((*during, *after)), *_of_access((*during, *after))]
    answered = [entry for entry in tried if entry[2].outcome != UNTRIED]
    finding = _finding("listener-refusal", history, answered)
    refused = sum(probe.outcome == REFUSED for _, _, probe in answered)
    if not refused:
        raise NoEvidence("nobody answered any attempt")
    examples = "; ".join(f"{one.where}: {one.detail}" for one in finding.examples[:3])
    faults = ", ".join(fault.id for fault in seen)
    return Ruling(
        verdict=Verdict.FAIL if finding.count else Verdict.PASS,
        measured=f"{finding.count:,} of {len(answered):,} attempts ended otherwise than they must",
        evidence=f"{len(during)} rounds under {faults}, {len(after)} afterwards, {refused:,} attempts refused"
        + (f"; {examples}" if examples else ""),
    )


def _within(one: SecurityRound, fault: FaultRecord) -> bool:
    assert fault.effective_us is not None
    return one.begin_us >= fault.effective_us and (fault.end_us is None or one.end_us <= fault.end_us)
