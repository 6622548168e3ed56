"""Defects of failover, consumers, transactions and the economy's books, and of the faults themselves."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from msgspec import structs

from necp_validate.core import Verdict
from necp_validate.events.topics import BROKER_DEFAULTS, TOPICS, Domain
from necp_validate.record import EpochRead, LeaderSample
from necp_validate.record.topics import BEGIN, END
from necp_validate.selftest.defect import Defect, Seed, seeded, setting
from necp_validate.selftest.simulated.cluster import CUT_OFF, STALLED, group_samples
from necp_validate.selftest.simulated.faults import CUT, KILL
from necp_validate.selftest.simulated.log import Handled
from necp_validate.selftest.simulated.scenario import SCALING, START_US, STEADY, at
from necp_validate.selftest.simulated.simulation import Simulation, Stage

_MIDDLE_US = START_US + 10_000_000
_USED = CUT_OFF
"""A partition of the combat topic that is written to all the time."""


def _never_applied(simulation: Simulation) -> None:
    """The rules of the cut were never loaded: no connection was seen to fail."""
    faults = simulation.course.faults
    faults[faults.index(CUT)] = replace(CUT, effective_us=None, evidence="")


def _cannot_be_done(simulation: Simulation) -> None:
    faults = simulation.course.faults
    faults[faults.index(CUT)] = replace(
        CUT, effective_us=None, evidence="", end_us=None, needs="needs root and iptables"
    )


def _silence(begin_s: float, end_s: float, partition: int) -> Seed:
    """One partition of the combat topic takes nothing for a while."""
    begin_us, end_us = at(begin_s), at(end_s)

    def seed(simulation: Simulation) -> None:
        simulation.acks = [
            replace(ack, at_us=end_us + 4_000)
            if ack.sent.domain is Domain.COMBAT and ack.partition == partition and begin_us <= ack.at_us < end_us
            else ack
            for ack in simulation.acks
        ]

    return seed


def _rebalance_slowly(simulation: Simulation) -> None:
    simulation.course.groups = group_samples(stable_s=64.5)


def _not_restored(simulation: Simulation) -> None:
    _ends(simulation, "broker-kill", status="failed", steady_after=False, missed=("in-sync replicas: 2, wanted 3",))


def _books_disagree(simulation: Simulation) -> None:
    """The drill's reconciliation finds an outcome missing."""
    _ends(simulation, "consumers-paused", failed=("reconcile the books: 3 events have no outcome",))


def _ends(simulation: Simulation, experiment: str, **changes: Any) -> None:
    outcomes = simulation.course.outcomes
    place = next(i for i, one in enumerate(outcomes) if one.experiment == experiment)
    outcomes[place] = replace(outcomes[place], **changes)


def _eight_members(simulation: Simulation) -> None:
    """The groups grow to eight members in place of twelve."""
    groups = simulation.course.groups
    simulation.course.groups = [replace(one, members=min(one.members, 8)) for one in groups]


def _handle_slowly(simulation: Simulation) -> None:
    """Every event that is due while something is scaled waits for 60 ms more."""
    simulation.handled = [
        replace(one, done_us=one.done_us + 60_000) if SCALING.start_us <= one.done_us < SCALING.end_us else one
        for one in simulation.handled
    ]


def _middle(simulation: Simulation) -> tuple[list[Handled], int]:
    """What was handled of one partition of the combat topic in the steady phase, and a place in the middle of it."""
    mine = [
        one
        for one in simulation.handled
        if one.domain is Domain.COMBAT and one.partition == _USED and one.done_us < STEADY.end_us
    ]
    return mine, next(i for i, one in enumerate(mine) if one.done_us > _MIDDLE_US)


def _commit_before_processing(simulation: Simulation) -> None:
    """An instance commits what it has read, dies, and its successor goes on from there."""
    mine, at = _middle(simulation)
    kinds = {(r.partition, r.offset): r.sent.kind for r in simulation.records() if r.sent.domain is Domain.COMBAT}
    while any(kinds[_USED, one.offset] != "valid" for one in mine[at : at + 3]):
        at += 1
    gone, later = mine[at : at + 3], mine[at + 3]
    simulation.handled = [
        replace(one, instance="core-1") if one.domain is Domain.COMBAT and one.done_us >= later.done_us else one
        for one in simulation.handled
        if one not in gone
    ]


def _go_ahead(simulation: Simulation) -> None:
    """An instance leaves some events out and goes on; another one finds them a second later."""
    mine, at = _middle(simulation)
    flush = [one for one in mine if one.done_us == mine[at].done_us][:4]
    simulation.handled = [
        replace(one, done_us=one.done_us + 1_030_000, instance="core-1") if one in flush else one
        for one in simulation.handled
    ]


def _go_back(simulation: Simulation) -> None:
    """An instance handles three events again, with no rebalance to explain it."""
    mine, at = _middle(simulation)
    again = [replace(one, done_us=mine[at].done_us + 10_000) for one in mine[at - 3 : at]]
    simulation.handled += again


def _cut_log_back(simulation: Simulation) -> None:
    """A replica that lagged behind becomes leader: acked events are gone, and their offsets are used again."""
    records = simulation.log[Domain.COMBAT, _USED]
    at = next(i for i, record in enumerate(records) if record.sent.ts_us > _MIDDLE_US)
    gone = records[at : at + 60]
    places = {(r.sent.stream, r.sent.seq): r.offset - len(gone) for r in records[at + len(gone) :]}
    simulation.log[Domain.COMBAT, _USED] = records[:at] + [
        replace(record, offset=record.offset - len(gone)) for record in records[at + len(gone) :]
    ]
    simulation.acks = [
        replace(ack, offset=places.get((ack.sent.stream, ack.sent.seq), ack.offset)) for ack in simulation.acks
    ]


def _old_leader_writes(simulation: Simulation) -> None:
    topic = Domain.COMBAT.topic
    simulation.course.epochs = [EpochRead(topic=topic, partition=STALLED, highest=4, decreases=1)]


def _epoch_goes_back(simulation: Simulation) -> None:
    topic = Domain.COMBAT.topic
    simulation.course.leaders.append(LeaderSample(t=START_US / 1e6 + 10, topic=topic, partition=1, leader=3, epoch=2))


def _show_aborted(simulation: Simulation) -> None:
    """A transaction that is then aborted is shown to a reader of committed records."""
    last = simulation.ledger[-1]
    simulation.shown = {last.partition: (last.last_offset + 1, last.last_offset + 5)}


def _show_too_early(simulation: Simulation) -> None:
    simulation.precommitted = 1000


def _with_trade(simulation: Simulation) -> int:
    """A ledger record from the middle with a trade in it, by its index."""
    ledger = simulation.ledger
    half = len(ledger) // 2
    return next(i for i in range(half, len(ledger)) if any(p.asset != "eddies" for p in ledger[i].postings))


def _pay_a_thief(simulation: Simulation) -> None:
    """One transfer goes to somebody else; the amounts are right, and every posting has its event."""
    at = _with_trade(simulation)
    record = simulation.ledger[at]
    trades = {p.id for p in record.postings if p.asset != "eddies"}
    place = next(i for i, p in enumerate(record.postings) if p.id not in trades)
    postings = [p._replace(credit="thief") if i == place else p for i, p in enumerate(record.postings)]
    simulation.ledger[at] = structs.replace(record, postings=postings)


def _tear_trade(simulation: Simulation) -> None:
    """The money of a trade is booked, and its goods are not."""
    at = _with_trade(simulation)
    record = simulation.ledger[at]
    goods = next(p for p in record.postings if p.asset != "eddies")
    simulation.ledger[at] = structs.replace(record, postings=[p for p in record.postings if p is not goods])


def _tear_transaction(simulation: Simulation) -> None:
    """The receipt of a batch is committed, and its ledger record is not."""
    del simulation.ledger[_with_trade(simulation)]


def _book_twice(simulation: Simulation) -> None:
    simulation.ledger.append(simulation.ledger[_with_trade(simulation)])


def _pay_twice(simulation: Simulation) -> None:
    """One payment is in its record two times."""
    at = _with_trade(simulation)
    record = simulation.ledger[at]
    money = next(p for p in record.postings if p.asset == "eddies")
    simulation.ledger[at] = structs.replace(record, postings=[*record.postings, money])


def _coin(more: int) -> Seed:
    """Payments of one batch are booked with more money than their events move."""

    def seed(simulation: Simulation) -> None:
        at = _with_trade(simulation)
        record = simulation.ledger[at]
        postings = [p._replace(amount=p.amount + more) if p.asset == "eddies" else p for p in record.postings]
        simulation.ledger[at] = structs.replace(record, postings=postings)

    return seed


def _no_other_leads(simulation: Simulation) -> None:
    """The partitions of the killed broker wait for it, as with one replica."""
    course = simulation.course
    course.leaders = [one for one in course.leaders if one.t * 1e6 < KILL.begin_us or one.t * 1e6 > (KILL.end_us or 0)]


def _topic(when: str, **changes: Any) -> Seed:
    """One topic is described otherwise from some look on."""

    def seed(simulation: Simulation) -> None:
        looks = list(dict.fromkeys(one.when for one in simulation.topics))
        later = looks[looks.index(when) :]
        simulation.topics = [
            replace(one, **changes) if one.topic == Domain.SOCIAL.topic and one.when in later else one
            for one in simulation.topics
        ]

    return seed


def _stopped(**changes: Any) -> Seed:
    def seed(simulation: Simulation) -> None:
        course = simulation.course
        course.core_stops = [replace(one, **changes) for one in course.core_stops]

    return seed


_ONE_IN_SYNC = {**BROKER_DEFAULTS, **TOPICS[Domain.SOCIAL.topic].config, "min.insync.replicas": "1"}

FAULT_DEFECTS: tuple[Defect, ...] = (
    *(
        Defect(
            name=name,
            caught_by="fault-in-effect",
            make=seeded(seed),
            verdict=Verdict.UNKNOWN,
            others=("experiment-outcome", "FT-PARTITION"),
        )
        for name, seed in (("fault never applied", _never_applied), ("fault that cannot be done", _cannot_be_done))
    ),
    Defect(
        name="consumers scaled to eight",
        caught_by="consumers-scaled",
        make=seeded(_eight_members),
        verdict=Verdict.NOT_APPLICABLE,
    ),
    Defect(
        name="partitions added and never used",
        caught_by="partitions-scaled",
        make=seeded(setting("", uses_new_partitions=False), Stage.SENT),
        verdict=Verdict.UNKNOWN,
    ),
    *(
        Defect(name=name, caught_by=caught_by, make=seeded(seed, after), others=others)
        for name, caught_by, after, seed, others in (
            ("slow recovery from a kill", "FT-BROKER", Stage.ACKED, _silence(48.1, 52.5, STALLED), ()),
            ("partitions that wait for their broker", "leader-moved", Stage.READ, _no_other_leads, ("FT-BROKER",)),
            ("topic of one replica", "topic-configuration", Stage.READ, _topic(BEGIN, replicas=1), ()),
            (
                "topic that may lose what is acked",
                "topic-configuration",
                Stage.READ,
                _topic(END, settings=_ONE_IN_SYNC),
                (),
            ),
            ("core that ends with an error under load", "graceful-stop", Stage.READ, _stopped(clean=False), ()),
            ("core that ends slowly under load", "graceful-stop", Stage.READ, _stopped(seconds=31.0), ()),
            ("slow failover under a cut", "FT-PARTITION", Stage.ACKED, _silence(54.7, 58.5, CUT_OFF), ()),
            ("slow rebalance", "FT-CONSUMER", Stage.READ, _rebalance_slowly, ()),
            (
                "slow while consumers are added",
                "LAT-SCALING",
                Stage.HANDLED,
                _handle_slowly,
                ("SCALE-CONSUMERS", "SCALE-PARTITIONS"),
            ),
            ("drill whose books disagree", "emergency-drill", Stage.READ, _books_disagree, ()),
            ("steady state not restored", "experiment-outcome", Stage.READ, _not_restored, ()),
            (
                "offsets committed before processing",
                "poll-skip",
                Stage.HANDLED,
                _commit_before_processing,
                ("unhandled", "conservation"),
            ),
            ("consumer goes ahead", "poll-skip", Stage.HANDLED, _go_ahead, ()),
            ("consumer goes back", "nonmonotonic-poll", Stage.HANDLED, _go_back, ()),
            (
                "log cut back by an unclean election",
                "acked-below-known",
                Stage.ACKED,
                _cut_log_back,
                ("lost-write", "nonmonotonic-send", "lost", "AVAIL"),
            ),
            ("old leader's records behind a new one's", "leader-epoch", Stage.READ, _old_leader_writes, ()),
            ("leader epoch goes back", "leader-epoch", Stage.READ, _epoch_goes_back, ()),
            ("aborted transaction shown", "aborted-read", Stage.READ, _show_aborted, ()),
            ("open transaction shown", "precommitted-read", Stage.READ, _show_too_early, ()),
            ("torn trade", "torn-transaction", Stage.READ, _tear_trade, ()),
            ("torn transaction", "torn-transaction", Stage.READ, _tear_transaction, ()),
            ("batch booked twice", "double-booking", Stage.READ, _book_twice, ()),
            ("payment booked twice", "double-booking", Stage.READ, _pay_twice, ()),
            ("money from nowhere", "economy-total", Stage.READ, _coin(1), ()),
            ("payment to a thief", "economy-total", Stage.READ, _pay_a_thief, ()),
            ("payments that no account covers", "conserved-economy", Stage.READ, _coin(10**12), ("economy-total",)),
            ("damage not the model's", "damage-total", Stage.READ, setting("", dealt_too_much=7), ()),
        )
    ),
)
