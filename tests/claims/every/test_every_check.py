"""Each check in the frame: it passes on a sound record, finds what it is for, and proves nothing on less evidence."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from histories import finding_of, timed_history
from sound.broken import BROKEN, OF_THE_RUN
from sound.campaigns import campaign
from sound.everything import RECORD_OF_CHECK, checks_here, sound
from sound.faults import with_config
from sound.removals import REMOVALS

from necp_validate.claims import CHECKS, judge_record
from necp_validate.claims.catalogue import CLAIMS
from necp_validate.claims.limits import LIMITS
from necp_validate.core import Verdict
from necp_validate.evidence.inventory import Evidence, shortfalls
from necp_validate.record import Record

CRASHED = "the checker itself failed"

VIOLATIONS = {("fuzz-unaccounted", "100 of 101 fuzzed events with an end")}
"""Checks that find something wrong in the very lack of this evidence."""


def without(check: str) -> Record:
    """A run in whose scenario there is not what a check is about."""
    subject, plain = CHECKS[check].subject.name, timed_history(seconds=30, eps={"combat": 10.0})
    if subject == "load":
        return campaign()
    return with_config(plain, topics={"combat": 1.0}) if subject == "event core" else plain


def test_every_check_of_these_packages_has_its_records() -> None:
    """One that is added has to be given a sound one, and one in which it finds something."""
    assert set(RECORD_OF_CHECK) == set(checks_here())
    assert set(BROKEN) == set(checks_here()) - OF_THE_RUN


@pytest.mark.parametrize("name", RECORD_OF_CHECK)
def test_it_passes_on_a_sound_record_and_says_what_it_would_have_seen(name: str) -> None:
    finding = finding_of(sound(RECORD_OF_CHECK[name]), name)
    assert (finding.verdict, finding.count) == (Verdict.PASS, 0), finding.summary
    assert bool(finding.sees) == (name not in OF_THE_RUN)
    assert not shortfalls(sound(RECORD_OF_CHECK[name]), CHECKS[name].evidence)


@pytest.mark.parametrize("name", RECORD_OF_CHECK)
def test_it_is_not_applicable_without_its_subject_and_claims_on_it_are_unknown(name: str) -> None:
    finding = finding_of(without(name), name)
    assert (finding.verdict, finding.summary) == (Verdict.NOT_APPLICABLE, CHECKS[name].subject.absent)
    resting = [
        one.id
        for one in CLAIMS.values()
        if any(c.check == name and not c.where_comparable for c in (*one.requires, *one.conditions))
    ]
    run = replace(without(name).run, config={**without(name).run.config, "judge": resting})
    for claim in judge_record(replace(without(name), run=run)).claims:
        assert claim.verdict is Verdict.UNKNOWN


@pytest.mark.parametrize("name", BROKEN)
def test_it_fails_on_its_anomaly_and_so_do_the_claims_on_it(name: str) -> None:
    history = BROKEN[name]()
    finding = finding_of(history, name)
    assert finding.verdict is Verdict.FAIL
    assert finding.count >= 1
    assert not finding.sees
    resting = [
        claim.id
        for claim in CLAIMS.values()
        if any(one.check == name for one in claim.conditions)
        and not any(
            one.check in OF_THE_RUN and finding_of(history, one.check).verdict is not Verdict.PASS
            for one in claim.requires
        )
    ]
    judged = judge_record(replace(history, run=replace(history.run, config={**history.run.config, "judge": resting})))
    assert {claim.id: claim.verdict for claim in judged.claims} == dict.fromkeys(resting, Verdict.FAIL)
    assert judged.verdict is Verdict.FAIL


PAIRS = [(name, kind) for name in RECORD_OF_CHECK for kind in dict.fromkeys(CHECKS[name].evidence)]


@pytest.mark.parametrize(("name", "kind"), PAIRS, ids=[f"{name}-{kind.name}" for name, kind in PAIRS])
def test_less_of_its_evidence_than_is_due_is_unknown_and_told(name: str, kind: Evidence) -> None:
    """Whatever is taken away of a sound record: how much there is, of how much, and in which file."""
    removals = list(REMOVALS[kind.name](sound(RECORD_OF_CHECK[name])))
    assert removals
    for removal in removals:
        short = [str(one) for one in shortfalls(removal.record, CHECKS[name].evidence)]
        told = [words for words in short if removal.what in words]
        assert told, (removal.what, short)
        finding = finding_of(removal.record, name)
        assert CRASHED not in finding.summary
        if (name, removal.what) in VIOLATIONS:
            assert finding.verdict is Verdict.FAIL
            continue
        assert finding.verdict is Verdict.UNKNOWN, (removal.what, finding)
        for words in told:
            assert re.match(r"no |[\d,]+ of [\d,]+ ", words)
            assert words in finding.summary


BROKEN_PAIRS = [(name, kind) for name, kind in PAIRS if name in BROKEN]


@pytest.mark.parametrize(("name", "kind"), BROKEN_PAIRS, ids=[f"{name}-{kind.name}" for name, kind in BROKEN_PAIRS])
def test_an_anomaly_stands_unless_what_is_missing_may_have_made_it(name: str, kind: Evidence) -> None:
    """With less evidence than is due, a violation that is still there fails; it never becomes a pass."""
    for removal in REMOVALS[kind.name](BROKEN[name]()):
        there = CHECKS[name](removal.record).verdict is Verdict.FAIL
        misleads = any(one.misleads for one in shortfalls(removal.record, CHECKS[name].evidence))
        finding = finding_of(removal.record, name)
        assert finding.verdict in (Verdict.FAIL, Verdict.UNKNOWN), (removal.what, finding)
        if misleads or not there:
            assert finding.verdict is Verdict.UNKNOWN, (removal.what, finding)


LIMITED = [(name, limit) for name in RECORD_OF_CHECK for limit in dict.fromkeys(CHECKS[name].limits)]


def looser(limit: str) -> float:
    """A value that lets more pass than is claimed."""
    known = LIMITS[limit]
    highest = max([known.value, *known.by_kind.values()])
    return highest * 2 + 1 if known.stricter in ("lower", "exact") else known.value / 2


@pytest.mark.parametrize(("name", "limit"), LIMITED)
def test_a_looser_limit_than_claimed_proves_nothing(name: str, limit: str) -> None:
    history = with_config(sound(RECORD_OF_CHECK[name]), thresholds={limit: looser(limit)})
    finding = finding_of(history, name)
    assert finding.verdict is Verdict.UNKNOWN
    assert f"judged by a looser limit than claimed: {limit} is {looser(limit):g}" in finding.summary
    assert not finding.sees


@pytest.mark.parametrize(("name", "limit"), [pair for pair in LIMITED if pair[0] in BROKEN])
def test_a_violation_by_a_looser_limit_is_one_all_the_more(name: str, limit: str) -> None:
    """Where the looser limit lets it pass, nothing is known; it never becomes a pass."""
    history = with_config(BROKEN[name](), thresholds={limit: looser(limit)})
    still_there = CHECKS[name](history).verdict is Verdict.FAIL
    assert finding_of(history, name).verdict is (Verdict.FAIL if still_there else Verdict.UNKNOWN)


STRICTER: dict[tuple[str, str], tuple[float, Verdict, str]] = {
    ("experiment-outcome", "recovery_s"): (0.0, Verdict.FAIL, "did not come back"),
    ("audit-retention", "audit_days"): (3_000, Verdict.FAIL, "settings of the audit trail are not as claimed"),
    ("certificate-swap", "certificate_days"): (100, Verdict.FAIL, "1 things wrong"),
    ("circuit-breaker", "breaker_closes_s"): (1, Verdict.PASS, "closed in the end"),
    ("state-divergence", "least_comparisons"): (5_000, Verdict.UNKNOWN, "5,000 are the least"),
    ("interest-violation", "least_comparisons"): (50_000, Verdict.UNKNOWN, "50,000 of both are the least"),
    ("producer-limit", "social_p99_ms"): (5, Verdict.UNKNOWN, "claimed < 5 ms"),
}
"""By check and limit: a stricter value, what becomes of the sound record by it, and its words."""


@pytest.mark.parametrize(("name", "limit"), STRICTER)
def test_a_stricter_limit_is_applied(name: str, limit: str) -> None:
    value, verdict, words = STRICTER[name, limit]
    finding = finding_of(with_config(sound(RECORD_OF_CHECK[name]), thresholds={limit: value}), name)
    assert finding.verdict is verdict
    assert words in finding.summary
    assert "looser" not in finding.summary


@pytest.mark.parametrize("limit", [name for name, one in LIMITS.items() if one.stricter == "exact"])
def test_what_is_claimed_exactly_cannot_be_moved_at_all(limit: str) -> None:
    """A little more or less is another claim."""
    (name,) = [check for check in RECORD_OF_CHECK if limit in CHECKS[check].limits]
    for value in (LIMITS[limit].value * 1.01, LIMITS[limit].value * 0.99):
        finding = finding_of(with_config(sound(RECORD_OF_CHECK[name]), thresholds={limit: value}), name)
        assert finding.verdict is Verdict.UNKNOWN
        assert f"judged by a looser limit than claimed: {limit} is {value:g}" in finding.summary
    same = with_config(sound(RECORD_OF_CHECK[name]), thresholds={limit: LIMITS[limit].value})
    assert finding_of(same, name).verdict is Verdict.PASS
