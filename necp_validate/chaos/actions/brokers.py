"""Ending, freezing and restarting brokers."""
# Annotations stay types here: Chaos Toolkit's discovery reads them.

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from necp_validate.chaos import brokers
from necp_validate.chaos.registry import fault, healing
from necp_validate.chaos.roles import resolve
from necp_validate.chaos.session import Session, current
from necp_validate.chaos.timeline import recent_eps
from necp_validate.core import StackError
from necp_validate.record.faults import FaultRecord


@fault("kill", rollback="start_brokers")
def kill_broker(role: str = "leader") -> FaultRecord:
    """Kill a broker (SIGKILL). Rollback: start_brokers.

    Args:
        role: which one; see `necp_validate.chaos.roles`.
    """
    session = current()
    target = resolve(session, role)
    return _end_broker(session, "broker-kill", target.broker, target.words, session.stack.kill_broker)


@fault("stop", rollback="start_brokers")
def stop_broker(role: str = "leader", timeout_s: float = 30.0) -> FaultRecord:
    """Shut a broker down in an orderly way. Rollback: start_brokers.

    Args:
        role: which one.
        timeout_s: it is killed after this long.
    """
    session = current()
    target = resolve(session, role)
    return _end_broker(
        session, "broker-stop", target.broker, target.words, lambda b: session.stack.stop_broker(b, timeout_s)
    )


def _end_broker(session: Session, kind: str, broker: int, words: str, do: Callable[[int], None]) -> FaultRecord:
    return session.inject(
        kind,
        words,
        do=lambda: do(broker),
        seen=brokers.gone(session, broker),
        undo=brokers.starter(session, broker),
    )


@fault("kill", rollback="start_brokers")
def kill_below_min_isr(role: str = "leader", within_s: float = 20.0) -> FaultRecord:
    """Kill two brokers of three; it counts once no producer gets an acknowledgement any more.

    Rollback: start_brokers.

    Args:
        role: the first; the second is chosen by seed.
        within_s: how long the last acknowledgements may take to come in.
    """
    session = current()
    first = resolve(session, role)
    second = session.rng.choice(brokers.others(session, first))
    has_gone = [brokers.gone(session, broker) for broker in (first.broker, second)]
    undo = [brokers.starter(session, broker) for broker in (first.broker, second)]

    def do() -> None:
        session.stack.kill_broker(first.broker)
        session.stack.kill_broker(second)

    def seen() -> str:
        said = [look() for look in has_gone]
        rates = recent_eps(session.run_dir, 3)
        if not all(said) or rates.get("acked") or not rates.get("scheduled"):
            return ""
        return f"{' and '.join(said)}; {rates['scheduled']:,.0f} events/s due and none acknowledged for 3 s"

    def start() -> None:
        with ThreadPoolExecutor(max_workers=len(undo)) as pool:  # together: neither gets far without a majority
            for started in [pool.submit(one) for one in undo]:
                started.result()

    return session.inject(
        "double-kill", f"{first.words} and broker-{second}", do=do, seen=seen, undo=start, within_s=within_s
    )


@fault("pause", rollback="resume_brokers")
def pause_broker(role: str = "leader") -> FaultRecord:
    """Freeze a broker (SIGSTOP): its connections stay open, it does nothing. Rollback: resume_brokers.

    Args:
        role: which one.
    """
    session = current()
    target = resolve(session, role)
    return session.inject(
        "broker-pause",
        target.words,
        do=lambda: session.stack.pause_broker(target.broker),
        seen=brokers.frozen(session, target.broker),
        undo=lambda: session.stack.resume_broker(target.broker),
    )


@healing
def start_brokers() -> int:
    """Start every broker that an action has killed or stopped; returns when they accept connections."""
    return current().undo("broker-kill", "broker-stop", "double-kill", "certificate-renewal")


@healing
def resume_brokers() -> int:
    """Let every frozen broker go on."""
    return current().undo("broker-pause")


@fault("stop", rollback="start_brokers")
def restart_brokers_in_turn(within_s: float = 60.0) -> FaultRecord:
    """Stop and start each broker, waiting until all replicas are in sync before the next.

    Rollback: start_brokers.

    Args:
        within_s: how long a broker may take to be in sync again.
    """
    session = current()
    for broker in session.stack.brokers():
        words = f"broker-{broker.id} (rolling restart)"
        record = _end_broker(session, "broker-stop", broker.id, words, session.stack.stop_broker)
        session.undo("broker-stop")
        if not session.until(lambda: "" if session.cluster.under_replicated() else "in sync", within_s):
            raise StackError(f"broker {broker.id} was not in sync again in {within_s:g} s; the others were left alone")
    return record
