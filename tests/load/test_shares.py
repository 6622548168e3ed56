"""Every game server is played by exactly one worker, whatever Locust deals out, and nobody's stays without a user."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from necp_validate.load.shares import share_of, spare_users

servers_of = st.dictionaries(st.sampled_from(["combat", "economy", "social", "system"]), st.integers(0, 40), min_size=1)


@given(servers=servers_of, processes=st.integers(1, 9))
def test_every_server_has_one_owner_and_owners_have_about_as_many_each(servers: dict[str, int], processes: int) -> None:
    shares = [share_of(servers, worker, processes) for worker in range(processes)]
    for domain, count in servers.items():
        owners = Counter(number for share in shares for number in share[domain])
        assert owners == Counter(range(count))
    sizes = [sum(map(len, share.values())) for share in shares]
    assert max(sizes) - min(sizes) <= 1
    assert not any(share_of(servers, processes, processes).values())  # the master


@given(playing=servers_of, processes=st.integers(1, 9), data=st.data())
def test_an_even_deal_with_spare_users_gives_every_worker_enough(
    playing: dict[str, int], processes: int, data: Any
) -> None:
    """At any time the first few servers of each domain play; Locust gives each worker an even part of all users."""
    most = {domain: count + data.draw(st.integers(0, 10)) for domain, count in playing.items()}
    users = sum(playing.values()) + spare_users(len(playing), processes)
    for worker in range(processes):
        share = share_of(most, worker, processes)
        needed = sum(sum(number < playing[domain] for number in share[domain]) for domain in share)
        assert users // processes >= needed


@pytest.mark.parametrize("processes", [2, 4])
def test_without_spare_users_a_worker_would_lack_some(processes: int) -> None:
    """Seeded: four domains with one server each that plays; an even part, rounded down, is too little for somebody."""
    most = {"combat": 4, "economy": 4, "social": 4, "system": 4}
    playing = dict.fromkeys(most, 1)
    needed = [
        sum(sum(number < playing[domain] for number in share[domain]) for domain in share)
        for share in (share_of(most, worker, processes) for worker in range(processes))
    ]
    assert max(needed) > sum(playing.values()) // processes
