"""How the run on Kafka in pods becomes one finding."""

from pathlib import Path

import pytest

from necp_validate.claims import Judgement
from necp_validate.core.verdict import ClaimResult, Finding, Verdict
from necp_validate.kubernetes import kubelet_tier
from necp_validate.report.verdict import RunVerdict, conclude


def claim(id_: str, verdict: Verdict) -> ClaimResult:
    return ClaimResult(id=id_, title=id_, verdict=verdict, threshold="t", measured="m", evidence="e")


def run(*claims: ClaimResult, gap: Verdict = Verdict.PASS) -> RunVerdict:
    gaps = Finding(name="longest-gap", verdict=gap, count=0, summary="a silence")
    return conclude(Path("x"), Judgement(findings=(gaps,), claims=claims))


P, F, U = Verdict.PASS, Verdict.FAIL, Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("verdict", "wanted", "word"),
    [
        (run(claim("DUR-ACKED", P), claim("FT-BROKER", P)), P, "DUR-ACKED pass"),
        (run(claim("DUR-ACKED", F), claim("FT-BROKER", P)), F, "DUR-ACKED fail"),
        (run(claim("DUR-ACKED", P), claim("FT-BROKER", P), gap=F), F, "longest-gap"),
        (run(claim("DUR-ACKED", P), claim("FT-BROKER", U)), U, "FT-BROKER unknown"),
        (run(claim("DUR-ACKED", P)), U, "DUR-ACKED pass"),
        (run(), U, "no verdict"),
    ],
)
def test_the_finding_is_what_the_run_says(
    verdict: RunVerdict, wanted: Verdict, word: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(kubelet_tier, "judge_and_report", lambda _: verdict)
    finding = kubelet_tier.judged(Path("x"))
    assert finding.verdict is wanted
    assert word in finding.summary


def test_where_there_can_be_no_node_the_tier_is_unknown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(kubelet_tier.node, "why_not", lambda: "needs root")
    proof = kubelet_tier.Proof(out=tmp_path, progress=lambda _: None)
    kubelet_tier.prove(proof)
    (finding,) = proof.findings
    assert (finding.verdict, finding.summary) == (U, "needs root")
