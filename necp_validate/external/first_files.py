"""``necp-validate init``: a first target, claims and scenario, written after asking the cluster; that is all."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from necp_validate.core import UsageError
from necp_validate.core.suggestions import did_you_mean
from necp_validate.external.cluster import ClusterFacts, TopicFacts
from necp_validate.stack.external_topics import RegistryAddress

TARGET, CLAIMS, SCENARIO = "target.toml", "claims.toml", "scenario.toml"
FIRST_RATE: Final = 50
_TOPICS_AT_MOST: Final = 3
_DAY_MS: Final = 86_400_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """How the cluster was reached, as the files have it.

    Args:
        bootstrap: host and port, or several.
        protocol: ``security_protocol``.
        mechanism: ``sasl_mechanism``; empty without SASL.
        username: who logs in; empty without.
        password_env: the variable that holds the password.
        files: ``ca``, ``certificate`` and ``key``, those that are used.
    """

    bootstrap: str
    protocol: str = "PLAINTEXT"
    mechanism: str = ""
    username: str = ""
    password_env: str = ""
    files: Mapping[str, str] = field(default_factory=dict)


def chosen_topics(facts: ClusterFacts, wanted: Sequence[str]) -> list[str]:
    """The topics that the files are about: those that were named, else the first unused ones, else one to be made.

    Raises:
        UsageError: a name is close to a topic that is there, and is none.
    """
    for name in wanted:
        if name not in facts.topics and (guess := did_you_mean(name, facts.topics)):
            raise UsageError(f"the cluster has no topic {name}", hint=f"did you mean {guess}?")
    unused = [name for name, one in facts.topics.items() if not one.written and not one.compacted]
    return list(wanted) or unused[:_TOPICS_AT_MOST] or ["necp-validate-trial"]


def write_files(out: Path, facts: ClusterFacts, login: Login, topics: Sequence[str], found: Found) -> list[Path]:
    """Write the three files.

    Args:
        out: their folder.
        facts: what the cluster said.
        login: how it was reached.
        topics: which topics are loaded.
        found: schemas that were found for them.

    Returns:
        Their paths.

    Raises:
        UsageError: one is there already, or cannot be written.
    """
    texts = {
        TARGET: target_text(facts, login, topics, found),
        CLAIMS: claims_text(facts, topics, found),
        SCENARIO: scenario_text(facts, topics),
    }
    there = [name for name in texts if (out / name).exists()]
    if there:
        raise UsageError(
            f"{', '.join(str(out / name) for name in there)} would be overwritten; nothing was written",
            hint="choose another folder with --out, or remove them",
        )
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (out / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"{out}: the files cannot be written: {error.strerror}", hint="choose another --out"
        ) from error
    return [out / name for name in texts]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What was found about the topics beside what the cluster says of them.

    Args:
        registry: the Schema Registry that was asked.
        subjects: by topic, its subject there.
        files: by topic, the file that was named for it.
        groups: by topic, the consumer groups that read it.
    """

    registry: RegistryAddress | None = None
    subjects: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    groups: Mapping[str, Sequence[str]] = field(default_factory=dict)


def target_text(facts: ClusterFacts, login: Login, topics: Sequence[str], found: Found) -> str:
    """The target's file, with a reason for each line."""
    version = f"Kafka {facts.version}" if facts.version else "a version that it does not tell"
    lines = [
        f"# A target that somebody else runs: {version}, cluster {facts.id or 'without a name'}.",
        f"# Brokers: {', '.join(f'{number} at {address}' for number, address in facts.brokers.items())}.",
        "# Written by `necp-validate init`, which only asked. Every key: docs/external.md.",
        "",
        f"bootstrap_servers = {_q(login.bootstrap)}  # one broker is enough: the others are learned from it",
        f"security_protocol = {_q(login.protocol)}  # PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL",
    ]
    if login.mechanism:
        lines += [
            f"sasl_mechanism = {_q(login.mechanism)}  # PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512",
            f"username = {_q(login.username)}",
            f"password_env = {_q(login.password_env)}  # the password is read from this variable, and is in no file",
        ]
    else:
        lines.append("# username, password_env: for SASL. ca: the authority's file. certificate, key: for mutual TLS.")
    lines += [f"{name} = {_q(file)}" for name, file in login.files.items()]
    if found.registry is not None:
        lines += ["", "[schema_registry]", f"url = {_q(found.registry.url)}"]
    for name in topics:
        lines += ["", *_topic_lines(name, facts.topics.get(name), found)]
    return "\n".join(lines) + "\n"


def _topic_lines(name: str, topic: TopicFacts | None, found: Found) -> list[str]:
    lines = ["[[topics]]", f"name = {_q(name)}"]
    if topic is None:
        lines += [
            "# It does not exist yet: `run` makes it if it is told --allow create-topics.",
            "partitions = 1",
            "replication_factor = 1  # 1: what one broker's disk loses is lost",
        ]
    else:
        lines.append(
            f"# {counted(len(topic.end), 'partition')}, replication {topic.replication_factor}, {_settings(topic)}; "
            f"{topic.records:,} records now" + (": `run` needs --allow write" if topic.written else "")
        )
    if name in found.subjects:
        lines.append(f"subject = {_q(found.subjects[name])}  # its newest version; values carry the schema's number")
    elif name in found.files:
        lines.append(f"schema = {_q(found.files[name])}  # JSON Schema, Avro or AsyncAPI; values are drawn from it")
    else:
        lines += [
            '# schema = "event.schema.json"  # JSON Schema, Avro (.avsc) or AsyncAPI; or subject = "..." of a registry',
            "value_bytes = 200  # random bytes of this length. Name a schema if somebody reads the topic",
        ]
    key = "unique" if topic is not None and topic.compacted else "random"
    lines.append(f'key = {_q(key)}  # random (one of 100), unique, none, or "field:NAME" of the value')
    lines += _group_lines(found.groups.get(name, ()))
    return lines


def _group_lines(groups: Sequence[str]) -> list[str]:
    use = "the consumer group to watch: gives lag_max, lag_mean and drain_time"
    lines = [f"group = {_q(groups[0])}  # {use}"] if groups else [f'# group = "my-service"  # {use}']
    if len(groups) > 1:
        lines.append(f"# Others that read it: {', '.join(groups[1:])}.")
    return [
        *lines,
        '# output = "my-answers"  # where the service answers, with the header necp-event: gives e2e_* and throughput',
    ]


def _settings(topic: TopicFacts) -> str:
    words = []
    if "min.insync.replicas" in topic.settings:
        words.append(f"min.insync.replicas {topic.settings['min.insync.replicas']}")
    retention = topic.settings.get("retention.ms", "")
    if retention.lstrip("-").isdigit():
        words.append("kept for ever" if int(retention) < 0 else f"kept for {int(retention) / _DAY_MS:g} days")
    words.append(f"cleanup.policy {topic.settings.get('cleanup.policy', 'not told')}")
    return ", ".join(words)


def claims_text(facts: ClusterFacts, topics: Sequence[str], found: Found) -> str:
    """First claims: what must hold of any topic, and two figures that are to be made one's own."""
    weak = [name for name in topics if name in facts.topics and facts.topics[name].replication_factor < 2]
    names = ", ".join(weak)
    warning = f"\n# {names}: one replica only. A run without faults says nothing of a broker's death." if weak else ""
    return f"""\
# What is claimed of the target; every metric and key: docs/claims.md. Each must hold, or the run fails.{warning}

[[claims]]
id = "nothing-lost"
description = "Whatever the brokers acknowledged is there afterwards"
metric = "lost"
comparison = "=="
threshold = 0
min_samples = 100

[[claims]]
id = "no-duplicates"
description = "No event is there twice"
metric = "duplicates"
comparison = "=="
threshold = 0

[[claims]]
id = "no-failed-sends"
metric = "failed"
phase = "steady"            # a phase's name or kind in {SCENARIO}
comparison = "=="
threshold = 0

[[claims]]
id = "acked-quickly"
description = "A first guess: put your own limit here"
metric = "ack_p95"          # P99 needs 1,000 events, P95 needs 100
phase = "steady"
# topic = {_q(topics[0])}   # one topic; without it all together
comparison = "<"
threshold = "500 ms"

[[claims]]
id = "all-in-sync"
description = "No partition of these topics was below its replication"
metric = "under_replicated_max"
comparison = "=="
threshold = 0
{_drain_claim(topics, found)}"""


def _drain_claim(topics: Sequence[str], found: Found) -> str:
    if not all(found.groups.get(name) for name in topics):
        return ""  # what is left in the others could not be seen
    groups = sorted({found.groups[name][0] for name in topics})
    return f"""
[[claims]]
id = "backlog-drained"
description = {_q(", ".join(groups) + " caught up after the busiest phase: put your own limit here")}
metric = "drain_time"
comparison = "<"
threshold = "30 s"
"""


def scenario_text(facts: ClusterFacts, topics: Sequence[str]) -> str:
    """A first scenario: half a minute, at a rate that disturbs nobody."""
    rates = "\n".join(f"{_q(name)} = {FIRST_RATE}" for name in topics)
    return f"""\
# What the target gets; run it with: necp-validate run {SCENARIO}
description = {_q(f"A first look at {facts.id or 'the cluster'}")}
stack = "external"
target = {_q(TARGET)}
claims = {_q(CLAIMS)}

# Events per second of each topic, at load 1. Raise them when the first run has passed; --scale 10 raises all.
[topics]
{rates}

[[phases]]
name = "warmup"             # judged by no claim: connections are made, caches are cold
kind = "warmup"
duration_s = 5

[[phases]]
name = "steady"
kind = "steady"
duration_s = 20

[[phases]]
name = "surge"
kind = "surge"
duration_s = 10
load = 2                    # multiplies every rate
ramp_s = 2                  # reached in so many seconds
"""


def counted(count: int, what: str) -> str:
    """A number of things, in words."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _q(text: str) -> str:
    """A text as TOML has it."""
    return json.dumps(text, ensure_ascii=False)
