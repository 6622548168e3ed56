"""More consumers, more partitions, under load."""
# Annotations stay types here: Chaos Toolkit's discovery reads them.

from necp_validate.chaos import cores
from necp_validate.chaos.registry import fault, healing
from necp_validate.chaos.session import current
from necp_validate.core import StackError
from necp_validate.events.topics import Domain
from necp_validate.record.faults import FaultRecord
from necp_validate.stack.protocol import FaultUnavailable


@fault(rollback="retire_cores")
def scale_cores(members: int, domain: str = "combat", within_s: float = 60.0) -> FaultRecord:
    """Let a domain's consumer group grow by further instances of the event core. Rollback: retire_cores.

    Args:
        members: how many members the group is to have.
        domain: whose group; the further instances serve only it.
        within_s: how long they may take to have joined.
    """
    session = current()
    group = Domain(domain).group
    before = {core.name for core in session.fleet}
    begun = cores.members(session, group)

    def do() -> None:
        session.fleet.start(max(members - begun, 0), {"CORE_DOMAINS": domain}, timeout_s=within_s)

    def seen() -> str:
        found = cores.members(session, group)
        return f"{group} had {begun} members and has {found}" if found >= members else ""

    def undo() -> None:
        added = [core for core in session.fleet.running() if core.name not in before]
        if not session.fleet.retire_all(added):
            raise StackError("an instance of the event core did not end cleanly within 30 s", hint="see logs/")

    return session.inject("scale-consumers", f"{group} to {members}", do=do, seen=seen, undo=undo, within_s=within_s)


@healing
def retire_cores() -> int:
    """End the instances that scale_cores has started, in an orderly way."""
    return current().undo("scale-consumers")


@fault(rollback=None)
def add_partitions(topic: str, partitions: int, within_s: float = 20.0) -> FaultRecord:
    """Give a topic more partitions; it counts once records arrive in the new ones. Nothing can take them away.

    Args:
        topic: the topic.
        partitions: how many it is to have.
        within_s: how long until the first record arrives in a new one.
    """
    session = current()
    before = session.cluster.partitions(topic)

    def do() -> None:
        if before >= partitions:
            raise FaultUnavailable(f"needs a stack whose {topic} has fewer than {partitions} partitions: start anew")
        session.cluster.grow(topic, partitions)

    def seen() -> str:
        ends = session.cluster.ends(topic)
        used = sum(1 for number, end in ends.items() if number >= before and end > 0)
        return f"{len(ends)} partitions instead of {before}, {used} of the new ones hold records" if used else ""

    return session.inject(
        "scale-partitions", f"{topic} to {partitions}", do=do, seen=seen, undo=lambda: None, within_s=within_s
    )
