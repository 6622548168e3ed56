"""What a load process is told: one JSON file, written by the runner."""

from __future__ import annotations

import math
from pathlib import Path

import msgspec

from necp_validate.core import UsageError


class PlannedPhase(msgspec.Struct, frozen=True, kw_only=True):
    """One phase of the load.

    Args:
        name: unique name.
        kind: warmup, steady, surge, fault or recovery.
        duration_s: length, ramp included.
        load: multiplier of every rate.
        ramp_s: seconds in which the multiplier moves linearly from the phase before.
        poison_share: replaces the domains' own share in this phase.
    """

    name: str
    kind: str
    duration_s: float
    load: float
    ramp_s: float = 0.0
    poison_share: float | None = None


class DomainTraffic(msgspec.Struct, frozen=True, kw_only=True):
    """Traffic of one domain at 100%.

    Args:
        topic: where the events go.
        rate_eps: events per second of the whole domain.
        run_length: events of one flush.
        tick_hz: highest flush rate of one game server.
        cheat_share: share of events that must be rejected.
        poison_share: share of events that must be dead-lettered.
        at_once_one_in: of so many events one has its outcome written at once; 0 for none.
        fuzz: share of events that Hypothesis and a mutation operator made invalid: to be dead-lettered as well.
        client: librdkafka properties of the domain's service.
        password_file: where its password is when it has been changed; empty for one that stays.
    """

    topic: str
    rate_eps: float
    run_length: int
    tick_hz: float
    cheat_share: float
    poison_share: float
    client: dict[str, str]
    password_file: str = ""
    fuzz: float = 0.0
    at_once_one_in: int = 0

    @property
    def servers(self) -> int:
        """Game servers that carry the rate at 100%: none ticks faster than ``tick_hz``."""
        # Rounded first: 20,000 / (50 x 20) must be 20 servers, whatever binary fractions make of a scaled rate.
        return math.ceil(round(self.rate_eps / (self.run_length * self.tick_hz), 6))

    @property
    def interval_s(self) -> float:
        """Seconds between two flushes of one server."""
        return self.servers * self.run_length / self.rate_eps


class LoadPlan(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a load process needs.

    Args:
        run_dir: the run directory; history goes below it.
        run_id: makes the streams' ids unique to the run, so that a reused cluster shows no false duplicates.
        seed: same seed, same events.
        processes: Locust workers; 1 runs without a master.
        phases: in order.
        traffic: by domain.
        verifier: librdkafka properties of the principal that reads receipts.
        drain_timeout_s: how long to wait for the receipts of the last events.
        web_port: port of Locust's web page, or none.
        receipts: whether to expect receipts, and to wait for the last of them.
        listen: host and port at which the master waits for workers.
        join_key: secret that a worker must know.
        join_timeout_s: how long the master waits until all of them have joined.
    """

    run_dir: str
    run_id: str
    seed: int
    processes: int
    phases: list[PlannedPhase]
    traffic: dict[str, DomainTraffic]
    verifier: dict[str, str]
    drain_timeout_s: float = 60.0
    web_port: int | None = None
    receipts: bool = True
    listen: str = ""
    join_key: str = ""
    join_timeout_s: float = 60.0

    @property
    def duration_s(self) -> float:
        """Seconds of all phases."""
        return math.fsum(phase.duration_s for phase in self.phases)


def split_address(address: str) -> tuple[str, int]:
    """Split ``HOST:PORT``; without a host, it is every address of this one.

    Raises:
        UsageError: it is none.
    """
    host, _, port = address.rpartition(":")
    if not port.isdigit() or not 0 < int(port) < 65_536:
        raise UsageError(f"{address!r} is no address of a master", hint="HOST:PORT, e.g. 10.0.0.5:5557")
    return host.strip("[]") or "*", int(port)


def read_plan(path: Path) -> LoadPlan:
    """Read a plan.

    Raises:
        msgspec.ValidationError: the file is not a plan.
    """
    return msgspec.json.decode(path.read_bytes(), type=LoadPlan)
