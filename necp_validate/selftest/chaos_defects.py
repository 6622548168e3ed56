"""Defects of failover, consumers, transactions and the economy's books, and of the faults themselves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from msgspec import structs

from necp_validate.core import Verdict
from necp_validate.events.topics import Domain
from necp_validate.record import LeaderSample
from necp_validate.selftest.course import CUT, START_US, group_samples
from necp_validate.selftest.defect import Defect
from necp_validate.selftest.simulation import PHASES, Handled, Simulation, Stage

_LOST = frozenset(
    {
        *("FT-BROKER", "FT-PARTITION", "FT-CONSUMER", "CHAOS-ALL", "OPS-ROLLBACK"),
        *("SEC-RATE", "SEC-BREAKER", "SEC-SECRETS", "SEC-CERTS"),
    }
)
_ECONOMY = frozenset({"EVT-ECONOMY"})
_MIDDLE_US = START_US + 10_000_000


def _never_applied(simulation: Simulation) -> None:
    """The rules of the cut were never loaded: no connection was seen to fail."""
    faults = simulation.course.faults
    faults[faults.index(CUT)] = replace(CUT, effective_us=None, evidence="")


def _cannot_be_done(simulation: Simulation) -> None:
    faults = simulation.course.faults
    faults[faults.index(CUT)] = replace(
        CUT, effective_us=None, evidence="", end_us=None, needs="needs root and iptables"
    )


def _silence(begin_s: float, end_s: float, partition: int) -> Callable[[Simulation], None]:
    """One partition of the combat topic takes nothing for a while."""
    begin_us, end_us = START_US + round(begin_s * 1e6), START_US + round(end_s * 1e6)

    def seed(simulation: Simulation) -> None:
        simulation.acks = [
            replace(ack, at_us=end_us + 4_000)
            if ack.sent.domain is Domain.COMBAT and ack.partition == partition and begin_us <= ack.at_us < end_us
            else ack
            for ack in simulation.acks
        ]

    return seed


def _rebalance_slowly(simulation: Simulation) -> None:
    simulation.course.groups = group_samples(stable_s=37.5)


def _not_restored(simulation: Simulation) -> None:
    outcomes = simulation.course.outcomes
    outcomes[0] = replace(outcomes[0], status="failed", steady_after=False, missed=("in-sync replicas: 2, wanted 3",))


def _books_disagree(simulation: Simulation) -> None:
    """The drill's reconciliation finds an outcome missing."""
    outcomes = simulation.course.outcomes
    outcomes[-1] = replace(outcomes[-1], failed=("reconcile the books: 3 events have no outcome",))


def _middle(simulation: Simulation) -> tuple[list[Handled], int]:
    """What was handled of partition 0 of the combat topic in the steady phase, and a place in the middle of it."""
    mine = [
        one
        for one in simulation.handled
        if one.domain is Domain.COMBAT and one.partition == 0 and one.done_us < PHASES[0].end_us
    ]
    return mine, next(i for i, one in enumerate(mine) if one.done_us > _MIDDLE_US)


def _commit_before_processing(simulation: Simulation) -> None:
    """An instance commits what it has read, dies, and its successor goes on from there."""
    mine, at = _middle(simulation)
    kinds = {(r.partition, r.offset): r.sent.kind for r in simulation.records() if r.sent.domain is Domain.COMBAT}
    while any(kinds[0, one.offset] != "valid" for one in mine[at : at + 3]):
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
    records = simulation.log[Domain.COMBAT, 0]
    at = next(i for i, record in enumerate(records) if record.sent.ts_us > _MIDDLE_US)
    gone = records[at : at + 60]
    places = {(r.sent.stream, r.sent.seq): r.offset - len(gone) for r in records[at + len(gone) :]}
    simulation.log[Domain.COMBAT, 0] = records[:at] + [
        replace(record, offset=record.offset - len(gone)) for record in records[at + len(gone) :]
    ]
    simulation.acks = [
        replace(ack, offset=places.get((ack.sent.stream, ack.sent.seq), ack.offset)) for ack in simulation.acks
    ]


def _old_leader_writes(simulation: Simulation) -> None:
    epochs = simulation.course.epochs
    epochs[0] = replace(epochs[0], decreases=1)


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


def _coin(simulation: Simulation) -> None:
    """A payment is booked with more money than its event moves."""
    at = _with_trade(simulation)
    record = simulation.ledger[at]
    postings = [p._replace(amount=p.amount + 1) if p.asset == "eddies" else p for p in record.postings]
    simulation.ledger[at] = structs.replace(record, postings=postings)


def _deal_too_much(simulation: Simulation) -> None:
    simulation.dealt_too_much = 7


CHAOS_DEFECTS: tuple[Defect, ...] = (
    *(
        Defect(
            name=name,
            caught_by="fault-in-effect",
            after=Stage.READ,
            seed=seed,
            claims=frozenset({"FT-PARTITION", "CHAOS-ALL"}),
            verdict=Verdict.UNKNOWN,
        )
        for name, seed in (("fault never applied", _never_applied), ("fault that cannot be done", _cannot_be_done))
    ),
    *(
        Defect(name=name, caught_by=caught_by, after=after, seed=seed, claims=claims)
        for name, caught_by, after, seed, claims in (
            ("slow recovery from a kill", "FT-BROKER", Stage.ACKED, _silence(22.1, 26.0, 0), frozenset()),
            ("slow failover under a cut", "FT-PARTITION", Stage.ACKED, _silence(28.7, 32.5, 1), frozenset()),
            ("slow rebalance", "FT-CONSUMER", Stage.READ, _rebalance_slowly, frozenset()),
            ("drill whose books disagree", "OPS-ROLLBACK", Stage.READ, _books_disagree, frozenset()),
            ("steady state not restored", "CHAOS-ALL", Stage.READ, _not_restored, frozenset()),
            (
                "offsets committed before processing",
                "poll-skip",
                Stage.HANDLED,
                _commit_before_processing,
                _LOST | {"conservation", "OPS-HEALTH"},
            ),
            ("consumer goes ahead", "poll-skip", Stage.HANDLED, _go_ahead, frozenset()),
            ("consumer goes back", "nonmonotonic-poll", Stage.HANDLED, _go_back, frozenset()),
            (
                "log cut back by an unclean election",
                "acked-below-known",
                Stage.ACKED,
                _cut_log_back,
                _LOST | {"lost-write", "DUR-ACKED", "AVAIL", "conservation", "EVT-COMBAT", "OPS-HEALTH", "LAT-COMBAT"},
            ),
            ("old leader's records behind a new one's", "leader-epoch", Stage.READ, _old_leader_writes, frozenset()),
            ("leader epoch goes back", "leader-epoch", Stage.READ, _epoch_goes_back, frozenset()),
            ("aborted transaction shown", "aborted-read", Stage.READ, _show_aborted, _ECONOMY),
            ("open transaction shown", "precommitted-read", Stage.READ, _show_too_early, _ECONOMY),
            ("torn trade", "torn-transaction", Stage.READ, _tear_trade, _ECONOMY | {"OPS-ROLLBACK"}),
            ("torn transaction", "torn-transaction", Stage.READ, _tear_transaction, _ECONOMY | {"OPS-ROLLBACK"}),
            ("batch booked twice", "double-booking", Stage.READ, _book_twice, _ECONOMY),
            ("payment booked twice", "double-booking", Stage.READ, _pay_twice, _ECONOMY),
            ("money from nowhere", "conserved-economy", Stage.READ, _coin, _ECONOMY),
            ("damage not the model's", "EVT-COMBAT", Stage.READ, _deal_too_much, frozenset()),
        )
    ),
)
