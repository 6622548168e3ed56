"""Each claim on faults, security, monitoring, players, books and campaigns: it holds on a sound run, and on no less."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from histories import claim_of, timed_history
from sound.everything import RECORDS_OF_CLAIM, claims_here, sound
from sound.faults import faulted, with_config
from sound.removals import REMOVALS

from necp_validate.claims import CHECKS
from necp_validate.claims.catalogue import CLAIMS
from necp_validate.claims.limits import LIMITS
from necp_validate.claims.metrics.measures import MEASURES
from necp_validate.claims.model import Condition
from necp_validate.core import Verdict
from necp_validate.evidence.inventory import Evidence
from necp_validate.evidence.subjects import CAMPAIGN
from necp_validate.record import Record
from necp_validate.record.suite_failures import SuiteFailure

ON = [(claim, name) for claim, names in RECORDS_OF_CLAIM.items() for name in names]
"""Each claim with each record that is evidence for it."""

VIOLATIONS = {("EVT-REGISTRY", "100 of 101 fuzzed events with an end")}
"""Where less evidence than is due is itself a violation."""


def conditions(claim: str, history: Record) -> list[Condition]:
    """Those that concern a record: some are for a load alone, some for a campaign."""
    kind = "campaign" if CAMPAIGN.there(history) else "load"
    of = CLAIMS[claim]
    return [one for one in (*of.requires, *of.conditions) if one.subject in ("", kind)]


def kinds(claim: str, history: Record) -> list[Evidence]:
    """Every kind of evidence that a claim rests on."""
    found: dict[str, Evidence] = {}
    for one in conditions(claim, history):
        evidence = CHECKS[one.check].evidence if one.check else MEASURES[one.metric].evidence
        found |= {kind.name: kind for kind in evidence if not one.where_comparable}
    return list(found.values())


def limits(claim: str, history: Record) -> list[str]:
    """Every limit that it is judged by."""
    found: dict[str, None] = {}
    for one in conditions(claim, history):
        names = CHECKS[one.check].limits if one.check else (one.limit, one.tolerance, *MEASURES[one.metric].limits)
        found |= dict.fromkeys(name for name in names if name)
    return list(found)


def test_every_claim_on_these_checks_and_metrics_has_its_record() -> None:
    assert set(RECORDS_OF_CLAIM) == set(claims_here())


@pytest.mark.parametrize(("claim", "name"), ON)
def test_it_holds_on_a_sound_run_and_says_what_would_have_been_seen(claim: str, name: str) -> None:
    result = claim_of(sound(name), claim)
    assert result.verdict is Verdict.PASS, result.evidence
    assert result.sees
    assert "looser" not in result.evidence


@pytest.mark.parametrize("claim", RECORDS_OF_CLAIM)
def test_it_is_unknown_of_a_run_that_is_not_about_it(claim: str) -> None:
    """A plain load, and one under a fault that is no evidence for it: nothing is judged by it, nothing passes."""
    plain = timed_history(seconds=30, eps={"combat": 10.0})
    assert claim_of(plain, claim).verdict is Verdict.UNKNOWN
    assert claim_of(faulted(), claim).verdict is Verdict.UNKNOWN


TAKEN = [(claim, name, kind) for claim, name in ON for kind in kinds(claim, sound(name))]


@pytest.mark.parametrize(("claim", "name", "kind"), TAKEN, ids=[f"{c}-{n}-{k.name}" for c, n, k in TAKEN])
def test_less_evidence_than_is_due_makes_it_unknown(claim: str, name: str, kind: Evidence) -> None:
    """Whatever is taken away of the sound run: how much there is, of how much, stands in the claim's evidence."""
    removals = list(REMOVALS[kind.name](sound(name)))
    assert removals
    for removal in removals:
        result = claim_of(removal.record, claim)
        expected = Verdict.FAIL if (claim, removal.what) in VIOLATIONS else Verdict.UNKNOWN
        assert result.verdict is expected, (removal.what, result.evidence)
        assert "the checker itself failed" not in result.evidence, (removal.what, result.evidence)
        assert not result.sees
        lead, *_ = removal.what.split(", ")
        assert lead in result.evidence, (removal.what, result.evidence)
        assert re.search(r"\bno [a-z]|[\d,]+ of [\d,]+ ", result.evidence)


LIMITED = [(claim, name, limit) for claim, name in ON for limit in limits(claim, sound(name))]


@pytest.mark.parametrize(("claim", "name", "limit"), LIMITED)
def test_a_looser_limit_than_claimed_proves_nothing(claim: str, name: str, limit: str) -> None:
    known = LIMITS[limit]
    highest = max([known.value, *known.by_kind.values()])
    value = highest * 2 + 1 if known.stricter in ("lower", "exact") else known.value / 2
    result = claim_of(with_config(sound(name), thresholds={limit: value}), claim)
    assert result.verdict is Verdict.UNKNOWN
    assert f"judged by a looser limit than claimed: {limit} is {value:g}" in result.evidence
    assert not result.sees


STRICTER: dict[tuple[str, str, str], tuple[float, Verdict, str]] = {
    ("FT-BROKER", "kill", "recovery_s"): (3, Verdict.FAIL, "recovery within 3.5 s"),
    ("FT-PARTITION", "cut", "recovery_s"): (3, Verdict.FAIL, "recovery within 3.5 s"),
    ("FT-CONSUMER", "core", "rebalance_s"): (7, Verdict.FAIL, "stable within 7.5 s"),
    ("SCALE-CONSUMERS", "consumers", "scaling_p99_ms"): (5, Verdict.FAIL, "P99 10 ms"),
    ("SCALE-PARTITIONS", "partitions", "scaling_p99_ms"): (5, Verdict.FAIL, "P99 10 ms"),
    ("LAT-SCALING", "consumers", "scaling_p99_ms"): (5, Verdict.FAIL, "P99 10 ms"),
    ("AVAIL", "soak", "soak_s"): (600, Verdict.UNKNOWN, "300 s"),
    ("AVAIL", "soak", "good_share"): (1.0, Verdict.PASS, "100%"),
    ("MTTR", "alerts", "mttr_s"): (10, Verdict.FAIL, "longest 11 s"),
    ("RES-STRUCT", "players", "struct_saving"): (0.5, Verdict.FAIL, "33.33%"),
    ("SEC-AUDIT", "audit", "audit_days"): (3_000, Verdict.FAIL, "kept 2,555 days"),
    ("SEC-CERTS", "certificate", "certificate_days"): (100, Verdict.FAIL, "1 certificates swapped"),
    ("GW-DELTA", "players", "least_comparisons"): (5_000, Verdict.UNKNOWN, ""),
}
"""By claim, record and limit: a stricter value, what becomes of the claim by it, and its figure."""


@pytest.mark.parametrize(("claim", "name", "limit"), STRICTER)
def test_a_stricter_limit_is_applied(claim: str, name: str, limit: str) -> None:
    value, verdict, measured = STRICTER[claim, name, limit]
    result = claim_of(with_config(sound(name), thresholds={limit: value}), claim)
    assert (result.verdict, measured in result.measured) == (verdict, True), result
    assert "looser" not in result.evidence


@pytest.mark.parametrize(("claim", "name"), ON)
def test_a_part_of_the_suite_that_failed_makes_it_unknown(claim: str, name: str) -> None:
    """Whatever is there of what it would have written."""
    history = sound(name)
    for kind in kinds(claim, history):
        failure = SuiteFailure(
            t_us=history.run.started_us, component="a probe", problem="it died", parts=kind.parts[:1]
        )
        result = claim_of(replace(history, suite_failures=(failure,)), claim)
        assert result.verdict is Verdict.UNKNOWN
        assert "no parts of the suite at work to the end (a probe: it died)" in result.evidence
