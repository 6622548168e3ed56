"""Doing on purpose what must be refused, often enough that it is noticed: failed logins, requests that are denied."""

from __future__ import annotations

import ssl
from itertools import cycle

from necp_validate.clients.connection import Connection, LoginRefused
from necp_validate.events.topics import VERIFIER_PRINCIPAL
from necp_validate.record import REFUSED
from necp_validate.security.access import Asker
from necp_validate.security.probing import logged_in
from necp_validate.stack import Stack

_TIMEOUT_S = 3.0


def fail_logins(stack: Stack, count: int) -> int:
    """Try to log in with a wrong password, at one listener after the other.

    Args:
        stack: a target that is up.
        count: how often.

    Returns:
        How often the broker refused.
    """
    user = stack.client_config(VERIFIER_PRINCIPAL)
    context = ssl.create_default_context(cafile=user["ssl.ca.location"])
    refused = 0
    places = cycle([one.address for one in stack.listeners() if not one.mutual])
    for _, address in zip(range(count), places, strict=False):
        try:
            with Connection(address, timeout_s=_TIMEOUT_S) as connection:
                connection.secure(context)
                connection.log_in(user["sasl.username"], "wrong", user["sasl.mechanism"])
        except LoginRefused:
            refused += 1
        except OSError:
            continue
    return refused


def be_denied(stack: Stack, principal: str, resource: str, operation: str, count: int) -> int:
    """Ask again and again for what a principal may not have; nobody could carry the request out.

    Args:
        stack: a target that is up.
        principal: who asks.
        resource: for what, e.g. ``topic:game.economy.events``.
        operation: Kafka's name, e.g. ``Write``.
        count: how often.

    Returns:
        How often the broker denied it.
    """
    asker = Asker(principal, logged_in(stack))
    try:
        return sum(asker.ask(resource, operation)[0] == REFUSED for _ in range(count))
    finally:
        asker.close()
