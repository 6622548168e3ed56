"""Users bring up the servers of their worker in the order in which they play, whatever domain Locust gave them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from necp_validate.events.topics import Domain
from necp_validate.load.plan import DomainTraffic, LoadPlan, PlannedPhase
from necp_validate.load.world import World


def world(worker: int = 0, processes: int = 1) -> World:
    def traffic(servers: int) -> DomainTraffic:
        return DomainTraffic(
            topic="t", rate_eps=servers * 10, run_length=1, tick_hz=10, cheat_share=0, poison_share=0, client={}
        )

    phases = [
        PlannedPhase(name="steady", kind="steady", duration_s=10, load=1.0),
        PlannedPhase(name="surge", kind="surge", duration_s=10, load=2.0),
    ]
    plan = LoadPlan(
        run_dir="nowhere",
        run_id="r",
        seed=1,
        processes=processes,
        phases=phases,
        traffic={"combat": traffic(2), "economy": traffic(1)},
        verifier={},
    )
    made = World(plan, worker)
    book = SimpleNamespace(open_stream=lambda stream, key: SimpleNamespace(id=stream, key=key))
    producers: Any = {domain: SimpleNamespace(book=book) for domain in plan.traffic}
    made.producers = producers
    return made


def claimed(of: World, *wanted: Domain) -> list[str | None]:
    servers = [of.claim(domain) for domain in wanted]
    return [server.stream.key if server else None for server in servers]


def test_a_user_gets_a_server_of_its_own_domain_if_that_plays_as_soon() -> None:
    assert claimed(world(), Domain.ECONOMY, Domain.COMBAT) == ["market-0000", "match-0000"]


def test_what_plays_first_comes_first_whatever_the_users_domain() -> None:
    """Four combat users and one economy user: the market of the steady phase must not wait for the surge."""
    keys = claimed(world(), *[Domain.COMBAT] * 4, Domain.ECONOMY)
    assert keys[:3] == ["match-0000", "match-0001", "market-0000"]


def test_every_server_of_a_worker_is_brought_up_once_and_none_of_anothers() -> None:
    keys = [claimed(world(worker, 2), *[Domain.SOCIAL] * 6) for worker in range(2)]
    found = [key for one in keys for key in one if key]
    assert len(found) == len(set(found)) == 6
    assert all(None in one for one in keys)
