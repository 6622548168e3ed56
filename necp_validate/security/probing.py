"""One round of negative probes against a stack: every listener, and the matrix of who may do what."""

from __future__ import annotations

import ssl
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from necp_validate.clients.connection import Connection
from necp_validate.core import UsageError
from necp_validate.events.topics import VERIFIER_PRINCIPAL
from necp_validate.record import REFUSED, AccessProbe, ListenerProbe, SecurityRound
from necp_validate.security.access import try_access
from necp_validate.security.listeners import KeyFiles, Listener, try_listener
from necp_validate.security.logs import BrokerLogs, logged_operation
from necp_validate.security.policy import Policy
from necp_validate.stack import Stack

_TIMEOUT_S = 5.0
_LOG_S = 1.0


def try_everything(
    stack: Stack, policy: Policy, when: str, *, progress: Callable[[str], None] = lambda _: None
) -> SecurityRound:
    """Try whatever must be refused, and what must not.

    Args:
        stack: a target that is up.
        policy: what each principal may do.
        when: name of the round.
        progress: told of each part when it begins.
    """
    begin_us, logs = _now_us(), BrokerLogs(stack.broker_logs())
    attempts: list[tuple[ListenerProbe, int]] = []
    for listener in _listeners(stack):
        progress(f"listener {listener.name} of broker {listener.broker}")
        attempts += try_listener(listener)
    progress(f"{len(policy.principals)} principals on {len(policy.resources)} resources")
    access = try_access(policy, logged_in(stack))
    time.sleep(_LOG_S)  # the lines of the last requests are still being written
    refusals, denials = logs.refusals(), logs.denials()
    return SecurityRound(
        when=when,
        begin_us=begin_us,
        end_us=_now_us(),
        listeners=tuple(replace(probe, log_line=_refusal(probe, port, refusals)) for probe, port in attempts),
        access=tuple(replace(probe, log_line=_denial(probe, denials)) for probe in access),
    )


def _refusal(probe: ListenerProbe, port: int, lines: Mapping[tuple[int, int], str]) -> str:
    """The broker's line on an attempt; what the client itself refused is in no log of a broker's."""
    by_broker = probe.outcome == REFUSED and not probe.answer.startswith("by the client")
    return lines.get((probe.broker, port), "") if by_broker else ""


def _denial(probe: AccessProbe, lines: Mapping[tuple[str, str, str], str]) -> str:
    """The authorizer's line on a denial."""
    where = (probe.principal, probe.resource, logged_operation(probe.operation))
    return lines.get(where, "") if probe.outcome == REFUSED else ""


def _listeners(stack: Stack) -> list[Listener]:
    user = stack.client_config(VERIFIER_PRINCIPAL)
    certificates: dict[str, KeyFiles] = {
        variant: KeyFiles(certificate=certificate, key=key)
        for variant, (certificate, key) in stack.client_certificates().items()
    }
    return [
        Listener(
            name=one.name,
            broker=one.broker,
            address=one.address,
            ca=Path(user["ssl.ca.location"]),
            mutual=one.mutual,
            certificates=certificates,
            login=(user["sasl.username"], user["sasl.password"]),
            mechanism=user["sasl.mechanism"],
        )
        for one in stack.listeners()
    ]


def logged_in(stack: Stack) -> Callable[[str], Connection]:
    """What logs a principal in at the first external listener that answers."""
    addresses = deque(one.address for one in stack.listeners() if not one.mutual)

    def connect(principal: str) -> Connection:
        try:
            config = stack.client_config(principal)
        except UsageError as error:
            raise ConnectionError(str(error)) from error
        context = ssl.create_default_context(cafile=config["ssl.ca.location"])
        last: OSError = ConnectionError("there is no listener to log in at")
        for _ in range(len(addresses)):
            try:
                connection = Connection(addresses[0], timeout_s=_TIMEOUT_S)
            except OSError as error:
                last = error
                addresses.rotate(-1)  # the next principal begins with one that answers
                continue
            try:
                connection.secure(context)
                connection.log_in(config["sasl.username"], config["sasl.password"], config["sasl.mechanism"])
            except OSError as error:
                connection.close()
                last = error
                addresses.rotate(-1)
                continue
            return connection
        raise last

    return connect


def _now_us() -> int:
    return time.time_ns() // 1000
