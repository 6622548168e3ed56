"""The page: whole, self-contained, and honest about what is missing."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from fabricate import Recipe, fabricate, rewrite

from necp_validate.claims.run import Judgement
from necp_validate.core import ClaimResult, Finding, SuiteError, UsageError, Verdict
from necp_validate.evidence.inventory import Holding
from necp_validate.record import parts
from necp_validate.report.frames import load_run
from necp_validate.report.gate import gate
from necp_validate.report.html import render
from necp_validate.report.pipeline import report
from necp_validate.report.verdict import conclude, read_verdict

VOID = {"meta", "link", "br", "path", "use"}


class _Page(HTMLParser):
    """Collects tags, ids, links and text, and checks that tags are closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.labels: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self.ids += [named["id"]] if named.get("id") else []
        self.links += [named[key] or "" for key in ("src", "href", "xlink:href", "srcset") if key in named]
        self.labels += [named["aria-label"] or ""] if "aria-label" in named else []
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def page(judged: dict[str, Path]) -> _Page:
    return _Page((judged["lossy"] / "report.html").read_text(encoding="utf-8"))


def test_every_tag_is_closed_and_no_id_is_there_twice(page: _Page) -> None:
    assert page.open == []
    assert sorted(set(page.ids)) == sorted(page.ids)


def test_the_page_asks_nobody_for_anything(judged: dict[str, Path], page: _Page) -> None:
    text = (judged["lossy"] / "report.html").read_text(encoding="utf-8")
    assert [link for link in page.links if not link.startswith(("#", "data:"))] == []
    assert re.findall(r"url\((?!#)", text) == []
    assert "@import" not in text
    assert "<script" not in text


def test_verdict_claims_checks_and_examples_are_there(judged: dict[str, Path], page: _Page) -> None:
    verdict = read_verdict(judged["lossy"])
    assert "✗ fail" in page.text
    for claim in verdict.claims:
        assert claim.id in page.text
    for check in verdict.checks:
        assert check.name in page.text
    lost = next(check for check in verdict.checks if check.name == "lost-write")
    assert lost.examples[0].detail in page.text


def test_every_chart_is_drawn_and_labelled(page: _Page) -> None:
    assert len(page.labels) == len(set(page.labels)) == 14
    assert "no evidence" not in page.text


def test_charts_follow_the_theme_of_the_page(judged: dict[str, Path]) -> None:
    """No colour is fixed in a chart, and every variable that is used has a value."""
    text = (judged["lossy"] / "report.html").read_text(encoding="utf-8")
    charts = "".join(re.findall(r"<svg.*?</svg>", text, re.DOTALL))
    assert set(re.findall(r"#[0-9a-f]{6}", charts)) == set()
    assert set(re.findall(r"var\((--[\w-]+)\)", text)) <= set(re.findall(r"(--[\w-]+):", text))


def test_foreign_text_cannot_become_markup(sound: Path) -> None:
    evil = "<script>alert(1)</script>"
    claim = ClaimResult(
        id="DUR-ACKED", title=evil, verdict=Verdict.PASS, threshold=evil, measured=evil, evidence=evil, sees=evil
    )
    checks = [
        Finding(name=f"lost-{verdict}", verdict=verdict, count=1, summary=evil, sees=evil)
        for verdict in (Verdict.FAIL, Verdict.PASS, Verdict.NOT_APPLICABLE)
    ]
    holding = Holding(what=evil, due=2, found=1, file=evil, missing=(evil,))
    judgement = Judgement(findings=tuple(checks), claims=(claim,), evidence=(holding,))
    page = render(load_run(sound), conclude(sound, judgement))
    assert evil not in page
    assert page.count("&lt;script&gt;") >= 10


def _finding(verdict: Verdict, name: str, summary: str = "as it should be", sees: str = "") -> Finding:
    return Finding(name=name, verdict=verdict, count=0, summary=summary, sees=sees)


def _page(run: Path, claims: list[ClaimResult], checks: list[Finding], *evidence: Holding) -> str:
    judgement = Judgement(findings=tuple(checks), claims=tuple(claims), evidence=evidence)
    return render(load_run(run), conclude(run, judgement))


def test_checks_of_what_is_not_there_are_folded_away_and_not_counted(sound: Path) -> None:
    absent = [_finding(Verdict.NOT_APPLICABLE, f"absent-{n}", "the scenario has no players") for n in range(3)]
    page = _page(sound, [], [_finding(Verdict.PASS, "lost-write"), *absent])
    assert "checks: 1 pass<" in page
    folded = page[page.index("<summary>3 checks are about what this run does not have: not passed, and not counted") :]
    folded = folded[: folded.index("</details>")]
    for check in absent:
        assert f"<b>{check.name}</b>: the scenario has no players" in folded
        assert page.count(check.name) == folded.count(check.name) == 1


def test_evidence_is_shown_with_what_is_due_and_found(sound: Path) -> None:
    whole = Holding(what="phases", due=4, found=4, file="history/phases.json")
    short = Holding(what="partitions read back", due=12, found=5, file="history/readback.json", missing=("combat-2",))
    page = _page(sound, [], [], whole, short)
    assert "<details open><summary>Evidence: 1 of 2 kinds are complete</summary>" in page
    row = page[page.index("<tr><td>partitions read back") :].split("</tr>")[0]
    assert "missing: combat-2" in row
    assert '<td class="n">12</td><td class="n"><b class="unknown">5</b></td><td><code>history/readback.json' in row
    assert "<details><summary>Evidence: 1 of 1 kinds are complete</summary>" in _page(sound, [], [], whole)


def test_a_pass_says_what_would_have_been_seen(sound: Path) -> None:
    claim = ClaimResult(
        id="DUR-ACKED",
        title="t",
        verdict=Verdict.PASS,
        threshold="lost <= 0",
        measured="0",
        evidence="e",
        sees="1 loss",
    )
    page = _page(sound, [claim], [_finding(Verdict.PASS, "duplicate", sees="1 event that is there twice")])
    assert "Would have seen: 1 loss" in page
    assert "Would have seen: 1 event that is there twice" in page


def test_a_long_reason_is_told_once_and_folded(sound: Path) -> None:
    """Every condition of a claim names what is missing: the reader needs it once."""
    evidence = "run: no list of topics; 3 acked events; run: no list of topics; 5 records; run at scale 0.1"
    claim = ClaimResult(
        id="FT-BROKER",
        title="t",
        verdict=Verdict.UNKNOWN,
        threshold="lost <= 0; seen < 9 s",
        measured="",
        evidence=evidence,
    )
    page = _page(sound, [claim], [])
    assert "run: no list of topics; 3 acked events<details><summary>2 more</summary>5 records; run at scale 0.1" in page
    assert "<div>lost &lt;= 0</div><div>seen &lt; 9 s</div>" in page


def test_checks_that_are_unknown_for_one_reason_are_one_row(sound: Path) -> None:
    unknown = [
        _finding(Verdict.UNKNOWN, name, f"no list of topics; {name} found nothing") for name in ("unseen", "torn")
    ]
    page = _page(sound, [], [*unknown, _finding(Verdict.UNKNOWN, "drain", "no drain"), _finding(Verdict.FAIL, "lost")])
    assert "<b>2 checks</b>" in page
    assert "no list of topics<details><summary>unseen, torn</summary>" in page
    assert "<b>torn</b>: torn found nothing" in page
    places = [page.index(word) for word in ("<b>lost</b>", "<b>2 checks</b>", "<b>drain</b>")]
    assert places == sorted(places)


PARTS = (
    "history/phases.json",
    "history/load-*.json",
    "history/latency-*.npz",
    "history/timeline-*.jsonl",
    "history/readback.json",
    "history/drain.json",
    "metrics/host.csv",
    "metrics/brokers.csv",
    "metrics/lag.csv",
    "metrics/isr.csv",
)


@pytest.mark.parametrize("part", PARTS)
def test_a_missing_part_is_no_evidence_and_no_crash(tmp_path: Path, part: str) -> None:
    run = fabricate(tmp_path, Recipe(leave_out=frozenset({part})))
    page = _Page(report(run).html.read_text(encoding="utf-8"))
    assert page.open == []
    if part != "metrics/isr.csv":  # drawn only if there was anything to see
        assert "no evidence" in page.text


def test_a_run_with_nothing_but_run_json_has_a_report(tmp_path: Path) -> None:
    run = fabricate(tmp_path, Recipe(leave_out=frozenset(PARTS)))
    reports = report(run)
    text = _Page(reports.html.read_text(encoding="utf-8")).text
    assert reports.verdict.verdict is Verdict.UNKNOWN
    assert "? unknown" in text
    assert "The run directory does not hold:" in text
    assert "<testsuites" in reports.junit.read_text(encoding="utf-8")
    assert reports.markdown.read_text(encoding="utf-8").startswith("## ❔ unknown: smoke")


def test_an_interrupted_run_says_so(sound: Path) -> None:
    rewrite(sound, parts.RUN, status="failed", error="broker 2 died")
    verdict = gate(sound)
    assert verdict.verdict is Verdict.UNKNOWN
    assert "The run is failed</b>: broker 2 died" in render(load_run(sound), verdict)


def test_what_is_no_run_directory_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a run directory"):
        report(tmp_path)


def test_a_damaged_file_is_named(sound: Path) -> None:
    (sound / "history/readback.json").write_text("{")
    with pytest.raises(SuiteError, match=r"readback\.json is damaged"):
        report(sound)
