"""The limit of a topic, and how long those who go beyond it are asked to stay away.

The limit is the publisher's: all who publish a topic through it share one bucket, whoever they say they are. In Kafka's
terms the publisher *is* the producer. Several publishers, and clients that speak Kafka themselves, each have a limit of
their own or none, so that together they may exceed it.
"""

from __future__ import annotations

import random
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Final

from necp_validate.reference.token_bucket import TokenBucket

MAX_SENDERS: Final = 10_000
_GRACE_S: Final = 5.0


@dataclass(slots=True)
class _Violations:
    level: int
    refused_s: float
    wait_s: float


class Backoff:
    """Exponential backoff with jitter, for each sender, while it goes on exceeding the limit.

    A wait is drawn from the upper half of its range, so the next one is never shorter until ranges grow no more. Who
    was not refused again for twice as long as it was told to wait, and 5 s, begins anew. A sender's name is for its own
    good and nothing else: who changes it escapes no limit.

    Args:
        base_s: the longest first wait; each further one is up to twice as long.
        max_s: the longest wait.
        clock: seconds, monotonic.
        rng: source of chance.
    """

    def __init__(
        self,
        base_s: float,
        max_s: float,
        clock: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
    ) -> None:
        self._base_s = base_s
        self._max_s = max_s
        self._clock = clock
        self._rng = rng or random.Random()
        self._lock = Lock()
        self._senders: OrderedDict[str, _Violations] = OrderedDict()

    def refuse(self, sender: str) -> float:
        """Count a violation; returns how long the sender is to wait, in seconds."""
        with self._lock:
            now_s = self._clock()
            known = self._senders.pop(sender, None)
            goes_on = known is not None and now_s - known.refused_s <= 2 * known.wait_s + _GRACE_S
            level = known.level + 1 if known is not None and goes_on else 0
            longest_s = min(self._base_s * 2.0 ** min(level, 60), self._max_s)
            wait_s = longest_s * self._rng.uniform(0.5, 1.0)
            self._senders[sender] = _Violations(level=level, refused_s=now_s, wait_s=wait_s)
            if len(self._senders) > MAX_SENDERS:
                self._senders.popitem(last=False)
            return wait_s


class TopicLimit:
    """The token bucket of one topic, for threads.

    Args:
        rate_per_s: events a second in the long run.
        burst: events at once.
        clock: seconds, monotonic.
    """

    def __init__(self, rate_per_s: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = Lock()
        self._bucket = TokenBucket(burst, rate_per_s, clock())

    def admit(self, events: int) -> int:
        """Say how many of so many events may pass now."""
        with self._lock:
            return self._bucket.take_up_to(events, self._clock())
