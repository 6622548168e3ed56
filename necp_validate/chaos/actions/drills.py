"""What operators do in an emergency: back to the version before, consumers paused, a broker's certificate renewed."""
# Annotations stay types here: Chaos Toolkit's discovery reads them.

from chaoslib.exceptions import ActivityFailed

from necp_validate.chaos import brokers, cores
from necp_validate.chaos.reconciliation import differences
from necp_validate.chaos.registry import fault, healing
from necp_validate.chaos.roles import resolve
from necp_validate.chaos.session import current
from necp_validate.chaos.timeline import recent_eps
from necp_validate.clients.reader import read_back
from necp_validate.core import StackError
from necp_validate.events.topics import LEDGER_TOPIC, VERIFIER_PRINCIPAL, Domain
from necp_validate.record.faults import FaultRecord
from necp_validate.stack.served import serial_served

_SHOWN = 5


@fault(rollback="roll_forward_cores")
def roll_back_cores(version: str = "0.9", instances: int = 3, within_s: float = 60.0) -> FaultRecord:
    """Scale the event core down to nothing, and the version before it up. Rollback: roll_forward_cores.

    What is started is this build under another version, told apart by ``/health``: the reference event core has no
    older release. The drill proves the procedure, not that old code reads what new code has written.

    Args:
        version: of the instances that take over.
        instances: how many of them.
        within_s: how long they may take to have joined their groups.
    """
    session = current()
    before = session.fleet.running()

    def do() -> None:
        if not session.fleet.retire_all(before):
            raise StackError("an instance of the event core did not end cleanly within 30 s", hint="see logs/")
        session.fleet.start(instances, {"CORE_VERSION": version}, timeout_s=within_s)

    def seen() -> str:
        serving = [core for core in session.fleet.running() if core.health().get("version") == version]
        found = cores.members(session, Domain.COMBAT.group)
        if any(core.alive() for core in before) or len(serving) < instances or found != instances:
            return ""
        gone = f"{len(before)} instances ended cleanly"
        return f"{gone}; {len(serving)} of version {version} are the group's {found} members"

    def undo() -> None:
        mine = [core for core in session.fleet.running() if core not in before]
        session.fleet.start(max(len(before) - (len(session.fleet.running()) - len(mine)), 0))
        if not session.fleet.retire_all(mine):
            raise StackError("an instance of the event core did not end cleanly within 30 s", hint="see logs/")

    words = f"{len(before)} instances, to {instances} of version {version}"
    return session.inject("core-rollback", words, do=do, seen=seen, undo=undo, within_s=within_s)


@healing
def roll_forward_cores() -> int:
    """Deploy the version again that roll_back_cores has taken away."""
    return current().undo("core-rollback")


@fault(rollback="resume_consumers")
def pause_consumers(within_s: float = 20.0) -> FaultRecord:
    """Let every instance of the event core read no more; they stay in their groups. Rollback: resume_consumers.

    Args:
        within_s: how long until nothing is handled any more.
    """
    session = current()
    held = session.fleet.running()

    def do() -> None:
        for core in held:
            core.hold()

    def seen() -> str:
        domains = []
        for core in held:
            said = list(core.health().get("domains", {}).values())
            if not all(state.get("paused") for state in said):
                core.hold()  # asking again does no harm
            domains += said
        rates = recent_eps(session.run_dir, 2)
        handled = sum(rates.get(name, 0.0) for name in ("processed", "rejected", "dead_lettered"))
        if not domains or not all(state.get("paused") for state in domains) or handled or not rates.get("acked"):
            return ""
        return f"{len(held)} instances say so; {rates['acked']:,.0f} events/s acknowledged and none handled for 2 s"

    def undo() -> None:
        for core in held:
            core.release()

    return session.inject("consumers-paused", "every group", do=do, seen=seen, undo=undo, within_s=within_s)


@healing
def resume_consumers() -> int:
    """Let the instances of the event core read on."""
    return current().undo("consumers-paused")


def reconcile_books(within_s: float = 20.0) -> dict:  # type: ignore[type-arg]  # the type that discovery knows
    """Compare committed offsets, receipts and ledger with each other, from the beginning; consumers must be paused.

    Fails if they do not agree: every event before a committed offset has an outcome, none after it has one, and
    ledger and receipts hold the same events, every trade with both legs.

    Args:
        within_s: how long what was under way may take to be settled.
    """
    session = current()
    if session.needs:
        return {"skipped": session.needs}
    found: list[str] = []
    counted = 0

    def agreed() -> str:
        nonlocal found, counted
        committed = {(d.topic, n): at for d in Domain for n, at in session.cluster.committed(d).items()}
        books = read_back(session.stack.client_config(VERIFIER_PRINCIPAL), {}, begin={}, ledger_topic=LEDGER_TOPIC)
        ledger = books.ledger or ()
        outcomes = {(r.topic, r.partition): r.accounted for r in books.receipts}
        booked = {book.partition: book.covered for book in ledger}
        found = differences(committed, outcomes, booked, sum(book.torn for book in ledger))
        counted = sum(one.count for one in outcomes.values())
        return "" if found else "agreed"

    if not session.until(agreed, within_s):
        more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        raise ActivityFailed(f"the books do not agree: {'; '.join(found[:_SHOWN])}{more}")
    session.tell(f"books reconciled: committed offsets, receipts and ledger agree on {counted:,} events")
    return {"events": counted}


@fault("stop", rollback="start_brokers")
def renew_certificate(role: str = "same") -> FaultRecord:
    """Issue a broker a new certificate in the place of its old one, and start it (again). Rollback: start_brokers.

    Args:
        role: which broker.
    """
    session = current()
    target = resolve(session, role)
    start = brokers.starter(session, target.broker)
    serial = 0

    def do() -> None:
        nonlocal serial
        serial = session.stack.renew_certificate(target.broker)
        if session.stack.broker_alive(target.broker):
            session.stack.stop_broker(target.broker)
        start()

    def seen() -> str:
        served = serial_served(brokers.info(session, target.broker))
        return f"clients are shown the new certificate, serial {serial:x}" if served == serial else ""

    return session.inject("certificate-renewal", target.words, do=do, seen=seen, undo=start)
