"""Checks of the players' sessions: the end of every action, limits, certificates, and coming back after a fault."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from necp_validate.claims.checks.anomalies import Anomalies
from necp_validate.claims.checks.players.players import fault_behind, gateway_faults, need_players
from necp_validate.claims.checks.registry import check
from necp_validate.claims.limits import limit as limit_of
from necp_validate.claims.metrics.recovery import span_of
from necp_validate.claims.needs import recorded
from necp_validate.core import Finding
from necp_validate.evidence.inventory import EXPLAINING_FAULTS, PLAYERS, PLAYERS_TIMELINE
from necp_validate.evidence.missing import NoEvidence
from necp_validate.evidence.subjects import PLAYERS as PLAYERS_SUBJECT
from necp_validate.record import (
    CertificateProbe,
    FaultRecord,
    GreedySession,
    Interruption,
    Record,
    merged_actions,
    parts,
)
from necp_validate.record.players import ActionCounts

_LIMIT_TOLERANCE = 0.05
_SUSTAINED_S = 5.0
_REFUSED = ("none", "expired", "wrong-ca")
_VALID = "valid"


@check("action-conservation", PLAYERS_SUBJECT, PLAYERS, EXPLAINING_FAULTS)
def action_conservation(history: Record) -> Finding:
    """Actions that did not come to exactly one end.

    An action by datagram may be lost on its way, if the gateway's own list does not have it; one whose connection a
    fault cut has an end that nobody could tell.
    """
    anomalies = Anomalies("action-conservation", history)
    records = need_players(history)
    ends = merged_actions(record.actions for record in records)
    total = sum(count for of_kind in ends.values() for count in of_kind.values())
    for record in records:
        example = next(iter(record.errors), "")
        for kind, of_kind in record.actions.items():
            count = of_kind.get("unexplained", 0)
            detail = f"{count:,} {kind} actions came to no end that anybody knows of"
            anomalies.add(count, f"players {record.worker}", f"{detail}; {example}" if example else detail)
            if not all(fault_behind(history, one) for one in record.interruptions) or not record.interruptions:
                cut = of_kind.get("cut_off", 0)
                anomalies.add(
                    cut, f"players {record.worker}", f"{cut:,} {kind} actions cut off, with no fault to explain it"
                )
            turned_away = sum(of_kind.get(end, 0) for end in ("unavailable", "invalid"))
            of_all = sum(of_kind.values())
            if turned_away > _TURNED_AWAY_SHARE * of_all and not history.faults:
                what = f"{turned_away:,} of {of_all:,} {kind} actions were turned away, with no fault to explain it"
                anomalies.doubt(f"players {record.worker}", what)
        sessions = record.sessions
        logins, refused, failed = (
            recorded(getattr(sessions, name), f"sessions.{name}", parts.PLAYERS, record.worker)
            for name in ("logins", "refused_logins", "failed_logins")
        )
        refused_logins: int = refused + failed
        if refused_logins > _TURNED_AWAY_SHARE * (refused_logins + logins) and not history.faults:
            what = f"{refused_logins:,} logins were refused or failed, with no fault to explain it"
            anomalies.doubt(f"players {record.worker}", what)
        twice = record.answered_twice
        anomalies.add(twice, f"players {record.worker}", f"{twice:,} answers to actions that had theirs")
    if not total and not anomalies.count:
        raise NoEvidence("the players did nothing")
    refused = sum(_ended(ends, end) for end in ("rate_limited", "invalid", "unavailable"))
    return anomalies.finding(
        clean=f"each of {total:,} actions came to one end: {_ended(ends, 'processed'):,} processed, "
        f"{refused:,} refused, {_ended(ends, 'lost_in_transit'):,} lost on their way, "
        f"{_ended(ends, 'cut_off'):,} cut off by faults",
        found=f"{{count}} of {total:,} actions did not come to exactly one end",
        sees=f"1 of {total:,} actions without an end, or with two",
    )


_TURNED_AWAY_SHARE = 0.01
"""Of a kind of action, or of logins: on a busy host, a few find the brokers too slow to answer."""


def _ended(ends: ActionCounts, end: str) -> int:
    return sum(of_kind.get(end, 0) for of_kind in ends.values())


@check("request-limit", PLAYERS_SUBJECT, PLAYERS)
def request_limit(history: Record) -> Finding:
    """Requests over the limit that were answered, and ones below it that were refused."""
    anomalies = Anomalies("request-limit", history)
    judged: list[tuple[GreedySession, float]] = []
    for record in need_players(history):
        limit = record.limits.get("per_minute", 0.0)
        unduly = recorded(record.sessions.limited_unduly, "sessions.limited_unduly", parts.PLAYERS, record.worker)
        anomalies.add(unduly, f"players {record.worker}", f"{unduly:,} requests refused of players who made few")
        for session in record.greedy:
            over = _over_limit(session, limit)
            if over is None:
                continue
            judged.append((session, limit))
            detail = (
                f"{session.requests:,} requests in {session.seconds:.0f} s, {session.answered:,} of them answered, "
                f"first refusal {_after(session.until_limited_s)}"
            )
            anomalies.add(over, f"players {record.worker}, a greedy one", detail)
    if not judged and not anomalies.count:
        raise NoEvidence("no player asked for more than the limit for long enough")
    limited = sum(session.limited for session, _ in judged)
    rates = [rate for session, _ in judged if (rate := _rate_after(session)) is not None]
    sustained = f"{max(rates):,.0f} a minute answered from the first refusal on, " if rates else ""
    most = max((session.most_in_a_minute for session, _ in judged), default=0)
    return anomalies.finding(
        clean=f"{limited:,} requests over the limit were refused; {sustained}"
        f"{most:,} at most in one minute, a full bucket included",
        found=f"{{count}} requests were answered over the limit, or refused below it; {limited:,} were refused",
        measured=f"{limited:,} requests refused",
        sees=f"{_LIMIT_TOLERANCE:.0%} of requests above the limit answered, or 1 below it refused",
    )


def _after(seconds: float | None) -> str:
    return "never" if seconds is None else f"after {seconds:.1f} s"


def _rate_after(session: GreedySession) -> float | None:
    """Requests answered per minute after the first refusal; ``None`` if that was too short a time."""
    if session.until_limited_s is None or session.seconds - session.until_limited_s < _SUSTAINED_S:
        return None
    return session.answered_after / (session.seconds - session.until_limited_s) * 60


def _over_limit(session: GreedySession, limit: float) -> int | None:
    """Requests answered that a bucket of this size would not have; ``None`` if the session did not ask for enough."""
    if not limit:
        return None
    allowed = limit + limit / 60 * session.seconds
    enough = session.requests > allowed * (1 + _LIMIT_TOLERANCE)
    if not enough and not session.limited:
        return None
    over = max(session.answered - round(allowed * (1 + _LIMIT_TOLERANCE)), 0)
    in_a_minute = 2 * limit  # a full bucket, and what flows into it
    over = max(over, session.most_in_a_minute - round(in_a_minute * (1 + _LIMIT_TOLERANCE)))
    rate = _rate_after(session)
    if rate is not None and rate > limit * (1 + _LIMIT_TOLERANCE):
        over = max(over, round((rate - limit) / 60 * (session.seconds - (session.until_limited_s or 0.0))))
    return over


@check("certificate-refusal", PLAYERS_SUBJECT, PLAYERS)
def certificate_refusal(history: Record) -> Finding:
    """Logins with a certificate that must be refused and were not, or the other way round."""
    anomalies = Anomalies("certificate-refusal", history)
    probes = [probe for record in need_players(history) for probe in record.certificates]
    for probe in probes:
        expected = probe.certificate != _VALID
        if probe.refused is not None and probe.refused is not expected:
            what = "was let in" if expected else "was refused"
            anomalies.add(1, f"{probe.certificate} certificate at the {probe.when}", f"{what}: {probe.how}")
    if not anomalies.count and (missing := _not_tried(probes)):
        raise NoEvidence(f"not tried, or with no answer: {', '.join(missing)}")
    tried = f"{', '.join(_REFUSED)} refused at start and end, the valid one let in"
    bad = [probe for probe in probes if probe.certificate != _VALID]
    refused = sum(probe.refused is True for probe in bad)
    return anomalies.finding(
        clean=tried,
        found="{count} certificates were not dealt with as they must be",
        measured=f"{refused} of {len(bad)} bad certificates refused",
        sees="1 bad certificate let in",
    )


def _not_tried(probes: Sequence[CertificateProbe]) -> list[str]:
    known = {(probe.when, probe.certificate) for probe in probes if probe.refused is not None}
    wanted = [(when, name) for when in ("start", "end") for name in (*_REFUSED, _VALID)]
    return [f"{name} at the {when}" for when, name in wanted if (when, name) not in known]


@dataclass(frozen=True, slots=True, kw_only=True)
class Return:
    """How a player came back.

    Args:
        interruption: what happened to its session.
        fault: the fault that explains it, if one does.
        seconds: from when it could have come back (when the fault was over, if it had been cut off before) until it
            saw itself in the world; ``None`` if never.
    """

    interruption: Interruption
    fault: FaultRecord | None
    seconds: float | None


def returns(history: Record) -> list[Return]:
    """How the players came back from every interruption, in order of time."""
    found = []
    for one in sorted((i for r in history.players for i in r.interruptions), key=lambda i: i.lost_us):
        fault = fault_behind(history, one)
        from_us = one.lost_us if fault is None else max(one.lost_us, span_of(history, fault)[1])
        seconds = None if one.converged_us is None else max((one.converged_us - from_us) / 1e6, 0.0)
        found.append(Return(interruption=one, fault=fault, seconds=seconds))
    return found


@check(
    "gateway-recovery", PLAYERS_SUBJECT, PLAYERS, PLAYERS_TIMELINE, EXPLAINING_FAULTS, limits=("gateway_recovery_s",)
)
def gateway_recovery(history: Record) -> Finding:
    """Players whose session broke or went silent without a fault, or who did not come back in time after one."""
    anomalies = Anomalies("gateway-recovery", history)
    need_players(history)
    limit_s = limit_of(history, "gateway_recovery_s")
    found = returns(history)
    for fault_id in dict.fromkeys(one.fault.id if one.fault else "" for one in found):
        mine = [one for one in found if (one.fault.id if one.fault else "") == fault_id]
        if not fault_id:
            hows = ", ".join(sorted({one.interruption.how for one in mine}))
            anomalies.add(
                len(mine), "players", f"{len(mine):,} sessions interrupted ({hows}), with no fault to explain it"
            )
            continue
        gone = [one for one in mine if one.seconds is None and not one.interruption.leaving]
        late = [one for one in mine if one.seconds is not None and one.seconds > limit_s]
        anomalies.add(len(gone), fault_id, f"{len(gone):,} players never came back")
        slowest = max((one.seconds or 0.0 for one in late), default=0.0)
        anomalies.add(len(late), fault_id, f"{len(late):,} players came back late, the last after {slowest:.1f} s")
    for fault in gateway_faults(history):
        if not any(row.online for row in history.players_timeline if row.t * 1e6 > span_of(history, fault)[1]):
            anomalies.add(1, fault.id, "nobody was online afterwards")
    slowest = max((one.seconds for one in found if one.seconds is not None), default=0.0)
    count = f"{len(found):,} sessions were interrupted"
    back = f"the last player was back {slowest:.1f} s after its fault (allowed: {limit_s:g} s)"
    return anomalies.finding(
        clean=f"{count}, all by faults; {back}" if found else "no session was interrupted",
        found=f"{{count}} interruptions without a fault, or without a return in {limit_s:g} s ({count})",
        sees=f"1 session interrupted without a fault, or 1 player not back within {limit_s:g} s",
    )
