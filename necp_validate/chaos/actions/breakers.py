"""Poison that opens a circuit breaker, and waiting until it has closed again."""
# Annotations stay types here: Chaos Toolkit's discovery reads them.

import time

from necp_validate.chaos.breaker_watch import BreakerWatch, samples_of
from necp_validate.chaos.registry import fault, healing
from necp_validate.chaos.session import current
from necp_validate.events.topics import Domain
from necp_validate.record import parts
from necp_validate.record.faults import FaultRecord
from necp_validate.security.poison import BURST, PoisonProducer

POISON = "poison-breaker"
_HANDLED_S = 3.0
_COUNTED = 0.9  # of a burst: the window forgets meanwhile


@fault(rollback="stop_poison")
def poison_until_open(domain: str = "social", within_s: float = 90.0) -> FaultRecord:
    """Let one producer of a domain send nothing but poison until its consumer's breaker is open. Rollback: stop_poison.

    A burst follows when the one before has been handled, so that hardly any poison waits when the breaker opens.

    Args:
        domain: whose events are poisoned.
        within_s: give up after this long.
    """
    session = current()
    of = Domain(domain)
    number = sum(name.startswith("poison-") for name in parts.DRILL_LOADS.files(session.run_dir))
    watch = BreakerWatch(session.fleet, session.run_dir)
    producer = PoisonProducer(session.stack.client_config(of.service), of, session.run_dir.name, f"poison-{number}")
    wanted, sent_s = 0, float("-inf")

    def failures() -> int:
        return sum(sample.window_failures for sample in watch.of(of))

    def seen() -> str:
        nonlocal wanted, sent_s
        opened = [sample for sample in watch.of(of) if sample.state == "open"]
        if opened:
            share = opened[0].ratio_at_opening or 0.0
            return (
                f"the breaker of {opened[0].instance} opened at {share:.1%} failures, {producer.sent:,} poison events"
            )
        if failures() >= wanted or time.monotonic() - sent_s > _HANDLED_S:
            wanted, sent_s = failures() + round(BURST * _COUNTED), time.monotonic()
            producer.send()
        return ""

    def undo() -> None:
        watch.stop()
        parts.DRILL_LOADS.write(session.run_dir, producer.record())

    return session.inject(
        POISON, f"{domain} events of one producer", do=watch.start, seen=seen, undo=undo, within_s=within_s
    )


def await_breaker(domain: str = "social", within_s: float = 100.0) -> dict:  # type: ignore[type-arg]  # discovery's type
    """Wait until a domain's breakers that have opened are closed again; tells how they stand in the end.

    Args:
        domain: whose consumer.
        within_s: how long.
    """
    session = current()
    if session.needs:
        return {"skipped": session.needs}
    states: dict[str, str] = {}

    def all_closed() -> str:
        for core in session.fleet.running():
            states.update((core.name, sample.state) for sample in samples_of(core) if sample.domain == domain)
        return "closed" if set(states.values()) <= {"closed"} else ""

    closed = session.until(all_closed, within_s)
    session.tell(f"breakers of {domain}: {', '.join(f'{name} {state}' for name, state in states.items())}")
    return {"closed": bool(closed), "states": states}


@healing
def stop_poison() -> int:
    """Send no more poison, and watch breakers no more."""
    return current().undo(POISON)
