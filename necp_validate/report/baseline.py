"""Repeated runs against a baseline of repeated runs: what got better, what got worse, and what cannot be told."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import msgspec

from necp_validate.claims.checks.registry import NoEvidence
from necp_validate.claims.metrics.measures import MEASURES, Measure, Question, Scope
from necp_validate.core import Verdict
from necp_validate.core.errors import UsageError
from necp_validate.core.suggestions import did_you_mean
from necp_validate.record import History, Phase, layout, read_history
from necp_validate.report.compare import caveats
from necp_validate.report.files import write_text
from necp_validate.report.runs import find_run
from necp_validate.report.shift import Shift, fewest_runs, median, shift

COMPARED = (
    "throughput",
    "e2e_p50",
    "e2e_p99",
    "failed_share",
    "lost",
    "duplicates",
    "drain_time",
    "broker_cpu_mean",
    "broker_memory_max",
)
"""What is compared unless it is said otherwise: few, since each further metric may look worse by chance."""

CONFIDENCE = 0.95
TOLERANCE = 0.05
_WARMUP = "warmup"


class Outcome(StrEnum):
    """What can be said of one metric."""

    BETTER = "better"
    WORSE = "worse"
    SAME = "no difference"
    TOO_FEW = "too few runs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One metric in one place.

    Args:
        metric: its name.
        place: the phase, or ``run``.
        domain: None: all together.
        higher_is_better: which way is worse.
        baseline, figures: what each run had, in the metric's base unit; runs without it are left out.
        estimate, low, high: how far the figures lie above the baseline's, in the metric's unit.
        outcome: what follows from it.
    """

    metric: str
    place: str
    domain: str | None
    higher_is_better: bool
    baseline: tuple[float, ...]
    figures: tuple[float, ...]
    estimate: float
    low: float | None
    high: float | None
    outcome: Outcome

    @property
    def name(self) -> str:
        """Metric, domain and place."""
        return f"{self.metric}{f' {self.domain}' if self.domain else ''} in {self.place}"

    @property
    def before(self) -> float:
        """The baseline's median."""
        return median(self.baseline)

    @property
    def after(self) -> float:
        """The runs' median."""
        return median(self.figures)

    def relative(self, value: float | None) -> float | None:
        """A difference as a share of the baseline's median; None where that is 0 or never."""
        if value is None or not self.before or math.isinf(self.before):
            return None
        return value / self.before


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineComparison:
    """Runs against their baseline.

    Args:
        baseline, runs: their ids.
        confidence: of every interval.
        tolerance: share of the baseline's median that a difference must exceed to count.
        differences: every metric in every place that both have.
        caveats: why they may not be comparable.
    """

    baseline: tuple[str, ...]
    runs: tuple[str, ...]
    confidence: float
    tolerance: float
    differences: tuple[Difference, ...]
    caveats: tuple[str, ...]

    def of(self, outcome: Outcome) -> tuple[Difference, ...]:
        """The differences with this outcome."""
        return tuple(one for one in self.differences if one.outcome is outcome)

    @property
    def verdict(self) -> Verdict:
        """Fail if anything got worse; unknown where anything could not be told, or nothing was compared."""
        if self.of(Outcome.WORSE):
            return Verdict.FAIL
        return Verdict.UNKNOWN if self.of(Outcome.TOO_FEW) or not self.differences else Verdict.PASS

    @property
    def sentence(self) -> str:
        """What came of it, in one sentence."""
        judged = len(self.differences) - len(self.of(Outcome.TOO_FEW))
        worse = self.of(Outcome.WORSE)
        if worse:
            return f"{len(worse)} of {judged} figures got worse: {', '.join(one.name for one in worse[:5])}."
        if self.of(Outcome.TOO_FEW):
            need = fewest_runs(self.confidence)
            return (
                f"Too few runs: {len(self.baseline)} and {len(self.runs)}; {need} on each side are the fewest that "
                f"can tell a difference with {self.confidence:.0%} confidence."
            )
        better = len(self.of(Outcome.BETTER))
        if not judged:
            return "There is nothing that both have."
        return f"None of {judged} figures got worse{f', {better} got better' if better else ''}."


def find_runs(names: Sequence[str]) -> list[Path]:
    """Run directories, by path, id, ``last``, or a folder that holds some.

    Raises:
        UsageError: there is no such run, or a folder without any.
    """
    found: list[Path] = []
    for name in names:
        folder = Path(name)
        inside = sorted(one.parent for one in folder.glob(f"*/{layout.RUN}")) if folder.is_dir() else []
        found += inside if inside and not (folder / layout.RUN).is_file() else [find_run(name)]
    return list(dict.fromkeys(found))


def compare_with_baseline(
    baseline: Sequence[Path],
    runs: Sequence[Path],
    *,
    metrics: Sequence[str] = COMPARED,
    by_domain: bool = False,
    confidence: float = CONFIDENCE,
    tolerance: float = TOLERANCE,
) -> BaselineComparison:
    """Compare repeated runs with those of a baseline.

    A metric is worse where its whole interval lies on the worse side of no difference, and the estimate exceeds the
    tolerance: what is certain but small is no regression, what is large but uncertain neither.

    Args:
        baseline, runs: run directories.
        metrics: names of metrics.
        by_domain: each domain by itself, too.
        confidence: of the intervals, between 0.5 and 1.
        tolerance: share of the baseline's median.

    Raises:
        UsageError: no runs, an unknown metric, or a run that is in both.
    """
    _check(baseline, runs, metrics, confidence, tolerance)
    before, after = [read_history(one) for one in baseline], [read_history(one) for one in runs]
    differences = []
    for metric in (MEASURES[name] for name in metrics):
        for place in _places(metric, before):
            for domain in _domains(metric, before, by_domain):
                old, new = _figures(metric, place, domain, before), _figures(metric, place, domain, after)
                if old and new:
                    found = shift(old, new, confidence)
                    differences.append(_difference(metric, place, domain, old, new, found, tolerance))
    return BaselineComparison(
        baseline=tuple(one.run.id for one in before),
        runs=tuple(one.run.id for one in after),
        confidence=confidence,
        tolerance=tolerance,
        differences=tuple(differences),
        caveats=caveats([one.run for one in (*before, *after)]),
    )


def _check(
    baseline: Sequence[Path], runs: Sequence[Path], metrics: Sequence[str], confidence: float, tolerance: float
) -> None:
    if not baseline or not runs:
        raise UsageError("nothing to compare", hint="name runs, and with --baseline runs or a folder of them")
    both = {one.resolve() for one in baseline} & {one.resolve() for one in runs}
    if both:
        raise UsageError(f"{sorted(both)[0].name} is both in the baseline and compared with it")
    for name in metrics:
        if name not in MEASURES:
            guess = did_you_mean(name, MEASURES)
            lead = f'did you mean "{guess}"? ' if guess else ""
            raise UsageError(f'there is no metric "{name}"', hint=f"{lead}metrics: {', '.join(MEASURES)}")
    if not 0.5 <= confidence < 1:
        raise UsageError(f"--confidence {confidence:g}: not between 0.5 and 1", hint="0.95 is usual")
    if tolerance < 0:
        raise UsageError(f"--tolerance {tolerance:g}: below 0", hint="0.05 is five per cent of the baseline's median")


def _places(metric: Measure, histories: Sequence[History]) -> list[str | None]:
    if metric.scope is not Scope.PHASE:
        return [None]
    return list(dict.fromkeys(p.name for one in histories for p in one.phases if p.kind != _WARMUP))


def _domains(metric: Measure, histories: Sequence[History], by_domain: bool) -> list[str | None]:
    if not by_domain or not metric.by_domain:
        return [None]
    return [None, *dict.fromkeys(domain for one in histories for domain in one.domains)]


def _figures(metric: Measure, place: str | None, domain: str | None, histories: Sequence[History]) -> list[float]:
    """What the runs have of a metric; of what is known between bounds only, the upper one, as the reports have it."""
    figures = []
    for history in histories:
        phases: list[Phase | None] = [one for one in history.phases if one.name == place]
        for phase in phases if place else [None]:
            domains = (domain,) if domain else history.domains
            try:
                found = metric.measure(Question(history=history, phase=phase, domains=domains))
            except NoEvidence:
                continue
            if found.samples >= found.least:
                figures.append(found.high)
    return figures


def _difference(
    metric: Measure,
    place: str | None,
    domain: str | None,
    before: list[float],
    after: list[float],
    found: Shift,
    tolerance: float,
) -> Difference:
    return Difference(
        metric=metric.name,
        place=place or "run",
        domain=domain,
        higher_is_better=metric.higher_is_better,
        baseline=tuple(before),
        figures=tuple(after),
        estimate=found.estimate,
        low=found.low,
        high=found.high,
        outcome=outcome_of(found, tolerance * abs(median(before)), higher_is_better=metric.higher_is_better),
    )


def outcome_of(found: Shift, margin: float, *, higher_is_better: bool) -> Outcome:
    """What follows from a shift.

    Args:
        found: the shift.
        margin: what the estimate must exceed, in the same unit; infinite where the baseline never came to an end.
        higher_is_better: which way is worse.
    """
    if found.low is None or found.high is None:
        return Outcome.TOO_FEW
    margin = 0.0 if math.isinf(margin) else margin
    above = found.low > 0 and found.estimate > margin
    below = found.high < 0 and found.estimate < -margin
    if not above and not below:
        return Outcome.SAME
    return Outcome.BETTER if above is higher_is_better else Outcome.WORSE


def write_json(path: Path, comparison: BaselineComparison) -> None:
    """Write everything as JSON; what is infinite is null there.

    Raises:
        UsageError: it cannot be written.
    """
    data = {"verdict": comparison.verdict, "sentence": comparison.sentence, **msgspec.to_builtins(comparison)}
    write_text(path, msgspec.json.format(msgspec.json.encode(data), indent=1).decode() + "\n")


def show_change(one: Difference, value: float | None) -> str:
    """A difference in its metric's unit, with its sign."""
    if value is None:
        return ""
    sign = "+" if value > 0 else "-" if value < 0 else ""
    return f"{sign}{MEASURES[one.metric].dimension.show(abs(value))}"


def show_relative(one: Difference, value: float | None) -> str:
    """The same as a share of the baseline's median."""
    share = one.relative(value)
    return "" if share is None or math.isinf(share) else f"{share:+.1%}"
