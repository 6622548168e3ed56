"""What a defect is, and how one picks its victim."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from necp_validate.core import Verdict
from necp_validate.events.topics import Domain
from necp_validate.selftest.simulation import Record, Simulation, Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Defect:
    """One defect.

    Args:
        name: what is wrong with the run, in a few words.
        caught_by: the check or the claim that must fail.
        after: the stage of the run that is spoilt.
        seed: spoils it.
        claims: checks and judged claims that fail too, because they rest on it.
        verdict: fail, or unknown for a defect that takes the evidence away.
    """

    name: str
    caught_by: str
    after: Stage
    seed: Callable[[Simulation], None]
    claims: frozenset[str] = frozenset()
    verdict: Verdict = Verdict.FAIL

    @property
    def expected(self) -> frozenset[str]:
        """The checks and claims that must have this verdict, and no other."""
        return self.claims | {self.caught_by}


def some_record(simulation: Simulation, domain: Domain = Domain.COMBAT, *, kind: str = "valid") -> Record:
    """A record from the middle of a domain's log."""
    records = [r for r in simulation.records() if r.sent.domain is domain and r.sent.kind == kind]
    return records[len(records) // 2]


def place_of(record: Record) -> tuple[Domain, int, int]:
    """Where a record lies: domain, partition and offset."""
    return record.sent.domain, record.partition, record.offset
