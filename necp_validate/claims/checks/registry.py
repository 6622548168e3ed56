"""The checks by name: one pure function per anomaly, what each is about, and what evidence it rests on.

A check is judged in one frame, whatever it looks for: where its subject is not in the scenario it is not applicable;
where less evidence is there than is due, finding nothing proves nothing; where a limit was made looser than claimed, a
pass is none. The function itself sees none of this.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

from necp_validate.claims.limits import loosened
from necp_validate.claims.saturation import saturation
from necp_validate.core import Example, Finding, Verdict
from necp_validate.evidence.inventory import Evidence, Holding, shortfalls
from necp_validate.evidence.missing import NoEvidence, crash_summary
from necp_validate.evidence.reconcile import RECONCILERS, Reconciler, distrusted
from necp_validate.evidence.reconcile.discrepancy import Discrepancy
from necp_validate.evidence.subjects import Subject
from necp_validate.record import Record

Function: TypeAlias = Callable[[Record], Finding]

_EXAMPLES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check.

    Args:
        name: as the field calls the anomaly.
        function: looks for it, on a complete record; raises :class:`NoEvidence` where the record cannot say.
        subject: what it is about.
        evidence: what it rests on.
        limits: names of the limits that it uses.
    """

    name: str
    function: Function
    subject: Subject
    evidence: tuple[Evidence, ...]
    limits: tuple[str, ...]

    def __call__(self, history: Record) -> Finding:
        """Look for the anomaly, whatever is missing; a crash of the function is unknown, as a lack of evidence is."""
        try:
            return self.function(history)
        except NoEvidence as missing:
            return Finding(name=self.name, verdict=Verdict.UNKNOWN, count=0, summary=str(missing))
        except Exception as crash:  # noqa: BLE001  # a checker's bug must not hide what the others found
            return Finding(name=self.name, verdict=Verdict.UNKNOWN, count=0, summary=crash_summary(crash))

    def judge(self, history: Record, doubts: Mapping[str, str]) -> Finding:
        """Judge a record by it.

        Args:
            history: the record.
            doubts: parts of the record that do not add up, with the reason.
        """
        if not self.subject.there(history):
            return Finding(name=self.name, verdict=Verdict.NOT_APPLICABLE, count=0, summary=self.subject.absent)
        short = shortfalls(history, self.evidence)
        found = self(history)
        kinds = [phase.kind for phase in history.phases]
        return weighed(found, short, doubted(self.evidence, doubts), loosened(history, self.limits, kinds or (None,)))


def doubted(evidence: Iterable[Evidence], doubts: Mapping[str, str]) -> list[str]:
    """Why evidence of these kinds cannot be relied on; nothing if it can."""
    parts = dict.fromkeys(part for kind in evidence for part in kind.parts)
    return list(dict.fromkeys(doubts[part] for part in parts if part in doubts))


def weighed(found: Finding, short: Iterable[Holding], doubts: Iterable[str], looser: Iterable[str]) -> Finding:
    """A finding in the light of what is missing.

    A pass becomes unknown where evidence is missing, doubtful, or judged by a looser limit; so does what is said to be
    not applicable. A violation stands, unless what is missing may have made it.
    """
    short, doubts, looser = list(short), list(doubts), list(looser)
    misleading = [str(one) for one in short if one.misleads] + [f"the record does not add up: {why}" for why in doubts]
    if found.verdict is Verdict.FAIL and not misleading:
        return found
    reasons = misleading + [str(one) for one in short if not one.misleads] + looser
    if not reasons:
        return found
    summary = "; ".join(dict.fromkeys([*reasons, found.summary]))
    return replace(found, verdict=Verdict.UNKNOWN, summary=summary, sees="")


CHECKS: dict[str, Check] = {}


def check(name: str, subject: Subject, *evidence: Evidence, limits: Iterable[str] = ()) -> Callable[[Function], Check]:
    """Register a check under the name the field gives its anomaly.

    Args:
        name: of the check.
        subject: what it is about: without it in the scenario, the check is not applicable.
        evidence: every kind that it rests on.
        limits: names of the limits that it uses.

    Raises:
        ValueError: the name is taken.
    """

    def register(function: Function) -> Check:
        if name in CHECKS or name in RECONCILERS:
            raise ValueError(f"two checks are named {name!r}")
        CHECKS[name] = Check(name=name, function=function, subject=subject, evidence=evidence, limits=tuple(limits))
        return CHECKS[name]

    return register


def reconciled(history: Record) -> tuple[list[Finding], dict[str, str]]:
    """Whether the record adds up: a finding for each comparison, and the parts that cannot be relied on."""
    findings: list[Finding] = []
    doubts: dict[str, str] = {}
    for name, reconciler in RECONCILERS.items():
        if not reconciler.subject.there(history):
            absent = reconciler.subject.absent
            findings.append(Finding(name=name, verdict=Verdict.NOT_APPLICABLE, count=0, summary=absent))
            continue
        finding, found = _compared(name, reconciler, history)
        findings.append(weighed(finding, shortfalls(history, reconciler.evidence), (), ()))
        for part, reason in distrusted(found).items():
            doubts.setdefault(part, reason)
    return findings, doubts


def _compared(name: str, reconciler: Reconciler, history: Record) -> tuple[Finding, list[Discrepancy]]:
    found: list[Discrepancy] = []
    try:
        found.extend(reconciler.compare(history))
    except NoEvidence as missing:
        if not found:  # what differs is known, whatever else is missing
            return Finding(name=name, verdict=Verdict.UNKNOWN, count=0, summary=str(missing)), []
    except Exception as crash:  # noqa: BLE001  # as for any checker
        return Finding(name=name, verdict=Verdict.UNKNOWN, count=0, summary=crash_summary(crash)), []
    if not found:
        about = (reconciler.compare.__doc__ or "").strip().splitlines()[0].rstrip(".")
        return Finding(name=name, verdict=Verdict.PASS, count=0, summary=about[0].lower() + about[1:]), []
    worst = sorted(found, key=lambda one: one.count, reverse=True)
    saturated = any(saturation(history, phase).saturated for phase in history.phases)
    decisive = [one for one in worst if one.broken and not (one.timed and saturated)]
    first, broken = (decisive or worst)[0], bool(decisive)
    more = f"; and {len(found) - 1} more" if len(found) > 1 else ""
    return (
        Finding(
            name=name,
            verdict=Verdict.FAIL if broken else Verdict.UNKNOWN,
            count=sum(one.count for one in found),
            summary=f"{first.where}: {first.detail}{more}",
            examples=tuple(Example(where=one.where, detail=one.detail) for one in worst[:_EXAMPLES]),
        ),
        found,
    )


def run_checks(history: Record, doubts: Mapping[str, str]) -> list[Finding]:
    """Judge a record by every check.

    Args:
        history: the record.
        doubts: parts of the record that do not add up, with the reason.
    """
    return [one.judge(history, doubts) for one in CHECKS.values()]
