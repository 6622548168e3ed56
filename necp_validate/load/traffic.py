"""The events that game servers send: encoded once per server, in flushes, with cheats and poison in exact shares."""

from __future__ import annotations

import random

from necp_validate.clients.flush import FlushTemplate
from necp_validate.events.envelope import event_id, head, seal
from necp_validate.events.samples import SampleKind, sample_event
from necp_validate.events.topics import Domain
from necp_validate.load.plan import DomainTraffic, LoadPlan

FLUSHES_PER_SERVER = 4
_KEYS = {Domain.COMBAT: "match", Domain.ECONOMY: "market", Domain.SOCIAL: "channel", Domain.SYSTEM: "node"}


class Flush:
    """One flush of a server, and how many of its events are planted to be rejected or dead-lettered."""

    __slots__ = ("cheats", "poison", "template")

    def __init__(self, template: FlushTemplate, cheats: int, poison: int) -> None:
        self.template = template
        self.cheats = cheats
        self.poison = poison


def stream_id(run_id: str, domain: Domain, server: int) -> str:
    """Id of a server's stream: 8 hex digits, unique to run, domain and server."""
    return f"{random.Random(f'{run_id}/{domain}').getrandbits(20):05x}{server:03x}"


def key_of(domain: Domain, server: int) -> str:
    """Record key of a server's events."""
    return f"{_KEYS[domain]}-{server:04d}"


def flushes_of(domain: Domain, traffic: DomainTraffic, server: int, plan: LoadPlan) -> list[Flush]:
    """Encode the flushes that one server repeats.

    Planted events are spread evenly over the servers: of any n consecutive events, n times the share, give or take one.
    """
    rng = random.Random(f"{plan.seed}/{domain}/{server}")
    key, stream = key_of(domain, server), stream_id(plan.run_id, domain, server)
    flushes = []
    number = server * FLUSHES_PER_SERVER * traffic.run_length
    for _ in range(FLUSHES_PER_SERVER):
        values, kinds = [], []
        for _ in range(traffic.run_length):
            kind = _kind(number, traffic)
            type_name, version, data = sample_event(domain, rng, kind=kind)
            front = head(type_name, version, key=key, data=data)
            values.append(seal(front, 0, event_id(stream, 0)))
            kinds.append(kind)
            number += 1
        flushes.append(
            Flush(FlushTemplate(values, key.encode()), kinds.count("cheat"), kinds.count("poison"))
        )
    return flushes


def _kind(number: int, traffic: DomainTraffic) -> SampleKind:
    for share, kind in ((traffic.poison_share, "poison"), (traffic.cheat_share, "cheat")):
        if int((number + 1) * share) > int(number * share):
            return kind  # type: ignore[return-value]  # a literal out of a tuple is a str to mypy
    return "valid"
