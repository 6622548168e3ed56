"""The registry: types by name and version, and the way to the newest version."""

from __future__ import annotations

import pytest

from necp_validate.events.registry import REGISTRY, event_types
from necp_validate.events.topics import Domain


@pytest.mark.parametrize("domain", Domain)
def test_every_domain_has_types_and_an_older_version(domain: Domain) -> None:
    """At least four types, each named after its domain, at least one of them in two versions."""
    kinds = event_types(domain)
    names = {kind.name for kind in kinds}
    assert len(names) >= 4
    assert all(name.startswith(f"{domain.value}.") for name in names)
    assert any(not kind.newest for kind in kinds)


def test_versions_have_no_holes_and_one_is_the_newest() -> None:
    """Versions of a type count from 1, and the last is the newest."""
    for name in {kind.name for kind in REGISTRY.values()}:
        kinds = sorted((kind for kind in REGISTRY.values() if kind.name == name), key=lambda kind: kind.version)
        assert [kind.version for kind in kinds] == list(range(1, len(kinds) + 1))
        assert [kind.newest for kind in kinds] == [False] * (len(kinds) - 1) + [True]


def test_every_type_is_found_under_its_own_name_and_version() -> None:
    """The registry's keys are what the payload classes say of themselves."""
    assert {(kind.data.type_name, kind.data.version) for kind in REGISTRY.values()} == set(REGISTRY)
