"""A sound round of attempts that must be refused, as the probes would make it."""

from __future__ import annotations

from necp_validate.history import ACCEPTED, REFUSED, AccessProbe, ListenerProbe, SecurityRound
from necp_validate.security.listeners import LOGIN_ATTEMPTS, MUTUAL_ATTEMPTS
from necp_validate.security.policy import OPERATIONS, load_policy

LISTENERS = {"internal": MUTUAL_ATTEMPTS, "controller": MUTUAL_ATTEMPTS, "external": LOGIN_ATTEMPTS}


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
        )
        for name, attempts in LISTENERS.items()
        for attempt in attempts
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
