"""What is due of samples: host, brokers, lag, replicas, groups, leaders."""

from __future__ import annotations

import math
from collections.abc import Iterator

from necp_validate.evidence.inventory.counting import (
    BROKERS_EVERY_S,
    HOST_EVERY_S,
    KAFKA_EVERY_S,
    Asked,
    Evidence,
    Holding,
    disturbed,
    misleading,
    named,
    present,
    sampled,
)
from necp_validate.record import Record
from necp_validate.record.topics import BEGIN, END


def _host(history: Record, asked: Asked) -> Iterator[Holding]:
    times = [s.t for s in history.host if s.cpu_busy_pct is not None and s.cpu_steal_pct is not None]
    yield sampled("seconds of samples of the host", "metrics/host.csv", asked, HOST_EVERY_S, {"": times})


def _brokers(history: Record, asked: Asked) -> Iterator[Holding]:
    file = "metrics/brokers.csv"
    if history.due is None:
        yield present("list of the brokers that had to be sampled", False, "history/due.json")
        return
    if not history.due.brokers:
        yield Holding(what="brokers whose process can be seen from here", due=1, found=0, file=file)
        return
    of_stack = [one for one in history.run.target.brokers or () if isinstance(one, dict)]
    due = dict.fromkeys([*history.due.brokers, *(str(one["id"]) for one in of_stack if "id" in one)])
    filled = [s for s in history.brokers if any(one is not None for one in (s.cpu_pct, s.rss_bytes, s.read_ios))]
    series = {f"broker {broker}": [s.t for s in filled if s.broker == broker] for broker in due}
    excused = disturbed(history, brokers_only=True)
    yield sampled("seconds of samples of the brokers", file, asked, BROKERS_EVERY_S, series, excused)


def _lag(history: Record, asked: Asked) -> Iterator[Holding]:
    series = {
        domain: [s.t for s in history.lag if s.domain == domain and s.lag is not None] for domain in asked.domains
    }
    file = "metrics/lag.csv"
    yield sampled("seconds of samples of consumer lag", file, asked, KAFKA_EVERY_S, series, disturbed(history))


def _commit_times(history: Record, _: Asked) -> Iterator[Holding]:
    promised = history.due.committed_within_s if history.due is not None else {}
    yield named("times within which consumers commit", history.domains, promised, "history/due.json")


def _replicas(history: Record, asked: Asked) -> Iterator[Holding]:
    times = [s.t for s in history.isr if s.under_replicated is not None and s.offline is not None]
    file = "metrics/isr.csv"
    excused = disturbed(history, brokers_only=True)
    yield sampled("seconds of samples of the replicas", file, asked, KAFKA_EVERY_S, {"": times}, excused)


def _groups(history: Record, asked: Asked) -> Iterator[Holding]:
    file = "metrics/groups.csv"
    if history.due is None:
        yield present("list of the groups that had to be watched", False, "history/due.json")
        return
    due, listed = len(history.domains), len(history.due.groups)
    yield Holding(what="consumer groups to be watched", due=due, found=listed, file="history/due.json")
    series = {group: [s.t for s in history.groups if s.group == group] for group in history.due.groups}
    excused = disturbed(history, brokers_only=True)
    yield sampled("seconds of samples of consumer groups", file, asked, KAFKA_EVERY_S, series, excused)


def _leaders(history: Record, _: Asked) -> Iterator[Holding]:
    due = [one for one in history.due.topics if one.role == "events"] if history.due is not None else []
    if not due:
        yield present("list of the partitions that had to be watched", False, "history/due.json")
    wanted = (f"{one.topic}-{number}" for one in due for number in range(one.partitions))
    found = (f"{one.topic}-{one.partition}" for one in history.leaders)
    yield named("partitions with a known leader", wanted, found, "metrics/leaders.csv")


def _looks(history: Record) -> dict[str, float]:
    """When topics had to be described at the earliest: after the faults of an experiment, and after the load."""
    ends: dict[str, float] = {BEGIN: 0.0}
    for name in history.run.plan.experiments or ():
        mine = [one.end_us for one in history.faults if one.experiment == name and one.end_us is not None]
        ends[name] = max(mine, default=0) / 1e6
    ends[END] = max((phase.end_us for phase in history.phases), default=0) / 1e6
    return ends


def _topics(history: Record, _: Asked) -> Iterator[Holding]:
    """Each topic, at the beginning, after each experiment and at the end: what was never looked at may have changed."""
    file = "history/topics.jsonl"
    if history.due is None:
        yield present("list of the topics that had to be described", False, "history/due.json")
        return
    made = {one.topic: one.settings or {} for one in history.due.topics}
    earliest_s = _looks(history)
    due = (f"{one.topic} ({when})" for when in earliest_s for one in history.due.topics)
    there = [
        f"{one.topic} ({one.when})"
        for one in history.topics
        if one.settings
        and one.settings.keys() >= made.get(one.topic, {}).keys()
        and one.t >= earliest_s.get(one.when, math.inf)
    ]
    what = "descriptions of topics, which DescribeConfigs allows"
    yield named(what, due, there, file)
    if history.run.target.backend != "external":
        asked = [one.topic for one in history.due.topics if one.replicas is not None and one.settings]
        names = (one.topic for one in history.due.topics)
        yield named("topics of which it is recorded how they were made", names, asked, "history/due.json")


HOST = Evidence(name="host", parts=("host",), count=_host)
BROKERS = Evidence(name="brokers", parts=("brokers",), count=_brokers)
LAG = Evidence(name="consumer lag", parts=("lag",), count=_lag)
EXPLAINING_LAG = Evidence(name="consumer lag that may explain it", parts=("lag",), count=misleading(_lag))
COMMIT_TIMES = Evidence(name="commit times", parts=("due",), count=_commit_times)
REPLICAS = Evidence(name="replicas", parts=("isr",), count=_replicas)
GROUPS = Evidence(name="consumer groups", parts=("groups",), count=_groups)
TOPIC_CONFIGURATIONS = Evidence(name="configuration of the topics", parts=("topics", "due"), count=_topics)
EXPLAINING_GROUPS = Evidence(
    name="consumer groups that may explain it", parts=("groups", "due"), count=misleading(_groups)
)
LEADERS = Evidence(name="leaders", parts=("leaders",), count=_leaders)
