"""Checks of the manifests and of what their service accounts may do, on a real API server."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from typing import Any

from kubernetes import client

from necp_validate.kubernetes import brokers
from necp_validate.kubernetes.apply import Applier, Refused, load_manifest, named, reason
from necp_validate.kubernetes.outcome import finding
from necp_validate.kubernetes.rights import Right, Surplus, ask, compare, known_resources, load_policy, questions
from necp_validate.results import StackError
from necp_validate.results.verdict import Example, Finding
from necp_validate.stack.waiting import wait_until

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


def check_rights(api: client.ApiClient) -> list[Finding]:
    """Ask about every verb on every resource for every account of the policy, and for accounts with seeded defects."""
    resources, policy = known_resources(api), load_policy()
    found = [_rights_finding(_surplus(api, account, resources, policy)) for account in policy]
    return [*found, _seeded(api, resources, policy)]


def _surplus(
    api: client.ApiClient,
    account: str,
    resources: Sequence[Any],
    policy: Mapping[str, frozenset[Right]],
    *,
    of: str = "",
) -> Surplus:
    """Compare what an account may do with its policy, or with that of another (``of``)."""
    allowed = policy[of or account]
    asked = questions(resources, _ASKED_IN, (right for right in allowed if right.name))
    return compare(account, allowed, ask(api, user(account), asked))


def _rights_finding(surplus: Surplus) -> Finding:
    wrong = [Example(where=surplus.account, detail=f"may, and must not: {right}") for right in surplus.beyond]
    wrong += [
        Example(where=surplus.account, detail=f"must be able to, and may not: {right}") for right in surplus.lacking
    ]
    return finding(f"rights-{surplus.account}", wrong, f"{surplus.asked} questions answered by the server as declared")


def _seeded(api: client.ApiClient, resources: Sequence[Any], policy: Mapping[str, frozenset[Right]]) -> Finding:
    """Give the role of experiments to other accounts, each with one defect, and see that each is found."""
    applier = Applier(api)
    defects = _defects()
    for objects, _ in defects.values():
        applier.apply_all(objects)
    missed = []
    for account, (_, caught) in defects.items():

        def found(account: str = account, caught: Caught = caught) -> bool:
            return caught(_surplus(api, account, resources, policy, of="necp-chaos"))

        try:
            # The authorizer learns of a new binding a moment after it was made.
            wait_until(found, timeout_s=_SETTLE_S, backoff_s=1.0, message="not found")
        except StackError as error:
            missed.append(Example(where=account, detail=str(error)))
    names = ", ".join(name.removeprefix("necp-") for name in defects)
    return finding("rights-defects-found", missed, f"seeded and found: {names}")


Caught = Callable[[Surplus], bool]


def _defects() -> Mapping[str, tuple[list[dict[str, Any]], Caught]]:
    """The role of experiments with one defect each, and what has to be found of it."""
    role, binding = (deepcopy(dict(one)) for one in load_manifest("rbac") if one["kind"] in ("Role", "RoleBinding"))
    every_verb, with_secrets, lacking = (deepcopy(role) for _ in range(3))
    every_verb["rules"][0]["verbs"] = ["*"]
    with_secrets["rules"].append({"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]})
    lacking["rules"][0]["verbs"] = ["list"]
    everywhere = {**deepcopy(role), "kind": "ClusterRole"}

    def beyond(verb: str, resource: str, namespace: str) -> Caught:
        return lambda surplus: Right(verb=verb, resource=resource, namespace=namespace) in surplus.beyond

    def bound(account: str, made: dict[str, Any], caught: Caught) -> tuple[list[dict[str, Any]], Caught]:
        made["metadata"] = {**made["metadata"], "name": account}
        kind = deepcopy(binding)
        kind["metadata"] = {**kind["metadata"], "name": account}
        kind["roleRef"] |= {"kind": made["kind"], "name": account}
        kind["subjects"] = [{"kind": "ServiceAccount", "name": account, "namespace": NAMESPACE}]
        if made["kind"] == "ClusterRole":
            kind["kind"] = "ClusterRoleBinding"
            for one in (made, kind):
                one["metadata"].pop("namespace", None)
        return [made, kind], caught

    delete = Right(verb="delete", resource="pods", namespace=brokers.NAMESPACE)
    return {
        "necp-every-verb": bound("necp-every-verb", every_verb, beyond("create", "pods", brokers.NAMESPACE)),
        "necp-secrets": bound("necp-secrets", with_secrets, beyond("get", "secrets", brokers.NAMESPACE)),
        "necp-everywhere": bound("necp-everywhere", everywhere, beyond("delete", "pods", "kube-system")),
        "necp-no-delete": bound("necp-no-delete", lacking, lambda surplus: delete in surplus.lacking),
    }


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
        "execute in a pod": lambda: core.connect_get_namespaced_pod_exec(pod, brokers.NAMESPACE, command="id"),
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
