"""``history/workers.json``: who sent the load, from where, by which clock, and who was lost on the way."""

from __future__ import annotations

from dataclasses import dataclass

from necp_validate.record.values import EpochUs, SignedFloat


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockEstimate:
    """How far a worker's clock was from the master's, as told by messages there and back.

    Args:
        at_us: when it was estimated, by the master's clock (epoch).
        offset_us: worker's clock minus master's.
        uncertainty_us: the true offset is within so much of it: half of the shortest way there and back.
        samples: messages that it was estimated from.
    """

    at_us: EpochUs
    offset_us: SignedFloat
    uncertainty_us: float
    samples: int

    @property
    def bound_us(self) -> float:
        """The two clocks were never further apart than this."""
        return abs(self.offset_us) + self.uncertainty_us


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerRecord:
    """One load worker.

    Args:
        worker: its name, as in ``load-<worker>.json``.
        host: name of its host.
        namespace: its network namespace, as the kernel numbers them; empty where there are none.
        pid: its process there.
        cpus: processors that it may use.
        state: ``joined``, ``ready``, ``playing``, ``silent`` (no heartbeat for now), ``finished``, ``left`` (it was
            interrupted, and told what it had done until then) or ``lost`` (it told nothing).
        heard_us: when it was last heard of, by the master's clock (epoch).
        silences: how often it was silent and came back.
        clocks: in order of time.
        received_bytes: what it sent of its history.
    """

    worker: str
    host: str
    namespace: str
    pid: int
    cpus: int
    state: str
    heard_us: EpochUs
    silences: int
    clocks: tuple[ClockEstimate, ...]
    received_bytes: int

    @property
    def clock_bound_us(self) -> float | None:
        """Its clock and the master's were never further apart than this; None if that was never measured."""
        return max((clock.bound_us for clock in self.clocks), default=None)
