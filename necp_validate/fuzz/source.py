"""Events out of Hypothesis, by the hundred thousand: valid, at a bound, mutated; the same seed gives the same.

Hypothesis makes a few hundred events a second. So each that it draws is the root of several: itself, the same at a
bound of its schema, mutated by some operators; and each of these is sent more than once, under an identity of its own,
among others. They are made in chunks, which processes share.
"""

from __future__ import annotations

import random
import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from necp_validate.events.combat import WEAPONS
from necp_validate.events.registry import event_types
from necp_validate.events.tail import MAX_SEQ, TAIL_LENGTH, crc_is_right, event_id, seal, split_tail
from necp_validate.events.topics import Domain
from necp_validate.fuzz.cases import Case
from necp_validate.fuzz.mutations import OPERATORS, mutate
from necp_validate.fuzz.registry_schema import RegistrySchema, registry_schema

CHUNK: Final = 1_000
"""Events of one chunk."""

KEYS: Final = 12
"""Game servers of one domain, which all chunks share."""

INVALID_SHARE: Final = 0.5
_STRANGE_KEY: Final = 0.05
_PLAYED: Final = 0.7
_RETRIED: Final = 0.01
_HEAVY_BYTES: Final = 8_000
_HEAVY: Final = frozenset({"oversized", "compressed-bomb", "deep-nesting", "header-abuse"})
_HEAVY_WEIGHT: Final = 0.08
_TAIL: Final = re.compile(rb'[^,],"ts":[1-9]\d{15},"id":"[0-9a-f]{8}-\d{12}","crc":"[0-9a-f]{8}"}\Z', re.ASCII)
_TIME_US: Final = 1_700_000_000_000_000

_PLAYERS: Final = ("ann", "bob", "cy", "dee", "treasury")
_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    **dict.fromkeys(
        (
            "attacker", "target", "healer", "player", "caster", "killer", "victim", "debit", "credit", "buyer",
            "seller", "account", "sender", "leader", "invited_by", "successor", "by", "friend", "actor", "changed_by",
        ),
        _PLAYERS,
    ),
    "guild": ("red", "blue", "green"),
    "channel": ("general", "trade"),
}  # fmt: skip
_SMALL: Final[Mapping[str, int]] = {
    "amount": 500,
    "quantity": 100,
    "unit_price": 1_000,
    "damage": 90,
    "distance_cm": 9_000,
    "shots": 12,
    "sent_last_minute": 90,
    "cpu_millis": 4_000,
    "duration_s": 900_000,
    "since_last_ms": 40_000,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkTask:
    """One chunk to be made.

    Args:
        seed: of the campaign.
        tag: in every key and stream, so that a run's events are not those of another on the same cluster.
        domain: whose events.
        number: of the chunk in its domain.
        count: events in it.
        repeats: how often each distinct event is sent.
        operators: names of those to be used; all by default.
    """

    seed: int
    tag: str
    domain: Domain
    number: int
    count: int
    repeats: int = 4
    operators: tuple[str, ...] = tuple(OPERATORS)


def make_chunk(task: ChunkTask) -> list[Case]:
    """Make the events of a chunk, in the order in which they are sent."""
    rng = random.Random(f"{task.seed}/{task.domain}/{task.number}")
    roots = draw_roots(task.domain, max(task.count // (task.repeats * 8), 1), rng.getrandbits(64))
    distinct: list[Case] = []
    while len(distinct) < -(-task.count // task.repeats):
        distinct += _descend(rng.choice(roots), task, rng)
    stream = f"{zlib.crc32(f'{task.tag}/{task.domain}/{task.number}'.encode()):08x}"
    light = [
        case for case in distinct if len(case.value or b"") + len(case.key or b"") < _HEAVY_BYTES and not case.headers
    ]
    chosen = [rng.choice(light) for _ in range(task.count - len(distinct))] + distinct
    rng.shuffle(chosen)
    return list(_sent(chosen[: task.count], stream, rng))


def draw_roots(domain: Domain, count: int, number: int) -> list[Case]:
    """Let Hypothesis draw valid events of a domain.

    Args:
        domain: whose.
        count: how many.
        number: the same number draws the same events.
    """
    found: list[Case] = []
    schemas = [registry_schema(kind.name, kind.version) for kind in event_types(domain)]

    @seed(number)
    @settings(
        max_examples=count,
        database=None,
        phases=[Phase.generate],
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.sampled_from(schemas).flatmap(lambda schema: st.tuples(st.just(schema), schema.documents())))
    def draw(drawn: tuple[RegistrySchema, Any]) -> None:
        schema, document = drawn
        found.append(schema.case((document["key"].encode(), schema.encode(document), ())))

    draw()
    return found


def _descend(root: Case, task: ChunkTask, rng: random.Random) -> list[Case]:
    """A root under one of the campaign's keys, and what can be made of it."""
    schema = registry_schema(root.type_name, root.version)
    document = schema.decode(root.value or b"")
    strange = rng.random() < _STRANGE_KEY
    key = f"{task.tag}{document['key']}"[:64] if strange else f"{task.tag}-{task.domain.value}-{rng.randrange(KEYS)}"
    document = {**document, "key": key}
    if rng.random() < _PLAYED:
        document["data"] = as_played(document["data"], rng)
    base = schema.case((key.encode(), schema.encode(document), ()))
    if not base.valid:
        return []
    valid = [base]
    if bounds := schema.at_bounds(base, rng):
        valid += bounds[:3]
    invalid: list[Case] = []
    while len(invalid) < len(valid) * INVALID_SHARE / (1 - INVALID_SHARE):
        name = rng.choices(task.operators, [_HEAVY_WEIGHT if one in _HEAVY else 1.0 for one in task.operators])[0]
        if mutated := mutate(rng.choice(valid), rng, name):
            invalid.append(mutated)
    return valid + invalid


def as_played(data: Mapping[str, Any], rng: random.Random) -> dict[str, Any]:
    """Give some of the fields values as they are in a game: few players, small amounts; so that events meet."""
    played = dict(data)
    for name in data:
        if rng.random() < 0.2:
            continue
        if name in _NAMES:
            played[name] = rng.choice(_NAMES[name])
        elif name in _SMALL:
            played[name] = rng.randint(1, _SMALL[name])
        elif name == "client_build":
            played[name] = rng.randint(4_100, 4_500)
        elif name in ("rank", "by_rank", "inviter_rank"):
            played[name] = rng.choice(("member", "officer", "leader", "leader"))
        elif name == "to_cm":
            played[name] = [place + rng.randint(-60, 60) for place in data["from_cm"]]
    if "weapon" in played and "distance_cm" in played and rng.random() < 0.7:
        weapon = WEAPONS[played["weapon"]]
        played["distance_cm"] = rng.randint(0, weapon.range_cm * 11 // 10)
        if "damage" in played:
            played["damage"] = rng.randint(1, weapon.max_damage * 11 // 10)
    return played


def _sent(chosen: list[Case], stream: str, rng: random.Random) -> Iterator[Case]:
    """Give each its identity; now and then a producer tries again and sends the very same once more."""
    before: Case | None = None
    for seq, case in enumerate(chosen):
        if before is not None and rng.random() < _RETRIED:
            yield before
            continue
        one = identified(case, stream, seq, _TIME_US + seq)
        before = one if one.valid else before
        yield one


def identified(case: Case, stream: str, seq: int, ts_us: int) -> Case:
    """Give a case another identity if it has a readable one; what is wrong with it stays wrong."""
    if not has_identity(case.value):
        return case
    value = case.value or b""
    return replace(case, value=seal(value[:-TAIL_LENGTH], ts_us, event_id(stream, seq % (MAX_SEQ + 1))))


def retagged(case: Case, tag: str, new: str) -> Case:
    """Put another tag into a case's key, so that it meets a fresh state; what is wrong stays wrong."""
    key, value = case.key, case.value
    if key is not None:
        key = key.replace(tag.encode(), new.encode())
    if value is not None and has_identity(value):
        stream, seq, ts_us = split_tail(value)
        front = value[:-TAIL_LENGTH].replace(tag.encode(), new.encode(), 1)
        value = seal(front, ts_us, event_id(f"{zlib.crc32(f'{stream}{new}'.encode()):08x}", seq))
    return replace(case, key=key, value=value)


def has_identity(value: bytes | None) -> bool:
    """Tell whether a value ends in a tail that holds."""
    return value is not None and _TAIL.search(value) is not None and crc_is_right(value)
