"""The check and the claim of the audit trail, on records written by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from histories import ack, history_of, read

from necp_validate.claims.checks.registry import CHECKS
from necp_validate.claims.judge import judge_claims
from necp_validate.core import ClaimResult, Verdict
from necp_validate.record import REFUSED, AccessProbe, History, SecurityRound
from necp_validate.record.audit import AuditDrill, AuditRecord, Covered, TrailRead, TrailSighting

DAY_MS = 24 * 60 * 60 * 1000
HELD = AuditDrill(name="something", held=True, evidence="seen")
SOUND = AuditRecord(
    trail=TrailRead(records=9, opened=9, chains=2, by_key={"1": 4, "2": 5}),
    events=Covered(due=9),
    violations=Covered(due=3),
    provoked=Covered(due=1),
    retention_ms=2_555 * DAY_MS,
    retention_bytes=-1,
    cleanup_policy="delete",
    keyring_mode=0o600,
    rotation=HELD,
    erasure=HELD,
    tampering=(HELD,) * 7,
)
PROBE = AccessProbe(
    principal="combat-service",
    resource="topic:t",
    operation="Write",
    allowed=False,
    outcome=REFUSED,
    answer="no",
    log_line="Denied",
)


def history(record: AuditRecord | None, *probes: AccessProbe) -> History:
    one = SecurityRound(when="start", begin_us=1, end_us=2, access=probes or (PROBE,))
    plain = history_of(ack(0), read(0))
    run = replace(plain.run, config={**plain.run.config, "security": {"at": ["start"], "audit": True}})
    return replace(plain, run=run, security=(one,), audit=record)


def judged(record: AuditRecord | None, *probes: AccessProbe) -> ClaimResult:
    given = history(record, *probes)
    (result,) = judge_claims(given, [CHECKS["audit-trail"](given)], ["SEC-AUDIT"])
    return result


def test_a_sound_trail_passes_with_its_figures() -> None:
    result = judged(SOUND)
    assert result.verdict is Verdict.PASS
    assert result.measured == "9 records, 1 of 1 provoked violations, 2,555 days, 7 of 7 tamperings"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"retention_ms": 2_554 * DAY_MS}, "kept 2,554.0 days instead of 2,555"),
        ({"retention_bytes": 1_000_000}, "removed beyond 1,000,000 bytes"),
        ({"cleanup_policy": "compact"}, "cleanup.policy is compact"),
        ({"keyring_mode": 0o640}, "open to others (mode 640)"),
        ({"rotation": replace(HELD, held=False)}, "something: seen"),
        ({"erasure": replace(HELD, held=False)}, "something: seen"),
        ({"tampering": (*(HELD,) * 6, replace(HELD, held=False, name="one record removed"))}, "one record removed"),
        ({"provoked": Covered(due=1, missing=1)}, "1 records or events are not as they must be"),
        ({"trail": TrailRead(records=9, opened=8, clear=1)}, "1 records or events are not as they must be"),
    ],
)
def test_whatever_is_wrong_fails_the_claim(changes: dict[str, Any], words: str) -> None:
    result = judged(replace(SOUND, **changes))
    assert result.verdict is Verdict.FAIL
    assert words in result.evidence


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"retention_ms": None}, "did not tell how long"),
        ({"rotation": None}, "no drill: rotation of the key"),
        ({"erasure": None}, "no drill: erasure of a person"),
        ({"tampering": ()}, "too few records"),
        ({"trail": TrailRead()}, "there is no record in the trail"),
        ({"provoked": Covered()}, "1 lines on refused attempts were not looked for"),
        ({"needs": "needs the local or the docker stack"}, "needs the local or the docker stack"),
    ],
)
def test_what_the_evidence_lacks_leaves_the_claim_unknown(changes: dict[str, Any], words: str) -> None:
    result = judged(replace(SOUND, **changes))
    assert result.verdict is Verdict.UNKNOWN
    assert words in result.evidence


def test_kept_for_ever_is_long_enough() -> None:
    assert judged(replace(SOUND, retention_ms=-1)).verdict is Verdict.PASS


def test_without_a_violation_nothing_is_proven() -> None:
    result = judged(SOUND, replace(PROBE, log_line=""))
    assert (result.verdict, result.evidence) == (Verdict.UNKNOWN, "no attempt was refused that a broker has logged")


def test_a_trail_that_was_not_read_is_no_pass_where_it_had_to_be() -> None:
    assert judged(None).verdict is Verdict.UNKNOWN
    assert CHECKS["audit-trail"](history(None)).verdict is Verdict.UNKNOWN
    without = history_of(ack(0), read(0))
    assert CHECKS["audit-trail"](without).verdict is Verdict.PASS


def test_the_first_of_each_kind_is_told() -> None:
    sighting = TrailSighting(kind="clear", where="partition 1, offset 7", detail="JSON in clear")
    finding = CHECKS["audit-trail"](
        history(replace(SOUND, trail=TrailRead(records=2, opened=1, clear=1, examples=(sighting,))))
    )
    assert [(one.where, one.detail) for one in finding.examples] == [("partition 1, offset 7", "JSON in clear")]
