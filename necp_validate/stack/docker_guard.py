"""Removes what a stack left in the Docker engine when its process was killed.

Runs as a process of its own (``python -m necp_validate.stack.docker_guard <stack id> <directory>``) and waits for the
end of its standard input, which only the suite's process holds open: however that process ends, the input ends.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import sys
from concurrent.futures import ThreadPoolExecutor

import docker
import docker.errors

LABEL = "necp-validate.stack"


def remove_all(client: docker.DockerClient, stack_id: str) -> None:
    """Remove every container and network of a stack; what is gone already is no error.

    Args:
        client: the engine.
        stack_id: value of the label that they all carry.
    """
    filters = {"label": f"{LABEL}={stack_id}"}
    containers = client.containers.list(all=True, filters=filters, ignore_removed=True)

    def remove(container: docker.models.containers.Container) -> None:
        with contextlib.suppress(docker.errors.NotFound):
            container.remove(force=True, v=True)

    if containers:
        with ThreadPoolExecutor(max_workers=len(containers)) as pool:
            list(pool.map(remove, containers))
    for network in client.networks.list(filters=filters):
        with contextlib.suppress(docker.errors.NotFound):
            network.remove()


def main(stack_id: str, directory: str) -> None:
    """Wait for the suite's end, then remove what is left."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sys.stdin.buffer.read()
    remove_all(docker.from_env(), stack_id)
    shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main(*sys.argv[1:3])
