"""The program that holds packets back: what it says to the kernel, and that the packets are late by just so much."""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path

import pytest

from necp_validate.stack import delay
from necp_validate.stack.delays import can_delay
from necp_validate.stack.local_links import host_program
from necp_validate.stack.root import root_shell

# A server, a client, and the times that a connection and an answer on it take; in a namespace of its own.
_MEASURE = """
import socket, subprocess, sys, threading, time
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
for side in ("--dport", "--sport"):
    rule = f"-t mangle -A POSTROUTING -p tcp {side} 7777 -j NFQUEUE --queue-num 5 --queue-bypass"
    subprocess.run([sys.argv[1], *rule.split()], check=True)
server = socket.create_server(("127.0.0.1", 7777))
def serve():
    while True:
        peer = server.accept()[0]
        peer.sendall(peer.recv(10))
threading.Thread(target=serve, daemon=True).start()
def measure():
    begin = time.monotonic()
    with socket.create_connection(("127.0.0.1", 7777)) as client:
        middle = time.monotonic()
        client.sendall(b"x")
        client.recv(10)
        print(middle - begin, time.monotonic() - middle)
measure()
holder = subprocess.Popen([sys.executable, "-I", sys.argv[2], "5", "150"], stdout=subprocess.PIPE)
assert holder.stdout.readline() == b"ready\\n"
measure()
holder.kill()
holder.wait()
measure()
"""


def test_messages_are_as_the_kernel_wants_them() -> None:
    assert delay.attribute(3, b"abcde") == struct.pack("=HH", 9, 3) + b"abcde\0\0\0"
    assert delay.message(0x302, 4, 7, b"") == struct.pack("=IHHIIBBH", 20, 0x302, 5, 0, 0, 0, 0, 7 << 8)


def test_the_numbers_of_packets_are_read() -> None:
    packets = b"".join(
        delay.message(0x300, 0, 7, delay.attribute(9, b"?") + delay.attribute(1, struct.pack(">IHB", number, 8, 3)))
        for number in (5, 6)
    )
    assert list(delay.numbers(packets)) == [5, 6]


def test_a_refusal_is_an_error() -> None:
    refused = struct.pack("=IHHIIi", 36, 2, 0, 0, 0, -1) + bytes(16)
    with pytest.raises(PermissionError):
        list(delay.numbers(refused))


@pytest.mark.skipif(not can_delay(root_shell, host_program()), reason="needs root, iptables and nfnetlink_queue")
def test_packets_are_late_each_way_and_pass_when_it_is_gone() -> None:
    command = ["unshare", "-n", sys.executable, "-c", _MEASURE, host_program(), str(Path(delay.__file__))]
    output = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout
    before, during, after = ([float(word) for word in line.split()] for line in output.splitlines())
    assert all(seconds < 0.15 for seconds in (*before, *after))
    assert all(0.3 <= seconds < 0.6 for seconds in during)
