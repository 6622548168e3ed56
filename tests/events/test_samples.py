"""Samples: every kind is what it says, whatever the seed."""

from __future__ import annotations

import random

import pytest

from necp_validate.events.envelope import InvalidEvent, decode, event_id, head, seal
from necp_validate.events.registry import event_types
from necp_validate.events.samples import Sample, SampleKind, sample_event
from necp_validate.events.tail import split_tail
from necp_validate.events.topics import Domain

COUNT = 3_000


def _value(sample: Sample) -> bytes:
    type_name, version, data = sample
    return seal(head(type_name, version, key="k", data=data), 1_700_000_000_000_000, event_id("0a1b2c3d", 1))


@pytest.mark.parametrize("domain", Domain)
@pytest.mark.parametrize("kind", ["valid", "cheat"])
def test_valid_samples_and_cheats_decode(domain: Domain, kind: SampleKind) -> None:
    """Both are well-formed: a cheat is for the handler to find, not for the decoder."""
    rng = random.Random(5)
    for _ in range(COUNT):
        event = decode(_value(sample_event(domain, rng, kind=kind)))
        assert event.type.startswith(f"{domain.value}.")


@pytest.mark.parametrize("domain", Domain)
def test_valid_samples_cover_every_type_and_version(domain: Domain) -> None:
    """Nothing in the registry goes untested under load."""
    rng = random.Random(6)
    drawn = {sample_event(domain, rng)[:2] for _ in range(COUNT)}
    assert drawn == {(kind.name, kind.version) for kind in event_types(domain)}


@pytest.mark.parametrize("domain", Domain)
def test_poison_never_decodes_but_has_its_tail(domain: Domain) -> None:
    """Poison is always refused, in several ways, and can still be told apart by its id."""
    rng = random.Random(7)
    reasons = set()
    for _ in range(COUNT):
        value = _value(sample_event(domain, rng, kind="poison"))
        assert split_tail(value)[:2] == ("0a1b2c3d", 1)
        with pytest.raises(InvalidEvent) as caught:
            decode(value)
        reasons.add(caught.value.reason)
    assert reasons == {"malformed", "unknown-type", "invalid-data"}


@pytest.mark.parametrize("domain", Domain)
def test_the_same_seed_gives_the_same_samples(domain: Domain) -> None:
    """Runs can be repeated."""
    first = [sample_event(domain, random.Random(8), kind="poison") for _ in range(3)]
    assert first == [sample_event(domain, random.Random(8), kind="poison") for _ in range(3)]
