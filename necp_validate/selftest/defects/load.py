"""Defects of the load and of what becomes of its events: loss, order, bytes, outcomes, rates, latencies, ends."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any
from zlib import crc32

from necp_validate.core import Verdict
from necp_validate.events.receipts import Outcome
from necp_validate.events.topics import Domain
from necp_validate.record.suite_failures import SuiteFailure
from necp_validate.selftest.defect import Defect, Seed, place_of, seeded, some_record
from necp_validate.selftest.simulated.log import Record, Sent
from necp_validate.selftest.simulated.plan import WORKERS
from necp_validate.selftest.simulated.scenario import STEADY, SURGE, at
from necp_validate.selftest.simulated.simulation import Simulation, Stage


def _drop_record(simulation: Simulation) -> None:
    victim = some_record(simulation)
    simulation.log[victim.sent.domain, victim.partition].remove(victim)


def _drop_end(simulation: Simulation) -> None:
    stream = some_record(simulation).sent.stream
    last = max((r for r in simulation.records() if r.sent.stream == stream), key=lambda record: record.sent.seq)
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


def silence_acks(simulation: Simulation) -> None:
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
    """The generator does nothing in half of the surge, which is not even counted as due."""
    _pause(simulation, list(Domain), (SURGE.start_us + SURGE.end_us) // 2, SURGE.end_us)


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


def _end_as(outcome: Outcome, *, kind: str) -> Seed:
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


def _end_as_another(domain: Domain, outcome: Outcome) -> Seed:
    """A planted event and a valid one end as the other one must."""

    def seed(simulation: Simulation) -> None:
        of = {(r.sent.domain, r.partition, r.offset): r.sent.sender for r in simulation.records()}
        mine = [one for one in simulation.handled if of.get((one.domain, one.partition, one.offset)) in WORKERS]
        planted = next(one for one in mine if (one.domain, one.outcome) == (domain, outcome))
        valid = next(one for one in mine if (one.domain, one.outcome) == (domain, Outcome.PROCESSED))
        changes = {id(planted): Outcome.PROCESSED, id(valid): outcome}
        simulation.handled = [
            replace(one, outcome=changes[id(one)]) if id(one) in changes else one for one in simulation.handled
        ]

    return seed


def _alter_dead_letter(simulation: Simulation) -> None:
    simulation.letters_altered = 1


def _lose_dead_letter(simulation: Simulation) -> None:
    simulation.dead_letters[Domain.SOCIAL.dead_letter_topic] -= 1


def _reading(change: Callable[[Record], Record]) -> Seed:
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
    records = simulation.read[Domain.SOCIAL]
    for i in range(len(records) // 2, len(records)):
        a, b = records[i], records[i + 1]
        if a.sent.stream != b.sent.stream and a.partition == b.partition:
            records[i], records[i + 1] = b, a
            return


def _write_later(by_us: int) -> Seed:
    def seed(simulation: Simulation) -> None:
        simulation.writes_later_us = by_us

    return seed


def _never_drained(simulation: Simulation) -> None:
    simulation.drains_later_s = None


def _drained_late(simulation: Simulation) -> None:
    simulation.drains_later_s = 60.0


def _stop_slowly(simulation: Simulation) -> None:
    simulation.shutdown = replace(simulation.shutdown, seconds=42.0)


def _stop_with_an_error(simulation: Simulation) -> None:
    simulation.shutdown = replace(simulation.shutdown, exit_code=1)


def _one_broker(**changes: Any) -> Seed:
    """The figures of one sample of one broker."""

    def seed(simulation: Simulation) -> None:
        place = len(simulation.brokers) // 4
        simulation.brokers[place] = replace(simulation.brokers[place], **changes)

    return seed


def _lose_worker(simulation: Simulation) -> None:
    simulation.lost_worker = WORKERS[1]


def _refuse_eight(simulation: Simulation) -> None:
    """A broker refuses eight social events of the load: their records are too large."""
    refused = [e for e in simulation.sent if e.domain is Domain.SOCIAL and e.sender in WORKERS][100:900:100]
    simulation.refused = frozenset((event.stream, event.seq) for event in refused)
    simulation.sent = [event for event in simulation.sent if (event.stream, event.seq) not in simulation.refused]


def _refuse_and_write(simulation: Simulation) -> None:
    """An event is in the log, and its sender was told that a broker has refused it."""
    victim = some_record(simulation).sent
    simulation.refused = frozenset({(victim.stream, victim.seq)})


def _interrupt(simulation: Simulation) -> None:
    simulation.run = replace(simulation.run, status="interrupted", error="interrupted")


def _monitor_dies(simulation: Simulation) -> None:
    simulation.suite_failures = [
        SuiteFailure(t_us=at(8), component="monitor of host and brokers", problem="it ended early", parts=("brokers",))
    ]


def _late(domain: Domain, more_us: int) -> Seed:
    """Every fortieth flush of a domain waits more than the others."""

    def seed(simulation: Simulation) -> None:
        flushes = sorted({one.done_us for one in simulation.handled if one.domain is domain})
        late = set(flushes[::40])
        simulation.handled = [
            replace(one, done_us=one.done_us + more_us) if one.domain is domain and one.done_us in late else one
            for one in simulation.handled
        ]

    return seed


def _pause_sending(*domains: Domain) -> Seed:
    """The generator sends nothing of some domains for four seconds of the steady phase, and never makes up for it."""
    return lambda simulation: _pause(simulation, domains, at(14), at(18))


def _pause(simulation: Simulation, domains: Collection[Domain], begin_us: int, end_us: int) -> None:
    """Send no flush that was due in a time: each server's later ones are sent in its place, and its last never."""
    mine = [e for e in simulation.plan if e.domain in domains and e.sender in WORKERS]
    kept: list[Sent] = [e for e in simulation.plan if not (e.domain in domains and e.sender in WORKERS)]
    for stream in {e.stream for e in mine}:
        events = [e for e in mine if e.stream == stream]
        times = [e.ts_us for e in events if not begin_us <= e.ts_us < end_us]
        kept += [replace(event, ts_us=ts_us) for event, ts_us in zip(events, times, strict=False)]
    simulation.plan = sorted(kept, key=lambda event: event.ts_us)


def _stand_still(simulation: Simulation) -> None:
    """The event core handles no combat event for four seconds of the steady phase, and then all of them at once."""
    begin_us, end_us = at(18), at(22)
    simulation.handled = [
        replace(one, done_us=end_us) if one.domain is Domain.COMBAT and begin_us <= one.done_us < end_us else one
        for one in simulation.handled
    ]


_THROUGHPUT = ("THR-HEADLINE", "THR-COMBAT", "THR-ECONOMY", "THR-SOCIAL", "THR-SYSTEM")
_LATENCIES = (
    (Domain.COMBAT, 70_000, "LAT-COMBAT"),
    (Domain.ECONOMY, 110_000, "LAT-ECONOMY"),
    (Domain.SOCIAL, 210_000, "LAT-SOCIAL"),
)

LOAD_DEFECTS: tuple[Defect, ...] = (
    *(
        Defect(name=name, caught_by=caught_by, make=seeded(seed, after), others=others)
        for name, caught_by, after, seed, others in (
            ("acked event dropped", "lost-write", Stage.ACKED, _drop_record, ("lost",)),
            ("end of a stream dropped", "unseen", Stage.ACKED, _drop_end, ("lost",)),
            ("event written twice", "duplicate", Stage.ACKED, _write_twice, ()),
            ("two events swapped in the log", "nonmonotonic-send", Stage.APPENDED, _swap_in_log, ()),
            ("acked twice at one offset", "inconsistent-offsets", Stage.ACKED, _ack_at_taken_offset, ()),
            ("reader goes back", "nonmonotonic-poll", Stage.READ, _read_backwards, ()),
            ("value corrupted", "value-mismatch", Stage.READ, _reading(_flip_byte), ()),
            ("wrong key", "key-mismatch", Stage.READ, _reading(_other_key), ()),
            ("record nobody sent", "unknown-record", Stage.ACKED, _write_stranger, ()),
            ("receipt lost", "conservation", Stage.HANDLED, _lose_receipt, ("unhandled",)),
            (
                "cheat let through",
                "planted-cheats",
                Stage.HANDLED,
                _end_as(Outcome.PROCESSED, kind="cheat"),
                ("conservation", "damage-total"),
            ),
            (
                "invalid event processed",
                "planted-poison",
                Stage.HANDLED,
                _end_as(Outcome.PROCESSED, kind="poison"),
                ("conservation",),
            ),
            (
                "another event dead-lettered than the planted one",
                "planted-poison",
                Stage.HANDLED,
                _end_as_another(Domain.SOCIAL, Outcome.DEAD_LETTERED),
                (),
            ),
            (
                "another event rejected than the planted cheat",
                "planted-cheats",
                Stage.HANDLED,
                _end_as_another(Domain.COMBAT, Outcome.REJECTED),
                ("damage-total",),
            ),
            ("dead letter that was altered", "planted-poison", Stage.HANDLED, _alter_dead_letter, ()),
            ("dead letter lost", "conservation", Stage.HANDLED, _lose_dead_letter, ("planted-poison",)),
            ("transaction handled twice", "handled-twice", Stage.HANDLED, _handle_twice, ()),
            ("broker that refuses some", "failed-send", Stage.SENT, _refuse_eight, ()),
            ("refused event in the log", "failed-write-read", Stage.READ, _refuse_and_write, ("failed-send",)),
            ("acks silent for 6.5 s", "longest-gap", Stage.ACKED, silence_acks, ("THR-COMBAT",)),
            ("events refused by the client", "late-schedule", Stage.SENT, _refuse_some, ("failed-send", "AVAIL")),
            ("generator falls behind", "late-schedule", Stage.PLANNED, _fall_behind, ("LOAD-200",)),
            ("generator pauses", "late-schedule", Stage.PLANNED, _pause_sending(*Domain), _THROUGHPUT),
            *(
                (
                    f"generator pauses: {domain}",
                    "late-schedule",
                    Stage.PLANNED,
                    _pause_sending(domain),
                    (f"THR-{domain.upper()}",),
                )
                for domain in Domain
            ),
            ("core stands still for 4 s", "THR-COMBAT", Stage.HANDLED, _stand_still, ("LAT-COMBAT", "LAT-HEADLINE")),
            (
                "core that sleeps, and says that it did not",
                "implausible-end",
                Stage.READ,
                _write_later(400_000),
                ("LAT-COMBAT", "LAT-HEADLINE", "LAT-SCALING", "SCALE-CONSUMERS", "SCALE-PARTITIONS"),
            ),
            (
                "core that is quick by its own word alone, within a tick",
                "LAT-COMBAT",
                Stage.READ,
                _write_later(100_000),
                ("LAT-HEADLINE", "LAT-SCALING", "SCALE-CONSUMERS", "SCALE-PARTITIONS"),
            ),
            ("backlog drained late", "backlog-drain", Stage.READ, _drained_late, ()),
            ("backlog never drained", "backlog-drain", Stage.READ, _never_drained, ()),
            ("core stops slowly", "graceful-shutdown", Stage.READ, _stop_slowly, ()),
            ("core stops with an error", "graceful-shutdown", Stage.READ, _stop_with_an_error, ()),
            ("broker over 4 GB", "RES-MEMORY", Stage.READ, _one_broker(rss_bytes=4.1e9), ()),
            ("broker over 10,000 IOPS", "RES-IOPS", Stage.READ, _one_broker(write_ios=12_000), ()),
            *(
                (f"handler late: {domain}", claim, Stage.HANDLED, _late(domain, more_us), ())
                for domain, more_us, claim in _LATENCIES
            ),
        )
    ),
    Defect(
        name="run interrupted",
        caught_by="complete-run",
        make=seeded(_interrupt),
        verdict=Verdict.UNKNOWN,
    ),
    Defect(
        name="load worker lost",
        caught_by="lost-worker",
        make=seeded(_lose_worker),
        verdict=Verdict.UNKNOWN,
        missing=("loads",),
    ),
    Defect(
        name="monitor of the brokers that ends early",
        caught_by="suite-failure",
        make=seeded(_monitor_dies),
        verdict=Verdict.UNKNOWN,
        missing=("brokers",),
    ),
)
