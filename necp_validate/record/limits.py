"""Floods of a publisher (``history/limits.jsonl``) and the states of circuit breakers (``history/breakers.jsonl``)."""

from __future__ import annotations

from dataclasses import dataclass

from necp_validate.record.values import EpochUs, Share


@dataclass(frozen=True, slots=True, kw_only=True)
class FloodSecond:
    """One second of a flood, by when answers came.

    Args:
        offered: events of the batches that were answered; one that was refused is offered again.
        accepted: events that the publisher let pass.
        refused: all others.
    """

    offered: int
    accepted: int
    refused: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FloodRecord:
    """A flood of one topic through one publisher.

    Args:
        topic: the topic.
        rate_eps: limit that the publisher was given, events a second.
        burst: events that it was to let pass at once.
        begin_us: when the first batch was offered (epoch).
        end_us: when the last answer had come.
        offering_s: from the first batch's offer to the last one's.
        elapsed_s: from the first batch's offer to the last answer.
        due: events that polite senders had to send in this time; one that is told to wait has them all the same.
        passable: events that an exact limit would have let pass, given when they were offered.
        unanswered: events of batches that got no answer.
        seconds: second by second.
        waits_s: for each polite sender, how long it was told to wait, in order.
        hits: events refused by the publisher's own metric; None if it could not be read.
        streams: ids of the senders' streams.
    """

    topic: str
    rate_eps: float
    burst: float
    begin_us: EpochUs
    end_us: EpochUs
    offering_s: float
    elapsed_s: float
    due: int
    passable: int
    unanswered: int
    seconds: tuple[FloodSecond, ...]
    waits_s: tuple[tuple[float, ...], ...]
    streams: tuple[str, ...]
    hits: int | None

    @property
    def offered(self) -> int:
        """Events offered, however often."""
        return sum(one.offered for one in self.seconds)

    @property
    def accepted(self) -> int:
        """Events let pass, by the answers."""
        return sum(one.accepted for one in self.seconds)

    @property
    def refused(self) -> int:
        """Events refused, by the answers."""
        return sum(one.refused for one in self.seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerSample:
    """A breaker as an instance of the event core described it.

    Args:
        t_us: when the answer came (epoch).
        instance: the instance, e.g. ``core-0``.
        domain: whose consumer.
        state: ``closed``, ``open`` or ``half-open``.
        openings: how often it has opened.
        trials: how often it has gone half-open.
        tried_events: events of its latest trial so far.
        window_events: events in its window.
        window_failures: failures among them.
        ratio_at_opening: share of failures at which it opened last.
        failure_threshold: as configured, like all that follows.
        recovery_timeout_s: how long it stays open.
        monitoring_window_s: length of its window.
    """

    t_us: EpochUs
    instance: str
    domain: str
    state: str
    openings: int
    trials: int
    tried_events: int
    window_events: int
    window_failures: int
    ratio_at_opening: Share | None
    failure_threshold: Share
    recovery_timeout_s: float
    monitoring_window_s: float
