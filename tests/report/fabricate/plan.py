"""What a fabricated run shall look like, and what follows from it before anything is sent."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from necp_validate.events.topics import (
    COMMITTED_WITHIN_S,
    LEDGER_TOPIC,
    RECEIPTED_WITHIN_S,
    RECEIPTS_TOPIC,
    TOPICS,
    Domain,
)
from necp_validate.record import Phase, RunInfo
from necp_validate.record.due import Due, TopicDue
from necp_validate.scenario import Scenario, load_scenario

START_S = 1_790_000_000
DRAINED_AFTER_US = 1_420_000
"""After the end of the surge: its last event."""
PARTITIONS = 3
"""Of every topic of events; receipts, ledger and dead letters have one."""
LOST_FROM = 100
"""The first event, of the first stream, that a recipe has lost."""
EXPERIMENTS = ("broker-kill", "core-kill", "cut", "disk-full")


AT_ONCE_ONE_IN = 50
"""Of so many acked events one has its outcome written at once."""


@dataclass
class Recipe:
    """What the run shall look like; ``config``, ``stack``, ``host`` and ``versions`` replace keys of its ``run.json``.

    Args:
        lost: events that were acknowledged and are not in the log.
        slow: factor of every latency.
        faults: whether brokers and consumers are broken meanwhile.
        backlog: events whose outcome the load workers did not wait for.
        leave_out: files, as patterns, that were never written.
    """

    scenario: str = "smoke"
    overrides: tuple[str, ...] = ()
    scale: float = 1.0
    run_id: str = "20261123-161500-smoke"
    seed: int = 7
    start_s: int = START_S
    lost: int = 0
    slow: float = 1.0
    faults: bool = False
    backlog: int = 0
    config: Mapping[str, Any] = field(default_factory=dict)
    stack: Mapping[str, Any] = field(default_factory=dict)
    host: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, Any] = field(default_factory=dict)
    leave_out: frozenset[str] = field(default_factory=frozenset)


@dataclass
class Plan:
    """The recipe, its scenario with phases in time, and the dice."""

    recipe: Recipe
    scenario: Scenario
    phases: list[Phase]
    dice: random.Random
    np_dice: np.random.Generator

    @classmethod
    def of(cls, recipe: Recipe) -> Plan:
        scenario = load_scenario(recipe.scenario, scale=recipe.scale, overrides=recipe.overrides)
        phases, at = [], recipe.start_s
        for phase in scenario.phases:
            end = at + int(phase.duration_s)
            phases.append(
                Phase(
                    name=phase.name,
                    kind=str(phase.kind),
                    start_us=at * 10**6,
                    end_us=end * 10**6,
                    target_eps=scenario.target_eps(phase),
                )
            )
            at = end
        dice = random.Random(recipe.seed)
        return cls(recipe, scenario, phases, dice, np.random.default_rng(recipe.seed))

    @property
    def domains(self) -> tuple[str, ...]:
        return tuple(self.scenario.traffic)

    @property
    def start_s(self) -> int:
        return self.recipe.start_s

    @property
    def end_s(self) -> int:
        return self.phases[-1].end_us // 10**6

    @property
    def lost(self) -> dict[str, int]:
        """Lost events by domain: all in the first."""
        return {self.domains[0]: self.recipe.lost} if self.recipe.lost else {}

    def phase_at(self, t: int) -> Phase:
        return next((phase for phase in self.phases if phase.end_us > t * 10**6), self.phases[-1])

    def outcomes(self, domain: str, events: int) -> tuple[int, int, int]:
        """How many of so many events are processed, rejected and dead-lettered."""
        traffic = self.scenario.traffic[domain]
        rejected, dead = int(events * traffic.cheat_share), int(events * traffic.poison_share)
        return events - rejected - dead, rejected, dead

    def info(self) -> RunInfo:
        """``run.json``."""
        recipe = self.recipe
        experiments = {"experiments": list(EXPERIMENTS)} if recipe.faults else {}
        versions = {"necp-validate": "0.1.0", "kafka": "4.4.0", "java": "25.0.2", "python": "3.11.7"}
        stack: dict[str, Any] = {
            "backend": "local",
            "brokers": [{"id": broker, "host": "127.0.0.1"} for broker in (1, 2, 3)],
            "kafka_version": "4.4.0",
            "java_version": "25.0.2",
            "replication_factor": 3,
            "min_insync_replicas": 2,
            "security": {"INTERNAL": "SSL, client certificates", "EXTERNAL": "SASL_SSL, SCRAM-SHA-512"},
        }
        return RunInfo(
            id=recipe.run_id,
            scenario=self.scenario.name,
            scale=self.scenario.scale,
            seed=self.scenario.seed,
            stack={**stack, **recipe.stack},
            versions={**versions, **recipe.versions},
            host={"platform": "Linux-6.1-x86_64", "cpus": 2, "memory_bytes": 25_000_000_000, **recipe.host},
            config={**self.scenario.to_config(), **experiments, **recipe.config},
            started_us=(self.start_s - 22) * 10**6,
            finished_us=(self.end_s + 31) * 10**6,
            stages={"stack_ready_s": 19.4, "load_s": float(self.end_s - self.start_s), "readback_s": 14.2},
            status="finished",
            error=None,
        )

    def due(self) -> Due:
        """``history/due.json``."""
        roles = {RECEIPTS_TOPIC: ("receipts", 1), LEDGER_TOPIC: ("ledger", 1)}
        for domain in self.domains:
            roles[topic_of(domain)] = "events", PARTITIONS
            roles[f"{topic_of(domain)}.dlt"] = "dead-letters", 1
        return Due(
            topics=tuple(
                TopicDue(topic=name, role=role, partitions=count, replicas=3, settings=TOPICS[name].config)
                for name, (role, count) in roles.items()
            ),
            brokers=("1", "2", "3"),
            groups=tuple(f"event-core-{domain}" for domain in self.domains),
            listeners=(),
            access_cells=0,
            alert_rules=(),
            committed_within_s={domain: COMMITTED_WITHIN_S[Domain(domain)] for domain in self.domains},
            receipted_within_s={domain: RECEIPTED_WITHIN_S[Domain(domain)] for domain in self.domains},
            receipted_at_once=dict.fromkeys(self.domains, AT_ONCE_ONE_IN),
        )


def topic_of(domain: str) -> str:
    return f"game.{domain}.events"
