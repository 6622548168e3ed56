"""Claims about the real-time gateway, and about structures in memory."""

from __future__ import annotations

from statistics import median

from necp_validate.claims.checks.players.players import need_players, ticking_rows
from necp_validate.claims.checks.registry import NoEvidence
from necp_validate.claims.judge import Evidence, Ruling, judges
from necp_validate.core import Finding, Verdict, worst
from necp_validate.record import History, PlayersRow

CLAIMED_GRID = 1_000
CLAIMED_BATCH = 100
CLAIMED_PER_MINUTE = 1_000
CLAIMED_SAVING = (30.0, 50.0)
FALLEN = 0.8
"""A tick has fallen when it is at most this share of what it was."""

RETURNED = 0.9
_ROWS_OF_A_LEVEL = 3
"""So many seconds in a row make a level of the tick rate: a single one may be the host's."""


def _rule(findings: list[Finding], measured: str, evidence: str) -> Ruling:
    wrong = [finding for finding in findings if finding.verdict is not Verdict.PASS]
    text = "; ".join([*(finding.summary for finding in wrong), *([evidence] if evidence else [])])
    return Ruling(verdict=worst(finding.verdict for finding in findings), measured=measured, evidence=text)


@judges("GW-TRANSPORT", "state by UDP and results by WebSocket reach every player, every action accounted for")
def transport(evidence: Evidence) -> Ruling:
    """Both transports carry, to everybody."""
    records = need_players(evidence.history)
    conserved = evidence.finding("action-conservation")
    state = sum(record.state.datagrams for record in records)
    messages = sum(record.transports.get("ws", {}).get("in", 0) for record in records)
    without = sum(record.sessions.get("without_state", 0) for record in records)
    by_udp = sum(record.transports.get("udp", {}).get("actions", 0) for record in records)
    by_ws = sum(record.transports.get("ws", {}).get("actions", 0) for record in records)
    if not (state and messages and by_udp and by_ws):
        raise NoEvidence(
            f"not both were used: {state:,} datagrams of state, {messages:,} messages in, {by_udp:,} actions by "
            f"datagram, {by_ws:,} by WebSocket"
        )
    logins = sum(record.sessions.get("logins", 0) for record in records)
    ruling = _rule(
        [conserved],
        f"{state:,} datagrams with state, {messages:,} messages",
        f"{logins:,} logins, {by_udp:,} actions by UDP and {by_ws:,} by WebSocket",
    )
    if without:
        text = f"{without:,} sessions got no state by UDP; {ruling.evidence}"
        return Ruling(verdict=Verdict.FAIL, measured=ruling.measured, evidence=text)
    return ruling


@judges("GW-SPATIAL", f"everybody in the 3x3 cells around, nobody else, cells of {CLAIMED_GRID:,} units")
def spatial(evidence: Evidence) -> Ruling:
    """Every view against the positions that all players know of themselves."""
    records = need_players(evidence.history)
    finding = evidence.finding("interest-violation")
    seen = [record.interest for record in records]
    expected, others = sum(one.expected for one in seen), sum(one.others for one in seen)
    skipped = sum(one.skipped for one in seen)
    measured = f"{finding.count:,} violations in {sum(one.views for one in seen):,} views"
    grids = {record.limits.get("grid_told", 0) for record in records}
    if grids != {CLAIMED_GRID}:
        told = ", ".join(f"{grid:g}" for grid in sorted(grids))
        return Ruling(verdict=Verdict.UNKNOWN, measured=measured, evidence=f"the grid is {told}, not {CLAIMED_GRID}")
    return _rule(
        [finding],
        measured,
        f"{expected:,} players near by, {others:,} beyond; {skipped:,} views not compared, after lost datagrams",
    )


@judges("GW-DELTA", "every checksum is the gateway's, also after lost datagrams; bytes saved are reported")
def delta(evidence: Evidence) -> Ruling:
    """Deltas lead to the exact state, and save bytes."""
    records = need_players(evidence.history)
    finding = evidence.finding("state-divergence")
    states = [record.state for record in records]
    checks, lost = sum(state.checks for state in states), sum(state.lost for state in states)
    sent, full = sum(state.bytes for state in states), sum(state.full_bytes for state in states)
    saved = f"{100 * (1 - sent / full):.0f}% of {full / 1e6:,.1f} MB saved" if full else "no saving known"
    measured = f"{finding.count:,} of {checks:,} checksums wrong, {saved}"
    if finding.verdict is Verdict.PASS and not lost:
        raise NoEvidence(f"no datagram was lost, so nothing is known of deltas after a loss ({measured})")
    return _rule([finding], measured, f"{lost:,} datagrams lost; saved against full snapshots at the same tick rate")


@judges("GW-BATCH", f"at most {CLAIMED_BATCH} changes in a datagram, fewer datagrams than changes")
def batch(evidence: Evidence) -> Ruling:
    """Batches are bounded, and there are fewer sends than updates."""
    records = need_players(evidence.history)
    finding = evidence.finding("batch-size")
    changes = sum(record.state.changes for record in records)
    sends = sum(record.state.datagrams for record in records)
    measured = f"{changes:,} changes in {sends:,} datagrams"
    allowed = {record.limits.get("batch", 0) for record in records}
    if allowed != {CLAIMED_BATCH}:
        words = f"the gateway's batch is {', '.join(f'{one:g}' for one in allowed)}, not {CLAIMED_BATCH}"
        return Ruling(verdict=Verdict.UNKNOWN, measured=measured, evidence=words)
    ruling = _rule([finding], measured, finding.summary if finding.verdict is Verdict.PASS else "")
    if sends >= changes:
        text = f"no fewer datagrams than changes; {ruling.evidence}"
        return Ruling(verdict=Verdict.FAIL, measured=measured, evidence=text)
    return ruling


@judges("GW-TICK", f"falls below {FALLEN:.0%} under load, returns to {RETURNED:.0%}, stays within its bounds")
def tick(evidence: Evidence) -> Ruling:
    """The tick rate over time, as the players count ticks."""
    need_players(evidence.history)
    bounds = evidence.finding("tick-bounds")
    rows = ticking_rows(evidence.history)
    levels = _levels(rows)
    if not levels:
        raise NoEvidence("the tick rate was not recorded for long enough")
    lowest = min(range(len(levels)), key=lambda at: levels[at])
    before, after = max(levels[: lowest + 1]), max(levels[lowest:])
    least = levels[lowest]
    measured = f"{before:.1f} → {least:.1f} → {after:.1f} ticks/s"
    players = [row.online for row in rows]
    text = f"{bounds.summary}; {min(players):,} to {max(players):,} players"
    at_lowest = rows[lowest + _ROWS_OF_A_LEVEL // 2]
    if bounds.verdict is not Verdict.PASS:
        return Ruling(verdict=bounds.verdict, measured=measured, evidence=text)
    if least > before * FALLEN:
        return Ruling(
            verdict=Verdict.UNKNOWN,
            measured=measured,
            evidence=f"the load never made the tick fall, so nothing is known of it ({text})",
        )
    if after < before * RETURNED:
        if not _eased(evidence.history, at_lowest):
            words = f"the load was not taken away for long enough after the lowest tick ({text})"
            return Ruling(verdict=Verdict.UNKNOWN, measured=measured, evidence=words, phase=at_lowest.phase)
        words = f"the tick did not return ({text})"
        return Ruling(verdict=Verdict.FAIL, measured=measured, evidence=words, phase=at_lowest.phase)
    return Ruling(verdict=Verdict.PASS, measured=measured, evidence=text, phase=at_lowest.phase)


def _levels(rows: list[PlayersRow]) -> list[float]:
    rates = [row.tick_hz or 0.0 for row in rows]
    return [median(rates[at : at + _ROWS_OF_A_LEVEL]) for at in range(len(rates) - _ROWS_OF_A_LEVEL + 1)]


def _eased(history: History, lowest: PlayersRow) -> bool:
    """Whether, after the lowest tick, there were ten seconds with at most half as many players."""
    calm = [row for row in ticking_rows(history) if row.t > lowest.t and row.online <= lowest.online / 2]
    return len(calm) >= 10


@judges("GW-SECURITY", f"no login without a valid client certificate; over {CLAIMED_PER_MINUTE:,} requests/min refused")
def security(evidence: Evidence) -> Ruling:
    """Certificates and the request limit."""
    records = need_players(evidence.history)
    findings = [evidence.finding("certificate-refusal"), evidence.finding("request-limit")]
    limits = {record.limits.get("per_minute", 0) for record in records}
    probes = [probe for record in records for probe in record.certificates if probe.certificate != "valid"]
    refused = sum(probe.refused is True for probe in probes)
    limited = sum(session.limited for record in records for session in record.greedy)
    measured = f"{refused} of {len(probes)} bad certificates and {limited:,} requests refused"
    if limits != {CLAIMED_PER_MINUTE}:
        words = f"the limit is {', '.join(f'{one:g}' for one in limits)}, not {CLAIMED_PER_MINUTE}"
        return Ruling(verdict=Verdict.UNKNOWN, measured=measured, evidence=words)
    good = [finding.summary for finding in findings if finding.verdict is Verdict.PASS]
    return _rule(findings, measured, "; ".join(good))


@judges("RES-STRUCT", f"{CLAIMED_SAVING[0]:g} to {CLAIMED_SAVING[1]:g}% less memory by aligned order of fields")
def struct_alignment(evidence: Evidence) -> Ruling:
    """Sizes of the records as C structs: fields as one would declare them, against widest first."""
    layouts = next((record.layouts for record in evidence.history.players if record.layouts), ())
    if not layouts:
        raise NoEvidence("the layouts of records were not recorded")
    saved = {one.record: 100 * (one.naive - one.aligned) / one.naive for one in layouts}
    sizes = ", ".join(f"{one.record} {one.naive} → {one.aligned} bytes ({one.packed} packed)" for one in layouts)
    return Ruling(
        verdict=Verdict.PASS if min(saved.values()) >= CLAIMED_SAVING[0] else Verdict.FAIL,
        measured=", ".join(f"{name} {share:.1f}%" for name, share in saved.items()),
        evidence=f"computed from the records' definitions: {sizes}; "
        + ", ".join(f"{one.record} on average over all orders {one.mean:.1f}" for one in layouts),
    )
