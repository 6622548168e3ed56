"""What came of attempts that must be refused: ``history/security.jsonl``, a row for each round of them."""

from __future__ import annotations

from dataclasses import dataclass

from necp_validate.record.values import EpochUs

ACCEPTED, REFUSED, UNTRIED = "accepted", "refused", "untried"
"""How an attempt can end; untried: it could not be made, and the answer says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerProbe:
    """An attempt to get in at a listener.

    Args:
        listener: ``internal``, ``external`` ...
        broker: node id.
        attempt: what was tried, e.g. ``expired-certificate``.
        expected: ``accepted`` or ``refused``.
        outcome: ``accepted``, ``refused`` or ``untried``.
        answer: what answered, in its own words.
        log_line: the broker's log on it; empty if it has nothing, or cannot be read.
    """

    listener: str
    broker: int
    attempt: str
    expected: str
    outcome: str
    answer: str
    log_line: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessProbe:
    """An attempt of a principal to do something to a resource: one cell of the matrix.

    Args:
        principal: user name, without Kafka's ``User:``.
        resource: kind and name, e.g. ``topic:game.combat.events``.
        operation: Kafka's name, e.g. ``Write``.
        allowed: what the policy says.
        outcome: ``accepted``, ``refused`` or ``untried``.
        answer: the broker's answer, by its name.
        log_line: the authorizer's log on a denial; empty if it has nothing, or cannot be read.
    """

    principal: str
    resource: str
    operation: str
    allowed: bool
    outcome: str
    answer: str
    log_line: str

    @property
    def expected(self) -> str:
        """``accepted`` or ``refused``."""
        return ACCEPTED if self.allowed else REFUSED


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityRound:
    """All attempts of one round.

    Args:
        when: ``start``, ``end`` or the name of a phase.
        begin_us: when the first was made (epoch).
        end_us: when the last had ended.
        listeners: attempts to get in.
        access: attempts to do something.
    """

    when: str
    begin_us: EpochUs
    end_us: EpochUs
    listeners: tuple[ListenerProbe, ...]
    access: tuple[AccessProbe, ...]
