"""What a defect is, what must come of it, and how one picks its victim."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from necp_validate.claims.checks.registry import CHECKS
from necp_validate.claims.metrics.measures import MEASURES
from necp_validate.claims.model import Claim, Condition
from necp_validate.core import Verdict
from necp_validate.events.topics import Domain
from necp_validate.evidence.inventory import Evidence
from necp_validate.evidence.reconcile import RECONCILERS
from necp_validate.selftest.contents import Contents
from necp_validate.selftest.simulated.log import Record
from necp_validate.selftest.simulated.simulation import Simulation, Stage
from necp_validate.selftest.simulated.sound import contents_with, sound_contents

Seed = Callable[[Simulation], None]
"""Makes a sound simulation one with a defect."""

Change = Callable[[Contents], None]
"""Makes the record of a sound run one that is wrong, whatever the run was."""


def nothing(_: Path) -> None:
    """Leave a run directory as it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Defect:
    """One defect of a sound run; what makes it is said by those who know the run.

    Args:
        name: what is wrong, in a few words.
        caught_by: the check, comparison or claim that must catch it.
        make: the record of a run with it.
        others: checks, metrics and claims that must catch it too, because they rest on the same; of a check and of a
            metric, the claims that have it among their conditions as well.
        verdict: fail; unknown for a defect that takes evidence away or makes it doubtful; not applicable for one that
            leaves a run without what a check is about, so that the claims that want it are unknown.
        distrusted: parts of the record that cannot be relied on any more: what rests on one of them is unknown.
        missing: parts of which evidence is missing: likewise, comparisons included.
        afterwards: changes the run directory, when the run is closed.
    """

    name: str
    caught_by: str
    make: Callable[[], Contents]
    others: tuple[str, ...] = ()
    verdict: Verdict = Verdict.FAIL
    distrusted: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    afterwards: Callable[[Path], None] = nothing

    def expected(self, claims: Mapping[str, Claim]) -> frozenset[str]:
        """The checks and claims that must fail, or be unknown if that is the verdict, and no other.

        Args:
            claims: those that are judged, with the conditions that concern such a run.
        """
        failing = self.verdict is Verdict.FAIL
        named = {one for name in (self.caught_by, *self.others) for one in _falling(name, claims, requires=not failing)}
        if self.verdict is Verdict.NOT_APPLICABLE:
            named.discard(self.caught_by)
        if failing:
            return frozenset(named)
        names = (*CHECKS, *claims)
        doubtful = resting_on(self.distrusted, names, claims)
        return frozenset(named | doubtful | resting_on(self.missing, (*names, *RECONCILERS), claims))


def _falling(name: str, claims: Mapping[str, Claim], *, requires: bool) -> Iterator[str]:
    """A check or a claim, and the claims that fall with a check or a metric.

    Args:
        name: of a check, a metric or a claim.
        claims: those that are judged.
        requires: whether also those that only want it of a run to be evidence.
    """
    if name not in MEASURES:
        yield name
    for claim in claims.values():
        conditions = (*claim.conditions, *(claim.requires if requires else ()))
        if any(name in (one.check, one.metric) for one in conditions):
            yield claim.id


def evidence_of(name: str, claims: Mapping[str, Claim]) -> tuple[Evidence, ...]:
    """Every kind of evidence that a check, a comparison, or a claim by its conditions, rests on."""
    if name in claims:
        conditions = (*claims[name].requires, *claims[name].conditions)
        kinds = [kind for one in conditions for kind in _of_condition(one, claims)]
        return tuple(dict.fromkeys(kinds))
    if name in RECONCILERS:
        return RECONCILERS[name].evidence
    return CHECKS[name].evidence if name in CHECKS else ()


def _of_condition(one: Condition, claims: Mapping[str, Claim]) -> tuple[Evidence, ...]:
    return evidence_of(one.check, claims) if one.check else MEASURES[one.metric].evidence


def resting_on(parts: Iterable[str], names: Iterable[str], claims: Mapping[str, Claim]) -> set[str]:
    """Which of some checks, comparisons and claims rest on one of some parts of the record."""
    wanted = set(parts)
    return {name for name in names if any(wanted & set(kind.parts) for kind in evidence_of(name, claims))}


def seeded(seed: Seed, after: Stage = Stage.READ, change: Change | None = None) -> Callable[[], Contents]:
    """A defect of the simulated run of the load.

    Args:
        seed: changes the simulation.
        after: the stage after which it does.
        change: changes the record as well.
    """

    def make() -> Contents:
        contents = contents_with(seed, after)
        if change is not None:
            change(contents)
        return contents

    return make


def changed(change: Change | None = None) -> Callable[[], Contents]:
    """A defect of the record of the sound run of the load, or of nothing of it."""

    def make() -> Contents:
        contents = sound_contents()
        if change is not None:
            change(contents)
        return contents

    return make


def some_record(simulation: Simulation, domain: Domain = Domain.COMBAT, *, kind: str = "valid") -> Record:
    """A record of a load worker from the middle of a domain's log."""
    records = [
        r for r in simulation.records() if r.sent.domain is domain and r.sent.kind == kind and r.sent.sender[0] == "w"
    ]
    return records[len(records) // 2]


def place_of(record: Record) -> tuple[Domain, int, int]:
    """Where a record lies: domain, partition and offset."""
    return record.sent.domain, record.partition, record.offset


def setting(path: str, **changes: Any) -> Seed:
    """A seed that sets attributes of what lies at a path of the simulation, e.g. ``audited``."""

    def seed(simulation: Simulation) -> None:
        target: Any = simulation
        for name in filter(None, path.split(".")):
            target = getattr(target, name)
        for name, value in changes.items():
            setattr(target, name, value)

    return seed
