"""The claim about circuit breakers: poison opens one, it stays open for its time, tries, closes; nothing is lost."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from necp_validate.claims.checks.faults.failover import Problem, losses, ruling
from necp_validate.claims.checks.faults.faults import faults_for
from necp_validate.claims.checks.registry import NoEvidence
from necp_validate.claims.judge import Evidence, Ruling, judges
from necp_validate.core import Verdict
from necp_validate.record import BreakerSample, FaultRecord, History

FAILURE_THRESHOLD = 0.5
RECOVERY_S = 60.0
WINDOW_S = 300.0
EARLY_S = 1.0
LATE_S = 5.0
"""It is looked at ten times a second, by a busy host: a breaker may seem to act a little early or late."""
_CLOSES_WITHIN_S = 20.0
_READS_OUT_S = 2.0
_OTHERS = 0.9
_CLEARLY = 1.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """One time that a breaker was open.

    Args:
        opened: the first sample that says so.
        tried: the first one after which it had gone half-open; None if it never did.
    """

    opened: BreakerSample
    tried: BreakerSample | None

    @property
    def open_s(self) -> float | None:
        """How long it was open."""
        return None if self.tried is None else (self.tried.t_us - self.opened.t_us) / 1e6


@judges(
    "SEC-BREAKER",
    "opens at half of the events failing, stays open for 60 s, tries, closes; nothing lost, other domains go on",
)
def circuit_breaker(evidence: Evidence) -> Ruling:
    """Breakers under poison, as ``/health`` told it from moment to moment."""
    history = evidence.history
    faults = faults_for(history, "SEC-BREAKER")
    if not history.breakers:
        raise NoEvidence("nobody looked at the circuit breakers")
    _, problems, lost = losses(evidence)
    measured = []
    for fault in faults:
        domain = fault.target.split(" ")[0]
        by_instance = _samples(history, fault, domain)
        problems += _configured(history, by_instance)
        opened = {name: found for name, samples in by_instance.items() if (found := openings(samples))}
        if not opened:
            problems.append(_never_opened(history, fault, domain))
            continue
        for name, found in opened.items():
            problems += _went_well(history, by_instance[name], found)
            measured.append(f"{domain} of {name}: {_words(found)}, {by_instance[name][-1].state} in the end")
        for found in opened.values():
            problems += _meanwhile(history, domain, found, alone=len(by_instance) == 1)
    return ruling(problems, "; ".join(measured) or "never open", "; ".join([*_notes(faults), lost]))


def _notes(faults: Sequence[FaultRecord]) -> Iterator[str]:
    for fault in faults:
        yield f"{fault.id}: {fault.needs or fault.evidence}"


def _words(found: Sequence[Opening]) -> str:
    texts = []
    for one in found:
        ratio = "?" if one.opened.ratio_at_opening is None else f"{one.opened.ratio_at_opening:.1%}"
        lasted = "to the end" if one.open_s is None else f"for {one.open_s:.1f} s"
        texts.append(f"opened at {ratio} failures, open {lasted}")
    return ", then ".join(texts)


def _samples(history: History, fault: FaultRecord, domain: str) -> dict[str, list[BreakerSample]]:
    """What was seen of a domain's breakers under a fault, by instance."""
    found: dict[str, list[BreakerSample]] = defaultdict(list)
    for sample in history.breakers:
        within = sample.t_us >= fault.begin_us and (fault.end_us is None or sample.t_us <= fault.end_us)
        if sample.domain == domain and within:
            found[sample.instance].append(sample)
    return found


def openings(samples: Sequence[BreakerSample]) -> list[Opening]:
    """The times that a breaker was open, from its samples; its counters tell of states too short to be seen."""
    found = []
    for at, sample in enumerate(samples):
        if at and sample.openings > samples[at - 1].openings:
            later = samples[at + 1 :] if sample.state == "open" else samples[at:]
            tried = next((one for one in later if one.state != "open" or one.trials > sample.trials), None)
            found.append(Opening(opened=sample, tried=tried))
    return found


def _configured(history: History, by_instance: dict[str, list[BreakerSample]]) -> Iterator[Problem]:
    claimed = (
        history.threshold("breaker_failure", FAILURE_THRESHOLD),
        history.threshold("breaker_recovery_s", RECOVERY_S),
        history.threshold("breaker_window_s", WINDOW_S),
    )
    for name, samples in by_instance.items():
        first = samples[0]
        found = (first.failure_threshold, first.recovery_timeout_s, first.monitoring_window_s)
        if found != claimed:
            words = " / ".join(
                "{:g} of failures, {:g} s open, {:g} s window".format(*each) for each in (found, claimed)
            )
            yield Verdict.UNKNOWN, f"{name} is not configured as claimed: {words}"


def _never_opened(history: History, fault: FaultRecord, domain: str) -> Problem:
    """A breaker that never opens has failed, if there was reason to open by an independent count."""
    threshold = history.threshold("breaker_failure", FAILURE_THRESHOLD)
    poison = sum(s.acked.count for load in history.drill_loads for s in load.streams if load.planted.get(s.domain))
    end_s = (fault.end_us or fault.begin_us) / 1e6
    good = bad = 0
    for row in history.timeline:
        if row.domain == domain and end_s - history.threshold("breaker_window_s", WINDOW_S) <= row.t <= end_s:
            bad += row.dead_lettered or 0
            good += (row.processed or 0) + (row.rejected or 0)
    handled = poison + good + bad
    share = (poison + bad) / handled if handled else 0.0
    if share >= min(threshold * _CLEARLY, 1.0):
        return (
            Verdict.FAIL,
            f"the breaker of {domain} never opened at {share:.0%} failures by the count of what was sent",
        )
    return Verdict.UNKNOWN, f"the breaker of {domain} had no reason to open: {share:.0%} failures"


def _went_well(history: History, samples: Sequence[BreakerSample], found: Sequence[Opening]) -> Iterator[Problem]:
    """Opened at the threshold, open for its time, tried, closed."""
    last = samples[-1]
    if samples[0].state != "closed":
        yield Verdict.UNKNOWN, f"the breaker was {samples[0].state} before the poison"
    for one in found:
        timeout_s = one.opened.recovery_timeout_s
        ratio = one.opened.ratio_at_opening
        if ratio is not None and ratio < one.opened.failure_threshold:
            yield Verdict.FAIL, f"it opened at {ratio:.1%} failures"
        if one.open_s is None or one.tried is None:
            watched_s = (last.t_us - one.opened.t_us) / 1e6
            over = watched_s > timeout_s + LATE_S
            yield (Verdict.FAIL if over else Verdict.UNKNOWN), f"it never tried in the {watched_s:.1f} s after opening"
        elif not timeout_s - EARLY_S <= one.open_s <= timeout_s + LATE_S:
            yield Verdict.FAIL, f"it was open for {one.open_s:.1f} s, its recovery timeout is {timeout_s:g} s"
        if one.tried is not None and one.tried.trials <= one.opened.trials:
            yield Verdict.FAIL, "it closed without a trial"
    tried = found[-1].tried
    if last.state != "closed" and tried is not None:
        watched_s = (last.t_us - tried.t_us) / 1e6
        over = watched_s > history.threshold("breaker_closes_s", _CLOSES_WITHIN_S)
        # A trial is decided by events: an instance to which none came is neither right nor wrong.
        failed = over and last.tried_events > 0
        words = f"{last.state} {watched_s:.1f} s after its trial began, {last.tried_events:,} events came for it"
        yield (Verdict.FAIL if failed else Verdict.UNKNOWN), words


def _meanwhile(history: History, domain: str, found: Sequence[Opening], *, alone: bool) -> Iterator[Problem]:
    """While it was open the other domains went on, and nothing of its own was handled.

    The latter can be told only of an instance that is alone: with several, the others' partitions go on.
    """
    acked: dict[str, int] = defaultdict(int)
    handled: dict[str, int] = defaultdict(int)
    for one in found:
        if one.tried is None:
            continue
        begin_s, end_s = one.opened.t_us / 1e6 + _READS_OUT_S, one.tried.t_us / 1e6 - EARLY_S
        for row in history.timeline:
            if begin_s <= row.t <= end_s:
                acked[row.domain] += row.acked
                handled[row.domain] += (row.processed or 0) + (row.rejected or 0) + (row.dead_lettered or 0)
    if not acked[domain]:
        yield Verdict.UNKNOWN, f"no {domain} event came while the breaker was open"
    if alone and handled[domain]:
        yield Verdict.FAIL, f"{handled[domain]:,} {domain} events were handled while the breaker was open"
    for name in sorted(acked.keys() - {domain}):
        if handled[name] < _OTHERS * acked[name]:
            words = f"{handled[name]:,} of {acked[name]:,} {name} events were handled"
            yield Verdict.FAIL, f"{words} while the breaker of {domain} was open"
