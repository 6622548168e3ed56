"""The page: whole, self-contained, and honest about what is missing."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from fabricate import Recipe, fabricate

from necp_validate.core import ClaimResult, Finding, SuiteError, UsageError, Verdict
from necp_validate.report.frames import load_run
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
    claim = ClaimResult(id="DUR-ACKED", title=evil, verdict=Verdict.PASS, threshold=evil, measured=evil, evidence=evil)
    check = Finding(name="lost-write", verdict=Verdict.FAIL, count=1, summary=evil)
    assert evil not in render(load_run(sound), conclude("r", [claim], [check]))


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
    assert "not judged" in text
    assert reports.junit is None
    assert reports.markdown.read_text(encoding="utf-8").startswith("## ❔ not judged")


def test_an_interrupted_run_says_so(sound: Path) -> None:
    stored = (sound / "run.json").read_text()
    stored = stored.replace('"status": "finished", "error": null', '"status": "failed", "error": "broker 2 died"')
    (sound / "run.json").write_text(stored)
    assert "broker 2 died" in render(load_run(sound), None)


def test_what_is_no_run_directory_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a run directory"):
        report(tmp_path)


def test_a_damaged_file_is_named(sound: Path) -> None:
    (sound / "history/readback.json").write_text("{")
    with pytest.raises(SuiteError, match=r"readback\.json is damaged"):
        report(sound)
