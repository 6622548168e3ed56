"""What holds for every test."""

from __future__ import annotations

import signal
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from shared_stacks import SharedStacks

from necp_validate.stack import LocalStack
from necp_validate.stack.docker import DockerStack
from necp_validate.stack.docker_engine import why_not_docker

# What several folders build from: records of a few operations, command lines, runs in a directory.
sys.path += [str(Path(__file__).parent / folder) for folder in ("claims", "cli", "report")]

# Neither timing, nor chance, nor what an earlier run remembers decides a test.
settings.register_profile("necp", deadline=None, derandomize=True, database=None)
settings.load_profile("necp")


def pytest_configure() -> None:
    """Heed Ctrl-C: a shell's background job ignores it, and so would every process that a test starts to interrupt."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest and cannot be divided, so that no worker is left alone with it."""
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    params = getattr(getattr(item, "callspec", None), "params", {}).values()
    if item.get_closest_marker("docker"):
        assert "docker" in item.nodeid, f"{item.nodeid}: name it so that it is known by it"
        return 0
    if "local_stack" in (*getattr(item, "fixturenames", ()), *(value for value in params if isinstance(value, str))):
        return 2
    return 1 if item.get_closest_marker("slow") or item.path.name == "test_selftest.py" else 3


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Workers get files, so that what a file's tests share is made once; one of them gets all that use Docker.

    A docker stack that comes up removes what others have left in the engine, and tests look at what is left in it.
    """
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return "docker" if "docker" in nodeid else nodeid.partition("::")[0]

    config.option.loadscopereorder = False
    return ByFile(config, log)


SHARED = pytest.StashKey[SharedStacks]()


@pytest.fixture(scope="session")
def shared_stacks(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedStacks]:
    stacks = request.config.stash[SHARED] = SharedStacks(tmp_path_factory)
    yield stacks
    stacks.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None]:
    """Bring the shared docker stack down with the last test in containers: three idle brokers cost what others need."""
    yield
    if SHARED in item.config.stash and (nextitem is None or "docker" not in nextitem.nodeid):
        item.config.stash[SHARED].close(DockerStack)


@pytest.fixture
def local_stack(shared_stacks: SharedStacks) -> LocalStack:
    """Three brokers with topics, users and ACLs, shared by all tests that leave them so."""
    return shared_stacks.of(LocalStack)


@pytest.fixture
def docker_stack(shared_stacks: SharedStacks) -> DockerStack:
    """The same in containers."""
    return shared_stacks.of(DockerStack)


@pytest.fixture(params=["local_stack", pytest.param("docker_stack", marks=pytest.mark.docker)], ids=["local", "docker"])
def stack(request: pytest.FixtureRequest) -> LocalStack | DockerStack:
    """Each of the two in turn."""
    if request.param == "docker_stack" and (reason := why_not_docker()):
        pytest.skip(f"needs a Docker engine: {reason}")
    shared: LocalStack | DockerStack = request.getfixturevalue(request.param)
    return shared


@pytest.fixture(autouse=True)
def left_as_it_was(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "shared_stacks" in request.fixturenames:
        request.getfixturevalue("shared_stacks").check()
