"""Holds back packets that the kernel's packet filter hands over, and lets them go when their time has come.

Runs as a program of its own, in the network namespace of the packets: ``delay.py <queue> <milliseconds>``. A rule
with the target ``NFQUEUE`` brings the packets here, by number and without their content; nothing is ever dropped or
changed, the order stays, and connections that are open already are delayed as well. A rule that has
``--queue-bypass`` lets packets pass as soon as this program is gone. Needs the right to administer the network.

The messages are those of the kernel's ``linux/netfilter/nfnetlink_queue.h``.
"""

from __future__ import annotations

import contextlib
import errno
import select
import socket
import struct
import sys
import time
from collections import deque
from collections.abc import Iterator

READY = "ready"
_NETLINK_NETFILTER = 12
_SOL_NETLINK, _NETLINK_NO_ENOBUFS = 270, 5
_QUEUE = 3 << 8
_PACKET, _CONFIG, _VERDICT_BATCH = _QUEUE | 0, _QUEUE | 2, _QUEUE | 3
_ERROR = 2
_REQUEST, _ACK = 1, 4
_CFG_CMD, _CFG_PARAMS, _CFG_MAXLEN, _CFG_MASK, _CFG_FLAGS = 1, 2, 3, 4, 5
_BIND, _COPY_META = 1, 1
_FAIL_OPEN_AND_WHOLE = 1 | 4  # let packets pass when the queue is full; hand over large ones in one piece
_PACKET_HDR, _VERDICT_HDR = 1, 2
_ACCEPT = 1
_MAX_PACKETS = 1 << 16
_BUFFER = 1 << 22
_DATAGRAM = 1 << 16


def attribute(kind: int, value: bytes) -> bytes:
    """Return one attribute of a message, padded to four bytes."""
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def message(kind: int, flags: int, queue: int, attributes: bytes) -> bytes:
    """Return one message to the kernel."""
    body = struct.pack("=BB", socket.AF_UNSPEC, 0) + struct.pack(">H", queue) + attributes
    return struct.pack("=IHHII", 16 + len(body), kind, _REQUEST | flags, 0, 0) + body


def numbers(data: bytes) -> Iterator[int]:
    """Yield the number of every packet that a datagram from the kernel announces.

    Raises:
        OSError: the kernel says that it refused something.
    """
    offset = 0
    while offset + 16 <= len(data):
        length, kind = struct.unpack_from("=IH", data, offset)
        if kind == _ERROR:
            code = -struct.unpack_from("=i", data, offset + 16)[0]
            if code:
                raise OSError(code, errno.errorcode.get(code, "refused"))
        elif kind == _PACKET:
            position, end = offset + 20, offset + length
            while position + 4 <= end:
                size, name = struct.unpack_from("=HH", data, position)
                if name == _PACKET_HDR:
                    yield struct.unpack_from(">I", data, position + 4)[0]
                    break
                position += (size + 3) & ~3
        offset += (length + 3) & ~3


class DelayQueue:
    """One of the kernel's queues.

    Args:
        queue: its number.
        delay_s: how long each packet is held back.

    Raises:
        OSError: the kernel has no such queues, or another program has this one.
    """

    def __init__(self, queue: int, delay_s: float) -> None:
        self._queue = queue
        self._delay_s = delay_s
        self._held: deque[tuple[float, int]] = deque()
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER)
        self._socket.bind((0, 0))
        self._socket.setsockopt(socket.SOL_SOCKET, 33, _BUFFER)  # SO_RCVBUFFORCE
        self._socket.setsockopt(_SOL_NETLINK, _NETLINK_NO_ENOBUFS, 1)
        flags = struct.pack(">I", _FAIL_OPEN_AND_WHOLE)
        for attributes in (
            attribute(_CFG_CMD, struct.pack(">BBH", _BIND, 0, 0)),
            attribute(_CFG_PARAMS, struct.pack(">IB", 0, _COPY_META)),
            attribute(_CFG_MAXLEN, struct.pack(">I", _MAX_PACKETS)),
            attribute(_CFG_MASK, flags) + attribute(_CFG_FLAGS, flags),
        ):
            self._socket.send(message(_CONFIG, _ACK, queue, attributes))
            list(numbers(self._socket.recv(_DATAGRAM)))
        self._socket.setblocking(False)

    def run(self) -> None:
        """Hold packets back for ever."""
        while True:
            wait_s = max(0.0, self._held[0][0] - time.monotonic()) if self._held else None
            if select.select([self._socket], [], [], wait_s)[0]:
                due = time.monotonic() + self._delay_s
                with contextlib.suppress(BlockingIOError):
                    while True:
                        self._held.extend((due, number) for number in numbers(self._socket.recv(_DATAGRAM)))
            self._release(time.monotonic())

    def _release(self, now: float) -> None:
        last = None
        while self._held and self._held[0][0] <= now:
            last = self._held.popleft()[1]
        if last is not None:
            # Stands for this packet and every earlier one.
            verdict = attribute(_VERDICT_HDR, struct.pack(">II", _ACCEPT, last))
            self._socket.send(message(_VERDICT_BATCH, 0, self._queue, verdict))


def main(queue: int, delay_ms: float) -> None:
    """Open the queue, say so, and hold its packets back until this program is ended."""
    opened = DelayQueue(queue, delay_ms / 1000)
    print(READY, flush=True)
    if delay_ms:
        opened.run()


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
