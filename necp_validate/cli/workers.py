"""Load on several processes or hosts: the options of ``run``, and the command of a worker."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from necp_validate.cli.failures import guarded
from necp_validate.core.errors import UsageError

if TYPE_CHECKING:
    from necp_validate.scenario.crew import Placement

WorkersOption = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="load processes on this host; the scenario's own by default")
]
NamespacesOption = Annotated[
    bool, typer.Option("--in-namespaces", help="each of them in a network namespace of its own (root, docker stack)")
]
MasterOption = Annotated[
    str | None,
    typer.Option(metavar="HOST:PORT", help="wait here for workers from other hosts: `necp-validate worker`"),
]
ExpectOption = Annotated[int | None, typer.Option(min=1, metavar="N", help="how many, with --master")]


def placement_of(
    workers: int | None, *, namespaces: bool, master: str | None, expect_workers: int | None
) -> tuple[Placement, list[str]]:
    """Return where load workers are, and the overrides of the scenario that follow from it.

    Raises:
        UsageError: the options do not go together.
    """
    from necp_validate.load.messages import KEY_VARIABLE, Seal
    from necp_validate.load.plan import split_address
    from necp_validate.scenario.crew import HERE, Placement

    if master is None:
        if expect_workers is not None:
            raise UsageError("--expect-workers goes with --master", hint="on one host, it is --workers")
        count = [f"load.processes={workers}"] if workers is not None else []
        return Placement(where="namespaces") if namespaces else HERE, count
    if workers is not None or namespaces or expect_workers is None:
        raise UsageError("--master goes with --expect-workers, and with neither --workers nor --in-namespaces")
    split_address(master)
    key = os.environ.get(KEY_VARIABLE, "")
    if key:
        Seal(key)  # one that is too short is refused now, not when the stack is up
        how = f"the same {KEY_VARIABLE}"
    else:
        from secrets import token_urlsafe

        key = token_urlsafe(24)
        how = f"{KEY_VARIABLE}={key}"
    typer.echo(
        f"start {expect_workers} workers with {how}: necp-validate worker --master HOST:{master.rpartition(':')[2]}"
    )
    return Placement(where="elsewhere", listen=master, key=key), [f"load.processes={expect_workers}"]


@guarded
def worker(
    master: Annotated[str, typer.Option(metavar="HOST:PORT", help="where the master waits")],
) -> None:
    """Send a part of the load of a run that waits on another host; needs the run's NECP_JOIN_KEY."""
    from necp_validate.load.messages import KEY_VARIABLE, Seal
    from necp_validate.load.plan import split_address

    split_address(master)
    if KEY_VARIABLE not in os.environ:
        raise UsageError(f"{KEY_VARIABLE} is not set", hint="the run that waits for workers prints it")
    Seal(os.environ[KEY_VARIABLE])
    # Locust needs a process of its own: it replaces parts of the standard library.
    os.execv(sys.executable, [sys.executable, "-m", "necp_validate.load", "--join", master])
