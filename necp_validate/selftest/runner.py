"""Seeds every defect, takes every kind of evidence away, judges what is left, and says what was caught."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from necp_validate.claims.checks.registry import CHECKS
from necp_validate.claims.run import Judgement
from necp_validate.core import SuiteError, UsageError, Verdict
from necp_validate.evidence.inventory import Evidence
from necp_validate.evidence.reconcile import RECONCILERS
from necp_validate.selftest.bed import BEDS, Bed, verdicts_of
from necp_validate.selftest.contents import Contents, write_like, write_run
from necp_validate.selftest.defect import Defect, evidence_of
from necp_validate.selftest.thinning import Removal, removals

_WORD = {Verdict.FAIL: "failed", Verdict.UNKNOWN: "unknown", Verdict.NOT_APPLICABLE: "unknown"}
CHANGED = "changed-record"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caught:
    """What became of one defect.

    Args:
        name: what was seeded.
        caught_by: what must catch it.
        verdict: which verdict that must have.
        found: which one it has.
        expected: the checks and claims that must fail (or be unknown, where that is the verdict), and no other.
        failed: those that do.
        summary: what the check, comparison or claim that must catch it says.
    """

    name: str
    caught_by: str
    verdict: Verdict
    found: Verdict
    expected: frozenset[str]
    failed: frozenset[str]
    summary: str

    @property
    def caught(self) -> bool:
        """Whether exactly those failed that must."""
        return self.found is self.verdict and self.failed == self.expected

    @property
    def problem(self) -> str:
        """Why the defect does not count as caught; empty if it does."""
        missed, extra = sorted(self.expected - self.failed), sorted(self.failed - self.expected)
        parts = [f"{self.caught_by} is {self.found}, not {self.verdict}"] if self.found is not self.verdict else []
        parts += [f"not {_WORD[self.verdict]}: {', '.join(missed)}"] if missed else []
        parts += [f"{_WORD[self.verdict]} as well: {', '.join(extra)}"] if extra else []
        return "; ".join(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Missed:
    """What became of the checks and claims from which something was taken away.

    Args:
        bed: name of the sound run.
        removal: what was taken away.
        resting: the checks, comparisons and claims that rest on it, and pass with it.
        passing: those of them that still pass and must not.
    """

    bed: str
    removal: str
    resting: frozenset[str]
    passing: frozenset[str]

    @property
    def words(self) -> str:
        """Which checks and claims pass without it."""
        return f"NO, {', '.join(sorted(self.passing))} do" if self.passing else "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """What the self-test has shown.

    Args:
        caught: defect by defect.
        missed: removal by removal.
    """

    caught: tuple[Caught, ...]
    missed: tuple[Missed, ...]

    @property
    def exit_code(self) -> int:
        """0 if each defect was caught by exactly what must catch it, and nothing passes without its evidence."""
        sound = bool(self.caught or self.missed) and all(one.caught for one in self.caught)
        return 0 if sound and not any(one.passing for one in self.missed) else 1

    @property
    def words(self) -> tuple[str, ...]:
        """Both halves of the proof, a sentence each; one of which nothing was asked is left out."""
        caught = sum(one.caught for one in self.caught)
        resting = {(one.bed, name) for one in self.missed for name in one.resting}
        passing = {(one.bed, name) for one in self.missed for name in one.passing}
        defects = f"{caught} of {len(self.caught)} defects caught"
        removals = (
            f"{len(resting) - len(passing)} of {len(resting)} checks and claims do not pass without their evidence, "
            f"taken away in {len(self.missed)} ways"
        )
        return (*([defects] if self.caught else []), *([removals] if self.missed else []))


@dataclass(frozen=True, slots=True)
class _Item:
    """A thing to be judged: the number of a sound run, and of one of its defects or removals."""

    bed: int
    what: Literal["defect", "removal"]
    number: int


def run_selftest(
    on_result: Callable[[Caught | Missed, int], None] = lambda *_: None, *, only: str = "", processes: int | None = None
) -> Results:
    """Seed every defect into a sound run, take every kind of evidence from it, and judge it; offline.

    Args:
        on_result: called with each result in turn, and how many there will be.
        only: a text: no more than what has it in its name, or is to be caught by a check or claim of that name.
        processes: that share the work; by default one for each processor.

    Raises:
        UsageError: there is nothing of such a name.
        SuiteError: a sound run does not pass, so nothing can be said of what becomes of it.
    """
    with TemporaryDirectory(prefix="necp-selftest-") as folder:
        benches = [_Bench(bed, Path(folder) / bed.name) for bed in BEDS]
        items = [item for place, bench in enumerate(benches) for item in bench.items(place, only)]
        if only and not items:
            hint = "necp-validate selftest lists them all"
            raise UsageError(f"no defect, check, claim or evidence has {only!r} in its name", hint=hint)
        for bench in benches:
            bench.require_sound()
        found = []
        for result in _judged(items, benches, processes or len(os.sched_getaffinity(0)), Path(folder)):
            on_result(result, len(items))
            found.append(result)
    return Results(
        caught=tuple(one for one in found if isinstance(one, Caught)),
        missed=tuple(one for one in found if isinstance(one, Missed)),
    )


def uncovered() -> list[str]:
    """Checks, comparisons and claims that no defect makes fail."""
    defects = [(defect, bed) for bed in BEDS for defect in bed.defects]
    caught_by = {defect.caught_by for defect, _ in defects}
    failing = ((defect, bed) for defect, bed in defects if defect.verdict is Verdict.FAIL)
    fallen = {name for defect, bed in failing for name in defect.expected(bed.claims)}
    claims = {name for bed in BEDS for name in bed.claims}
    return sorted(({*CHECKS, *RECONCILERS, CHANGED} - caught_by) | (claims - fallen))


# Judging -------------------------------------------------------------------------------------------------------


class _Bench:
    """A sound run in a folder, and what differs from it beside it.

    Args:
        bed: the sound run.
        folder: where they go.
    """

    def __init__(self, bed: Bed, folder: Path) -> None:
        self.bed = bed
        self._folder = folder
        self._sound = bed.sound()
        write_run(self._sound, folder / "sound")
        self._judgement = bed.judge(folder / "sound")
        self._verdicts = verdicts_of(self._judgement)
        self._passing = [name for name, verdict in self._verdicts.items() if verdict is Verdict.PASS]
        self._evidence = {name: evidence_of(name, bed.claims) for name in self._passing}
        kinds: dict[str, Evidence] = {kind.name: kind for of in self._evidence.values() for kind in of}
        self._removals: Sequence[Removal] = tuple(removals(kinds.values(), self._sound))

    def items(self, place: int, only: str = "") -> Iterator[_Item]:
        """What is to be judged of it.

        Args:
            place: its number among the sound runs.
            only: no more than what has this in its name.
        """
        for number, defect in enumerate(self.bed.defects):
            if only in defect.name or only == defect.caught_by:
                yield _Item(place, "defect", number)
        for number, removal in enumerate(self._removals):
            if only in removal.name:
                yield _Item(place, "removal", number)

    def require_sound(self) -> None:
        """Refuse a sound run in which something does not pass that must.

        Raises:
            SuiteError: there is something.
        """
        due = {*self.bed.judges, *self.bed.claims}
        wrong = [
            name
            for name, verdict in self._verdicts.items()
            if verdict is not (Verdict.PASS if name in due else Verdict.NOT_APPLICABLE)
        ]
        wrong += sorted(due - self._verdicts.keys())
        if wrong:
            said = summaries_of(self._judgement)
            raise SuiteError(
                f"the sound run of the self-test does not pass ({self.bed.name}): {', '.join(wrong)}",
                detail="\n".join(f"{n}: {self._verdicts.get(n, 'not judged')}: {said.get(n, '')}" for n in wrong),
                hint="the checks or the accounting are wrong in this version; please report it",
            )

    def seeded(self, defect: Defect) -> Caught:
        """Judge a run with a defect.

        Raises:
            SuiteError: there is no check and no claim of the name that must catch it.
        """
        if defect.caught_by not in self._verdicts:
            raise SuiteError(f"defect {defect.name!r}: {defect.caught_by!r} is neither a check nor a claim")
        judgement = self._judge(defect.make(), defect.afterwards)
        verdicts = verdicts_of(judgement)
        wanted = {Verdict.FAIL} if defect.verdict is Verdict.FAIL else {Verdict.FAIL, Verdict.UNKNOWN}
        return Caught(
            name=defect.name,
            caught_by=defect.caught_by,
            verdict=defect.verdict,
            found=verdicts[defect.caught_by],
            expected=defect.expected(self.bed.claims),
            failed=frozenset(name for name, verdict in verdicts.items() if verdict in wanted),
            summary=summaries_of(judgement)[defect.caught_by],
        )

    def without(self, removal: Removal) -> Missed:
        """Judge a run from which something was taken away."""
        contents = dict(self._sound)
        removal.change(contents)
        verdicts = verdicts_of(self._judge(contents))
        resting = {n for n in self._passing if any(kind.name in removal.kinds for kind in self._evidence[n])}
        passing = {name for name in resting if verdicts.get(name) is Verdict.PASS}
        if any(verdicts[name] is not Verdict.PASS for name in resting & RECONCILERS.keys()):
            passing -= RECONCILERS.keys()  # each compares copies of its own: one of them has found it
        return Missed(
            bed=self.bed.name,
            removal=removal.name,
            resting=frozenset(resting),
            passing=frozenset(passing),
        )

    def judge(self, item: _Item) -> Caught | Missed:
        """Judge one thing."""
        if item.what == "defect":
            return self.seeded(self.bed.defects[item.number])
        return self.without(self._removals[item.number])

    def _judge(self, contents: Contents, afterwards: Callable[[Path], None] = lambda _: None) -> Judgement:
        with TemporaryDirectory(dir=self._folder) as folder:
            run_dir = Path(folder) / "run"
            write_like(contents, run_dir, sound=self._sound, sound_dir=self._folder / "sound")
            afterwards(run_dir)
            return self.bed.judge(run_dir)


def summaries_of(judgement: Judgement) -> dict[str, str]:
    """What checks, comparisons and claims say, by name."""
    said = {finding.name: finding.summary for finding in judgement.findings}
    for claim in judgement.claims:
        said[claim.id] = f"{claim.measured or 'nothing measured'}, claimed {claim.threshold}; {claim.evidence}"
    return said


def _judged(
    items: Sequence[_Item], benches: Sequence[_Bench], processes: int, folder: Path
) -> Iterator[Caught | Missed]:
    """Judge everything, in order."""
    if processes == 1:
        yield from (benches[item.bed].judge(item) for item in items)
        return
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=spawn) as pool:
        yield from pool.map(_judge_elsewhere, items, [f"{folder}"] * len(items), chunksize=4)


def _judge_elsewhere(item: _Item, folder: str) -> Caught | Missed:
    """Judge one thing in a process that works out its own sound runs, each once."""
    return _bench(item.bed, folder).judge(item)


@lru_cache
def _bench(place: int, folder: str) -> _Bench:
    return _Bench(BEDS[place], Path(folder) / f"{BEDS[place].name}-{os.getpid()}")
