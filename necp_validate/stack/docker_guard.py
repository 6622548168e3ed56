"""Removes what a stack left in the Docker engine when its process was killed.

Runs as a process of its own (``python -m necp_validate.stack.docker_guard <stack id> <directory>``) and waits for the
end of its standard input, which only the suite's process holds open: however that process ends, the input ends.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from pathlib import Path
from typing import Any

import docker
import docker.errors

from necp_validate.stack.process import birth_of

LABEL = "necp-validate.stack"
OWNER_LABEL = "necp-validate.owner"


def remove_all(client: docker.DockerClient, stack_id: str) -> int:
    """Remove every container and network of a stack; what is gone already is no error.

    Args:
        client: the engine.
        stack_id: value of the label that they all carry.

    Returns:
        How many there were.
    """
    filters = {"label": f"{LABEL}={stack_id}"}
    containers = client.containers.list(all=True, filters=filters, ignore_removed=True)
    if containers:
        with ThreadPoolExecutor(max_workers=len(containers)) as pool:
            list(pool.map(_remove, containers))
    networks = client.networks.list(filters=filters)
    for network in networks:
        with contextlib.suppress(docker.errors.NotFound):
            network.remove()
    return len(containers) + len(networks)


def _remove(container: Any) -> None:
    try:
        container.remove(force=True, v=True)
    except docker.errors.NotFound:
        return
    except docker.errors.APIError as error:
        if error.status_code != HTTPStatus.CONFLICT:  # somebody else is removing it
            raise


def labels(stack_id: str, *, owned: bool) -> dict[str, str]:
    """Labels of a stack's containers and networks.

    Args:
        stack_id: of the stack.
        owned: whether it ends with this process.
    """
    return {LABEL: stack_id, **({OWNER_LABEL: _owner(os.getpid())} if owned else {})}


def remove_orphans(client: docker.DockerClient) -> int:
    """Remove stacks whose owner has gone without its guard, as both do when the machine crashes.

    Args:
        client: an engine on this host.

    Returns:
        How many containers and networks there were.
    """
    filters = {"label": [LABEL, OWNER_LABEL]}
    found = [one.labels for one in client.containers.list(all=True, filters=filters, ignore_removed=True)]
    found += [one.attrs["Labels"] for one in client.networks.list(filters=filters)]
    gone = {one[LABEL] for one in found if _gone(one[OWNER_LABEL])}
    return sum(remove_all(client, stack_id) for stack_id in gone)


def _owner(pid: int) -> str:
    """A process as a label names it: the system's start, the namespace of the process id, the id, its beginning."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return f"{boot} {Path('/proc/self/ns/pid').readlink()} {pid} {birth_of(pid)}"


def _gone(owner: str) -> bool:
    """Whether a process has certainly ended: one in another namespace of process ids may live, unseen from here."""
    boot, namespace, pid, _ = owner.split(" ")
    now = _owner(int(pid))
    return now != owner and (not now.startswith(f"{boot} ") or f" {namespace} " in now)


def main(stack_id: str, directory: str) -> None:
    """Wait for the suite's end, then remove what is left."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sys.stdin.buffer.read()
    client = docker.from_env()
    # What the suite had asked for last may still be on its way.
    while remove_all(client, stack_id):
        pass
    shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main(*sys.argv[1:3])
