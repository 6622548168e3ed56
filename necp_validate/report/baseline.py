"""Repeated runs against a baseline of repeated runs: what got better, what got worse, and what cannot be told."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations
from pathlib import Path

import msgspec

from necp_validate.claims.checks.registry import doubted, reconciled
from necp_validate.claims.metrics.measures import MEASURES, Measure, Question, Scope
from necp_validate.claims.repeats import same_run
from necp_validate.core import Verdict
from necp_validate.core.errors import UsageError
from necp_validate.core.suggestions import did_you_mean
from necp_validate.evidence.inventory import Asked, shortfalls
from necp_validate.evidence.missing import NoEvidence
from necp_validate.record import Phase, Record, parts, read_info, read_record
from necp_validate.record.closing import changes_since
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
        return _named(self.metric, self.domain, self.place)

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
        caveats: why they prove less than they seem to: other conditions, or figures that do not count.
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
        """Fail if anything got worse; unknown with too few runs, with runs that are not alike, or with no figure."""
        if self.of(Outcome.WORSE):
            return Verdict.FAIL
        open_ = self.of(Outcome.TOO_FEW) or self.caveats or not self.differences
        return Verdict.UNKNOWN if open_ else Verdict.PASS

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
        said = f"None of {judged} figures got worse{f', {better} got better' if better else ''}"
        return f"{said}, but that proves nothing: {self.caveats[0]}." if self.caveats else f"{said}."


def find_runs(names: Sequence[str]) -> list[Path]:
    """Run directories, by path, id, ``last``, or a folder that holds some.

    Raises:
        UsageError: there is no such run, or a folder without any.
    """
    found: list[Path] = []
    for name in names:
        folder = Path(name)
        inside = sorted(one.parent for one in folder.glob(f"*/{parts.RUN.path}")) if folder.is_dir() else []
        found += inside if inside and not (parts.RUN.file(folder)).is_file() else [find_run(name)]
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
        UsageError: no runs, an unknown metric, or the same run twice.
    """
    _check(baseline, runs, metrics, confidence, tolerance)
    before, after = [_Run.read(one) for one in baseline], [_Run.read(one) for one in runs]
    differences = []
    for metric in (MEASURES[name] for name in metrics):
        for place in _places(metric, before):
            for domain in _domains(metric, before, by_domain):
                old, new = _figures(metric, place, domain, before), _figures(metric, place, domain, after)
                if old and new:
                    found = shift(old, new, confidence)
                    differences.append(_difference(metric, place, domain, old, new, found, tolerance))
    return BaselineComparison(
        baseline=tuple(one.id for one in before),
        runs=tuple(one.id for one in after),
        confidence=confidence,
        tolerance=tolerance,
        differences=tuple(differences),
        caveats=(*caveats([one.record.run for one in (*before, *after)]), *_not_counted((*before, *after))),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """One run that is compared.

    Args:
        record: of the run.
        doubts: parts of it that do not add up, with the reason.
        left_out: why figures of it do not count, each with the figures.
    """

    record: Record
    doubts: Mapping[str, str]
    left_out: dict[str, list[str]]

    @classmethod
    def read(cls, run_dir: Path) -> _Run:
        """Read a stored run."""
        record = read_record(run_dir)
        changes = changes_since(run_dir)
        why = "it was never closed" if changes is None else "it was changed since it was closed" if changes else ""
        return cls(record=record, doubts=reconciled(record)[1], left_out={why: []} if why else {})

    @property
    def id(self) -> str:
        """Of the run."""
        return self.record.run.id

    def figure(self, metric: Measure, phase: Phase | None, domain: str | None) -> float | None:
        """What it has of a metric; of what is known between bounds only, the upper one, as the reports have it."""
        domains = (domain,) if domain else self.record.domains
        try:
            found = metric.measure(Question(history=self.record, phase=phase, domains=domains))
        except NoEvidence:
            return None
        if found.samples < found.least:
            return None
        phases = self.record.phases if phase is None else (phase,)
        short = shortfalls(self.record, metric.evidence, Asked(phases=phases, domains=domains))
        reasons = [*map(str, short), *doubted(metric.evidence, self.doubts)]
        if reasons:
            figure = _named(metric.name, domain, phase.name if phase else None)
            self.left_out.setdefault(reasons[0], []).append(figure)
            return None
        return found.high


def _named(metric: str, domain: str | None, place: str | None) -> str:
    return f"{metric}{f' {domain}' if domain else ''} in {place or 'run'}"


def _not_counted(runs: Sequence[_Run]) -> list[str]:
    """Runs, or figures of them, that do not count, with the reason."""
    found = []
    for run in runs:
        for why, figures in run.left_out.items():
            more = f" and {len(figures) - 1} more" if len(figures) > 1 else ""
            what = f"{figures[0]}{more} of {run.id} does not count" if figures else run.id
            found.append(f"{what}: {why}")
    return found


def _check(
    baseline: Sequence[Path], runs: Sequence[Path], metrics: Sequence[str], confidence: float, tolerance: float
) -> None:
    if not baseline or not runs:
        raise UsageError("nothing to compare", hint="name runs, and with --baseline runs or a folder of them")
    for one, other in combinations((*baseline, *runs), 2):
        if same_run(one, other):
            where = "both in the baseline and compared with it" if one in baseline and other in runs else "there twice"
            raise UsageError(
                f"{read_info(other).id} is {where}: {one} and {other}",
                hint="what is compared are repeats: every run must be one of its own",
            )
    for name in metrics:
        if name not in MEASURES:
            guess = did_you_mean(name, MEASURES)
            lead = f'did you mean "{guess}"? ' if guess else ""
            raise UsageError(f'there is no metric "{name}"', hint=f"{lead}metrics: {', '.join(MEASURES)}")
    if not 0.5 <= confidence < 1:
        raise UsageError(f"--confidence {confidence:g}: not between 0.5 and 1", hint="0.95 is usual")
    if tolerance < 0:
        raise UsageError(f"--tolerance {tolerance:g}: below 0", hint="0.05 is five per cent of the baseline's median")


def _places(metric: Measure, runs: Sequence[_Run]) -> list[str | None]:
    if metric.scope is not Scope.PHASE:
        return [None]
    return list(dict.fromkeys(p.name for one in runs for p in one.record.phases if p.kind != _WARMUP))


def _domains(metric: Measure, runs: Sequence[_Run], by_domain: bool) -> list[str | None]:
    if not by_domain or not metric.by_domain:
        return [None]
    return [None, *dict.fromkeys(domain for one in runs for domain in one.record.domains)]


def _figures(metric: Measure, place: str | None, domain: str | None, runs: Sequence[_Run]) -> list[float]:
    """What the runs have of a metric in one place; of a run in which it does not count, nothing."""
    figures = []
    for run in runs:
        phases: list[Phase | None] = [one for one in run.record.phases if one.name == place]
        found = [run.figure(metric, phase, domain) for phase in (phases if place else [None])]
        figures += [figure for figure in found if figure is not None]
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
