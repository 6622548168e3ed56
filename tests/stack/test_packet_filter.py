"""Rules of a stack in a network namespace of the test's own: put there, read back, removed to the last one."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from necp_validate.core import StackError
from necp_validate.stack.local_links import host_program
from necp_validate.stack.packet_filter import PacketFilter, Rule, Shell
from necp_validate.stack.root import root_shell

pytestmark = pytest.mark.skipif(not host_program(), reason="needs root and iptables")

OUT, IN, MARKS = ("filter", "OUTPUT"), ("filter", "INPUT"), ("mangle", "OUTPUT")


@pytest.fixture
def shell() -> Iterator[Shell]:
    command = ["unshare", "-n", "sh", "-c", "ip link set lo up && echo up && exec sleep 60"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "up\n"
        yield lambda script: root_shell(script, within=("nsenter", "-t", str(holder.pid), "-n", "--"))
        holder.kill()


@pytest.fixture
def rules(shell: Shell) -> PacketFilter:
    return PacketFilter(shell, "ab12cd34", host_program())


def test_what_is_in_force_is_read_back_with_its_counts(shell: Shell, rules: PacketFilter) -> None:
    rules.replace({OUT: [Rule("", "-o eth9", "RETURN"), Rule("cut a b", "-p udp --dport 9")]})
    assert dict(rules.counts()) == {"cut a b": 0}
    shell('python3 -c \'import socket; socket.socket(2, 2).sendto(b"x", ("127.0.0.1", 9))\'')
    assert dict(rules.counts()) == {"cut a b": 1}


def test_new_rules_take_the_place_of_the_old_ones(rules: PacketFilter) -> None:
    rules.replace({OUT: [Rule("cut a b", "-p tcp")], MARKS: [Rule("", "-p tcp", "CONNMARK --set-xmark 0x1/0x1")]})
    rules.replace({IN: [Rule("cut c d", "-p tcp")]})
    assert list(rules.counts()) == ["cut c d"]


def test_nothing_is_left_and_nobody_elses_rule_is_touched(shell: Shell, rules: PacketFilter) -> None:
    shell(f"{host_program()} -A OUTPUT -p tcp --dport 1 -m comment --comment other -j DROP")
    other = PacketFilter(shell, "ffff0000", host_program())
    other.replace({OUT: [Rule("cut x y", "-p tcp")]})
    rules.replace({OUT: [Rule("cut a b", "-p tcp")], IN: [Rule("cut a b", "-p tcp")]})
    rules.remove()
    rules.remove()
    left = shell(f"{host_program()}-save")[1]
    assert "ab12cd34" not in left
    assert "--comment other" in left
    assert list(other.counts()) == ["cut x y"]


def test_a_rule_that_the_kernel_refuses_changes_nothing(rules: PacketFilter) -> None:
    rules.replace({OUT: [Rule("cut a b", "-p tcp")]})
    with pytest.raises(StackError, match="refused the rules"):
        rules.replace({OUT: [Rule("cut c d", "-p tcp -m nonsense")]})
    assert list(rules.counts()) == ["cut a b"]
