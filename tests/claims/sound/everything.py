"""For every check of faults, security, monitoring, players, books and campaigns, and every claim that rests on one: the
record of a sound run, which it passes on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache

from histories import DEAD_LETTERED, REJECTED, ack, handled, history_of, read

from necp_validate.claims import CHECKS
from necp_validate.claims.catalogue import CLAIMS
from necp_validate.record import Record

from . import campaigns, drills, economy, faults, monitoring, players, security
from .faults import fault, faulted, gap

HERE = ("faults", "security", "monitoring", "players")
HERE_OF_EVENTS = ("configuration", "economy", "isolation", "polls", "fuzzing", "planted")


def planted() -> Record:
    """Ten combat events; one is a cheat and was rejected, one is invalid and was set aside."""
    outcomes = {7: REJECTED, 8: DEAD_LETTERED}
    return history_of(
        *(ack(n) for n in range(10)),
        *(read(n) for n in range(10)),
        *(handled(n, outcomes.get(n, 0)) for n in range(10)),
        planted={"cheat": 1, "poison": 1},
    )


RECORDS: Mapping[str, Callable[[], Record]] = {
    "kill": lambda: faulted(fault(), gaps=(gap(9.9, 13.5),)),
    "cut": lambda: faulted(fault("cut"), gaps=(gap(9.9, 13.5),)),
    "core": lambda: faulted(fault("core-kill", target="core-1"), groups=faults.REBALANCED),
    "stopped": faults.stopped,
    "soak": lambda: faulted(fault(), seconds=300),
    "drill": lambda: faulted(fault("consumers-paused", claims=("OPS-ROLLBACK",)), economy_eps=100.0),
    "consumers": faults.consumers_scaled,
    "partitions": faults.partitions_scaled,
    "tried": security.tried,
    "tried under faults": security.tried_under,
    "audit": lambda: security.tried(audit=security.AUDIT),
    "flood": drills.flooded,
    "poison": drills.poisoned,
    "password": drills.password_changed,
    "certificate": drills.certificate_swapped,
    "alerts": monitoring.every_alert,
    "metrics": monitoring.measured,
    "players": players.played,
    "economy": economy.economy,
    "polls": lambda: economy.jumped((3, 4), groups=economy.watched((0, "STABLE", 2), seconds=11)),
    "planted": planted,
    "campaign": campaigns.campaign,
}

_OF_CHECKS: Mapping[str, tuple[str, ...]] = {
    "kill": (
        *("experiment-outcome", "fault-in-effect", "leader-epoch", "acked-below-known"),
        *("leader-moved", "topic-configuration"),
    ),
    "stopped": ("graceful-stop",),
    "drill": ("emergency-drill",),
    "consumers": ("consumers-scaled",),
    "partitions": ("partitions-scaled",),
    "tried": ("mtls-refusal", "sasl-refusal", "access-matrix"),
    "tried under faults": ("refusals-under-faults",),
    "audit": ("audit-trail", "audit-retention", "audit-tampering"),
    "flood": ("producer-limit",),
    "poison": ("circuit-breaker",),
    "password": ("password-rotation",),
    "certificate": ("certificate-swap",),
    "alerts": ("alert-without-cause", "alert-missed", "operational-alerts", "security-alerts"),
    "metrics": ("metric-mismatch", "metric-series"),
    "players": (
        *("state-divergence", "interest-violation", "chat-order", "batch-size", "tick-bounds", "gateway-transport"),
        *("gateway-settings", "datagrams-lost", "fewer-datagrams", "adaptive-tick", "action-conservation"),
        *("request-limit", "certificate-refusal", "gateway-recovery"),
    ),
    "economy": (
        *("torn-transaction", "double-booking", "conserved-economy", "economy-total"),
        *("aborted-read", "precommitted-read"),
    ),
    "polls": ("poll-skip", "nonmonotonic-poll"),
    "planted": ("planted-cheats", "planted-poison", "damage-total"),
    "campaign": (
        *("fuzz-unaccounted", "fuzz-outcome", "fuzz-dead-letter", "fuzz-effect", "fuzz-crash"),
        *("fuzz-combat", "fuzz-economy", "fuzz-social", "fuzz-system", "topic-settings"),
    ),
}
RECORD_OF_CHECK: Mapping[str, str] = {check: name for name, checks in _OF_CHECKS.items() for check in checks}
"""By check, the record that it is judged on."""

RECORDS_OF_CLAIM: Mapping[str, tuple[str, ...]] = {
    "FT-BROKER": ("kill",),
    "FT-PARTITION": ("cut",),
    "FT-CONSUMER": ("core",),
    "CHAOS-ALL": ("kill",),
    "AVAIL": ("soak",),
    "OPS-ROLLBACK": ("drill",),
    "SCALE-CONSUMERS": ("consumers",),
    "SCALE-PARTITIONS": ("partitions",),
    "LAT-SCALING": ("consumers", "partitions"),
    "SEC-MTLS": ("tried",),
    "SEC-SASL": ("tried",),
    "SEC-ACL": ("tried",),
    "SEC-UNDER-CHAOS": ("tried under faults",),
    "SEC-AUDIT": ("audit",),
    "SEC-RATE": ("flood",),
    "SEC-BREAKER": ("poison",),
    "SEC-SECRETS": ("password",),
    "SEC-CERTS": ("certificate",),
    "SEC-ALERTS": ("alerts",),
    "OBS-ALERTS": ("alerts",),
    "MTTR": ("alerts",),
    "OBS-METRICS": ("metrics",),
    "GW-TRANSPORT": ("players",),
    "GW-SPATIAL": ("players",),
    "GW-DELTA": ("players",),
    "GW-TICK": ("players",),
    "GW-BATCH": ("players",),
    "GW-SECURITY": ("players",),
    "RES-STRUCT": ("players",),
    "EVT-REGISTRY": ("planted", "campaign"),
    "EVT-COMBAT": ("planted", "campaign"),
    "EVT-ECONOMY": ("economy", "campaign"),
    "EVT-SOCIAL": ("campaign",),
    "EVT-SYSTEM": ("campaign",),
}
"""By claim, the records that are evidence for it."""


@cache
def sound(name: str) -> Record:
    """A sound record by its name; leave it as it is."""
    return RECORDS[name]()


def checks_here() -> list[str]:
    """Every check that is judged on these records, as the packages have them."""
    found = []
    for name, one in CHECKS.items():
        package, module = one.function.__module__.split(".")[-2:]
        if package in HERE or (package == "events" and module in HERE_OF_EVENTS):
            found.append(name)
    return found


def claims_here() -> list[str]:
    """Every claim that rests on one of these checks, or on a metric of faults, alerts or players."""
    checks, metrics = set(checks_here()), {"recovery_time", "good_share", "time_to_recover", "struct_saving"}
    return [
        claim.id
        for claim in CLAIMS.values()
        if any(
            (one.check in checks and not (one.where_comparable and not one.subject)) or one.metric in metrics
            for one in (*claim.requires, *claim.conditions)
        )
    ]
