"""A producer that sends more than its topic's limit allows."""
# Annotations stay types here: Chaos Toolkit's discovery reads them.

from necp_validate.chaos.flooding import PublisherFlood
from necp_validate.chaos.registry import fault
from necp_validate.chaos.session import current
from necp_validate.core import StackError
from necp_validate.events.topics import Domain
from necp_validate.record import parts
from necp_validate.record.faults import FaultRecord

FLOOD = "publisher-flood"
_ALLOWANCE_S = 60.0


@fault(rollback=None)
def flood_publisher(
    domain: str = "combat",
    rate: int = 20000,
    burst: int = 10000,
    factor: float = 1.5,
    seconds: float = 15.0,
    polite: int = 64,
    hostile: int = 16,
) -> FaultRecord:
    """Start a publisher, let many senders have more to send than its limit, and end both.

    Args:
        domain: whose events are sent.
        rate: the publisher's limit, events a second.
        burst: events that it lets pass at once.
        factor: how many times the limit is due, to polite senders.
        seconds: how long.
        polite: how many senders stay away for as long as they are told.
        hostile: how many do not, and always have something to send.
    """
    session = current()
    number = sum(name.startswith("flood-") for name in parts.DRILL_LOADS.files(session.run_dir))
    flood = PublisherFlood(session.stack, session.run_dir, Domain(domain), f"flood-{number}")

    def do() -> None:
        flood.start(rate=rate, burst=burst, factor=factor, seconds=seconds, polite=polite, hostile=hostile)

    def seen() -> str:
        flood.floods()
        refused = flood.refused()
        return f"the publisher has refused {refused:,} events by now" if refused else ""

    words = f"{Domain(domain).topic}, {factor:g} times {rate:,} events/s"
    record = session.inject(FLOOD, words, do=do, seen=seen, undo=flood.stop, within_s=seconds)
    left_s = seconds + _ALLOWANCE_S
    while flood.floods():
        if (left_s := left_s - 0.2) < 0:
            raise StackError(f"the flood did not end within {seconds + _ALLOWANCE_S:g} s")
        session.wait(0.2)
    session.undo(FLOOD)
    return record
