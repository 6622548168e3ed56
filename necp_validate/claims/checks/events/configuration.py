"""The configuration of topics as it is, against the one that was asked for and the one that they had before."""

from __future__ import annotations

from collections.abc import Iterator

from necp_validate.claims.checks.anomalies import Anomalies
from necp_validate.claims.checks.registry import check
from necp_validate.core import Finding
from necp_validate.evidence.inventory import TOPIC_CONFIGURATIONS
from necp_validate.evidence.missing import NoEvidence
from necp_validate.evidence.subjects import EVENT_CORE
from necp_validate.record import Record, TopicConfiguration
from necp_validate.record.due import TopicDue

_LEAST_COPIES = 2


@check("topic-configuration", EVENT_CORE, TOPIC_CONFIGURATIONS)
def topic_configuration(history: Record) -> Finding:
    """Topics with fewer replicas or other guarantees than asked for, or that changed while the run went on."""
    if not history.topics:
        raise NoEvidence("no topic was described")
    anomalies = Anomalies("topic-configuration", history)
    asked = {one.topic: one for one in history.due.topics} if history.due is not None else {}
    first: dict[str, TopicConfiguration] = {}
    for found in history.topics:
        before = first.setdefault(found.topic, found)
        wrong = list(_weaker(found, asked[found.topic])) if found.topic in asked else []
        wrong += _drift(before, found) if not wrong else []
        for detail in wrong:
            anomalies.add(1, f"{found.topic} ({found.when})", detail)
        if found is before and (found.topic not in asked or asked[found.topic].replicas is None):
            for weak in _weak(found):
                anomalies.doubt(found.topic, f"{weak}: nobody asked for more, and what is acknowledged may be lost")
    topics = len(first)
    made = all(one.replicas is not None for one in asked.values())
    least = min(one.replicas for one in first.values())
    return anomalies.finding(
        clean=f"{topics} topics {'are as they were asked for' if made else 'have not changed'}, in "
        f"{len(history.topics)} looks; at least {least} replicas, min.insync.replicas {_least_in_sync(first)}",
        found=f"{{count}} times, a setting of one of {topics} topics was not as asked for, or changed",
        sees="1 replica fewer, or 1 setting that differs",
    )


def _weaker(found: TopicConfiguration, asked: TopicDue) -> Iterator[str]:
    """What is not as it was asked for; there may be more partitions, since experiments add some."""
    if found.partitions < asked.partitions:
        yield f"partitions: {found.partitions}, {asked.partitions} before"
    if asked.replicas is not None and found.replicas != asked.replicas:
        yield f"replicas: {found.replicas}, {asked.replicas} were asked for"
    for name, value in (asked.settings or {}).items():
        if name in found.settings and found.settings[name] != value:  # one that is missing is missing evidence
            yield f"{name} is {found.settings[name]}, {value} was asked for"


def _weak(found: TopicConfiguration) -> Iterator[str]:
    """What guarantees less than any claim of durability needs."""
    in_sync = found.settings.get("min.insync.replicas", "")
    if found.replicas < _LEAST_COPIES:
        yield f"{found.replicas} replica"
    elif not in_sync.isdigit() or int(in_sync) < _LEAST_COPIES:
        yield f"min.insync.replicas is {in_sync or 'not known'}"
    if found.settings.get("unclean.leader.election.enable") == "true":
        yield "unclean leader elections are allowed"


def _drift(before: TopicConfiguration, now: TopicConfiguration) -> list[str]:
    """What has changed since the first look."""
    changed = [] if now.replicas >= before.replicas else [f"{now.replicas} replicas, {before.replicas} before"]
    for name, value in before.settings.items():
        if name in now.settings and now.settings[name] != value:
            changed.append(f"{name} is {now.settings[name]}, and was {value}")
    return changed


def _least_in_sync(first: dict[str, TopicConfiguration]) -> str:
    return min((one.settings.get("min.insync.replicas", "unknown") for one in first.values()), default="unknown")
