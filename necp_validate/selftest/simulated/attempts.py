"""Sound rounds of attempts that must be refused, as the probes would make them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from necp_validate.record import ACCEPTED, REFUSED, AccessProbe, ListenerProbe, SecurityRound
from necp_validate.security.access import cells_of
from necp_validate.security.listeners import attempts_at
from necp_validate.security.policy import load_policy
from necp_validate.selftest.simulated.cluster import BROKERS, LISTENERS
from necp_validate.selftest.simulated.faults import KILL
from necp_validate.selftest.simulated.scenario import END_S, at


def _log_line(listener: str, number: int) -> str:
    """A broker's line on a client that it refused."""
    thread = f"data-plane-kafka-network-thread-1-{listener.upper()}-SSL-0"
    peer = f"127.0.0.1:{40_000 + number}"
    return (
        f"2026-09-21T14:13:2{number % 10}.{number:03d}+0000 [{thread}] INFO org.apache.kafka.common.network.Selector - "
        f"[SocketServer listenerType=BROKER, nodeId=1] Failed authentication with /127.0.0.1 "
        f"(channelId=127.0.0.1:{19_000 + len(listener)}-{peer}-0-7) (SSL handshake failed)"
    )


def sound_round(brokers: Sequence[int] = (1,)) -> SecurityRound:
    """Every attempt that the probes make before the load at some brokers, each with the end that it must have."""
    policy = load_policy()
    tried = [
        (broker, name, attempt)
        for broker in brokers
        for name, mutual in LISTENERS.items()
        for attempt in attempts_at(mutual=mutual)
    ]
    listeners = tuple(
        ListenerProbe(
            listener=name,
            broker=broker,
            attempt=attempt.name,
            expected=attempt.expected,
            outcome=attempt.expected,
            answer="as simulated",
            log_line=_log_line(name, number) if attempt.expected == REFUSED else "",
        )
        for number, (broker, name, attempt) in enumerate(tried)
    )
    access = tuple(
        AccessProbe(
            principal=principal,
            resource=resource,
            operation=operation,
            allowed=allowed,
            outcome=ACCEPTED if allowed else REFUSED,
            answer="as simulated",
            log_line="",
        )
        for principal, resource, operation in cells_of(policy)
        for allowed in [policy.allows(principal, resource, operation)]
    )
    return SecurityRound(when="start", begin_us=at(-20), end_us=at(-10), listeners=listeners, access=access)


def sound_rounds() -> list[SecurityRound]:
    """Before the load, while a broker is down, once it is back, and after the load."""
    assert KILL.effective_us is not None
    assert KILL.end_us is not None
    one = sound_round(BROKERS)
    return [
        one,
        replace(one, when="fault", begin_us=KILL.effective_us + 1, end_us=KILL.end_us - 1, access=()),
        replace(one, when="after the fault", begin_us=KILL.end_us + 1, end_us=KILL.end_us + 2, access=()),
        replace(one, when="end", begin_us=at(END_S + 1), end_us=at(END_S + 3)),
    ]
