"""A sound round of attempts that must be refused, as the probes would make it."""

from __future__ import annotations

from dataclasses import replace

from necp_validate.record import ACCEPTED, REFUSED, AccessProbe, ListenerProbe, SecurityRound
from necp_validate.security.listeners import LOGIN_ATTEMPTS, MUTUAL_ATTEMPTS
from necp_validate.security.policy import OPERATIONS, load_policy
from necp_validate.selftest.course import KILL

LISTENERS = {"internal": MUTUAL_ATTEMPTS, "controller": MUTUAL_ATTEMPTS, "external": LOGIN_ATTEMPTS}


def _log_line(listener: str, number: int) -> str:
    """A broker's line on a client that it refused."""
    thread = f"data-plane-kafka-network-thread-1-{listener.upper()}-SSL-0"
    peer = f"127.0.0.1:{40_000 + number}"
    return (
        f"2026-09-21T14:13:2{number % 10}.{number:03d}+0000 [{thread}] INFO org.apache.kafka.common.network.Selector - "
        f"[SocketServer listenerType=BROKER, nodeId=1] Failed authentication with /127.0.0.1 "
        f"(channelId=127.0.0.1:{19_000 + len(listener)}-{peer}-0-7) (SSL handshake failed)"
    )


def sound_round() -> SecurityRound:
    """Every attempt that the probes make, each with the end that it must have."""
    policy = load_policy()
    listeners = [
        ListenerProbe(
            listener=name,
            broker=1,
            attempt=attempt.name,
            expected=attempt.expected,
            outcome=attempt.expected,
            answer="as simulated",
            log_line=_log_line(name, number) if attempt.expected == REFUSED else "",
        )
        for name, attempts in LISTENERS.items()
        for number, attempt in enumerate(attempts)
    ]
    access = []
    for principal in policy.principals:
        for resource in policy.resources:
            for operation in OPERATIONS[resource.partition(":")[0]]:
                allowed = policy.allows(principal, resource, operation)
                access.append(
                    AccessProbe(
                        principal=principal,
                        resource=resource,
                        operation=operation,
                        allowed=allowed,
                        outcome=ACCEPTED if allowed else REFUSED,
                        answer="as simulated",
                    )
                )
    return SecurityRound(when="start", begin_us=1, end_us=2, listeners=tuple(listeners), access=tuple(access))


def rounds_under_fault() -> tuple[SecurityRound, ...]:
    """The listeners' attempts again, while a broker is down and afterwards."""
    assert KILL.effective_us is not None
    assert KILL.end_us is not None
    one = replace(sound_round(), access=())
    during = replace(one, when="fault", begin_us=KILL.effective_us + 1, end_us=KILL.end_us - 1)
    return during, replace(one, when="after the fault", begin_us=KILL.end_us + 1, end_us=KILL.end_us + 2)
