"""Probes of the Chaos Toolkit extension. Names and arguments are stable: experiments are written against them.

Those that take ``within_s`` wait for what they ask about, and answer what they found in the end.
"""
# Annotations stay types here: Chaos Toolkit's discovery reads them.

import time

from necp_validate.chaos import gateways
from necp_validate.chaos.session import current
from necp_validate.chaos.timeline import recent_eps
from necp_validate.events.topics import Domain
from necp_validate.record import UNTRIED, AccessProbe, ListenerProbe, parts
from necp_validate.security.policy import load_policy
from necp_validate.security.probing import try_everything

__all__ = [
    "acked_eps",
    "alert_fires",
    "alerts_silent",
    "brokers_alive",
    "consumer_lag",
    "gateway_answers",
    "gateway_hz",
    "group_members",
    "isr_full",
    "logs_only_grow",
    "offline_partitions",
    "partition_count",
    "players_online",
    "under_replicated_partitions",
    "wrong_attempts",
]


def isr_full(within_s: float = 0.0) -> bool:
    """Whether every replica of every partition is in sync.

    Args:
        within_s: how long to wait for it.
    """
    session = current()
    return bool(session.until(lambda: "" if session.cluster.under_replicated() else "yes", within_s))


def under_replicated_partitions() -> int:
    """Partitions with fewer replicas in sync than replicas."""
    return current().cluster.under_replicated()


def offline_partitions(within_s: float = 0.0) -> int:
    """Partitions without a leader.

    Args:
        within_s: how long to wait until there is none.
    """
    session = current()
    session.until(lambda: "" if session.cluster.offline() else "none", within_s)
    return session.cluster.offline()


def consumer_lag(at_most: int = 0, within_s: float = 0.0) -> int:
    """Records of all domains that the event core has not committed yet.

    Args:
        at_most: what to wait for.
        within_s: how long to wait for it.
    """
    session = current()
    found = 0

    def low() -> str:
        nonlocal found
        found = session.cluster.lag()
        return "low" if found <= at_most else ""

    session.until(low, within_s)
    return found


def logs_only_grow() -> bool:
    """Whether no partition of a domain ends before where it was seen to end earlier in this run.

    A log that shrinks has lost acknowledged events; what else could be lost shows when everything is read back.
    """
    session = current()
    grown = True
    for domain in Domain:
        for number, end in session.cluster.ends(domain.topic).items():
            place = (domain.topic, number)
            grown &= end >= session.highest_ends.get(place, 0)
            session.highest_ends[place] = max(end, session.highest_ends.get(place, 0))
    return grown


def acked_eps(window_s: int = 3) -> float:
    """Events per second that producers got acknowledged, all domains.

    Args:
        window_s: over how many of the last seconds.
    """
    return round(recent_eps(current().run_dir, window_s).get("acked", 0.0), 1)


def brokers_alive() -> int:
    """Brokers whose process runs (a frozen one does)."""
    stack = current().stack
    return sum(stack.broker_alive(broker.id) for broker in stack.brokers())


def group_members(domain: str = "combat", at_least: int = 0, within_s: float = 0.0) -> int:
    """Members of a domain's consumer group.

    Args:
        domain: whose group.
        at_least: how many to wait for.
        within_s: how long to wait for them.
    """
    session = current()
    deadline = time.monotonic() + within_s
    while True:
        found = session.cluster.group(Domain(domain).group).members
        if found >= at_least or time.monotonic() >= deadline:
            return found
        session.wait(0.2)


def partition_count(topic: str) -> int:
    """Partitions of a topic.

    Args:
        topic: the topic.
    """
    return current().cluster.partitions(topic)


def gateway_answers(within_s: float = 0.0) -> bool:
    """Whether the gateway answers on ``/health`` that it is well.

    Args:
        within_s: how long to wait for it.
    """
    session = current()
    return bool(session.until(lambda: gateways.health(session).status, within_s))


def players_online(at_least: int = 0, within_s: float = 0.0) -> int:
    """Players that are logged in, by the gateway's own count; 0 while it does not answer.

    Args:
        at_least: how many to wait for.
        within_s: how long to wait for them.
    """
    session = current()
    found = 0

    def enough() -> str:
        nonlocal found
        found = gateways.health(session).sessions or 0
        return "enough" if found >= at_least else ""

    session.until(enough, within_s)
    return found


def alert_fires(name: str, within_s: float = 30.0) -> bool:
    """Whether an alert fires in the Prometheus that watches this run; no if none does.

    Args:
        name: of the alert.
        within_s: how long to wait for it.
    """
    session = current()
    watch = session.monitoring.watch if session.monitoring is not None else None
    if watch is None:
        return False
    fires = bool(session.until(lambda: "fires" if watch.firing(name) else "", within_s))
    session.tell(f"{name} {'fires' if fires else f'did not fire within {within_s:g} s'}")
    return fires


def alerts_silent(names: str, within_s: float = 90.0) -> bool:
    """Whether none of some alerts fires in the Prometheus that watches this run; yes if none watches.

    Args:
        names: of the alerts, with blanks between them.
        within_s: how long to wait for it.
    """
    session = current()
    watch = session.monitoring.watch if session.monitoring is not None else None
    if watch is None:
        return True
    return bool(session.until(lambda: "" if any(watch.firing(name) for name in names.split()) else "silent", within_s))


def gateway_hz() -> float:
    """Ticks per second of the gateway, by its own word; 0 while it does not answer."""
    return gateways.health(current()).tick_hz or 0.0


def wrong_attempts(when: str = "fault") -> int:
    """Attempts, made now, that must be refused and were not, or the other way round.

    Every listener that answers is tried in every way, and every principal on every resource. The attempts go into the
    run's record.

    Args:
        when: name of the round.
    """
    session = current()
    one = try_everything(session.stack, load_policy(), when)
    parts.SECURITY.append(session.run_dir, one)
    probes: list[ListenerProbe | AccessProbe] = [*one.listeners, *one.access]
    wrong = sum(probe.outcome not in (probe.expected, UNTRIED) for probe in probes)
    session.tell(f"{len(probes):,} attempts to get in or do something, {wrong:,} ended otherwise than they must")
    return wrong
