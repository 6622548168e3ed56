"""The simulated cluster: brokers, listeners, topics and groups, what is due of them, and the samples of a sound run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import Final
from zlib import crc32

from necp_validate.events.topics import (
    BROKER_DEFAULTS,
    COMMITTED_WITHIN_S,
    LEDGER_TOPIC,
    RECEIPTED_WITHIN_S,
    RECEIPTS_TOPIC,
    TOPICS,
    Domain,
)
from necp_validate.load.traffic import key_of
from necp_validate.monitoring import alert_names
from necp_validate.record import (
    BrokerSample,
    GroupSample,
    HostSample,
    IsrSample,
    LeaderSample,
    TopicConfiguration,
)
from necp_validate.record.due import Due, ListenerDue, TopicDue
from necp_validate.record.topics import BEGIN, looks
from necp_validate.security.access import cells_of
from necp_validate.security.listeners import attempts_at
from necp_validate.security.policy import load_policy
from necp_validate.selftest.simulated.scenario import END_S, SCENARIO, START_US, at

BROKERS: Final = (1, 2, 3)
LISTENERS: Final = {"internal": True, "controller": True, "external": False}
"""By name, whether a client needs a certificate; if not, a login."""

GROWN_S: Final = 40.0
GROWN_TO: Final = 48
"""Partitions of the combat topic from then on."""

DEAD_LETTERS: Final = tuple(domain.dead_letter_topic for domain in Domain)
OUTPUTS: Final = (RECEIPTS_TOPIC, LEDGER_TOPIC, *DEAD_LETTERS)
_EPOCH: Final = 3
_ELECTED_S: Final = 49.6


def partitions_of(topic: str, at_us: int | None = None) -> int:
    """Partitions of a topic at a time; in the end without one."""
    grown = topic == Domain.COMBAT.topic and (at_us is None or at_us >= at(GROWN_S))
    return GROWN_TO if grown else TOPICS[topic].partitions


def partition_of(domain: Domain, key: str, at_us: int) -> int:
    """Where events of a key go."""
    return crc32(key.encode()) % partitions_of(domain.topic, at_us)


STALLED: Final = partition_of(Domain.COMBAT, key_of(Domain.COMBAT, 0), at(END_S))
CUT_OFF: Final = partition_of(Domain.COMBAT, key_of(Domain.COMBAT, 1), at(END_S))
"""Where the first and the second combat server write while faults are on."""


@cache
def due() -> Due:
    """What the run owes, as the runner writes it down."""
    roles = {
        **{domain.topic: "events" for domain in Domain},
        RECEIPTS_TOPIC: "receipts",
        LEDGER_TOPIC: "ledger",
        **dict.fromkeys(DEAD_LETTERS, "dead-letters"),
    }
    return Due(
        topics=tuple(
            TopicDue(
                topic=topic,
                role=role,
                partitions=TOPICS[topic].partitions,
                replicas=TOPICS[topic].replication_factor,
                settings=TOPICS[topic].config,
            )
            for topic, role in roles.items()
        ),
        brokers=tuple(map(str, BROKERS)),
        groups=tuple(domain.group for domain in Domain),
        listeners=tuple(
            ListenerDue(
                listener=name,
                broker=broker,
                mutual=mutual,
                attempts=tuple(attempt.name for attempt in attempts_at(mutual=mutual)),
            )
            for broker in BROKERS
            for name, mutual in LISTENERS.items()
        ),
        access_cells=len(cells_of(load_policy())),
        alert_rules=alert_names(),
        committed_within_s={domain.value: COMMITTED_WITHIN_S[domain] for domain in Domain},
        receipted_within_s={domain.value: RECEIPTED_WITHIN_S[domain] for domain in Domain},
        receipted_at_once={domain.value: one_in for domain, one_in in SCENARIO.receipted_at_once.items()},
    )


def seconds(every: int = 1) -> range:
    """Epoch seconds at which samples are taken."""
    return range(START_US // 10**6, START_US // 10**6 + round(END_S) + 1, every)


def host_samples() -> list[HostSample]:
    """A host with cores to spare."""
    return [
        HostSample(
            t=t,
            cpu_busy_pct=40.0,
            cpu_steal_pct=0.0,
            load_cpu_pct=8.0,
            core_cpu_pct=9.0,
            target_run_s=0.6,
            target_wait_s=0.01,
        )
        for t in seconds()
    ]


def broker_samples() -> list[BrokerSample]:
    """Brokers of a moderate size; one that is down has none."""
    return [
        BrokerSample(t=t, broker=str(broker), cpu_pct=20.0, rss_bytes=1.2e9, read_ios=5, write_ios=120)
        for t in seconds()
        for broker in BROKERS
        if not (broker == 1 and at(48) < t * 10**6 < at(51))
    ]


def isr_samples() -> list[IsrSample]:
    """Every replica in sync, but while a broker is down."""
    return [IsrSample(t=t, under_replicated=16 if at(48) < t * 10**6 < at(52) else 0, offline=0) for t in seconds(2)]


def topic_rows() -> list[TopicConfiguration]:
    """Every topic as it was asked for, at the beginning, after each experiment and at the end."""
    when_s = {when: -1.0 if when == BEGIN else END_S for when in looks(SCENARIO.experiments)}
    return [
        TopicConfiguration(
            t=at(second) / 1e6,
            when=when,
            topic=one.topic,
            partitions=partitions_of(one.topic, at(second)),
            replicas=TOPICS[one.topic].replication_factor,
            settings={**BROKER_DEFAULTS, **TOPICS[one.topic].config},
        )
        for when, second in when_s.items()
        for one in due().topics
    ]


def group_samples(stable_s: float = 53.25) -> list[GroupSample]:
    """Three members that become twelve and three again; then one ends, and is noticed and replaced.

    A sample that says the same as the one before is given once a second, as by the watch of real runs.

    Args:
        stable_s: when the groups are stable again without it.
    """
    samples: list[GroupSample] = []
    before: tuple[str, int] | None = None
    for quarter in range(-4, round(END_S) * 4):
        now_s = quarter / 4
        state = _state(now_s, stable_s)
        if state != before or quarter % 4 == 0:
            samples += [
                GroupSample(t=START_US / 1e6 + now_s, group=domain.group, state=state[0], members=state[1])
                for domain in Domain
            ]
        before = state
    return samples


def _state(now_s: float, stable_s: float) -> tuple[str, int]:
    if 38.75 <= now_s < 39.5 or 46.25 <= now_s < 46.75 or 52.5 <= now_s < stable_s:
        return "PREPARING_REBALANCING", 2
    if 39.5 <= now_s < 46.25:
        return "STABLE", 12
    return "STABLE", 2 if stable_s <= now_s < max(54.75, stable_s + 1) else 3


def leader_samples() -> list[LeaderSample]:
    """Each partition's leader at the beginning and when its topic has grown; under the kill, who leads instead."""
    places = [(domain.topic, number) for domain in Domain for number in range(TOPICS[domain.topic].partitions)]
    added = [(Domain.COMBAT.topic, number) for number in range(TOPICS[Domain.COMBAT.topic].partitions, GROWN_TO)]
    elected = [place for place in (*places, *added) if place[1] % len(BROKERS) == 0]
    return [
        *_leaders(places, -1.0, _EPOCH),
        *_leaders(added, GROWN_S + 0.2, _EPOCH),
        *_leaders(elected, _ELECTED_S, _EPOCH + 1),
    ]


def _leaders(places: Iterable[tuple[str, int]], now_s: float, epoch: int) -> Iterator[LeaderSample]:
    for topic, partition in places:
        leader = 2 if epoch > _EPOCH else BROKERS[partition % len(BROKERS)]
        yield LeaderSample(t=START_US / 1e6 + now_s, topic=topic, partition=partition, leader=leader, epoch=epoch)


def epochs_of(topic: str, partition: int, written_us: Sequence[int]) -> list[int]:
    """Leader epochs of a partition's records, in their order, each once."""
    elected = (topic, partition) == (Domain.COMBAT.topic, STALLED) and written_us[-1] >= at(_ELECTED_S)
    before = [_EPOCH] if written_us[0] < at(_ELECTED_S) or not elected else []
    return [*before, *([_EPOCH + 1] if elected else [])]
