"""From a record to findings, claim results and one verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

# Importing these registers the checks and the metrics that they hold.
from necp_validate.claims.checks.events import (  # noqa: F401
    configuration,
    delivery,
    economy,
    fuzzing,
    handling,
    isolation,
    planted,
    polls,
    records,
    sends,
)
from necp_validate.claims.checks.faults import drills, effect, experiments, leadership, scaling, stops  # noqa: F401
from necp_validate.claims.checks.load import ends, flow, run_end, workers  # noqa: F401
from necp_validate.claims.checks.monitoring import alerts, metrics  # noqa: F401
from necp_validate.claims.checks.players import gateway, players, sessions  # noqa: F401
from necp_validate.claims.checks.registry import CHECKS, reconciled, run_checks
from necp_validate.claims.checks.security import attempts, audit, breakers, limits, secrets  # noqa: F401
from necp_validate.claims.judge import judge_claims, judged
from necp_validate.claims.metrics import incidents, resources, traffic, whole_run  # noqa: F401
from necp_validate.claims.metrics.measures import MEASURES
from necp_validate.claims.model import Claim
from necp_validate.core import ClaimResult, Finding, Verdict, worst
from necp_validate.evidence.inventory import Holding, inventory
from necp_validate.record import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What a run proved.

    Args:
        findings: of every check, those of what is not in the scenario included.
        claims: results of the judged claims.
        evidence: what was due and found, of every kind that a check or a claim of this run rests on.
    """

    findings: tuple[Finding, ...]
    claims: tuple[ClaimResult, ...]
    evidence: tuple[Holding, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """The worst of all; a run in which no claim was judged proves nothing."""
        verdicts = [found.verdict for found in self.findings] + [claim.verdict for claim in self.claims]
        return worst(verdicts if self.claims else [*verdicts, Verdict.UNKNOWN])


def judge_record(record: Record, own: Sequence[Claim] = (), *, repeats: Sequence[Record] = ()) -> Judgement:
    """Run every check over a record and judge the claims that its scenario names, and the user's own.

    Args:
        record: of the run.
        own: claims of the user's own.
        repeats: earlier runs of the same, for those that must hold in N of M.

    Raises:
        UsageError: it judges a claim that does not exist.
    """
    claims = (*judged(record), *own)
    comparisons, doubts = reconciled(record)
    findings = [*comparisons, *run_checks(record, doubts)]
    earlier = sorted(repeats, key=lambda one: one.run.started_us)
    results = judge_claims(record, findings, claims, doubts=doubts, repeats=earlier)
    return Judgement(findings=tuple(findings), claims=tuple(results), evidence=_evidence(record, claims))


def _evidence(record: Record, claims: Sequence[Claim]) -> tuple[Holding, ...]:
    kinds = [kind for one in CHECKS.values() if one.subject.there(record) for kind in one.evidence]
    kinds += [
        kind
        for claim in claims
        for one in (*claim.requires, *claim.conditions)
        if one.metric
        for kind in MEASURES[one.metric].evidence
    ]
    return tuple(inventory(record, kinds))
