"""What the suite's service accounts may do, on a real API server: as declared, no more and no less."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any

from kubernetes import client

from necp_validate.core import StackError
from necp_validate.core.verdict import Example, Finding
from necp_validate.kubernetes import brokers
from necp_validate.kubernetes.account_checks import NAMESPACE, user
from necp_validate.kubernetes.apply import Applier, load_manifest
from necp_validate.kubernetes.outcome import finding
from necp_validate.kubernetes.rights import Reviewer, Right, Surplus, compare, known_resources, load_policy, questions
from necp_validate.stack.waiting import wait_until

_ASKED_IN = (brokers.NAMESPACE, NAMESPACE, "kube-system")
_EXPERIMENTS = "necp-chaos"
_SETTLE_S = 20.0
# Where defects are looked for: a few resources, among them those that the defects are about.
_SEARCHED = (
    "pods",
    "pods/exec",
    "pods/eviction",
    "secrets",
    "nodes",
    "apps/statefulsets",
    "networking.k8s.io/networkpolicies",
)


class RightsCheck:
    """Asks about every verb on every resource, for every account of the policy and for accounts with seeded defects.

    Args:
        api: a client that may do everything.
        reviewer: asks what others may do.
    """

    def __init__(self, api: client.ApiClient, reviewer: Reviewer) -> None:
        self._api = api
        self._reviewer = reviewer
        self._resources = known_resources(api)
        self._policy = load_policy()

    def all(self) -> list[Finding]:
        """Return a finding for each account, and one for the defects."""
        return [*map(self._account, self._policy), self._defects()]

    def _account(self, account: str) -> Finding:
        allowed = self._policy[account]
        asked = questions(self._resources, _ASKED_IN, (right for right in allowed if right.name))
        surplus = compare(account, allowed, self._reviewer.ask(user(account), asked))
        wrong = [Example(where=account, detail=f"may, and must not: {right}") for right in surplus.beyond]
        wrong += [Example(where=account, detail=f"must be able to, and may not: {right}") for right in surplus.lacking]
        summary = f"{len(self._resources)} resources, {surplus.asked} questions, answered by the server as declared"
        return finding(f"rights-{account}", wrong, summary)

    def _defects(self) -> Finding:
        """Give the role of experiments to other accounts, each with one defect, and see that each is found."""
        applier, seeded = Applier(self._api), defects()
        for objects, _ in seeded.values():
            applier.apply_all(objects)
        allowed = self._policy[_EXPERIMENTS]
        asked = questions((one for one in self._resources if one.name in _SEARCHED), _ASKED_IN)
        missed = []
        for account, (_, caught) in seeded.items():

            def found(account: str = account, caught: Caught = caught) -> bool:
                return caught(compare(account, allowed, self._reviewer.ask(user(account), asked)))

            try:
                # The authorizer learns of a new binding a moment after it was made.
                wait_until(found, timeout_s=_SETTLE_S, backoff_s=1.0, message="it was not found")
            except StackError as error:
                missed.append(Example(where=account, detail=str(error)))
        names = ", ".join(name.removeprefix("necp-") for name in seeded)
        return finding("rights-defects-found", missed, f"seeded and found: {names}")


Caught = Callable[[Surplus], bool]


def defects() -> Mapping[str, tuple[list[dict[str, Any]], Caught]]:
    """Return the role of experiments with one defect each, by the account that has it, and what has to be found."""
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
