"""Who gets in, and who may do what: every attempt that must be refused was, and no other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from necp_validate.claims.checks.anomalies import Anomalies, not_applicable
from necp_validate.claims.checks.registry import check
from necp_validate.core import Finding
from necp_validate.evidence.inventory import (
    ACCESS,
    FAULTS,
    LOGIN_LISTENERS,
    MUTUAL_LISTENERS,
    ROUNDS_UNDER_FAULTS,
)
from necp_validate.evidence.missing import NoEvidence
from necp_validate.evidence.subjects import CALM_ROUNDS, CALM_SECURITY, SECURITY
from necp_validate.record import (
    ACCEPTED,
    REFUSED,
    UNTRIED,
    AccessProbe,
    FaultRecord,
    ListenerProbe,
    Record,
    SecurityRound,
)

MUTUAL_TLS = ("internal", "controller")
"""Listeners that want a client's certificate; all others want a login."""

_NEEDED = {
    True: (
        "valid-certificate",
        "no-certificate",
        "expired-certificate",
        "wrong-ca",
        "wrong-host-name",
        "plaintext",
        "tls-1.1",
    ),
    False: ("valid-login", "no-login", "wrong-password", "unknown-user", "plain", "plaintext"),
}
"""What must have been tried at listeners with mutual TLS, and at those with a login."""

Tried: TypeAlias = tuple[str, str, ListenerProbe | AccessProbe]
"""The round, what was tried in it, in words, and the probe."""


def need_rounds(history: Record) -> tuple[SecurityRound, ...]:
    """The rounds of attempts.

    Raises:
        NoEvidence: nothing was tried.
    """
    if not history.security:
        raise NoEvidence("nothing was tried that must be refused")
    return history.security


@check("mtls-refusal", CALM_SECURITY, MUTUAL_LISTENERS)
def mtls_refusal(history: Record) -> Finding:
    """Attempts to get in at listeners with mutual TLS that ended otherwise than they must."""
    return _at_listeners(history, "mtls-refusal", mutual=True)


@check("sasl-refusal", CALM_SECURITY, LOGIN_LISTENERS)
def sasl_refusal(history: Record) -> Finding:
    """Attempts to get in at listeners with a login that ended otherwise than they must."""
    return _at_listeners(history, "sasl-refusal", mutual=False)


def _at_listeners(history: Record, name: str, *, mutual: bool) -> Finding:
    probes = _of_listeners(need_rounds(history), mutual=mutual)
    what = "mutual TLS" if mutual else "a login"
    if not probes:
        raise NoEvidence(f"no listener with {what} was tried")
    anomalies = _judged(name, history, probes)
    tried = {probe.attempt for _, _, probe in probes if isinstance(probe, ListenerProbe) and probe.outcome != UNTRIED}
    for attempt in _NEEDED[mutual]:
        if attempt not in tried:
            anomalies.doubt(f"listeners with {what}", f"{attempt} was not tried")
    refused = sum(probe.outcome == REFUSED and probe.expected == REFUSED for _, _, probe in probes)
    due = sum(probe.expected == REFUSED for _, _, probe in probes)
    return _finding(anomalies, probes, f"{refused:,} of {due:,} bad attempts refused", "1 bad attempt that is let in")


@check("access-matrix", CALM_SECURITY, ACCESS)
def access_matrix(history: Record) -> Finding:
    """Cells of principal, resource and operation that are not what the policy says."""
    rounds = need_rounds(history)
    probes = _of_access(rounds)
    if not probes:
        raise NoEvidence("no principal was tried on any resource")
    anomalies = _judged("access-matrix", history, probes)
    cells = {(p.principal, p.resource, p.operation): p.allowed for one in rounds for p in one.access}
    words = f"{{count}} of {len(cells):,} cells wrong; {sum(cells.values()):,} allowed, {len(rounds)} rounds"
    return _finding(anomalies, probes, words, f"1 of {len(cells):,} cells that is not as the policy says")


@check("refusals-under-faults", SECURITY, ROUNDS_UNDER_FAULTS, FAULTS)
def refusals_under_faults(history: Record) -> Finding:
    """Attempts while a fault was in force, and afterwards, that ended otherwise than they must."""
    name = "refusals-under-faults"
    rounds = need_rounds(history)
    seen = [fault for fault in history.faults if fault.effective_us is not None]
    during = [one for one in rounds if any(_within(one, fault) for fault in seen)]
    after = [one for one in rounds if any(fault.end_us is not None and one.begin_us >= fault.end_us for fault in seen)]
    judged = [one for one in rounds if one in during or one in after or one.when not in CALM_ROUNDS]
    tried = [*_of_listeners(judged), *_of_access(judged)]
    probes = [entry for entry in tried if entry[2].outcome != UNTRIED]
    anomalies = _judged(name, history, probes)
    if not anomalies.count:
        if not during or not after:
            return not_applicable(name, f"nothing was tried {'after' if during else 'while'} a fault was in force")
        for when, some in (("while a fault was in force", during), ("afterwards", after)):
            if not any(probe.outcome == REFUSED for _, _, probe in (*_of_listeners(some), *_of_access(some))):
                raise NoEvidence(f"nobody answered any attempt {when}")
    faults = ", ".join(fault.id for fault in seen)
    words = (
        f"{{count}} of {len(probes):,} attempts ended otherwise than they must, in {len(during)} rounds under {faults} "
        f"and {len(after)} afterwards"
    )
    return _finding(anomalies, probes, words, "1 bad attempt that is let in while something is broken")


def _judged(name: str, history: Record, probes: Sequence[Tried]) -> Anomalies:
    """Judge attempts; who does not answer under a fault says nothing."""
    anomalies = Anomalies(name, history)
    for when, what, probe in probes:
        if probe.outcome == UNTRIED:
            if when in CALM_ROUNDS:
                anomalies.doubt(what, f"could not be tried at the {when}: {probe.answer}")
        elif probe.outcome != probe.expected:
            anomalies.add(1, what, f"{probe.outcome} at the {when}, and had to be {probe.expected}: {probe.answer}")
    return anomalies


def _finding(anomalies: Anomalies, probes: Sequence[Tried], measured: str, sees: str) -> Finding:
    refused = [probe for _, _, probe in probes if probe.outcome == REFUSED]
    logged = sum(bool(probe.log_line) for probe in refused)
    accepted = sum(probe.outcome == ACCEPTED for _, _, probe in probes)
    return anomalies.finding(
        clean=f"{len(refused):,} refused as they must be ({logged:,} of these in brokers' logs), {accepted:,} let in",
        found="{count} attempts ended otherwise than they must",
        measured=measured,
        sees=sees,
    )


def _of_listeners(rounds: Iterable[SecurityRound], *, mutual: bool | None = None) -> list[Tried]:
    """Attempts to get in: at listeners with mutual TLS, at those with a login, or at all."""
    return [
        (one.when, f"{probe.attempt} at listener {probe.listener} of broker {probe.broker}", probe)
        for one in rounds
        for probe in one.listeners
        if mutual is None or (probe.listener in MUTUAL_TLS) == mutual
    ]


def _of_access(rounds: Iterable[SecurityRound]) -> list[Tried]:
    """Attempts to do something."""
    return [
        (one.when, f"{probe.principal} {probe.operation} {probe.resource}", probe)
        for one in rounds
        for probe in one.access
    ]


def _within(one: SecurityRound, fault: FaultRecord) -> bool:
    assert fault.effective_us is not None
    return one.begin_us >= fault.effective_us and (fault.end_us is None or one.end_us <= fault.end_us)
