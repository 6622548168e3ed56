"""Ports are free when they are given out; one in use is told with its holder."""

from __future__ import annotations

import os
import socket

import pytest

from necp_validate.core import StackError
from necp_validate.stack.ports import free_ports, listening, require_free


def test_free_ports_are_distinct_and_free() -> None:
    ports = free_ports(12)
    assert len(set(ports)) == 12
    require_free(ports)


def test_a_port_in_use_is_named_with_its_process() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        port = held.getsockname()[1]
        assert listening("127.0.0.1", port)
        with pytest.raises(StackError, match=f"port {port} on 127.0.0.1 is in use by process {os.getpid()}"):
            require_free([*free_ports(1), port])
    assert not listening("127.0.0.1", port)
