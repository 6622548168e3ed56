"""The defects that the checks must catch, each as one change to a sound simulated run.

``caught_by`` is the check, or the claim, that must fail, and no other check may: a check that fires on everything
tells nothing. ``claims`` are the judged claims that fall with it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from zlib import crc32

from necp_validate.core import Verdict
from necp_validate.events.receipts import Outcome
from necp_validate.events.topics import Domain
from necp_validate.selftest.audit_defects import AUDIT_DEFECTS
from necp_validate.selftest.chaos_defects import CHAOS_DEFECTS
from necp_validate.selftest.course import START_US
from necp_validate.selftest.defect import Defect, place_of, some_record
from necp_validate.selftest.drill_defects import DRILL_DEFECTS
from necp_validate.selftest.limit_defects import LIMIT_DEFECTS
from necp_validate.selftest.monitoring_defects import MONITORING_DEFECTS
from necp_validate.selftest.player_defects import PLAYER_DEFECTS
from necp_validate.selftest.security_defects import SECURITY_DEFECTS
from necp_validate.selftest.simulation import PARTITIONS, PHASES, Record, Simulation, Stage

STEADY, SURGE = PHASES


def _drop_record(simulation: Simulation) -> None:
    victim = some_record(simulation)
    simulation.log[victim.sent.domain, victim.partition].remove(victim)


def _drop_end(simulation: Simulation) -> None:
    ends = {record.sent.stream: record for record in simulation.records()}
    last = next(record for record in ends.values() if record.sent.kind == "valid")
    simulation.log[last.sent.domain, last.partition].remove(last)


def _write_twice(simulation: Simulation) -> None:
    simulation.append(some_record(simulation).sent)


def _swap_in_log(simulation: Simulation) -> None:
    """Two neighbours of one stream lie in the log the wrong way round, and were acked so."""
    first = some_record(simulation)
    records = simulation.log[first.sent.domain, first.partition]
    at = records.index(first)
    while records[at + 1].sent.stream != records[at].sent.stream:
        at += 1
    a, b = records[at], records[at + 1]
    records[at] = replace(b, offset=a.offset)
    records[at + 1] = replace(a, offset=b.offset)


def _write_stranger(simulation: Simulation) -> None:
    """A record whose stream nobody sent, otherwise sound."""
    like = some_record(simulation).sent
    body = like.value[:-18].replace(like.stream.encode(), b"deadbeef")
    simulation.append(replace(like, value=b'%b,"crc":"%08x"}' % (body, crc32(body))))


def _ack_at_taken_offset(simulation: Simulation) -> None:
    victim = some_record(simulation)
    at = next(i for i, ack in enumerate(simulation.acks) if ack.sent is victim.sent)
    simulation.acks[at] = replace(simulation.acks[at], offset=victim.offset - 1)


def _silence_acks(simulation: Simulation) -> None:
    """The acks of 6.5 s come all at once, at their end."""
    begin, end = STEADY.start_us + 5_000_000, STEADY.start_us + 11_500_000
    simulation.acks = [
        replace(ack, at_us=end) if ack.sent.domain is Domain.COMBAT and begin < ack.at_us < end else ack
        for ack in simulation.acks
    ]


def _refuse_some(simulation: Simulation) -> None:
    """The client's queue is full: every tenth combat event of the surge is not taken."""
    simulation.sent = [
        event
        for event in simulation.sent
        if event.domain is not Domain.COMBAT or event.ts_us < SURGE.start_us or event.seq % 10
    ]


def _fall_behind(simulation: Simulation) -> None:
    """The generator comes to an end with half of the surge not sent, and not even counted as due."""
    half_us = (SURGE.start_us + SURGE.end_us) // 2
    simulation.plan = [e for e in simulation.plan if e.domain is not Domain.COMBAT or e.ts_us < half_us]


def _lose_receipt(simulation: Simulation) -> None:
    some = some_record(simulation)
    victim = simulation.log[some.sent.domain, some.partition][-1]
    simulation.handled = [
        one for one in simulation.handled if (one.domain, one.partition, one.offset) != place_of(victim)
    ]


def _handle_twice(simulation: Simulation) -> None:
    """A transaction of the economy takes effect twice."""
    victim = place_of(some_record(simulation, Domain.ECONOMY))
    once = next(one for one in simulation.handled if (one.domain, one.partition, one.offset) == victim)
    simulation.handled.append(replace(once, done_us=once.done_us + 1_000_000, instance="core-1"))


def _handle_late(simulation: Simulation) -> None:
    """Every fortieth flush of combat events waits 70 ms more than the others."""
    flushes = sorted({one.done_us for one in simulation.handled if one.domain is Domain.COMBAT})
    late = set(flushes[::40])
    simulation.handled = [
        replace(one, done_us=one.done_us + 70_000) if one.domain is Domain.COMBAT and one.done_us in late else one
        for one in simulation.handled
    ]


def _end_as(outcome: Outcome, *, kind: str) -> Callable[[Simulation], None]:
    """One planted event ends as it must not."""

    def seed(simulation: Simulation) -> None:
        victim = place_of(some_record(simulation, kind=kind))
        simulation.handled = [
            replace(one, outcome=outcome) if (one.domain, one.partition, one.offset) == victim else one
            for one in simulation.handled
        ]
        if kind == "poison":
            simulation.dead_letters[Domain.COMBAT.dead_letter_topic] -= 1

    return seed


def _lose_dead_letter(simulation: Simulation) -> None:
    simulation.dead_letters[Domain.SOCIAL.dead_letter_topic] -= 1


def _reading(change: Callable[[Record], Record]) -> Callable[[Simulation], None]:
    """The reader gets one record changed; what the event core got was sound."""

    def seed(simulation: Simulation) -> None:
        victim = some_record(simulation)
        records = simulation.read[victim.sent.domain]
        records[records.index(victim)] = change(victim)

    return seed


def _flip_byte(record: Record) -> Record:
    at = record.value.index(b'"data":') + 10
    return replace(record, value=record.value[:at] + bytes([record.value[at] ^ 1]) + record.value[at + 1 :])


def _other_key(record: Record) -> Record:
    return replace(record, key=record.key[:-1] + b"9")


def _read_backwards(simulation: Simulation) -> None:
    """The reader gets two neighbours of different streams in the wrong order."""
    records = simulation.read[Domain.COMBAT]
    for at in range(len(records) // (2 * PARTITIONS), len(records)):
        a, b = records[at], records[at + 1]
        if a.sent.stream != b.sent.stream and a.partition == b.partition:
            records[at], records[at + 1] = b, a
            return


def _never_drained(simulation: Simulation) -> None:
    simulation.drain = replace(simulation.drain, drained_us=None, drain_s=None)


def _drained_late(simulation: Simulation) -> None:
    simulation.drain = replace(simulation.drain, drained_us=START_US, drain_s=60.0)


def _stop_slowly(simulation: Simulation) -> None:
    simulation.shutdown = replace(simulation.shutdown, seconds=42.0)


def _use_memory(simulation: Simulation) -> None:
    simulation.broker = replace(simulation.broker, rss_bytes=4.1e9)


def _use_disk(simulation: Simulation) -> None:
    simulation.broker = replace(simulation.broker, write_ios=12_000)


def _lose_worker(simulation: Simulation) -> None:
    simulation.lost_events = 200


_LOSS = frozenset(
    {
        *("DUR-ACKED", "FT-BROKER", "FT-PARTITION", "FT-CONSUMER", "CHAOS-ALL", "OPS-ROLLBACK"),
        *("SEC-RATE", "SEC-BREAKER", "SEC-SECRETS", "SEC-CERTS"),
    }
)
_UNACCOUNTED = frozenset({"OPS-HEALTH", "OPS-ROLLBACK", "FT-CONSUMER"})

_DEFECTS = tuple(
    Defect(name=name, caught_by=caught_by, after=after, seed=seed, claims=claims)
    for name, caught_by, after, seed, claims in (
        ("acked event dropped", "lost-write", Stage.ACKED, _drop_record, _LOSS),
        ("end of a stream dropped", "unseen", Stage.ACKED, _drop_end, _LOSS),
        ("event written twice", "duplicate", Stage.ACKED, _write_twice, frozenset()),
        ("two events swapped in the log", "nonmonotonic-send", Stage.APPENDED, _swap_in_log, frozenset()),
        ("acked twice at one offset", "inconsistent-offsets", Stage.ACKED, _ack_at_taken_offset, frozenset()),
        ("reader goes back", "nonmonotonic-poll", Stage.READ, _read_backwards, frozenset()),
        ("value corrupted", "value-mismatch", Stage.READ, _reading(_flip_byte), frozenset()),
        ("wrong key", "key-mismatch", Stage.READ, _reading(_other_key), frozenset()),
        ("record nobody sent", "unknown-record", Stage.ACKED, _write_stranger, frozenset()),
        ("receipt lost", "conservation", Stage.HANDLED, _lose_receipt, (_LOSS - {"DUR-ACKED"}) | _UNACCOUNTED),
        (
            "cheat let through",
            "conservation",
            Stage.HANDLED,
            _end_as(Outcome.PROCESSED, kind="cheat"),
            _UNACCOUNTED | {"EVT-COMBAT"},
        ),
        (
            "invalid event processed",
            "conservation",
            Stage.HANDLED,
            _end_as(Outcome.PROCESSED, kind="poison"),
            _UNACCOUNTED | {"EVT-REGISTRY"},
        ),
        (
            "dead letter lost",
            "conservation",
            Stage.HANDLED,
            _lose_dead_letter,
            _UNACCOUNTED | {"EVT-REGISTRY"},
        ),
        ("transaction handled twice", "handled-twice", Stage.HANDLED, _handle_twice, frozenset()),
        ("acks silent for 6.5 s", "longest-gap", Stage.ACKED, _silence_acks, frozenset()),
        ("events refused by the client", "late-schedule", Stage.SENT, _refuse_some, frozenset({"AVAIL"})),
        ("generator falls behind", "late-schedule", Stage.PLANNED, _fall_behind, frozenset()),
        ("backlog drained late", "backlog-drain", Stage.READ, _drained_late, frozenset()),
        ("backlog never drained", "backlog-drain", Stage.READ, _never_drained, frozenset()),
        ("handler late", "LAT-COMBAT", Stage.HANDLED, _handle_late, frozenset()),
        ("core stops slowly", "OPS-HEALTH", Stage.READ, _stop_slowly, frozenset()),
        ("broker over 4 GB", "RES-MEMORY", Stage.READ, _use_memory, frozenset()),
        ("broker over 10,000 IOPS", "RES-IOPS", Stage.READ, _use_disk, frozenset()),
    )
)

_REST_ON_EVERY_WORKER = frozenset(
    {
        *("lost-write", "unseen", "duplicate", "inconsistent-offsets", "nonmonotonic-send", "unknown-record"),
        *("conservation", "aborted-read", "precommitted-read", "conserved-economy", "acked-below-known"),
        *("longest-gap", "late-schedule", "action-conservation", "batch-size", "certificate-refusal", "chat-order"),
        *("gateway-recovery", "interest-violation", "request-limit", "state-divergence", "tick-bounds"),
        *("DUR-ACKED", "EVT-COMBAT", "EVT-ECONOMY", "EVT-REGISTRY", "LAT-COMBAT", "OPS-HEALTH", "OPS-ROLLBACK"),
        *("FT-BROKER", "FT-CONSUMER", "FT-PARTITION", "CHAOS-ALL"),
        *("SEC-BREAKER", "SEC-CERTS", "SEC-RATE", "SEC-SECRETS"),
        *("GW-BATCH", "GW-DELTA", "GW-SECURITY", "GW-SPATIAL", "GW-TICK", "GW-TRANSPORT"),
    }
)
"""Without what one worker did, finding nothing wrong proves nothing."""

_LOST_WORKER = Defect(
    name="load worker lost",
    caught_by="lost-worker",
    after=Stage.READ,
    seed=_lose_worker,
    claims=_REST_ON_EVERY_WORKER,
    verdict=Verdict.UNKNOWN,
)

DEFECTS: tuple[Defect, ...] = (
    *_DEFECTS,
    _LOST_WORKER,
    *CHAOS_DEFECTS,
    *PLAYER_DEFECTS,
    *SECURITY_DEFECTS,
    *AUDIT_DEFECTS,
    *LIMIT_DEFECTS,
    *DRILL_DEFECTS,
    *MONITORING_DEFECTS,
)
