"""The manifests that come with the suite, as far as they can be looked at without an API server."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from necp_validate.core import UsageError
from necp_validate.events.topics import VERIFIER_PRINCIPAL, Domain
from necp_validate.kubernetes.apply import load_manifest, manifest_folder, named
from necp_validate.stack.external_config import load_external

ALL = sorted(path.stem for path in manifest_folder().glob("*.yaml"))


def _pods() -> Iterator[tuple[str, dict[str, Any]]]:
    for name in ALL:
        for one in load_manifest(name):
            if one["kind"] == "Job":
                yield named(one), one["spec"]["template"]["spec"]


def test_there_are_these_manifests():
    assert ALL == ["chaos", "namespace", "rbac", "rbac-drain", "suite"]


@pytest.mark.parametrize(("name", "pod"), list(_pods()))
def test_every_pod_is_as_safe_as_the_strictest_standard_asks(name: str, pod: dict[str, Any]):
    assert pod["securityContext"]["runAsNonRoot"]
    for container in pod["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert "memory" in container["resources"]["limits"]


@pytest.mark.parametrize(("name", "pod"), list(_pods()))
def test_only_experiments_get_a_token(name: str, pod: dict[str, Any]):
    assert pod["automountServiceAccountToken"] is ("chaos" in name)


def test_no_role_has_a_wildcard():
    roles = [one for name in ALL for one in load_manifest(name) if one["kind"].endswith("Role")]
    assert len(roles) == 2
    for role in roles:
        for rule in role["rules"]:
            assert "*" not in (*rule["apiGroups"], *rule["resources"], *rule["verbs"])


def test_no_secret_is_in_a_manifest():
    assert not [one for name in ALL for one in load_manifest(name) if one["kind"] == "Secret"]


def test_a_manifest_that_is_not_there_is_named():
    with pytest.raises(UsageError, match=r"nothing\.yaml"):
        load_manifest("nothing")


def test_the_target_is_one_that_the_suite_can_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("KAFKA_PASSWORD", "secret")
    (text,) = [one["data"]["target.toml"] for one in load_manifest("suite") if one["kind"] == "ConfigMap"]
    (tmp_path / "ca.crt").touch()
    file = tmp_path / "target.toml"
    file.write_text(text.replace("/etc/kafka/ca.crt", str(tmp_path / "ca.crt")), encoding="utf-8")
    settings = load_external(file)
    assert {*(domain.service for domain in Domain), VERIFIER_PRINCIPAL} <= settings.principals.keys()
