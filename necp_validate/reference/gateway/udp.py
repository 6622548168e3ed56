"""The socket for datagrams."""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import Final

from necp_validate.reference.gateway.datagrams import Datagrams
from necp_validate.reference.gateway.metrics import Tally
from necp_validate.reference.gateway.sessions import Address

log: Final = logging.getLogger(__name__)

BUFFER_BYTES: Final = 4 << 20
"""What the kernel may hold in either direction while a tick is made."""

_LONGEST: Final = 2_048
_AT_ONCE: Final = 256
"""So many datagrams are taken before the event loop may do other work."""


class UdpSocket:
    """Sends and receives datagrams without a transport in between, which would cost more than the datagrams.

    Args:
        address: host and port to listen on; port 0 takes a free one.
        tally: counts what could not be sent.

    Raises:
        OSError: the address is not to be had.
    """

    def __init__(self, address: Address, tally: Tally) -> None:
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        try:
            self._socket.setblocking(False)
            for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
                self._socket.setsockopt(socket.SOL_SOCKET, option, BUFFER_BYTES)
            self._socket.bind(address)
        except OSError:
            self._socket.close()
            raise
        self._tally = tally
        self.port: int = self._socket.getsockname()[1]

    def start(self, datagrams: Datagrams) -> None:
        """Begin to receive, in the running event loop."""
        receive, take = self._socket.recvfrom, datagrams.receive

        def readable() -> None:
            try:
                for _ in range(_AT_ONCE):
                    datagram, address = receive(_LONGEST)
                    take(datagram, address)
            except BlockingIOError:
                pass
            except OSError as error:  # an answer of the network to something sent before; nothing to act upon
                log.debug("receiving: %s", error)

        asyncio.get_running_loop().add_reader(self._socket, readable)

    def send(self, datagram: bytes, address: Address) -> None:
        """Send a datagram, or drop it and count that."""
        try:
            self._socket.sendto(datagram, address)
        except BlockingIOError:
            self._tally.dropped["send-buffer"] += 1
        except OSError:
            self._tally.dropped["unreachable"] += 1

    def close(self) -> None:
        """Stop receiving."""
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()
