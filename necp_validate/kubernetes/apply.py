"""The manifests that come with the suite, and applying them to a real API server."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from kubernetes import client
from kubernetes.dynamic import DynamicClient
from kubernetes.dynamic.exceptions import DynamicApiError

from necp_validate.core import UsageError
from necp_validate.kubernetes.brokers import Object

_MANAGER = "necp-validate"


def manifest_folder() -> Path:
    """The folder of the manifests that come with the suite."""
    return Path(__file__).resolve().parent / "manifests"


def load_manifest(name: str) -> list[Object]:
    """Return the objects of one manifest.

    Args:
        name: file name without ``.yaml``.

    Raises:
        UsageError: there is no such file, or it is no list of objects.
    """
    path = manifest_folder() / f"{name}.yaml"
    try:
        found = [one for one in yaml.safe_load_all(path.read_text(encoding="utf-8")) if one is not None]
    except (OSError, yaml.YAMLError) as error:
        raise UsageError(f"the manifest {path} cannot be read: {error}") from error
    for one in found:
        if not isinstance(one, Mapping) or not {"apiVersion", "kind", "metadata"} <= one.keys():
            raise UsageError(f"{path}: every document must be an object with apiVersion, kind and metadata")
    return found


def named(one: Object) -> str:
    """Return kind and name of an object, as messages call it."""
    return f"{one['kind']} {one['metadata']['name']}"


class Refused(Exception):
    """The API server did not take an object; the text is its own."""


class Applier:
    """Applies objects from the server's side, as ``kubectl apply --server-side`` does.

    Args:
        api: a client that may do it.
    """

    def __init__(self, api: client.ApiClient) -> None:
        self._dynamic = DynamicClient(api)

    def apply(self, one: Object, *, dry_run: bool = False, impersonate: str = "") -> Any:
        """Apply an object; a field that the server does not know is an error.

        Args:
            one: the object.
            dry_run: go through everything, admission included, and keep nothing.
            impersonate: do it as this user.

        Raises:
            Refused: the server did not take it, and why.
        """
        query: Sequence[tuple[str, str]] = [("fieldValidation", "Strict")]
        more = {"dry_run": "All"} if dry_run else {}
        headers = {"Impersonate-User": impersonate} if impersonate else {}
        try:
            kind = self._dynamic.resources.get(api_version=one["apiVersion"], kind=one["kind"])
            return kind.server_side_apply(
                body=dict(one),
                field_manager=_MANAGER,
                force_conflicts=True,
                query_params=list(query),
                header_params=headers,
                **more,
            )
        except DynamicApiError as error:
            raise Refused(f"{named(one)}: {reason(error)}") from error

    def apply_all(self, objects: Iterable[Object]) -> None:
        """Apply objects, in their order.

        Raises:
            Refused: the server did not take one of them.
        """
        for one in objects:
            self.apply(one)


def reason(error: Exception) -> str:
    """Return what the API server said, without what a client has added to it."""
    body = getattr(error, "body", None)
    try:
        return str(yaml.safe_load(body)["message"]) if body else str(error)
    except (yaml.YAMLError, KeyError, TypeError):
        return str(error)
