"""What may happen under which configuration: allowed anomalies as data, each with its reason.

An anomaly that is allowed is still counted and reported; it only does not fail its check. Where the
configuration is not known, nothing is allowed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

AT_LEAST_ONCE = frozenset({"combat", "social", "system"})
"""Domains the event core handles at least once; economy is handled exactly once, in transactions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """The circumstances of an anomaly.

    Args:
        domain: the domain it happened in, empty if that is not known.
        producer: configuration of the producer of the event; empty if not known, or not involved.
        rebalanced: whether the domain's consumer group was seen to lose a member or to rebalance.
    """

    domain: str = ""
    rebalanced: bool = False
    producer: Mapping[str, str] = field(default_factory=dict)

    @property
    def acks(self) -> str:
        """What the producer waited for: ``all``, ``1`` or ``0``."""
        value = self.producer.get("acks", self.producer.get("request.required.acks", "all"))
        return "all" if value == "-1" else value

    @property
    def idempotent(self) -> bool:
        """Whether the broker refuses duplicates and reordering of retries."""
        return self.producer.get("enable.idempotence", "true").lower() == "true"

    @property
    def in_flight(self) -> int:
        """Requests that may be on their way to one broker at a time."""
        short = self.producer.get("max.in.flight", "5")
        return int(self.producer.get("max.in.flight.requests.per.connection", short))


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """One anomaly that a configuration permits."""

    check: str
    when: Callable[[Setting], bool]
    reason: str


_WEAK_ACKS = (
    "the producer did not ask for acks=all: an acknowledged event is only on the leader, or not even there, "
    "and may vanish with it"
)

ALLOWED: tuple[Allowance, ...] = (
    Allowance(check="lost-write", when=lambda setting: setting.acks != "all", reason=_WEAK_ACKS),
    Allowance(check="unseen", when=lambda setting: setting.acks != "all", reason=_WEAK_ACKS),
    Allowance(
        check="duplicate",
        when=lambda setting: not setting.idempotent,
        reason="the producer runs without enable.idempotence: a retry may write an event a second time",
    ),
    Allowance(
        check="nonmonotonic-send",
        when=lambda setting: not setting.idempotent and setting.in_flight > 1,
        reason="without enable.idempotence and with several requests in flight, a retry may come too late",
    ),
    Allowance(
        check="handled-twice",
        when=lambda setting: setting.domain in AT_LEAST_ONCE and setting.rebalanced,
        reason="combat, social and system are handled at least once, as documented: after the restart or the "
        "rebalance that was seen, the event core repeats what it had not committed",
    ),
)


def allowance_for(check: str, setting: Setting) -> Allowance | None:
    """The first allowance that covers an anomaly, if there is one."""
    for allowance in ALLOWED:
        if allowance.check == check and allowance.when(setting):
            return allowance
    return None
