"""Faults in the reports: what was done, how it was seen, and how fast the system came back."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

from necp_validate.report.faults import fault_rows, losses
from necp_validate.report.frames import load_run
from necp_validate.report.plots import group_members, in_sync, throughput


def test_each_fault_is_a_row_with_its_figures(judged: dict[str, Path]) -> None:
    """A kill that was recovered from, a consumer's end, and two faults that prove nothing."""
    kill, core, cut, disk = fault_rows(load_run(judged["faulted"]).history)

    assert kill.seen
    assert kill.evidence == "pid 4711 gone"
    assert kill.recovery == "3.9 s"
    assert ("partition combat-0", "1.2 s") in kill.recoveries
    assert core.rebalance == "3.9 s"
    assert not cut.seen
    assert cut.evidence == "never seen to take effect"
    assert disk.evidence == "needs a disk of its own for each broker"
    assert disk.recovery == "–"  # noqa: RUF001  # the dash that tables use


def test_the_charts_mark_faults_where_they_were_in_force(judged: dict[str, Path]) -> None:
    """Those that were seen are shaded; one that cannot be done is not drawn at all."""
    run = load_run(judged["faulted"])
    sound = load_run(judged["sound"])

    assert [(span.label, span.seen) for span in run.faults] == [("1", True), ("2", True), ("3", False)]
    drawn, plain = throughput(run, "combat"), throughput(sound, "combat")
    assert drawn is not None
    assert plain is not None
    assert drawn.count("var(--fault)") == 2
    assert "var(--fault)" not in plain
    assert in_sync(run) is not None
    assert group_members(run) is not None
    assert group_members(sound) is None


def test_page_summary_and_junit_have_the_faults(judged: dict[str, Path]) -> None:
    """And none of them speaks of faults where there were none."""
    run = judged["faulted"]
    page = (run / "report.html").read_text(encoding="utf-8")
    assert '<h2 id="faults">' in page
    assert "who came back when" in page
    summary = (run / "summary.md").read_text(encoding="utf-8")
    assert "| 1 | broker-kill-1 | broker-2 (leader of game.combat.events-3) | pid 4711 gone |" in summary
    suite = ET.parse(run / "junit.xml").getroot().find("testsuite[@name='faults']")
    assert suite is not None
    assert (suite.get("tests"), suite.get("skipped"), suite.get("failures")) == ("4", "2", "0")
    for name in ("report.html", "summary.md", "junit.xml"):
        assert "broker-kill" not in (judged["sound"] / name).read_text(encoding="utf-8")


def test_losses_say_where_they_were_lost(judged: dict[str, Path]) -> None:
    """Three events are gone from the brokers; the event core gave an outcome to all that are there."""
    said = losses(load_run(judged["lossy"]).history)

    assert "3 acked events on the brokers" in said
