"""For every check on the records of sound runs, the record of one in which something is wrong that it must find."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from necp_validate.record import ACCEPTED, EpochRead, Record

from . import campaigns, drills, economy, faults, monitoring, players, security
from .everything import sound
from .faults import fault, faulted, gap


def _with_player(**changes: object) -> Record:
    return players.played(players.process("p0", **changes), players.process("p1"))


def _read_back(name: str, **changes: object) -> Record:
    history = sound(name)
    assert history.readback is not None
    return replace(history, readback=replace(history.readback, **changes))  # type: ignore[arg-type]


def _cheat_let_through() -> Record:
    receipts = sound("planted").readback.receipts  # type: ignore[union-attr]
    return _read_back("planted", receipts=tuple(replace(one, processed=9, rejected=0) for one in receipts))


def _poison_processed() -> Record:
    receipts = sound("planted").readback.receipts  # type: ignore[union-attr]
    changed = tuple(replace(one, processed=9, dead_lettered=0) for one in receipts)
    return _read_back("planted", receipts=changed, dead_letters={})


BROKEN: Mapping[str, Callable[[], Record]] = {
    "experiment-outcome": lambda: faulted(fault(), gaps=(gap(15, 55),)),
    "emergency-drill": lambda: faulted(fault("consumers-paused", claims=("OPS-ROLLBACK",)), gaps=(gap(15, 55),)),
    "leader-epoch": lambda: _read_back(
        "kill", epochs=(EpochRead(topic=faults.COMBAT, partition=0, highest=0, decreases=1),)
    ),
    "acked-below-known": lambda: replace(
        sound("kill"), loads=tuple(replace(load, acked_below_known=1) for load in sound("kill").loads)
    ),
    "leader-moved": lambda: replace(
        sound("kill"), leaders=tuple(one for one in sound("kill").leaders if one.leader == 1 and one.epoch == 0)
    ),
    "topic-configuration": lambda: replace(
        sound("kill"), topics=tuple(replace(one, replicas=1) for one in sound("kill").topics)
    ),
    "graceful-stop": lambda: faults.stopped(clean=False),
    "mtls-refusal": lambda: security.tried(
        replace(
            security.START,
            listeners=(*security.START.listeners, security.attempt("no-certificate", outcome=ACCEPTED)),
        ),
        security.END,
    ),
    "sasl-refusal": lambda: security.tried(
        replace(
            security.START,
            listeners=(*security.START.listeners, security.attempt("no-login", "external", outcome=ACCEPTED)),
        ),
        security.END,
    ),
    "access-matrix": lambda: security.tried(
        replace(
            security.START,
            access=(
                *security.START.access,
                security.cell("x", "topic:game.combat.events", "Read", allowed=False, outcome=ACCEPTED),
            ),
        ),
        security.END,
    ),
    "refusals-under-faults": lambda: security.tried_under(
        security.START,
        replace(
            security.DURING,
            listeners=(*security.DURING.listeners, security.attempt("plaintext", outcome=ACCEPTED)),
        ),
        security.AFTER,
        security.END,
    ),
    "audit-trail": lambda: security.tried(audit=replace(security.AUDIT, trail=replace(security.TRAIL, chain_breaks=1))),
    "audit-retention": lambda: security.tried(audit=replace(security.AUDIT, retention_ms=security.DAY_MS)),
    "audit-tampering": lambda: security.tried(
        audit=replace(security.AUDIT, erasure=replace(security.HELD, held=False))
    ),
    "producer-limit": lambda: drills.flooded(313_500),
    "circuit-breaker": lambda: drills.poisoned(
        *drills.watched(*(replace(one, ratio_at_opening=0.4) for one in drills.CHANGES))
    ),
    "password-rotation": lambda: drills.password_changed(drills.change(let_in_later=1)),
    "certificate-swap": lambda: drills.certificate_swapped(drills.swap(pid_after=8)),
    "alert-without-cause": lambda: monitoring.every_alert(monitoring.fires(monitoring.DOWN, 200, 210)),
    "operational-alerts": lambda: monitoring.every_alert(monitoring.fires(monitoring.DOWN, 200, 210)),
    "security-alerts": lambda: monitoring.every_alert(monitoring.fires(monitoring.DENIED, 200, 210)),
    "alert-missed": lambda: replace(
        sound("alerts"), alerts=tuple(row for row in sound("alerts").alerts if row.name != monitoring.DOWN)
    ),
    "metric-mismatch": lambda: monitoring.measured(
        *(replace(one, value=2 * one.value) if one.query == "messages-in" else one for one in monitoring.VALUES)
    ),
    "state-divergence": lambda: _with_player(state=replace(players.STATE, divergences=1)),
    "interest-violation": lambda: _with_player(interest=replace(players.INTEREST, missing=1)),
    "chat-order": lambda: _with_player(chat=replace(players.CHAT, disordered=1)),
    "batch-size": lambda: _with_player(state=replace(players.STATE, largest_batch=101)),
    "tick-bounds": lambda: players.played(
        players_timeline=(*players.ROWS[:-2], replace(players.ROWS[-2], tick_hz=30.0), players.ROWS[-1])
    ),
    "gateway-transport": lambda: _with_player(sessions=replace(players.SESSIONS, without_state=1)),
    "fewer-datagrams": lambda: _with_player(state=replace(players.STATE, changes=1, datagrams=90_000)),
    "adaptive-tick": lambda: players.played(
        players_timeline=tuple(
            replace(row, tick_hz=5.0) if row.t >= players.ROWS[20].t else row for row in players.ROWS
        )
    ),
    "action-conservation": lambda: _with_player(answered_twice=1),
    "request-limit": lambda: _with_player(sessions=replace(players.SESSIONS, limited_unduly=1)),
    "certificate-refusal": lambda: _with_player(
        certificates=(replace(players.PROBES[0], refused=False), *players.PROBES[1:])
    ),
    "gateway-recovery": lambda: players.played(
        players_timeline=tuple(
            replace(row, online=0) if row.t * 1e6 > faults.at_us(15) else row for row in players.ROWS
        ),
        faults=(fault("gateway-kill", at=10, until=15),),
    ),
    "torn-transaction": lambda: economy.economy(book=replace(economy.BOOK, entries=2)),
    "double-booking": lambda: economy.economy(book=replace(economy.BOOK, repeated=1)),
    "conserved-economy": lambda: economy.economy(book=replace(economy.BOOK, overdrawn=1)),
    "economy-total": lambda: economy.economy(expected_totals={"money": 31, "goods": 2, "postings_sum": 700}),
    "aborted-read": lambda: economy.economy(outcomes_seen=(economy.seen(0, 3),)),
    "precommitted-read": lambda: economy.economy(precommitted_reads=1),
    "poll-skip": lambda: economy.jumped((3, 6)),
    "nonmonotonic-poll": lambda: economy.jumped((6, 3)),
    "planted-cheats": _cheat_let_through,
    "planted-poison": _poison_processed,
    "damage-total": lambda: replace(
        sound("planted"),
        loads=tuple(replace(load, expected_totals={"combat": {"damage": 7}}) for load in sound("planted").loads),
    ),
    "fuzz-unaccounted": lambda: campaigns.campaign(flaw_counts={"unaccounted": 1}),
    "fuzz-outcome": lambda: campaigns.campaign(flaw_counts={"outcome": 1}),
    "fuzz-dead-letter": lambda: campaigns.campaign(flaw_counts={"dead-letter": 1}),
    "fuzz-effect": lambda: campaigns.campaign(ledger=tuple(replace(one, torn=1) for one in campaigns.SOUND.ledger)),
    "fuzz-crash": lambda: campaigns.campaign(crashes=("core-0 died",)),
    **{
        f"fuzz-{domain}": lambda domain=domain: campaigns.campaign(  # type: ignore[misc]
            effects=tuple(replace(one, wrong=1) if one.domain == domain else one for one in campaigns.SOUND.effects)
        )
        for domain in campaigns.DOMAINS
    },
    "topic-settings": lambda: campaigns.campaign(
        settings=tuple(replace(one, found={}) for one in campaigns.SOUND.settings)
    ),
}
"""By check, a record in which it must find something."""

OF_THE_RUN = frozenset(
    {"fault-in-effect", "consumers-scaled", "partitions-scaled", "gateway-settings", "datagrams-lost", "metric-series"}
)
"""Checks of whether a run is evidence at all: they pass, are not applicable, or unknown; they find nothing wrong."""
