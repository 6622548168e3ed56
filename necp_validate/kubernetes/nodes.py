"""Nodes and pods: waiting for them, and saying what is the matter with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from kubernetes import client
from urllib3.exceptions import HTTPError

from necp_validate.stack.waiting import wait_until

_TIMEOUT_S = 90.0
_WARNINGS = 6


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


def describe_pods(core: client.CoreV1Api, namespace: str, selector: str) -> str:
    """Say how pods are, a line each, and what was warned of last; for errors.

    Args:
        core: a client that may list pods and events.
        namespace: where they are.
        selector: their labels.
    """
    try:
        pods = core.list_namespaced_pod(namespace, label_selector=selector).items
        events = core.list_namespaced_event(namespace).items
    except (client.ApiException, HTTPError, OSError) as error:
        return f"the pods in {namespace} cannot be listed: {error}"
    said = [
        f"{pod.metadata.name}: {pod.status.phase}, {'ready' if is_ready(pod) else 'not ready'}, on {pod.spec.node_name}"
        for pod in pods
    ]
    warned = [f"{one.involved_object.name}: {one.message}" for one in events if one.type == "Warning"]
    return "\n".join([*said, *dict.fromkeys(warned[-_WARNINGS:])])
