"""Waiting for nodes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from kubernetes import client

from necp_validate.stack.waiting import wait_until

_TIMEOUT_S = 90.0


def wait_ready_nodes(core: client.CoreV1Api, names: Sequence[str], *, check: Callable[[], None]) -> None:
    """Wait until nodes have registered, are ready and may be scheduled on.

    Args:
        core: a client that may read nodes.
        names: of the nodes.
        check: raises if a program that is needed has ended.

    Raises:
        StackError: they did not.
    """

    def ready() -> bool:
        check()
        found = {node.metadata.name: node for node in core.list_node().items}
        return all(name in found and is_ready(found[name]) and not found[name].spec.taints for name in names)

    wait_until(
        ready,
        timeout_s=_TIMEOUT_S,
        retry_on=(client.ApiException,),
        message=f"not every node of {', '.join(names)} became ready",
    )


def is_ready(thing: client.V1Node | client.V1Pod) -> bool:
    """Tell whether a node or a pod has the condition Ready."""
    return any(one.type == "Ready" and one.status == "True" for one in thing.status.conditions or ())
