"""Which load worker plays which game server: every server has one owner, and owners have about as many each."""

from __future__ import annotations

from collections.abc import Mapping

from necp_validate.load.plan import LoadPlan
from necp_validate.load.schedule import Schedule


def schedules_of(plan: LoadPlan) -> dict[str, Schedule]:
    """Return the schedule of each domain."""
    return {domain: Schedule(traffic, plan.phases, f"{plan.seed}/{domain}") for domain, traffic in plan.traffic.items()}


def share_of(servers: Mapping[str, int], worker: int, processes: int) -> dict[str, range]:
    """Return the numbers of the servers that a worker plays, by domain.

    Servers are dealt out over all domains in turn: if each domain began anew, the first worker would have the odd
    one of every domain.

    Args:
        servers: how many there are in each domain, at the busiest time.
        worker: index of the worker, from 0; whoever is none of them (the master) plays nothing.
        processes: how many workers there are.
    """
    shares, before = {}, 0
    for domain, count in servers.items():
        shares[domain] = range((worker - before) % processes, count, processes) if worker < processes else range(0)
        before += count
    return shares


def spare_users(domains: int, processes: int) -> int:
    """Return how many Locust users to ask for beyond the servers that play, so that every worker has enough.

    Locust deals users out evenly, whatever each worker's share is: at any time a worker may need one more than an
    even part in each domain, and an even part is rounded down.
    """
    return processes * (domains + 1) if processes > 1 else 0
