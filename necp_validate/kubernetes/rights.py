"""What service accounts may do: every verb on every resource, asked of the API server, compared with the policy."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import urllib3
from kubernetes import client

from necp_validate.core import SuiteError, UsageError
from necp_validate.kubernetes.apply import manifest_folder

EVERYWHERE = "*"
_EVERYBODY = "everybody"
_THREADS = 4
# Verbs that no resource lists as its own, and that hand rights on to who has them.
_HANDING_ON = {
    "roles": ("bind", "escalate"),
    "clusterroles": ("bind", "escalate"),
    "users": ("impersonate",),
    "groups": ("impersonate",),
    "serviceaccounts": ("impersonate",),
}


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Right:
    """One thing that an account may do, or not.

    Args:
        verb: as Kubernetes calls it.
        resource: with its group before it, if it has one: ``apps/statefulsets``, ``pods/eviction``.
        namespace: where; ``*`` for all of them, and for what is in none.
        name: of the one object that it is about; of any if empty.
    """

    verb: str
    resource: str
    namespace: str
    name: str = ""

    def __str__(self) -> str:
        where = "everywhere" if self.namespace == EVERYWHERE else f"in {self.namespace}"
        return f"{self.verb} {self.resource}{f' {self.name}' if self.name else ''} {where}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """A kind of thing that the API server knows.

    Args:
        name: with its group before it, if it has one.
        namespaced: whether its objects are in namespaces.
        verbs: what can be done with it.
    """

    name: str
    namespaced: bool
    verbs: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Surplus:
    """How the rights of an account differ from its policy.

    Args:
        account: its name.
        asked: how many questions the API server answered.
        beyond: what it may do and must not.
        lacking: what it must be able to do and may not.
    """

    account: str
    asked: int
    beyond: tuple[Right, ...] = field(default=())
    lacking: tuple[Right, ...] = field(default=())


class _Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    namespace: str
    resources: list[str]
    verbs: list[str]
    name: str = ""


Policy = Mapping[str, frozenset[Right]]


def load_policy(path: Path | None = None) -> Policy:
    """Read what accounts may do.

    Args:
        path: the file; the one that comes with the manifests by default.

    Returns:
        Per account, all of its rights, what everybody may do included.

    Raises:
        UsageError: the file cannot be read, or has a mistake.
    """
    path = path or manifest_folder() / "policy.toml"
    try:
        tables = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), dict[str, list[_Entry]])
    except (OSError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise UsageError(f"{path}: {error}") from error
    rights = {
        account: frozenset(
            Right(verb=verb, resource=resource, namespace=entry.namespace, name=entry.name)
            for entry in entries
            for resource in entry.resources
            for verb in entry.verbs
        )
        for account, entries in tables.items()
    }
    common = rights.pop(_EVERYBODY, frozenset())
    return {account: own | common for account, own in rights.items()}


def covers(allowed: Iterable[Right], asked: Right) -> bool:
    """Tell whether a policy allows what was asked: by the right itself, or by one that is wider.

    Args:
        allowed: the rights of an account.
        asked: one of the questions.
    """
    return any(
        right.verb == asked.verb
        and right.resource == asked.resource
        and right.namespace in (EVERYWHERE, asked.namespace)
        and right.name in ("", asked.name)
        for right in allowed
    )


def questions(resources: Iterable[Resource], namespaces: Sequence[str], names: Iterable[Right] = ()) -> list[Right]:
    """Return everything to ask about an account.

    Args:
        resources: what the API server knows.
        namespaces: where to ask about what is in namespaces, besides everywhere.
        names: rights about one object, which no question about any object would find.
    """
    found = []
    for resource in resources:
        scopes = [EVERYWHERE, *namespaces] if resource.namespaced else [EVERYWHERE]
        _, short, sub = split_resource(resource.name)
        verbs = dict.fromkeys((*resource.verbs, *(() if sub else _HANDING_ON.get(short, ()))))
        found += [Right(verb=v, resource=resource.name, namespace=scope) for v in verbs for scope in scopes]
    for right in names:
        scopes = [right.namespace] if right.namespace == EVERYWHERE else [right.namespace, *namespaces]
        found += [Right(verb=right.verb, resource=right.resource, namespace=s, name=right.name) for s in scopes]
    return list(dict.fromkeys(found))


def compare(account: str, allowed: frozenset[Right], answers: Mapping[Right, bool]) -> Surplus:
    """Compare what an account may do with what it should.

    Args:
        account: its name.
        allowed: its policy.
        answers: what the API server said to each question.
    """
    return Surplus(
        account=account,
        asked=len(answers),
        beyond=tuple(sorted(right for right, yes in answers.items() if yes and not covers(allowed, right))),
        lacking=tuple(sorted(right for right, yes in answers.items() if not yes and covers(allowed, right))),
    )


def known_resources(api: client.ApiClient) -> list[Resource]:
    """Return everything that an API server knows: its own, and what was added to it."""
    core = client.CoreV1Api(api)
    lists = [("", core.get_api_resources())]
    for group in client.ApisApi(api).get_api_versions().groups:
        version = group.preferred_version.version
        answer = client.CustomObjectsApi(api).get_api_resources(group.name, version)
        lists.append((group.name, answer))
    found = [
        Resource(name=f"{group}/{one.name}" if group else one.name, namespaced=one.namespaced, verbs=tuple(one.verbs))
        for group, listed in lists
        for one in listed.resources
    ]
    # Whom one may impersonate is decided on two resources that exist in name only.
    names = {one.name for one in found}
    return found + [Resource(name=n, namespaced=False, verbs=()) for n in ("users", "groups") if n not in names]


class Reviewer:
    """Asks an API server whether somebody may do something (SubjectAccessReview), thousands of times.

    Args:
        server: address of the API server.
        authority: file of the certificate that its own is to be from.
        token: of who may ask about others.
    """

    def __init__(self, server: str, authority: Path, token: str) -> None:
        self._url = f"{server}/apis/authorization.k8s.io/v1/subjectaccessreviews"
        self._pool = urllib3.PoolManager(maxsize=_THREADS, ca_certs=str(authority), retries=3)
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def ask(self, user: str, rights: Sequence[Right]) -> dict[Right, bool]:
        """Ask about each of these things.

        Args:
            user: e.g. ``system:serviceaccount:NAMESPACE:NAME``.
            rights: the questions.

        Raises:
            SuiteError: the server gave no answer to a question.
        """
        with ThreadPoolExecutor(max_workers=_THREADS) as pool:
            return dict(zip(rights, pool.map(lambda right: self._may(user, right), rights), strict=True))

    def _may(self, user: str, right: Right) -> bool:
        asked = msgspec.json.encode(review(user, right))
        answer = self._pool.request("POST", self._url, headers=self._headers, body=asked)
        if answer.status != 201:
            raise SuiteError(f"the API server does not say whether {user} may {right}: {answer.status}")
        return bool(msgspec.json.decode(answer.data)["status"]["allowed"])


def review(user: str, right: Right) -> dict[str, Any]:
    """Return the question whether a user may do something, as the API server takes it.

    Args:
        user: a service account is in its groups, too, as when it logs in.
        right: what is asked.
    """
    group, resource, subresource = split_resource(right.resource)
    attributes = {"verb": right.verb, "group": group, "resource": resource, "subresource": subresource}
    attributes |= {"namespace": "" if right.namespace == EVERYWHERE else right.namespace, "name": right.name}
    groups = ["system:authenticated"]
    if user.startswith("system:serviceaccount:"):
        groups += ["system:serviceaccounts", f"system:serviceaccounts:{user.split(':')[2]}"]
    return {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": user, "groups": groups, "resourceAttributes": {k: v for k, v in attributes.items() if v}},
    }


def split_resource(name: str) -> tuple[str, str, str]:
    """Split a resource's name into group, resource and subresource; groups have a dot in them, or are Kubernetes' own.

    Args:
        name: e.g. ``pods/eviction``, ``apps/statefulsets/scale``, ``networking.k8s.io/networkpolicies``.
    """
    parts = name.split("/")
    grouped = len(parts) > 1 and (
        "." in parts[0] or parts[0] in ("apps", "batch", "autoscaling", "policy", "extensions")
    )
    group = parts.pop(0) if grouped else ""
    return group, parts[0], parts[1] if len(parts) > 1 else ""
