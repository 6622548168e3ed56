"""From a finished run directory to its verdict and every report of it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from necp_validate.report.faults import fault_rows
from necp_validate.report.frames import load_run
from necp_validate.report.html import write_html
from necp_validate.report.junit import write_junit
from necp_validate.report.markdown import write_markdown
from necp_validate.report.verdict import RunVerdict, conclude, read_verdict, sentence, write_verdict
from necp_validate.results.errors import UsageError
from necp_validate.scenario.events import OnEvent, StageFinished, StageStarted, VerdictReached, ignore
from necp_validate.verify import verify_run


@dataclass(frozen=True, slots=True, kw_only=True)
class Reports:
    """Where the reports of a run lie.

    Args:
        verdict: what they say; None if the run has not been judged.
        html: one self-contained page.
        markdown: the summary for a CI job.
        junit: test cases; None without a verdict.
    """

    verdict: RunVerdict | None
    html: Path
    markdown: Path
    junit: Path | None


def judge(run_dir: Path, *, on_event: OnEvent = ignore) -> RunVerdict:
    """Run every check and judge every claim of a stored run; writes ``verdict.json``.

    Raises:
        UsageError: this is no run directory.
        SuiteError: a file in it is damaged.
    """
    on_event(StageStarted(stage="verify"))
    begun = time.monotonic()
    findings, claims, _ = verify_run(run_dir)
    verdict = conclude(run_dir.resolve().name, claims, findings)
    write_verdict(run_dir, verdict)
    on_event(StageFinished(stage="verify", seconds=time.monotonic() - begun))
    return verdict


def report(run_dir: Path, *, on_event: OnEvent = ignore) -> Reports:
    """Write every report of a stored run, from its history and its verdict.

    Raises:
        UsageError: this is no run directory, or its verdict cannot be read.
        SuiteError: a file in it is damaged.
    """
    on_event(StageStarted(stage="report"))
    begun = time.monotonic()
    run = load_run(run_dir)
    verdict = _verdict_if_any(run_dir)
    reports = Reports(
        verdict=verdict,
        html=write_html(run_dir, run, verdict),
        markdown=write_markdown(run_dir, run, verdict),
        junit=write_junit(run_dir, run.history.run, verdict, fault_rows(run.history)) if verdict else None,
    )
    on_event(StageFinished(stage="report", seconds=time.monotonic() - begun))
    return reports


def judge_and_report(run_dir: Path, *, on_event: OnEvent = ignore) -> RunVerdict:
    """Judge a stored run and write every report of it.

    Raises:
        UsageError: this is no run directory.
        SuiteError: a file in it is damaged.
    """
    verdict = judge(run_dir, on_event=on_event)
    report(run_dir, on_event=on_event)
    on_event(VerdictReached(verdict=verdict.verdict, sentence=sentence(verdict), run_dir=run_dir))
    return verdict


def _verdict_if_any(run_dir: Path) -> RunVerdict | None:
    try:
        return read_verdict(run_dir)
    except UsageError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            return None
        raise
