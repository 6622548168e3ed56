"""What is due of that which the fresh reader found."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence

from necp_validate.evidence.inventory.counting import (
    Asked,
    Evidence,
    Holding,
    named,
    present,
)
from necp_validate.evidence.subjects import TRANSACTIONAL
from necp_validate.record import PartitionRead, Readback, Record


def _read(roles: Sequence[str]) -> Callable[[Record, Asked], Iterator[Holding]]:
    """Every partition that was due is there, and was read up to its high watermark."""

    def count(history: Record, _: Asked) -> Iterator[Holding]:
        file = "history/readback.json"
        readback = history.readback
        if readback is None:
            yield present("readback", False, file, misleads=True)
            return
        if history.due is None:
            yield present("list of the topics that had to be read", False, "history/due.json")
        topics = [one for one in history.due.topics if one.role in roles] if history.due is not None else []
        names = {one.topic for one in topics}
        due = [f"{one.topic}-{number}" for one in topics for number in range(one.partitions)]
        yield from _topics_due(history, roles, names)
        there = [part for part in (*readback.partitions, *(readback.outputs or ())) if part.topic in names]
        yield named("partitions read back", due, (f"{p.topic}-{p.partition}" for p in there), file, misleads=True)
        yield from _positions(there, file)

    return count


def _topics_due(history: Record, roles: Sequence[str], names: Collection[str]) -> Iterator[Holding]:
    """What is said to be due covers what was sent to: a list with half of its topics cannot say what is missing."""
    file = "history/due.json"
    if history.due is not None and not names:
        yield present(f"topics with the role {' or '.join(roles)}", False, file)
    elif "events" in roles:
        yield named("topics sent to, in the list of those to be read", history.domain_of_topic, names, file)
    elif "dead-letters" in roles and not history.own_topics:
        due = len(history.domains)
        yield Holding(what="topics of dead letters to be read", due=due, found=len(names), file=file)


def _positions(there: Sequence[PartitionRead], file: str) -> Iterator[Holding]:
    unknown = [f"{p.topic}-{p.partition}" for p in there if p.position is None]
    yield Holding(
        what="positions that the reader reached",
        due=len(there),
        found=len(there) - len(unknown),
        file=file,
        missing=tuple(unknown),
    )
    short = [f"{p.topic}-{p.partition}" for p in there if p.position is not None and p.position < p.high]
    yield Holding(
        what="partitions read to their high watermark",
        due=len(there) - len(unknown),
        found=len(there) - len(unknown) - len(short),
        file=file,
        missing=tuple(short),
        misleads=True,
    )


def _receipts(history: Record, asked: Asked) -> Iterator[Holding]:
    yield from _read(("receipts",))(history, asked)
    if history.readback is not None:
        written = (f"{p.topic}-{p.partition}" for p in _written(history, history.readback))
        found = (f"{one.topic}-{one.partition}" for one in history.readback.receipts)
        yield named("partitions with outcomes", written, found, "history/readback.json: receipts")


def _ledger(history: Record, asked: Asked) -> Iterator[Holding]:
    yield from _read(("ledger",))(history, asked)
    if history.readback is not None:
        yield present("ledger", history.readback.ledger, "history/readback.json: ledger", misleads=True)
        topics = {topic for topic, domain in history.domain_of_topic.items() if domain == TRANSACTIONAL}
        handled = (f"{one.partition}" for one in history.readback.receipts if one.topic in topics)
        booked = (f"{book.partition}" for book in history.readback.ledger or ())
        yield named("partitions with a ledger", handled, booked, "history/readback.json: ledger", misleads=True)


def _dead_letters(history: Record, asked: Asked) -> Iterator[Holding]:
    yield from _read(("dead-letters",))(history, asked)
    if history.readback is not None:
        held = (p.topic for p in history.readback.outputs or () if p.read and p.topic in _letter_topics(history))
        found = (one.topic for one in history.readback.letters or ())
        file = "history/readback.json: letters"
        yield named("topics of which it is known which events they hold", held, found, file, misleads=True)


def _letter_topics(history: Record) -> set[str]:
    return {one.topic for one in history.due.topics if one.role == "dead-letters"} if history.due is not None else set()


def _written(history: Record, readback: Readback) -> list[PartitionRead]:
    """The partitions of the events' topics that have records."""
    topics = history.domain_of_topic
    return [part for part in readback.partitions if part.read and part.topic in topics]


def _epochs(history: Record, _: Asked) -> Iterator[Holding]:
    if history.readback is None:
        return
    written = [f"{p.topic}-{p.partition}" for p in _written(history, history.readback)]
    found = (f"{one.topic}-{one.partition}" for one in history.readback.epochs or ())
    yield named("partitions with leader epochs", written, found, "history/readback.json: epochs")


EVENTS_READ = Evidence(name="events read back", parts=("readback",), count=_read(("events",)))
RECEIPTS = Evidence(name="receipts", parts=("readback",), count=_receipts)
LEDGER = Evidence(name="ledger", parts=("readback",), count=_ledger)
DEAD_LETTERS = Evidence(name="dead letters", parts=("readback",), count=_dead_letters)
EPOCHS = Evidence(name="leader epochs", parts=("readback",), count=_epochs)
