"""The Docker engine: whether it can be used, networks with known addresses, and a guard against leftovers."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import docker
import docker.errors
from docker.types import IPAMConfig, IPAMPool

from necp_validate.core import StackError
from necp_validate.stack.docker_image import has_image, image_tag, why_not_base
from necp_validate.stack.runtime import load_runtime
from necp_validate.stack.service import python_path

_PING_TIMEOUT_S = 3
_HINT = "start a Docker engine on this host, or use the local stack"


def connect(timeout_s: int = 120) -> docker.DockerClient:
    """Return a client of the engine.

    Args:
        timeout_s: for each request.

    Raises:
        StackError: no engine answers.
    """
    try:
        client = docker.from_env(timeout=timeout_s)
        client.ping()
    except (docker.errors.DockerException, OSError) as error:
        raise StackError(f"no Docker engine answers: {error}", hint=_HINT) from error
    return client


@cache
def why_not_docker() -> str | None:
    """Say why the docker stack cannot be used here; None if it can."""
    try:
        client = connect(_PING_TIMEOUT_S)
        if not client.api.base_url.startswith(("http+docker", "http+unix")):
            return "the Docker engine is on another host"
        info = client.info()
        if "Docker Desktop" in info.get("OperatingSystem", "") or not sys.platform.startswith("linux"):
            return "the Docker engine runs in a virtual machine: its containers' addresses cannot be reached"
        if any("rootless" in option for option in info.get("SecurityOptions") or ()):
            return "the Docker engine is rootless: its containers' addresses cannot be reached"
        if has_image(client, image_tag(load_runtime())):
            return None
        return why_not_base(client)
    except StackError as error:
        return error.message
    except (docker.errors.DockerException, OSError) as error:
        return f"the Docker engine does not work: {error}"


def create_network(client: docker.DockerClient, name: str, labels: Mapping[str, str]) -> tuple[Any, str]:
    """Make a network whose addresses are known beforehand.

    Args:
        client: the engine.
        name: the network's name.
        labels: it gets.

    Returns:
        The network and the beginning of its addresses, e.g. ``10.213.7.``.

    Raises:
        StackError: every range is taken.
    """
    for prefix in _ranges():
        ipam = IPAMConfig(pool_configs=[IPAMPool(subnet=f"{prefix}0/24", gateway=f"{prefix}1")])
        # A range that overlaps with another network is refused: the next one may be free.
        with contextlib.suppress(docker.errors.APIError):
            return client.networks.create(name, driver="bridge", ipam=ipam, labels=dict(labels)), prefix
    raise StackError("the Docker engine has no free range of addresses", hint="remove networks that are not in use")


def _ranges() -> Iterator[str]:
    start = os.getpid() % 256
    for number in range(32):
        yield f"10.213.{(start + number) % 256}."


class Guard:
    """A process that removes a stack's containers when this one ends without having done so.

    Args:
        stack_id: the label of what is to be removed.
        directory: the stack's working directory, removed too.
    """

    def __init__(self, stack_id: str, directory: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "necp_validate.stack.docker_guard", stack_id, str(directory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": python_path()},
            start_new_session=True,
        )

    def dismiss(self) -> None:
        """End it: there is nothing left to remove."""
        self._process.kill()
        self._process.communicate()
