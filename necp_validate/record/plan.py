"""What ``run.json`` says of the scenario and its target that a verdict rests on: the rest of them is only shown.

What is ``None`` was not planned, or is not known; each key is as `necp_validate.scenario.model` has it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from necp_validate.record.codec import from_plain


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedPhase:
    """A phase as the scenario has it."""

    name: str
    kind: str | None = None
    duration_s: float | None = None
    ramp_s: float | None = None
    load: float | None = None
    players: int | None = None

    @property
    def of_peak(self) -> float:
        """Its rate, as a share of 100%."""
        return 1.0 if self.load is None else self.load


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedTraffic:
    """A domain's traffic at 100%."""

    rate_eps: float | None = None
    run_length: int | None = None
    tick_hz: float | None = None
    cheat_share: float | None = None
    poison_share: float | None = None
    fuzz: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedLoad:
    """The processes that send it."""

    processes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedPlayers:
    """Players, the processes that play them, and how many of them log in within a second."""

    count: int | None = None
    processes: int | None = None
    login_per_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedSecurity:
    """Rounds of attempts to get in, and whether the audit trail is read."""

    at: tuple[str, ...] | None = None
    audit: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedCampaign:
    """A campaign of fuzzed events."""

    events: int | None = None
    replay: str | None = None
    max_time_s: float | None = None
    target: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """``config`` of ``run.json``."""

    phases: tuple[PlannedPhase, ...] | None = None
    traffic: dict[str, PlannedTraffic] | None = None
    topics: dict[str, float] | None = None
    load: PlannedLoad | None = None
    players: PlannedPlayers | None = None
    security: PlannedSecurity | None = None
    monitoring: dict[str, Any] | None = None
    fuzz: PlannedCampaign | None = None
    experiments: tuple[str, ...] | None = None
    judge: tuple[str, ...] | None = None
    thresholds: dict[str, float] | None = None
    target: str | None = None

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Self:
        """Read it.

        Raises:
            DecodeError: a value is not what its key asks for.
        """
        return from_plain(cls, config)

    @property
    def rounds(self) -> tuple[str, ...]:
        """When attempts to get in are to be made; empty if never."""
        return (self.security and self.security.at) or ()

    @property
    def audited(self) -> bool:
        """Whether the audit trail is to be read."""
        return bool(self.security and self.security.audit)

    def phase(self, name: str) -> PlannedPhase:
        """The phase of a name; one of which nothing is known if there is none."""
        return next((one for one in self.phases or () if one.name == name), PlannedPhase(name=name))

    def of_domain(self, domain: str) -> PlannedTraffic:
        """The traffic of a domain; one of which nothing is known if there is none."""
        return (self.traffic or {}).get(domain, PlannedTraffic())


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """``stack`` of ``run.json``.

    Args:
        backend: ``local``, ``docker``, ``external`` or ``kubernetes``.
        io_source: where the brokers' disk operations were counted.
        brokers: each as its backend describes it; an object with its ``id``, or a text.
        outputs: by topic of the user's own, where its service answers.
        groups: by topic of the user's own, the consumer groups that read it.
    """

    backend: str | None = None
    kafka_version: str | None = None
    io_source: str | None = None
    brokers: tuple[Any, ...] | None = None
    outputs: dict[str, Any] | None = None
    groups: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """``host`` of ``run.json``."""

    cpus: int | None = None
    memory_bytes: int | None = None
