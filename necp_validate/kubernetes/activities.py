"""Chaos Toolkit activities for brokers in pods, where chaostoolkit-kubernetes has none: waiting, rolling, looking.

They log in as chaostoolkit-kubernetes does: with the environment's kubeconfig file, or as the pod that they run in.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

from chaosk8s import create_k8s_api_client
from chaoslib.exceptions import ActivityFailed
from kubernetes import client

from necp_validate.kubernetes.nodes import is_ready

__all__ = ["brokers_isolated", "brokers_ready", "node_without_brokers", "remove_policy", "roll_brokers"]

_ROLL = "strimzi.io/manual-rolling-update"
_RESTARTED = "kubectl.kubernetes.io/restartedAt"
_STRIMZI = {"group": "core.strimzi.io", "version": "v1beta2", "plural": "strimzipodsets"}
_BACKOFF_S = 0.25


def brokers_ready(cluster: str, ns: str = "kafka", count: int = 3, within_s: float = 120.0) -> bool:
    """Wait until so many of a cluster's brokers are ready, and none is about to end; tell whether it came to that.

    Args:
        cluster: Strimzi's name of it.
        ns: its namespace.
        count: how many there should be.
        within_s: how long that may take.
    """
    core = client.CoreV1Api(create_k8s_api_client())
    end = time.monotonic() + float(within_s)
    while True:
        pods = _brokers(core, cluster, ns)
        if sum(map(_serves, pods)) == len(pods) == int(count):
            return True
        if time.monotonic() > end:
            return False
        time.sleep(_BACKOFF_S)


def roll_brokers(cluster: str, ns: str = "kafka", count: int = 3, within_s: float = 600.0) -> dict[str, Any]:
    """Let every broker be restarted, one after the other, and wait until it is done.

    Strimzi's pod sets are told by its annotation ``strimzi.io/manual-rolling-update``; a StatefulSet as ``kubectl
    rollout restart`` does it.

    Args:
        cluster: Strimzi's name of it.
        ns: its namespace.
        count: how many brokers there are.
        within_s: how long it may take.

    Returns:
        The brokers that were replaced, and the fewest that were ready at one time.

    Raises:
        ActivityFailed: not every broker was replaced in time, or more than one was away at one time.
    """
    api = create_k8s_api_client()
    core = client.CoreV1Api(api)
    before = {pod.metadata.name: pod.metadata.uid for pod in _brokers(core, cluster, ns)}
    if len(before) != int(count):
        raise ActivityFailed(f"{cluster} has {len(before)} brokers in {ns}, not {count}")
    _ask(api, cluster, ns)
    end, fewest = time.monotonic() + float(within_s), len(before)
    while True:
        pods = _brokers(core, cluster, ns)
        fewest = min(fewest, sum(map(_serves, pods)))
        new = sorted(
            pod.metadata.name for pod in pods if _serves(pod) and before.get(pod.metadata.name) != pod.metadata.uid
        )
        if len(new) == len(before):
            break
        if time.monotonic() > end:
            raise ActivityFailed(
                f"{len(new)} of {len(before)} brokers were restarted in {within_s} s: {', '.join(new)}"
            )
        time.sleep(_BACKOFF_S)
    if fewest < len(before) - 1:
        raise ActivityFailed(
            f"only {fewest} of {len(before)} brokers were ready at one time: they were not taken in turn"
        )
    return {"restarted": new, "fewest_ready": fewest}


def brokers_isolated(policy: str, cluster: str, ns: str = "kafka", count: int = 1) -> int:
    """See that a network policy selects so many brokers; returns how many.

    Args:
        policy: its name.
        cluster: Strimzi's name of the cluster.
        ns: their namespace.
        count: how many there should be.

    Raises:
        ActivityFailed: it selects more or fewer, or there is no such policy.
    """
    api = create_k8s_api_client()
    try:
        found = client.NetworkingV1Api(api).read_namespaced_network_policy(policy, ns)
    except client.ApiException as error:
        raise ActivityFailed(f"the network policy {policy} cannot be read: {error.reason}") from error
    wanted = (found.spec.pod_selector.match_labels or {}).items()
    pods = _brokers(client.CoreV1Api(api), cluster, ns)
    selected: int = sum(wanted <= (pod.metadata.labels or {}).items() for pod in pods)
    if selected != int(count):
        raise ActivityFailed(f"the network policy {policy} selects {selected} brokers of {cluster}, not {count}")
    return selected


def node_without_brokers(node: str, cluster: str, ns: str = "kafka") -> bool:
    """See that none of a cluster's brokers is on a node.

    Args:
        node: the node's name.
        cluster: Strimzi's name of the cluster.
        ns: their namespace.

    Raises:
        ActivityFailed: which are.
    """
    pods = _brokers(client.CoreV1Api(create_k8s_api_client()), cluster, ns)
    if left := [pod.metadata.name for pod in pods if pod.spec.node_name == node]:
        raise ActivityFailed(f"still on {node}: {', '.join(left)}")
    return True


def remove_policy(policy: str, ns: str = "kafka") -> bool:
    """Remove a network policy if it is still there; tell whether it was.

    Args:
        policy: its name.
        ns: its namespace.
    """
    try:
        client.NetworkingV1Api(create_k8s_api_client()).delete_namespaced_network_policy(policy, ns)
    except client.ApiException as error:
        if error.status == 404:
            return False
        raise ActivityFailed(f"the network policy {policy} cannot be removed: {error.reason}") from error
    return True


def _brokers(core: client.CoreV1Api, cluster: str, ns: str) -> list[Any]:
    try:
        found = core.list_namespaced_pod(ns, label_selector=f"strimzi.io/cluster={cluster},strimzi.io/broker-role=true")
    except client.ApiException as error:
        raise ActivityFailed(f"the pods of {cluster} cannot be listed in {ns}: {error.reason}") from error
    return list(found.items)


def _serves(pod: Any) -> bool:
    return is_ready(pod) and pod.metadata.deletion_timestamp is None


def _ask(api: client.ApiClient, cluster: str, ns: str) -> None:
    """Ask whoever owns the brokers to restart them."""
    owners = {
        (owner.kind, owner.name)
        for pod in _brokers(client.CoreV1Api(api), cluster, ns)
        for owner in pod.metadata.owner_references or ()
    }
    try:
        for kind, name in sorted(owners):
            if kind == "StrimziPodSet":
                body: dict[str, Any] = {"metadata": {"annotations": {_ROLL: "true"}}}
                client.CustomObjectsApi(api).patch_namespaced_custom_object(
                    **_STRIMZI, namespace=ns, name=name, body=body
                )
            elif kind == "StatefulSet":
                now = datetime.now(UTC).isoformat()
                body = {"spec": {"template": {"metadata": {"annotations": {_RESTARTED: now}}}}}
                client.AppsV1Api(api).patch_namespaced_stateful_set(name, ns, body)
            else:
                raise ActivityFailed(f"the brokers of {cluster} belong to a {kind}, which nobody can ask to roll them")
    except client.ApiException as error:
        raise ActivityFailed(f"the brokers of {cluster} cannot be rolled: {error.reason}") from error
    if not owners:
        raise ActivityFailed(f"the brokers of {cluster} belong to nobody who would make them again")
