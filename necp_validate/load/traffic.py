"""The events that game servers send: encoded once per server, in flushes, with cheats and poison in exact shares."""

from __future__ import annotations

import random
from math import ceil
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from necp_validate.clients.flush import FlushTemplate
from necp_validate.events.envelope import event_id, head, seal
from necp_validate.events.expected_totals import expected_totals_of
from necp_validate.events.samples import SampleKind, sample_event
from necp_validate.events.topics import Domain
from necp_validate.load.plan import DomainTraffic, LoadPlan

if TYPE_CHECKING:
    from necp_validate.fuzz.loading import FuzzedEvents

VARIANTS = 4  # flushes of each kind that a server takes turns with
_ANY_TIME_US = 10**15  # the templates' own time, 0, is none that an event may have
Kind = SampleKind | Literal["fuzz"]
_CHEAT: Final[Kind] = "cheat"
_POISON: Final[Kind] = "poison"
_FUZZ: Final[Kind] = "fuzz"
_KEYS = {Domain.COMBAT: "match", Domain.ECONOMY: "market", Domain.SOCIAL: "channel", Domain.SYSTEM: "node"}


class Flush(NamedTuple):
    """One flush of a server: how many of its events are to be rejected or dead-lettered, and what the others do.

    Args:
        expected_totals: what its other events deal and move when they are processed.
        fuzzed: events that a mutation operator has made invalid.
    """

    template: FlushTemplate
    cheats: int
    poison: int
    expected_totals: dict[str, int]
    fuzzed: int = 0


def stream_id(run_id: str, domain: Domain, server: int) -> str:
    """Id of a server's stream: 8 hex digits, unique to run, domain and server."""
    return f"{random.Random(f'{run_id}/{domain}').getrandbits(20):05x}{server:03x}"


def key_of(domain: Domain, server: int) -> str:
    """Record key of a server's events."""
    return f"{_KEYS[domain]}-{server:04d}"


class FlushPool:
    """The flushes that one server sends, encoded beforehand; planted events come in exactly their share over time.

    Args:
        domain: what it sends.
        traffic: flush length and shares.
        server: its number.
        plan: seed and run.
        fuzzed: makes the fuzzed events, where the traffic has any.
    """

    def __init__(
        self,
        domain: Domain,
        traffic: DomainTraffic,
        server: int,
        plan: LoadPlan,
        fuzzed: FuzzedEvents | None = None,
    ) -> None:
        rng = random.Random(f"{plan.seed}/{domain}/{server}")
        self._traffic = traffic
        # Each server begins somewhere else between two planted events, or all of them would plant at once.
        self._due = [rng.random(), rng.random(), rng.random() if traffic.fuzz else 0.0]
        self._next = 0
        poisons = {traffic.poison_share, *(p.poison_share for p in plan.phases if p.poison_share is not None)}
        counts = [
            {count for share in shares for count in (int(share * traffic.run_length), ceil(share * traffic.run_length))}
            for shares in ({traffic.cheat_share}, poisons, {traffic.fuzz})
        ]
        key, stream = key_of(domain, server), stream_id(plan.run_id, domain, server)

        def front(kind: Kind) -> bytes:
            if kind == "fuzz":
                assert fuzzed is not None  # who has a share of them makes them
                return fuzzed.front(key, rng)
            name, version, data = sample_event(domain, rng, kind=kind)
            return head(name, version, key=key, data=data)

        def encoded(cheats: int, poison: int, mutated: int) -> Flush:
            mutated = min(mutated, max(traffic.run_length - cheats - poison, 0))  # a phase may be nothing but poison
            kinds: list[Kind] = ["valid"] * traffic.run_length
            planted: list[Kind] = [_CHEAT] * cheats + [_POISON] * poison + [_FUZZ] * mutated
            for at, kind in zip(rng.sample(range(traffic.run_length), len(planted)), planted, strict=True):
                kinds[at] = kind
            fronts = [front(kind) for kind in kinds]
            values = [seal(front, 0, event_id(stream, 0)) for front in fronts]
            valid = [front for front, kind in zip(fronts, kinds, strict=True) if kind == "valid"]
            expected_totals = expected_totals_of(seal(front, _ANY_TIME_US, event_id(stream, 0)) for front in valid)
            bad = {str(kind): [at for at, one in enumerate(kinds) if one == kind] for kind in (_CHEAT, _POISON, _FUZZ)}
            return Flush(FlushTemplate(values, key.encode(), bad), cheats, poison, expected_totals, mutated)

        self._flushes = {
            (cheats, poison, mutated): [encoded(cheats, poison, mutated) for _ in range(VARIANTS)]
            for cheats in counts[0]
            for poison in counts[1]
            for mutated in counts[2]
        }

    def next(self, poison_share: float | None = None) -> Flush:
        """The next flush to send.

        Args:
            poison_share: the phase's own share of invalid events, if it has one.
        """
        planted = []
        poison = self._traffic.poison_share if poison_share is None else poison_share
        for i, share in enumerate((self._traffic.cheat_share, poison, self._traffic.fuzz)):
            events = share * self._traffic.run_length
            self._due[i] += events
            planted.append(min(int(self._due[i]), ceil(events)))
            self._due[i] -= planted[i]
        self._next += 1
        return self._flushes[planted[0], planted[1], planted[2]][self._next % VARIANTS]
