"""Checks of the manifests, and of what the account that plays experiments really can do, on a real API server."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any

from kubernetes import client

from necp_validate.core.verdict import Example, Finding
from necp_validate.kubernetes import brokers
from necp_validate.kubernetes.apply import Applier, Refused, load_manifest, named, reason
from necp_validate.kubernetes.outcome import finding

NAMESPACE = "necp-validate"
MANIFESTS = ("rbac", "rbac-drain", "suite", "chaos")
_ASKED_IN = (brokers.NAMESPACE, NAMESPACE, "kube-system")
_SETTLE_S = 20.0


def user(account: str) -> str:
    """Return the user that a service account of the suite is."""
    return f"system:serviceaccount:{NAMESPACE}:{account}"


def apply_manifests(applier: Applier) -> Finding:
    """Try every manifest first, then apply them all."""
    applier.apply_all([brokers.namespace(brokers.NAMESPACE), *load_manifest("namespace")])
    applier.apply(pod_set_definition())
    objects = [one for name in MANIFESTS for one in load_manifest(name)]
    refused = []
    for one in objects:
        try:
            applier.apply(one, dry_run=True)
        except Refused as error:
            refused.append(Example(where=named(one), detail=str(error)))
    if not refused:
        applier.apply_all(objects)
    return finding(
        "manifests-accepted", refused, f"{len(objects)} objects tried by server-side dry run, strictly, and applied"
    )


def apply_accounts(applier: Applier) -> None:
    """Apply the accounts and what they may do, without the Jobs.

    Raises:
        Refused: the server did not take one of them.
    """
    applier.apply_all([*load_manifest("namespace"), *load_manifest("rbac"), *load_manifest("rbac-drain")])


def refuse_defects(applier: Applier) -> Finding:
    """See that what is wrong with a manifest would have been noticed: a key misspelt, a pod that is not safe."""
    (job,) = [one for one in load_manifest("suite") if named(one) == "Job necp-validate"]
    misspelt = deepcopy(dict(job))
    misspelt["spec"]["template"]["spec"]["serviceAcountName"] = "necp-validate"
    rooted = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "rooted", "namespace": NAMESPACE},
        "spec": deepcopy(job["spec"]["template"]["spec"]),
    }
    rooted["spec"]["securityContext"] = {"runAsUser": 0}
    missed = []
    for what, one, word in (
        ("a misspelt key", misspelt, "serviceAcountName"),
        ("a pod that is root", rooted, "PodSecurity"),
    ):
        try:
            applier.apply(one, dry_run=True)
        except Refused as error:
            if word not in str(error):
                missed.append(Example(where=what, detail=f"refused for another reason: {error}"))
        else:
            missed.append(Example(where=what, detail="it was accepted"))
    return finding(
        "manifest-defects-refused", missed, "a misspelt key and a pod that is root, both refused by the server"
    )


def check_attempts(admin: client.ApiClient, as_chaos: client.ApiClient) -> Finding:
    """Really try, with the token of the account that plays experiments, what it may and what it must not do."""
    core, dry = client.CoreV1Api(as_chaos), {"dry_run": "All"}
    pod = client.CoreV1Api(admin).list_namespaced_pod(brokers.NAMESPACE).items[0].metadata.name
    allowed: Mapping[str, Callable[[], object]] = {
        "list pods in kafka": lambda: core.list_namespaced_pod(brokers.NAMESPACE),
        f"delete {pod} in kafka (dry run)": lambda: core.delete_namespaced_pod(pod, brokers.NAMESPACE, **dry),
    }
    forbidden: Mapping[str, Callable[[], object]] = {
        "read secrets in kafka": lambda: core.list_namespaced_secret(brokers.NAMESPACE),
        "list pods everywhere": core.list_pod_for_all_namespaces,
        "list pods in kube-system": lambda: core.list_namespaced_pod("kube-system"),
        "delete nodes": lambda: core.delete_node("hollow-0", **dry),
        "execute in a pod": lambda: core.connect_get_namespaced_pod_exec(pod, brokers.NAMESPACE, command=["id"]),
        "give itself a role": lambda: client.RbacAuthorizationV1Api(as_chaos).patch_namespaced_role(
            "necp-chaos", brokers.NAMESPACE, {"rules": []}, **dry
        ),
        "delete another's network policy": lambda: client.NetworkingV1Api(as_chaos).delete_namespaced_network_policy(
            "somebody-elses", brokers.NAMESPACE, **dry
        ),
    }
    wrong = [Example(where=what, detail=said) for what, one in allowed.items() if (said := _tried(one)) != "done"]
    wrong += [Example(where=what, detail=said) for what, one in forbidden.items() if (said := _tried(one)) != "403"]
    summary = (
        f"{len(allowed)} requests with the account's own token were carried out, {len(forbidden)} refused with 403"
    )
    return finding("attempts-as-necp-chaos", wrong, summary)


def _tried(one: Callable[[], object]) -> str:
    try:
        one()
    except client.ApiException as error:
        return str(error.status) if error.status == 403 else f"{error.status}: {reason(error)}"
    return "done"


def pod_set_definition() -> dict[str, Any]:
    """Return the definition of Strimzi's pod sets, without Strimzi's schema: only that there is such a kind."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "strimzipodsets.core.strimzi.io"},
        "spec": {
            "group": "core.strimzi.io",
            "scope": "Namespaced",
            "names": {"kind": "StrimziPodSet", "plural": "strimzipodsets", "singular": "strimzipodset"},
            "versions": [{"name": "v1beta2", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}],
        },
    }
