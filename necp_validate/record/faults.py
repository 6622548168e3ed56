"""The faults of a run: one record each, appended when the fault is over (``history/faults.jsonl``)."""

from __future__ import annotations

from dataclasses import dataclass

from necp_validate.record.values import EpochUs


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultRecord:
    """One fault as it was injected, seen to work, and undone; times are epoch microseconds.

    Args:
        id: unique in the run, e.g. ``broker-kill-1``.
        experiment: the experiment that injected it, by title or by file name without ending.
        kind: what was done, e.g. ``broker-kill``, ``broker-pause``, ``cut``, ``slow``, ``disk-full``, ``core-kill``.
        target: what it was done to, e.g. ``broker-2 (leader of game.combat.events-3)``.
        begin_us: when it was asked for.
        effective_us: when it was seen to have taken effect; ``None`` if it never was.
        evidence: what was seen, e.g. ``pid 123 gone``.
        end_us: when it was undone (started again, healed); ``None`` if it was still in force at the end.
        needs: ``needs ...`` if this backend cannot do it; the claims that rest on it are then unknown.
        claims: ids of the claims that it is evidence for; empty: those that its kind is evidence for.
    """

    id: str
    experiment: str
    kind: str
    target: str
    begin_us: EpochUs
    effective_us: EpochUs | None
    evidence: str
    end_us: EpochUs | None
    needs: str
    claims: tuple[str, ...]

    @property
    def upsets(self) -> bool:
        """Whether it may upset brokers, members or leaders, and so explain what comes of that."""
        return self.kind not in _UPSET_NOTHING


_UPSET_NOTHING = frozenset({"poison-breaker", "publisher-flood"})
"""Poison that is set aside, and a flood that is held to a limit."""
