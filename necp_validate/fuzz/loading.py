"""Fuzzed events for the load: invalid for certain, with a tail that holds, so that streams can be accounted for."""

from __future__ import annotations

import random
from typing import Final

from necp_validate.events.tail import TAIL_LENGTH, event_id
from necp_validate.events.topics import Domain
from necp_validate.fuzz.cases import Case
from necp_validate.fuzz.mutations import OPERATORS, mutate
from necp_validate.fuzz.registry_schema import registry_schema
from necp_validate.fuzz.source import draw_roots, has_identity

ROOTS: Final = 40
LONGEST_BYTES: Final = 4_000
"""A flush is kept encoded: events of a megabyte are for campaigns."""

_STREAM: Final = "00000000"
_TIME_US: Final = 10**15
_TRIES: Final = 1_000


class FuzzedEvents:
    """Invalid events of one domain, each made of one that Hypothesis has drawn by an operator that keeps the tail.

    Args:
        domain: whose.
        seed: the same seed draws the same.
    """

    def __init__(self, domain: Domain, seed: str) -> None:
        self._roots = draw_roots(domain, ROOTS, random.Random(f"{seed}/{domain}/fuzz").getrandbits(64))
        self._operators = tuple(OPERATORS)

    def front(self, key: str, rng: random.Random) -> bytes:
        """Make one, without its tail, for a server's stream."""
        case = self.case(key, rng)
        return (case.value or b"")[:-TAIL_LENGTH]

    def case(self, key: str, rng: random.Random) -> Case:
        """Make one for a server's stream; the operator that made it is told."""
        for _ in range(_TRIES):
            root = rng.choice(self._roots)
            schema = registry_schema(root.type_name, root.version)
            document = {**schema.decode(root.value or b""), "key": key, "ts": _TIME_US, "id": event_id(_STREAM, 0)}
            base = schema.case((key.encode(), schema.encode(document), ()))
            mutated = mutate(base, rng, rng.choice(self._operators))
            if mutated is not None and _fits(base, mutated):
                return mutated
        raise AssertionError("no operator makes an invalid event with a tail")


def _fits(base: Case, mutated: Case) -> bool:
    """Tell whether a mutated event is invalid whatever its identity, and can be sent as one of its stream."""
    value, before = mutated.value or b"", base.value or b""
    same_tail = value[-TAIL_LENGTH:-10] == before[-TAIL_LENGTH:-10]
    return (
        not mutated.valid
        and mutated.key == base.key
        and mutated.headers == base.headers
        and len(value) <= LONGEST_BYTES
        and has_identity(value)
        and same_tail
    )
