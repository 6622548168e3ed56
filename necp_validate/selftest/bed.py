"""The sound runs that defects are seeded into, with the claims that each is judged by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from necp_validate.claims.catalogue import CLAIMS
from necp_validate.claims.checks.registry import CHECKS
from necp_validate.claims.limits import replaced
from necp_validate.claims.model import Claim, Condition
from necp_validate.claims.run import Judgement
from necp_validate.claims.stored import judge_run
from necp_validate.core import Verdict
from necp_validate.evidence.reconcile import RECONCILERS
from necp_validate.selftest import campaign, topics
from necp_validate.selftest.contents import Contents
from necp_validate.selftest.defect import Defect
from necp_validate.selftest.defects.attempts import SECURITY_DEFECTS
from necp_validate.selftest.defects.audit import AUDIT_DEFECTS
from necp_validate.selftest.defects.campaign import CAMPAIGN_DEFECTS
from necp_validate.selftest.defects.faults import FAULT_DEFECTS
from necp_validate.selftest.defects.limits import LIMIT_DEFECTS
from necp_validate.selftest.defects.load import LOAD_DEFECTS
from necp_validate.selftest.defects.monitoring import MONITORING_DEFECTS
from necp_validate.selftest.defects.players import PLAYER_DEFECTS
from necp_validate.selftest.defects.record import RECORD_DEFECTS
from necp_validate.selftest.defects.secrets import SECRET_DEFECTS
from necp_validate.selftest.defects.topics import TOPIC_DEFECTS
from necp_validate.selftest.simulated.scenario import JUDGED, REPLACED
from necp_validate.selftest.simulated.sound import sound_contents


@dataclass(frozen=True, slots=True, kw_only=True)
class Bed:
    """A sound run.

    Args:
        name: in a word.
        sound: its record.
        judges: the checks and comparisons that must pass; no other may be applicable.
        claims: those that it judges, with the conditions that concern such a run.
        limits: by which it is judged in place of the catalogue's.
        defects: that are seeded into it.
    """

    name: str
    sound: Callable[[], Contents]
    judges: frozenset[str]
    claims: Mapping[str, Claim]
    defects: tuple[Defect, ...]
    limits: Mapping[str, float] = field(default_factory=dict)

    def judge(self, run_dir: Path) -> Judgement:
        """Judge a run directory as `gate` does, by this run's limits."""
        with replaced(self.limits):
            return judge_run(run_dir)


def verdicts_of(judgement: Judgement) -> dict[str, Verdict]:
    """The verdicts of checks, comparisons and claims, by name."""
    checks = {finding.name: finding.verdict for finding in judgement.findings}
    return checks | {claim.id: claim.verdict for claim in judgement.claims}


def _concerning(subject: str, ids: tuple[str, ...]) -> dict[str, Claim]:
    """Claims with the conditions that are for a run of a load, or of a campaign."""

    def of(conditions: tuple[Condition, ...]) -> tuple[Condition, ...]:
        return tuple(one for one in conditions if one.subject in ("", subject))

    claims = [CLAIMS[id_] for id_ in ids]
    return {one.id: replace(one, conditions=of(one.conditions), requires=of(one.requires)) for one in claims}


_ANY_RUN = frozenset({"changed-record", "complete-run", "suite-failure"})
_OF_CAMPAIGN = frozenset(
    {
        *("fuzz-unaccounted", "fuzz-outcome", "fuzz-dead-letter", "fuzz-effect", "fuzz-crash"),
        *("fuzz-combat", "fuzz-economy", "fuzz-social", "fuzz-system", "topic-settings"),
    }
)
_OF_TOPICS = frozenset(
    {
        *("stream-account", "phase-account", "error-account", "timeline-account", "histogram-account"),
        "position-account",
        *("silence-account", "lost-write", "unseen", "duplicate", "inconsistent-offsets", "nonmonotonic-send"),
        *("nonmonotonic-poll", "key-mismatch", "value-mismatch", "unknown-record"),
        *("failed-send", "failed-write-read", "longest-gap", "late-schedule"),
    }
)

BEDS: tuple[Bed, ...] = (
    Bed(
        name="load",
        sound=sound_contents,
        judges=_ANY_RUN | (CHECKS.keys() - _OF_CAMPAIGN) | RECONCILERS.keys(),
        claims=_concerning("load", JUDGED),
        limits=REPLACED,
        defects=(
            *(*LOAD_DEFECTS, *FAULT_DEFECTS, *PLAYER_DEFECTS, *SECURITY_DEFECTS, *AUDIT_DEFECTS),
            *(*LIMIT_DEFECTS, *SECRET_DEFECTS, *MONITORING_DEFECTS, *RECORD_DEFECTS),
        ),
    ),
    Bed(
        name="topics",
        sound=lambda: topics.new_topic_run().contents(),
        judges=_ANY_RUN | _OF_TOPICS,
        claims=_concerning("load", topics.JUDGED),
        defects=TOPIC_DEFECTS,
    ),
    Bed(
        name="campaign",
        sound=lambda: campaign.new_campaign().contents(),
        judges=_ANY_RUN | _OF_CAMPAIGN | {"graceful-shutdown"},
        claims=_concerning("campaign", campaign.JUDGED),
        defects=CAMPAIGN_DEFECTS,
    ),
)
