"""Ports for listeners: free ones, or fixed ones with a clear word on who holds them."""

from __future__ import annotations

import contextlib
import random
import socket
from collections.abc import Sequence

import psutil

from necp_validate.core import StackError

# Below the range that the kernel gives to outgoing connections (from 32768 on Linux): a port there could be taken
# by a client while its broker is down, and the broker could not come back.
_LOW, _HIGH = 15_000, 32_000


def free_ports(count: int, host: str = "127.0.0.1", *, kind: socket.SocketKind = socket.SOCK_STREAM) -> list[int]:
    """Return distinct ports that nothing listens on.

    Args:
        count: how many.
        host: address that they are for.
        kind: of TCP (a stream) or of UDP (datagrams).

    Raises:
        StackError: there are not enough.
    """
    found: list[int] = []
    with contextlib.ExitStack() as held:
        for port in random.sample(range(_LOW, _HIGH), 500 + count):
            if len(found) == count:
                return found
            probe = held.enter_context(socket.socket(type=kind))
            with contextlib.suppress(OSError):
                probe.bind((host, port))
                found.append(port)
    if len(found) < count:
        raise StackError(f"no {count} free ports between {_LOW} and {_HIGH} on {host}")
    return found


def require_free(ports: Sequence[int], host: str = "127.0.0.1") -> None:
    """Do nothing if every port is free.

    Raises:
        StackError: the first one that is not, and the process that holds it where that can be told.
    """
    for port in ports:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as error:
                raise StackError(
                    f"port {port} on {host} is in use{_holder(port)}",
                    hint="end that process, or choose another base port; without one, free ports are taken",
                ) from error


def _holder(port: int) -> str:
    try:
        connections = psutil.net_connections("tcp")
    except (psutil.AccessDenied, PermissionError):
        return ""
    for connection in connections:
        if connection.laddr and connection.laddr.port == port and connection.status == psutil.CONN_LISTEN:
            if connection.pid is None:
                return ""
            with contextlib.suppress(psutil.NoSuchProcess):
                return f" by process {connection.pid} ({psutil.Process(connection.pid).name()})"
    return ""


def listening(host: str, port: int, timeout_s: float = 0.2) -> bool:
    """Tell whether something accepts connections at a port."""
    try:
        with socket.create_connection((host, port), timeout=timeout_s):
            return True
    except OSError:
        return False
