"""Disks that are full or read-only."""
# Annotations stay types here: Chaos Toolkit's discovery reads them.

from collections.abc import Callable

from necp_validate.chaos import brokers
from necp_validate.chaos.registry import fault, healing
from necp_validate.chaos.roles import resolve
from necp_validate.chaos.session import Session, current
from necp_validate.record.faults import FaultRecord


@fault("disk-full", rollback="free_disks")
def fill_disk(role: str = "leader") -> FaultRecord:
    """Let a broker's disk be full. Rollback: free_disks.

    Args:
        role: which broker.
    """
    session = current()
    target = resolve(session, role)
    return _refuse_writes(
        session, "disk-full", target.broker, target.words, session.stack.fill_disk, session.stack.free_disk
    )


@fault("read-only", rollback="make_disks_writable")
def make_disk_read_only(role: str = "leader") -> FaultRecord:
    """Let a broker's log directory be read-only. Rollback: make_disks_writable.

    Args:
        role: which broker.
    """
    session = current()
    target = resolve(session, role)
    return _refuse_writes(
        session, "read-only", target.broker, target.words, session.stack.read_only_disk, session.stack.writable_disk
    )


def _refuse_writes(
    session: Session, kind: str, broker: int, words: str, do: Callable[[int], None], heal: Callable[[int], None]
) -> FaultRecord:
    start = brokers.starter(session, broker)
    seen, within_s = brokers.disk_refuses(session, broker)

    def undo() -> None:
        heal(broker)
        start()  # a broker that has lost its log directory gives up

    def refuse() -> None:
        do(broker)
        session.excuse(broker)

    return session.inject(kind, words, do=refuse, seen=seen, undo=undo, within_s=within_s)


@healing
def free_disks() -> int:
    """Give full disks their space back, and start the brokers that have given up."""
    return current().undo("disk-full")


@healing
def make_disks_writable() -> int:
    """Make log directories writable again, and start the brokers that have given up."""
    return current().undo("read-only")
