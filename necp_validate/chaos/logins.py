"""Logins as any client makes them: whether a password is accepted, and for how long."""

from __future__ import annotations

import ssl
from collections.abc import Mapping

from necp_validate.clients.connection import Connection, LoginRefused
from necp_validate.stack import Stack

_ANSWER_S = 3.0


def log_in(address: str, config: Mapping[str, str], password: str) -> int | None:
    """Log in at one listener.

    Args:
        address: host and port.
        config: librdkafka properties of the user.
        password: which is tried, in the place of the user's own.

    Returns:
        How long the login holds, in milliseconds (0: as long as the connection); None if it was refused.

    Raises:
        OSError: the broker does not answer.
    """
    context = ssl.create_default_context(cafile=config["ssl.ca.location"])
    with Connection(address, timeout_s=_ANSWER_S) as connection:
        connection.secure(context)
        try:
            connection.log_in(config["sasl.username"], password, config["sasl.mechanism"])
        except LoginRefused:
            return None
        return connection.session_ms


def let_in(stack: Stack, principal: str, password: str) -> dict[int, int | None] | None:
    """Log in at one listener of every broker; None if one does not answer.

    A broker has one password for a user, whatever the listener.
    """
    config = stack.client_config(principal)
    listeners = {one.broker: one for one in stack.listeners() if not one.mutual}
    found = {}
    for broker, one in listeners.items():
        try:
            found[broker] = log_in(one.address, config, password)
        except OSError:
            return None
    return found
