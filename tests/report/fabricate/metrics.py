"""Samples of a fabricated run: host, brokers, consumer lag, replicas, groups and leaders, one a second."""

from __future__ import annotations

import math
from pathlib import Path

from fabricate.plan import EXPERIMENTS, PARTITIONS, Plan, topic_of
from necp_validate.events.topics import BROKER_DEFAULTS
from necp_validate.record import (
    BrokerSample,
    FaultRecord,
    GroupSample,
    HostSample,
    IsrSample,
    LagSample,
    LeaderSample,
    TopicConfiguration,
    parts,
)
from necp_validate.record.topics import BEGIN, looks

_BUSY_PCT = {"warmup": 62, "steady": 71, "surge": 88, "fault": 80, "recovery": 70}


def write_metrics(run: Path, plan: Plan, faults: list[FaultRecord]) -> None:
    """Write all of them."""
    times = range(plan.start_s, plan.end_s + 1)
    _host_and_brokers(run, plan, times)
    _lag_and_replicas(run, plan, times, faults)
    _groups_and_leaders(run, plan, times, faults)
    _topics(run, plan, faults)


def _host_and_brokers(run: Path, plan: Plan, times: range) -> None:
    hosts, brokers = [], []
    for t in times:
        busy = min(100.0, _BUSY_PCT[plan.phase_at(t).kind] + plan.dice.gauss(0, 2))
        hosts.append(
            HostSample(
                t=t,
                cpu_busy_pct=busy,
                cpu_steal_pct=abs(plan.dice.gauss(1.5, 0.7)),
                mem_used_bytes=6.1e9,
                load_cpu_pct=busy * 0.4,
                core_cpu_pct=busy * 0.25,
            )
        )
        for broker in (1, 2, 3):
            load = busy / 100 * (1 + 0.1 * broker)
            brokers.append(
                BrokerSample(
                    t=t,
                    broker=str(broker),
                    cpu_pct=22 * load,
                    rss_bytes=1.15e9 + 2e5 * (t - plan.start_s) + broker * 3e7,
                    read_ios=0.2,
                    write_ios=140 * load,
                    read_bytes=1e3,
                    write_bytes=9e6 * load,
                )
            )
    parts.HOST.append(run, *hosts)
    parts.BROKERS.append(run, *brokers)


def _lag_and_replicas(run: Path, plan: Plan, times: range, faults: list[FaultRecord]) -> None:
    lags, replicas = [], []
    for t in times:
        phase = plan.phase_at(t)
        share_s = 0.15 if phase.kind == "surge" else 0.03
        for domain, eps in phase.target_eps.items():
            lags.append(LagSample(t=t, domain=domain, lag=round(eps * share_s * math.exp(plan.dice.gauss(0, 0.25)))))
        down = any(one.begin_us <= t * 10**6 < (one.end_us or math.inf) for one in faults[:1])
        headless = any(one.begin_us <= t * 10**6 < one.begin_us + 2_000_000 for one in faults[:1])
        replicas.append(IsrSample(t=t, under_replicated=60 if down else 0, offline=20 if headless else 0))
    parts.LAG.append(run, *lags)
    parts.ISR.append(run, *replicas)


def _topics(run: Path, plan: Plan, faults: list[FaultRecord]) -> None:
    """Topics as they were asked for, each time that they were looked at."""
    for when in looks(EXPERIMENTS if faults else ()):
        parts.TOPIC_CONFIGURATIONS.append(
            run,
            *(
                TopicConfiguration(
                    t=plan.start_s if when == BEGIN else plan.end_s,
                    when=when,
                    topic=one.topic,
                    partitions=one.partitions,
                    replicas=one.replicas or 0,
                    settings={**BROKER_DEFAULTS, **(one.settings or {})},
                )
                for one in plan.due().topics
            ),
        )


def _groups_and_leaders(run: Path, plan: Plan, times: range, faults: list[FaultRecord]) -> None:
    killed_s = faults[1].begin_us / 1e6 if faults else math.inf
    groups = []
    for t in times:
        state, members = "STABLE", 2
        if killed_s <= t < killed_s + 4:
            state, members = "PREPARING_REBALANCING", 1
        elif killed_s + 4 <= t < killed_s + 9:
            members = 1
        groups += [GroupSample(t=t, group=f"event-core-{d}", state=state, members=members) for d in plan.domains]
    leaders = [
        LeaderSample(t=plan.start_s, topic=topic_of(domain), partition=number, leader=1 + number % 3, epoch=0)
        for domain in plan.domains
        for number in range(PARTITIONS)
    ]
    parts.GROUPS.append(run, *groups)
    parts.LEADERS.append(run, *leaders)
