"""What the sending process is told, and the open-loop schedule of one topic."""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec


class PlannedPhase(msgspec.Struct, frozen=True, kw_only=True):
    """A phase; see `scenario.model.Phase`."""

    name: str
    kind: str
    duration_s: float
    load: float
    ramp_s: float = 0.0


class TopicPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What one topic gets.

    Args:
        topic: its name.
        stream: of the run's events in it.
        rate_eps: events per second at load 1.
        values: drawn beforehand; they are sent over and over, in an order by chance.
        keys: key of each value where it is a field of it; else empty.
        key: as `stack.external_topics.KEYS` has it.
        output: where the target answers, if that is known.
    """

    topic: str
    stream: str
    rate_eps: float
    values: list[bytes]
    keys: list[bytes] = []
    key: str = "random"
    output: str = ""


class SendPlan(msgspec.Struct, frozen=True, kw_only=True):
    """The whole load.

    Args:
        run_dir: where the history goes.
        seed: same seed, same order of values and keys.
        phases: in order.
        topics: one each.
        client: librdkafka properties of the producer.
        reader: those of whoever reads the target's answers.
        flush_s: how long what is under way may take in the end.
        answers_s: how long the last answers may take.
    """

    run_dir: str
    seed: int
    phases: list[PlannedPhase]
    topics: list[TopicPlan]
    client: dict[str, str]
    reader: dict[str, str] = {}
    flush_s: float = 130.0
    answers_s: float = 30.0


@dataclass(frozen=True, slots=True)
class _Piece:
    """A stretch in which the rate goes from one value to another in a straight line."""

    start_s: float
    length_s: float
    from_eps: float
    to_eps: float
    before: float

    @property
    def count(self) -> float:
        return (self.from_eps + self.to_eps) / 2 * self.length_s

    def when(self, events: float) -> float:
        """Seconds from its start until so many events of it are due."""
        slope = (self.to_eps - self.from_eps) / self.length_s
        if abs(slope) < 1e-12:
            return events / self.from_eps
        return (math.sqrt(max(self.from_eps**2 + 2 * slope * events, 0.0)) - self.from_eps) / slope


class Course:
    """When each event of a topic is due, in seconds since the load began, whatever the target does.

    Args:
        rate_eps: at load 1.
        phases: in order.
    """

    def __init__(self, rate_eps: float, phases: Sequence[PlannedPhase]) -> None:
        self._pieces: list[_Piece] = []
        self._phase_ends: list[float] = []
        at, before, load = 0.0, 0.0, 0.0
        for phase in phases:
            ramp_s = min(phase.ramp_s, phase.duration_s)
            stretches = ((ramp_s, load, phase.load), (phase.duration_s - ramp_s, phase.load, phase.load))
            start = at
            for length_s, first, last in stretches:
                if length_s > 0 and first + last > 0:
                    piece = _Piece(start, length_s, first * rate_eps, last * rate_eps, before)
                    self._pieces.append(piece)
                    before += piece.count
                start += length_s
            at, load = at + phase.duration_s, phase.load
            self._phase_ends.append(at)
        self._starts = [piece.before for piece in self._pieces]
        self.end_s = at
        self.total = math.floor(before + 1e-6)

    def due_s(self, number: int) -> float:
        """When event ``number`` (from 0) is due; infinite if there are not so many."""
        if number >= self.total:
            return math.inf
        at = number + 0.5  # so that the first is not due before anything has begun
        piece = self._pieces[max(bisect.bisect_right(self._starts, at) - 1, 0)]
        return piece.start_s + piece.when(at - piece.before)

    def phase_at(self, at_s: float) -> int:
        """Place of the phase that a time falls into."""
        return min(bisect.bisect_right(self._phase_ends, at_s), len(self._phase_ends) - 1)
