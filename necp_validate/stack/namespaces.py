"""Processes in network namespaces of their own on this host, each with a link to a stack's network.

A namespace has no name and no life of its own: it is that of its process. When the process ends, however it ends, the
kernel takes the namespace away, its end of the link, and with that the other end: there is nothing to clean up.
"""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from necp_validate.core import StackError, UsageError
from necp_validate.stack.process import ManagedProcess
from necp_validate.stack.root import find, root_shell
from necp_validate.stack.waiting import wait_until

_FIRST = 200  # engines give addresses out from below
_MOST = 50
_TIMEOUT_S = 20.0
_PROGRAMS = ("ip", "unshare", "nsenter")
# Its own file of hosts, as a container has: the names that brokers advertise are known on their network alone.
_ENTER = 'mount --bind "$0" /etc/hosts && exec "$@"'


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerNetwork:
    """A network of a stack on which processes in namespaces of their own reach its brokers.

    Args:
        bridge: name of its bridge on this host.
        prefix: beginning of its addresses, e.g. ``10.213.7.``.
        gateway: this host's address there.
        hosts: names that are used there, and their addresses.
        bootstrap: the brokers, as they are reached there.
    """

    bridge: str
    prefix: str
    gateway: str
    hosts: Mapping[str, str]
    bootstrap: str


def require_namespaces() -> None:
    """Do nothing if this process may make network namespaces.

    Raises:
        UsageError: it may not, and what it needs.
    """
    if os.geteuid() != 0:
        raise UsageError("load workers in network namespaces need root", hint="leave --in-namespaces out, or be root")
    if missing := [program for program in _PROGRAMS if shutil.which(find(program)) is None]:
        raise UsageError(
            f"load workers in network namespaces need {', '.join(missing)}", hint="install iproute2 and util-linux"
        )


def spawn_in_namespace(
    command: Sequence[str], network: WorkerNetwork, number: int, *, log: Path, env: Mapping[str, str]
) -> ManagedProcess:
    """Start a program in a network namespace of its own; it has its address shortly after its start.

    Args:
        command: program and arguments.
        network: what the namespace is linked to.
        number: from 0, among all that are linked to it.
        log: file for its output; beside it goes its file of hosts.
        env: its whole environment.

    Raises:
        StackError: the namespace cannot be made or linked.
        UsageError: there are too many.
    """
    if number >= _MOST:
        raise UsageError(f"{number + 1} processes in namespaces: {_MOST} are the most on one network")
    lines = ["127.0.0.1 localhost", *(f"{address} {name}" for name, address in network.hosts.items())]
    hosts = log.with_suffix(".hosts")
    hosts.write_text("\n".join(lines) + "\n", encoding="utf-8")
    enter = [find("unshare"), "--net", "--mount", "sh", "-c", _ENTER, str(hosts.resolve()), *command]
    process = ManagedProcess.spawn(enter, log=log, env=env)
    try:
        wait_until(
            lambda: _is_apart(process) or not process.alive(),
            timeout_s=_TIMEOUT_S,
            backoff_s=0.02,
            message="no network namespace was made",
        )
        code, output = root_shell(_link(process.pid, network, f"{network.prefix}{_FIRST + number}"))
        if code != 0 or not process.alive():
            raise StackError(
                f"a network namespace cannot be linked to {network.bridge}", detail=output or process.log_tail()
            )
    except BaseException:
        process.kill()
        raise
    return process


def _is_apart(process: ManagedProcess) -> bool:
    """Tell whether a process is in another network namespace than this one by now."""
    try:
        theirs = Path(f"/proc/{process.pid}/ns/net").stat().st_ino
    except FileNotFoundError:
        return False
    return theirs != Path("/proc/self/ns/net").stat().st_ino


def _link(pid: int, network: WorkerNetwork, address: str) -> str:
    ours = f"necp{pid}"
    inside = [
        "ip link set lo up",
        f"ip address add {address}/24 dev eth0",
        "ip link set eth0 up",
        f"ip route add default via {network.gateway}",
    ]
    return " && ".join(
        [
            f"ip link add {ours} type veth peer name eth0 netns {pid}",
            f"ip link set {ours} master {network.bridge} up",
            f"nsenter -t {pid} -n sh -c {shlex.quote(' && '.join(inside))}",
        ]
    )
