"""A reader of datagrams that cannot go on has failed; it does not just end, as if the gateway had fallen silent."""

from __future__ import annotations

from necp_validate.core.first_failure import FirstFailure
from necp_validate.players.sockets import SharedSocket


def test_a_socket_that_cannot_be_read_any_more_is_a_failure() -> None:
    noted: list[str] = []
    shared = SharedSocket(("127.0.0.1", 9), lambda length, problem: None)
    FirstFailure(lambda: noted.append("stopped")).watch(shared.reader)
    shared._socket.close()
    shared.reader.join(10)
    assert isinstance(shared.reader.exception, OSError)
    assert noted == ["stopped"]


def test_a_socket_that_is_closed_by_its_owner_is_none() -> None:
    noted: list[str] = []
    shared = SharedSocket(("127.0.0.1", 9), lambda length, problem: None)
    FirstFailure(lambda: noted.append("stopped")).watch(shared.reader)
    shared.close()
    assert (shared.reader.exception, noted) == (None, [])
