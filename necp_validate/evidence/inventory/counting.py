"""A kind of evidence, and how much of it is due and found: by name, by number, by the time that samples cover."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from necp_validate.evidence.coverage import Span, covered_s, length_s, without
from necp_validate.record import FaultRecord, Phase, Record

SHARE_COVERED = 0.8
"""So much of a time must be covered by samples: on a saturated host, some come late or not at all."""

HOST_EVERY_S = BROKERS_EVERY_S = GATEWAY_EVERY_S = 1.0
KAFKA_EVERY_S = 2.0
"""Intervals at which host and brokers, and at which lag, replicas and groups are sampled, seconds."""

_SETTLING_S = 30.0
"""So long after a fault of the brokers, those who are asked may not answer yet."""

_MISSING_SHOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a check or a metric looks at.

    Args:
        phases: in order; all of them where it looks at the whole run.
        domains: of the events.
    """

    phases: tuple[Phase, ...]
    domains: tuple[str, ...]

    @property
    def spans(self) -> list[Span]:
        """The phases as times in epoch seconds."""
        return [(phase.start_us / 1e6, phase.end_us / 1e6) for phase in self.phases]


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """What is due of one thing, and what there is.

    Args:
        what: the thing, in the plural, e.g. ``partitions read back``.
        due: how many there must be.
        found: how many there are.
        file: where they are, in the run directory.
        missing: names of those that are not there, as far as they are known.
        misleads: whether what there is may look worse than the truth: then nothing in it proves a violation.
    """

    what: str
    due: float
    found: float
    file: str
    missing: tuple[str, ...] = ()
    misleads: bool = False

    @property
    def complete(self) -> bool:
        """Whether all that is due is there."""
        return self.found >= self.due

    def __str__(self) -> str:
        names = ", ".join(self.missing[:_MISSING_SHOWN])
        more = f" and {len(self.missing) - _MISSING_SHOWN} more" if len(self.missing) > _MISSING_SHOWN else ""
        lacking = f"; missing: {names}{more}" if names and not self.complete else ""
        if self.due == 1 and not self.found:
            return f"no {self.what} ({self.file}){lacking}"
        return f"{self.found:,.0f} of {self.due:,.0f} {self.what} ({self.file}){lacking}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One kind of evidence.

    Args:
        name: in a word or two.
        parts: names of the parts of the record that it lies in.
        count: what of it is due and found.
    """

    name: str
    parts: tuple[str, ...]
    count: Callable[[Record, Asked], Iterable[Holding]]


def whole_run(history: Record) -> Asked:
    """All phases and all domains."""
    return Asked(phases=history.phases, domains=history.domains)


def named(what: str, due: Iterable[str], found: Iterable[str], file: str, *, misleads: bool = False) -> Holding:
    """A holding of things that have names."""
    wanted = list(dict.fromkeys(due))
    there = set(found)
    missing = tuple(name for name in wanted if name not in there)
    return Holding(
        what=what, due=len(wanted), found=len(wanted) - len(missing), file=file, missing=missing, misleads=misleads
    )


def present(what: str, there: object, file: str, *, misleads: bool = False) -> Holding:
    """A holding of one thing."""
    return Holding(what=what, due=1, found=int(bool(there)), file=file, misleads=misleads)


def disturbed(history: Record, *, brokers_only: bool = False) -> list[Span]:
    """When those who are asked may not answer: under faults, and shortly after them."""
    return [_span(fault) for fault in history.faults if fault.upsets and (not brokers_only or _of_brokers(fault))]


def undisturbed(phase: Phase, spans: list[Span]) -> bool:
    """Whether none of some spans (see `disturbed`) touches a phase."""
    whole = phase.start_us / 1e6, phase.end_us / 1e6
    return without(whole, spans) == [whole]


def _of_brokers(fault: FaultRecord) -> bool:
    return not fault.kind.startswith(("core-", "gateway-", "scale-", "consumers-"))


def _span(fault: FaultRecord) -> Span:
    end_s = float("inf") if fault.end_us is None else fault.end_us / 1e6 + _SETTLING_S
    return fault.begin_us / 1e6, end_s


def sampled(
    what: str, file: str, asked: Asked, every_s: float, series: dict[str, list[float]], excused: Iterable[Span] = ()
) -> Holding:
    """How much of the phases each of several series of samples covers."""
    spans = [piece for span in asked.spans for piece in without(span, excused)]
    due = found = 0.0
    missing = []
    for name, times in series.items():
        length = length_s(spans)
        there = sum(covered_s(times, span, every_s) for span in spans)
        due, found = due + SHARE_COVERED * length, found + min(there, SHARE_COVERED * length)
        if there < SHARE_COVERED * length:
            missing.append(f"{name}: {there:.0f} of {length:.0f} s" if name else f"{there:.0f} of {length:.0f} s")
    if not series:
        return present(what, False, file)
    return Holding(
        what=what, due=due, found=found if not missing else min(found, due - 1), file=file, missing=tuple(missing)
    )


def misleading(
    count: Callable[[Record, Asked], Iterable[Holding]],
) -> Callable[[Record, Asked], Iterator[Holding]]:
    """The same where it is looked at for an explanation: without it, what is explained looks like a violation."""

    def counted(history: Record, asked: Asked) -> Iterator[Holding]:
        return (replace(one, misleads=True) for one in count(history, asked))

    return counted
