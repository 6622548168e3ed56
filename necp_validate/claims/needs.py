"""Parts of a record without which nothing can be said: each is returned, or what is missing is raised."""

from __future__ import annotations

from typing import Any, TypeVar

from necp_validate.core import reason_in
from necp_validate.evidence.missing import NoEvidence
from necp_validate.record import LoadRecord, PhaseCounts, Readback, Record, parts
from necp_validate.record.store import Part

T = TypeVar("T")


def recorded(value: T | None, field: str, part: Part[Any], worker: str = "") -> T:
    """A field of a record that must have been recorded to be judged.

    Args:
        value: the field's value.
        field: its name.
        part: which file it lies in.
        worker: whose file, where each has one.

    Raises:
        NoEvidence: it was not; the message names field and file.
    """
    if value is None:
        raise NoEvidence(f"{field} was not recorded in {part.path.format(worker=worker)}")
    return value


def phases_of(load: LoadRecord) -> dict[str, dict[str, PhaseCounts]]:
    """A load worker's counts by phase and domain.

    Raises:
        NoEvidence: they were not recorded.
    """
    return recorded(load.phases, "phases", parts.LOADS, load.worker)


def need_readback(history: Record) -> Readback:
    """The readback.

    Raises:
        NoEvidence: nothing was read back.
    """
    if history.readback is None:
        why = f": {reason_in(str(history.run.error))}" if history.run.status == "unread" else " in this run"
        raise NoEvidence(f"nothing was read back{why}")
    return history.readback


def need_loads(history: Record) -> tuple[LoadRecord, ...]:
    """The load workers' records.

    Raises:
        NoEvidence: there are none, or nothing was sent.
    """
    if not any(stream.sent for load in history.loads for stream in load.streams):
        raise NoEvidence("no load worker left a record of anything it sent")
    return history.loads


def need_senders(history: Record) -> tuple[LoadRecord, ...]:
    """The records of everybody who sent events: load workers, and players through the gateway.

    Raises:
        NoEvidence: there are none, or nothing was sent.
    """
    senders = history.senders
    if not any(stream.sent for sender in senders for stream in sender.streams):
        raise NoEvidence("no load worker left a record of anything it sent")
    return senders


def need_receipts(history: Record) -> Readback:
    """The readback with the event core's receipts.

    Raises:
        NoEvidence: there are none.
    """
    readback = need_readback(history)
    if not readback.receipts:
        raise NoEvidence("no receipts of the event core were found")
    return readback
