"""Sound records of runs that try what must be refused: every listener of three brokers, every cell, the audit trail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from histories import timed_history

from necp_validate.record import ACCEPTED, REFUSED, AccessProbe, FaultRecord, ListenerProbe, Record, SecurityRound
from necp_validate.record.audit import AuditDrill, AuditRecord, CollectorRecord, Covered, TrailRead
from necp_validate.record.due import ListenerDue
from necp_validate.security.access import cells_of
from necp_validate.security.listeners import attempts_at
from necp_validate.security.policy import load_policy
from sound.faults import at_us, fault, faulted, with_config

LISTENERS = tuple(
    ListenerDue(
        listener=name,
        broker=broker,
        mutual=mutual,
        attempts=tuple(attempt.name for attempt in attempts_at(mutual=mutual)),
    )
    for broker in (1, 2, 3)
    for name, mutual in (("internal", True), ("controller", True), ("external", False))
)
CELLS = len(cells_of(load_policy()))


def attempt(name: str, listener: str = "internal", *, broker: int = 1, outcome: str = "") -> ListenerProbe:
    """An attempt to get in that ended as it must, or otherwise; a broker has logged what it refused."""
    expected = ACCEPTED if name.startswith("valid") else REFUSED
    outcome = outcome or expected
    return ListenerProbe(
        listener=listener,
        broker=broker,
        attempt=name,
        expected=expected,
        outcome=outcome,
        answer="said so",
        log_line=f"broker {broker} refused {name} at {listener}" if outcome == REFUSED else "",
    )


def cell(principal: str, resource: str, operation: str, *, allowed: bool, outcome: str = "") -> AccessProbe:
    """An attempt to do something, which ended as it must, or otherwise."""
    return AccessProbe(
        principal=principal,
        resource=resource,
        operation=operation,
        allowed=allowed,
        outcome=outcome or (ACCEPTED if allowed else REFUSED),
        answer="said so",
        log_line="",
    )


def round_of(when: str, begin_s: float, end_s: float) -> SecurityRound:
    """Everything was tried, and ended as it must."""
    policy = load_policy()
    return SecurityRound(
        when=when,
        begin_us=at_us(begin_s),
        end_us=at_us(end_s),
        listeners=tuple(attempt(name, one.listener, broker=one.broker) for one in LISTENERS for name in one.attempts),
        access=tuple(
            cell(who, what, how, allowed=policy.allows(who, what, how)) for who, what, how in cells_of(policy)
        ),
    )


START = round_of("start", -12, -4)
END = round_of("end", 64, 72)
DURING, AFTER = round_of("fault", 12, 18), round_of("after the fault", 22, 28)


def tried(*rounds: SecurityRound, of: Record | None = None, audit: AuditRecord | None = None) -> Record:
    """A run that tries everything before and after its load; of the rounds, those given or both."""
    history = of or timed_history(seconds=20, eps={"combat": 100.0})
    assert history.due is not None
    return with_config(
        replace(
            history,
            loads=tuple(replace(load, expected_totals={"combat": {}}) for load in history.loads),
            due=replace(history.due, listeners=LISTENERS, access_cells=CELLS),
            security=rounds or (START, END),
            audit=audit,
            collector_record=None if audit is None else CollectorRecord(streams=()),
        ),
        security={"at": ["start", "end"], "audit": audit is not None},
    )


def tried_under(*rounds: SecurityRound, broken: FaultRecord | None = None) -> Record:
    """The same of a run with a broker that is killed at 10 s and back at 20 s; of the rounds, those given or all."""
    return tried(*(rounds or (START, DURING, AFTER, END)), of=faulted(broken or fault()))


def listeners_where(one: SecurityRound, keep: Callable[[ListenerProbe], bool]) -> SecurityRound:
    """The same round with some of the attempts to get in."""
    return replace(one, listeners=tuple(probe for probe in one.listeners if keep(probe)))


# The audit trail --------------------------------------------------------------------------------------------------

DAY_MS = 24 * 60 * 60 * 1000
HELD = AuditDrill(name="something", held=True, evidence="seen")
REFUSALS = len({probe.log_line for probe in START.listeners if probe.log_line})
TRAIL = TrailRead(
    records=9,
    opened=9,
    erased=0,
    repeated=0,
    chains=2,
    clear=0,
    unopened=0,
    nonces_repeated=0,
    chain_breaks=0,
    unnoted=0,
    by_key={"1": 4, "2": 5},
    examples=(),
)


def covered(due: int, missing: int = 0) -> Covered:
    """Security events, and how many of them have no entry."""
    return Covered(due=due, missing=missing, examples=())


AUDIT = AuditRecord(
    trail=TRAIL,
    events=covered(9),
    violations=covered(REFUSALS),
    provoked=covered(REFUSALS),
    retention_ms=2_555 * DAY_MS,
    retention_bytes=-1,
    cleanup_policy="delete",
    keyring_mode=0o600,
    rotation=HELD,
    erasure=HELD,
    tampering=tuple(replace(HELD, name=f"tampering {number}") for number in range(7)),
)
"""A trail that is whole, sealed and kept; every refused attempt of a round that was logged has its entry."""
