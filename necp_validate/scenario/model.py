"""A scenario: what traffic a target gets, in which phases, and which claims are judged on it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

import msgspec
from msgspec import Meta, field

from necp_validate.core.errors import UsageError
from necp_validate.events.receipts import at_once_shares
from necp_validate.events.topics import Domain

DOMAINS = ("combat", "economy", "social", "system")

Positive = Annotated[float, Meta(gt=0)]
NotNegative = Annotated[float, Meta(ge=0)]
Share = Annotated[float, Meta(ge=0, le=1)]
Count = Annotated[int, Meta(ge=1)]


class PhaseKind(StrEnum):
    """What a phase is for; claims are judged by kind, figures are reported by name."""

    WARMUP = "warmup"
    STEADY = "steady"
    SURGE = "surge"
    FAULT = "fault"
    RECOVERY = "recovery"


class Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of a scenario file."""


class Traffic(Table, frozen=True, kw_only=True):
    """Traffic of one domain at 100% of peak.

    Args:
        rate_eps: events per second of the whole domain.
        run_length: events that one game server flushes per tick.
        tick_hz: ticks per second of one game server.
        cheat_share: share of events that are known cheats: valid in form, to be rejected.
        poison_share: share of events that no schema allows: to be dead-lettered.
        fuzz: share of events that mutation operators made invalid in ways that Hypothesis finds: likewise.
    """

    rate_eps: NotNegative
    run_length: Count
    tick_hz: Positive
    cheat_share: Share = 0.0
    poison_share: Share = 0.0005
    fuzz: Share = 0.0

    @property
    def servers(self) -> int:
        """Game servers (streams) that carry the rate, rounded up."""
        return math.ceil(round(self.rate_eps / (self.run_length * self.tick_hz), 6))


class Phase(Table, frozen=True, kw_only=True):
    """One stretch of the run.

    Args:
        name: unique in the scenario.
        kind: what the phase is for.
        duration_s: length, the ramp included.
        load: multiplier of every rate; 1.0 is 100% of peak.
        ramp_s: seconds in which the load moves linearly from the phase before (from 0 at the first).
        poison_share: replaces the traffic's own share in this phase, in every domain.
        experiment: the experiment whose method runs in this phase; ``Scenario.experiments`` fills it in.
        players: how many players are online in this phase; ``Players.count`` by default.
        hot_share: share of them that gather in one place; ``Players.hot_share`` by default.
    """

    name: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]*$")]
    kind: PhaseKind
    duration_s: Positive
    load: NotNegative = 1.0
    ramp_s: NotNegative = 0.0
    poison_share: Share | None = None
    experiment: str | None = None
    players: Annotated[int, Meta(ge=0)] | None = None
    hot_share: Share | None = None


class Core(Table, frozen=True, kw_only=True):
    """The reference event core.

    Args:
        instances: processes, members of one consumer group.
    """

    instances: Count = 1


class Players(Table, frozen=True, kw_only=True):
    """Players who play through the real-time gateway; a scenario without this table has neither.

    Args:
        count: how many are online.
        processes: processes that they live in.
        udp_group: players that share one address, as behind one NAT.
        move_hz: moves per second and player, by UDP.
        hit_per_s: hits per second and player, by UDP.
        trade_per_s: trades per second and player.
        chat_per_s: chat messages per second and player.
        hot_share: share of the players that gather in one place.
        greedy: further players who ask for more than the rate limit allows, on purpose.
        login_per_s: logins per second while players are missing.
    """

    count: Count
    processes: Count = 1
    udp_group: Count = 50
    move_hz: NotNegative = 5.0
    hit_per_s: NotNegative = 0.2
    trade_per_s: NotNegative = 0.02
    chat_per_s: NotNegative = 0.01
    hot_share: Share = 0.0
    greedy: Annotated[int, Meta(ge=0)] = 1
    login_per_s: Positive = 100.0


class Gateway(Table, frozen=True, kw_only=True):
    """The real-time gateway, where the suite starts it itself; what it is told, and held to.

    Args:
        grid: width of a cell of the world, in world units.
        tick_min_hz: slowest tick.
        tick_max_hz: fastest tick.
        batch: most changes of entities in one datagram.
        limit_per_minute: requests that one session may make in a minute.
    """

    grid: Annotated[int, Meta(ge=10, le=1_000_000)] = 1000
    tick_min_hz: Annotated[int, Meta(ge=1, le=120)] = 2
    tick_max_hz: Annotated[int, Meta(ge=1, le=120)] = 20
    batch: Annotated[int, Meta(ge=1, le=10_000)] = 100
    limit_per_minute: Count = 1000

    def environment(self) -> dict[str, str]:
        """The same as variables of its environment."""
        return {
            "SPATIAL_GRID_SIZE": str(self.grid),
            "TICK_RATE_MIN_HZ": str(self.tick_min_hz),
            "TICK_RATE_MAX_HZ": str(self.tick_max_hz),
            "BATCH_UPDATE_SIZE": str(self.batch),
            "RATE_LIMIT_REQUESTS_PER_MINUTE": str(self.limit_per_minute),
        }


class Load(Table, frozen=True, kw_only=True):
    """The load generator's producers.

    Args:
        processes: worker processes; each owns a part of the streams.
        linger_ms: how long a producer waits to fill a batch.
        compression: codec of the batches.
        acks: what a producer waits for.
        idempotence: the broker refuses duplicates and reordering of retries.
    """

    processes: Count = 1
    linger_ms: NotNegative = 1.0
    compression: Literal["none", "lz4", "zstd", "snappy", "gzip"] = "lz4"
    acks: Literal["all", "1", "0"] = "all"
    idempotence: bool = True


class Security(Table, frozen=True, kw_only=True):
    """Attempts that must be refused, at every listener and by every principal.

    Args:
        at: when they are made: before the load, after it, or both.
        policy: TOML file that says who may do what; by default the claims' own.
        audit: collect what the brokers log of it, rotate the audit trail's key, and read the trail back.
    """

    at: tuple[Literal["start", "end"], ...] = ("start", "end")
    policy: str | None = None
    audit: bool = False


class Monitoring(Table, frozen=True, kw_only=True):
    """A real Prometheus beside the run; a scenario without this table has none.

    Args:
        interval_s: between two scrapes, and between two evaluations of the alert rules.
    """

    interval_s: Annotated[float, Meta(ge=1, le=60)] = 2.0


class Broker(Table, frozen=True, kw_only=True):
    """The brokers, where the suite starts them itself.

    Args:
        heap_mb: Java heap of one broker, MiB.
        login_holds_s: how long a login holds until the client must renew it; 0: for as long as its connection.
    """

    heap_mb: Annotated[int, Meta(ge=256)] = 768
    login_holds_s: Annotated[float, Meta(ge=0)] = 0

    def properties(self) -> dict[str, str]:
        """Kafka's own properties that follow from it."""
        return {"connections.max.reauth.ms": f"{self.login_holds_s * 1000:.0f}"} if self.login_holds_s else {}


class Scenario(Table, frozen=True, kw_only=True):
    """A scenario as resolved: defaults filled in, overrides and scale applied.

    Args:
        name: file name without its ending.
        description: one sentence on what the scenario is for.
        stack: what brings the target up.
        target: the TOML file that describes an external target; only with ``stack = "external"``.
        seed: same seed, same events.
        scale: factor that every rate has been multiplied by already; 1 is the claimed peak.
        traffic: per domain, at 100% of peak.
        topics: events per second at 100% of peak by topic of an external target, in place of the domains' traffic.
        phases: in order.
        thresholds: limits of the catalogue that are stricter here, by name; a looser one leaves unknown what it limits.
        readback_timeout_s: longest time that the reader may take to read everything back.
        players: who plays through the gateway; without them there is no gateway.
        gateway: its configuration.
        security: what is tried that must be refused; without it nothing is.
        monitoring: who watches the run; without it nobody does, and brokers export nothing.
        judge: ids of the claims that get a verdict.
        experiments: names or files of experiments; the fault phase and what follows it are run once for each.
        claims: a file of claims of the user's own, judged beside them.
    """

    name: str
    description: str = ""
    stack: Literal["auto", "local", "docker", "external"] = "auto"
    target: str | None = None
    seed: Annotated[int, Meta(ge=0)] = 1
    scale: Positive = 1.0
    traffic: dict[str, Traffic]
    topics: dict[str, NotNegative] = field(default_factory=dict)
    phases: tuple[Phase, ...]
    thresholds: dict[str, NotNegative] = field(default_factory=dict)
    readback_timeout_s: Positive = 600.0
    core: Core = field(default_factory=Core)
    load: Load = field(default_factory=Load)
    broker: Broker = field(default_factory=Broker)
    players: Players | None = None
    gateway: Gateway = field(default_factory=Gateway)
    security: Security | None = None
    monitoring: Monitoring | None = None
    judge: tuple[str, ...] = ()
    experiments: tuple[str, ...] = ()
    claims: str | None = None

    @property
    def duration_s(self) -> float:
        """Seconds of load, all phases together."""
        return math.fsum(phase.duration_s for phase in self.phases)

    @property
    def peak_eps(self) -> float:
        """Events per second of all domains at 100%."""
        return math.fsum(self.rates_eps.values())

    @property
    def rates_eps(self) -> dict[str, float]:
        """Events per second at 100%, by domain, or by topic of an external target."""
        return {**{domain: traffic.rate_eps for domain, traffic in self.traffic.items()}, **self.topics}

    @property
    def highest_eps(self) -> float:
        """Events per second of all domains in the busiest phase."""
        return self.peak_eps * max(phase.load for phase in self.phases)

    def players_in(self, phase: Phase) -> int:
        """Players that are online in a phase."""
        if self.players is None:
            return 0
        return self.players.count if phase.players is None else phase.players

    @property
    def receipted_at_once(self) -> dict[Domain, int]:
        """By domain, of how many events of the load one has its outcome written at once."""
        return at_once_shares({Domain(name): eps for name, eps in self.rates_eps.items()})

    def target_eps(self, phase: Phase) -> dict[str, float]:
        """Scheduled events per second and domain in a phase, after its ramp."""
        return {domain: rate_eps * phase.load for domain, rate_eps in self.rates_eps.items()}

    def scheduled_events(self) -> dict[str, float]:
        """Events per domain over the whole run, ramps included."""
        seconds_at_peak, before = 0.0, 0.0
        for phase in self.phases:
            seconds_at_peak += phase.ramp_s * (before + phase.load) / 2
            seconds_at_peak += (phase.duration_s - phase.ramp_s) * phase.load
            before = phase.load
        return {domain: rate_eps * seconds_at_peak for domain, rate_eps in self.rates_eps.items()}

    def scaled(self, factor: float) -> Self:
        """The same scenario with every rate, and nothing else, multiplied.

        Raises:
            UsageError: the factor is not a positive number of 1e-9 to 1e9.
        """
        if not 1e-9 <= factor <= 1e9:
            raise UsageError(
                f"--scale {factor}: not a positive number, of 1e-9 to 1e9", hint="0.1 means a tenth of every rate"
            )
        traffic = {
            domain: msgspec.structs.replace(one, rate_eps=one.rate_eps * factor) for domain, one in self.traffic.items()
        }
        topics = {topic: rate_eps * factor for topic, rate_eps in self.topics.items()}
        return msgspec.structs.replace(self, traffic=traffic, topics=topics, scale=self.scale * factor)

    def seeded(self, seed: int) -> Self:
        """The same scenario with another seed."""
        return msgspec.structs.replace(self, seed=seed)

    def to_config(self) -> dict[str, Any]:
        """Plain JSON data (``config`` of ``run.json``)."""
        config: dict[str, Any] = msgspec.to_builtins(self)
        return config

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Read back what `to_config` wrote.

        Raises:
            UsageError: the data is no scenario of this version.
        """
        try:
            return msgspec.convert(config, cls)
        except msgspec.ValidationError as error:
            raise UsageError(f"the stored scenario cannot be read: {error}") from error
