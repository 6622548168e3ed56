"""A flood that a limiter holds, and a circuit breaker that does what it must, in the simulated run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from necp_validate.events.topics import Domain
from necp_validate.ledger.stream_account import AckedOffsets
from necp_validate.record import BreakerSample, FloodRecord, FloodSecond
from necp_validate.selftest.simulated.faults import BREAK, FLOOD, POISON
from necp_validate.selftest.simulated.plan import flood_streams
from necp_validate.selftest.simulated.scenario import REPLACED

RATE_EPS, BURST, FLOOD_S = REPLACED["producer_rate_eps"], REPLACED["producer_burst"], 8.0
"""200 events pass in 8 s, which is what the flood's streams send."""

_WAITS_S = (0.08, 0.17, 0.33, 0.61, 1.4)


def sound_flood() -> FloodRecord:
    """What the flood's senders had accepted, and an eighth more that was refused."""
    seconds = tuple(FloodSecond(offered=28, accepted=25, refused=3) for _ in range(int(FLOOD_S)))
    return FloodRecord(
        topic=Domain.SOCIAL.topic,
        rate_eps=RATE_EPS,
        burst=BURST,
        begin_us=FLOOD.begin_us,
        end_us=FLOOD.begin_us + round(FLOOD_S * 1e6),
        offering_s=FLOOD_S,
        elapsed_s=FLOOD_S,
        due=round(1.5 * RATE_EPS * FLOOD_S),
        passable=round(RATE_EPS * FLOOD_S + BURST),
        unanswered=0,
        seconds=seconds,
        waits_s=tuple(tuple(wait * (1 - number / 100) for wait in _WAITS_S) for number in range(8)),
        streams=tuple(stream.account.id for stream in flood_streams(AckedOffsets())),
        hits=sum(second.refused for second in seconds),
    )


def breaker_samples(
    *,
    domain: Domain = Domain.SYSTEM,
    opens: bool = True,
    tries_us: int = BREAK[1],
    closes: bool = True,
    ratio: float = 0.53,
) -> list[BreakerSample]:
    """Ten samples a second of a breaker, while the system events are poisoned.

    Args:
        domain: whose breaker.
        opens: whether it opens at all.
        tries_us: when it goes half-open.
        closes: whether it closes after that.
        ratio: share of failures at which it says that it opened.
    """
    assert POISON.end_us is not None
    samples = []
    for t_us in range(POISON.begin_us + 50_000, POISON.end_us, 100_000):
        opened, tried = opens and t_us >= BREAK[0], opens and t_us >= tries_us
        state = "closed" if not opened or (tried and closes and t_us >= tries_us + 100_000) else "open"
        samples.append(
            BreakerSample(
                t_us=t_us,
                instance="core-0",
                domain=domain.value,
                state="half-open" if tried and state == "open" else state,
                openings=int(opened),
                trials=int(tried),
                tried_events=100 if tried else 0,
                window_events=400,
                window_failures=200,
                ratio_at_opening=ratio if opened else None,
                failure_threshold=0.5,
                recovery_timeout_s=(BREAK[1] - BREAK[0]) / 1e6,
                monitoring_window_s=300.0,
            )
        )
    return samples


def sound_breakers(**poisoned: Any) -> list[BreakerSample]:
    """Of every domain's breaker: the poisoned one does what the arguments say, the others stay closed."""
    others = [
        one for domain in Domain if domain is not Domain.SYSTEM for one in breaker_samples(domain=domain, opens=False)
    ]
    return sorted([*breaker_samples(**poisoned), *others], key=lambda one: one.t_us)


@dataclass(slots=True)
class Limiting:
    """What limits and breakers did in the run."""

    flood: FloodRecord = field(default_factory=sound_flood)
    breakers: list[BreakerSample] = field(default_factory=lambda: sound_breakers())
