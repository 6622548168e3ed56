"""Samples of events for load and tests: valid ones, cheats and poison, each with a certain outcome.

The outcome of a sample never depends on what came before it: a valid one is processed, a cheat is rejected,
and poison is dead-lettered, in whatever order streams are mixed and however often an event is delivered.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

import msgspec

from necp_validate.events.base import EventData
from necp_validate.events.samplers import combat, economy, social, system
from necp_validate.events.topics import Domain

SampleKind = Literal["valid", "cheat", "poison"]
Sample = tuple[str, int, bytes]
"""``(type, version, data as JSON)``, as :func:`necp_validate.events.envelope.head` takes them."""

Sampler = Callable[[random.Random], EventData]

_VALID: Final[Mapping[Domain, Sampler]] = {
    Domain.COMBAT: combat.valid,
    Domain.ECONOMY: economy.valid,
    Domain.SOCIAL: social.valid,
    Domain.SYSTEM: system.valid,
}
_CHEAT: Final[Mapping[Domain, Sampler]] = {
    Domain.COMBAT: combat.cheat,
    Domain.ECONOMY: economy.cheat,
    Domain.SOCIAL: social.cheat,
    Domain.SYSTEM: system.cheat,
}
_ENCODE: Final = msgspec.json.Encoder().encode
_BROKEN_UTF8: Final = (b"\xff", b"\xc3\x28", b"\xed\xa0\x80")


def sample_event(domain: Domain, rng: random.Random, *, kind: SampleKind = "valid") -> Sample:
    """Draw an event of a domain.

    Args:
        domain: whose event.
        rng: source of chance; the same state gives the same sample.
        kind: ``valid`` (will be processed), ``cheat`` (well-formed, will be rejected) or ``poison`` (its
            payload, type or version is invalid, will be dead-lettered).
    """
    if kind == "poison":
        return _poison(_VALID[domain](rng), rng)
    return _plain((_CHEAT if kind == "cheat" else _VALID)[domain](rng))


def _plain(data: EventData) -> Sample:
    return data.type_name, data.version, _ENCODE(data)


def _poison(data: EventData, rng: random.Random) -> Sample:
    return rng.choice(_POISONS)(data, rng)


def _altered(data: EventData, changes: Mapping[str, Any], *, without: str | None = None) -> Sample:
    fields: dict[str, Any] = msgspec.to_builtins(data)
    fields.update(changes)
    if without is not None:
        del fields[without]
    return data.type_name, data.version, _ENCODE(fields)


def _some_field(data: EventData, rng: random.Random) -> str:
    return rng.choice(data.__struct_fields__)


def _truncated(data: EventData, rng: random.Random) -> Sample:
    whole = _ENCODE(data)
    return data.type_name, data.version, whole[: rng.randrange(1, len(whole))]


def _not_an_object(data: EventData, rng: random.Random) -> Sample:
    return data.type_name, data.version, rng.choice((b"null", b"[]", b'"data"', b"0", b"true"))


def _missing_field(data: EventData, rng: random.Random) -> Sample:
    return _altered(data, {}, without=_some_field(data, rng))


def _unknown_field(data: EventData, rng: random.Random) -> Sample:
    return _altered(data, {f"x_{rng.randrange(1000)}": 1})


def _wrong_type(data: EventData, rng: random.Random) -> Sample:
    return _altered(data, {_some_field(data, rng): {"unexpected": True}})


def _out_of_range(data: EventData, rng: random.Random) -> Sample:
    numbers = [name for name in data.__struct_fields__ if type(getattr(data, name)) is int]
    if not numbers:
        return _wrong_type(data, rng)
    return _altered(data, {rng.choice(numbers): rng.choice((-1, 10**19, 0.5))})


def _too_long(data: EventData, rng: random.Random) -> Sample:
    texts = [name for name in data.__struct_fields__ if isinstance(getattr(data, name), str)]
    if not texts:
        return _wrong_type(data, rng)
    return _altered(data, {rng.choice(texts): "x" * rng.randrange(501, 4_000)})


def _not_utf8(data: EventData, rng: random.Random) -> Sample:
    return data.type_name, data.version, _ENCODE(data).replace(b'":', rng.choice(_BROKEN_UTF8) + b'":', 1)


def _deeply_nested(data: EventData, rng: random.Random) -> Sample:
    depth = rng.randrange(50, 600)
    return data.type_name, data.version, b'{"a":' * depth + b"1" + b"}" * depth


def _unknown_type(data: EventData, rng: random.Random) -> Sample:
    return f"{data.type_name}_{rng.randrange(1000)}", data.version, _ENCODE(data)


def _unknown_version(data: EventData, rng: random.Random) -> Sample:
    return data.type_name, rng.randrange(90, 100), _ENCODE(data)


_POISONS: Final[tuple[Callable[[EventData, random.Random], Sample], ...]] = (
    _truncated,
    _not_an_object,
    _missing_field,
    _unknown_field,
    _wrong_type,
    _out_of_range,
    _too_long,
    _not_utf8,
    _deeply_nested,
    _unknown_type,
    _unknown_version,
)
