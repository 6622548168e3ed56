"""From a finished run directory to its verdict and every report of it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from necp_validate.claims.files import SOURCE, places_in, store_claims
from necp_validate.claims.stored import judge_run
from necp_validate.record import read_info
from necp_validate.record.closing import close_again
from necp_validate.report.faults import fault_rows
from necp_validate.report.frames import load_run
from necp_validate.report.gate import gate
from necp_validate.report.html import write_html
from necp_validate.report.junit import write_junit
from necp_validate.report.markdown import write_markdown
from necp_validate.report.verdict import RunVerdict, conclude, sentence, write_verdict
from necp_validate.scenario.events import OnEvent, StageFinished, StageStarted, VerdictReached, ignore


@dataclass(frozen=True, slots=True, kw_only=True)
class Reports:
    """Where the reports of a run lie.

    Args:
        verdict: what they say.
        html: one self-contained page.
        markdown: the summary for a CI job.
        junit: test cases.
    """

    verdict: RunVerdict
    html: Path
    markdown: Path
    junit: Path


def judge(
    run_dir: Path, *, claims: Path | None = None, repeats: Sequence[Path] = (), on_event: OnEvent = ignore
) -> RunVerdict:
    """Run every check and judge every claim of a stored run; writes ``verdict.json``.

    Args:
        run_dir: the run directory.
        claims: a file of the user's own claims; it takes the place of the one that the run has.
        repeats: earlier runs of the same, for claims that must hold in N of M.
        on_event: told what happens.

    Raises:
        UsageError: this is no run directory, the claims have a mistake, or a repeat is of something else.
        SuiteError: a file in it is damaged.
    """
    on_event(StageStarted(stage="verify"))
    begun = time.monotonic()
    if claims is not None:
        store_claims(run_dir, claims, places_in(read_info(run_dir).plan))
        close_again(run_dir, SOURCE)
    verdict = conclude(run_dir, judge_run(run_dir, repeats=repeats), repeats)
    write_verdict(run_dir, verdict)
    on_event(StageFinished(stage="verify", seconds=time.monotonic() - begun))
    return verdict


def report(run_dir: Path, verdict: RunVerdict | None = None, *, on_event: OnEvent = ignore) -> Reports:
    """Write every report of a stored run.

    Args:
        run_dir: the run directory.
        verdict: of the run; by default it is judged again.
        on_event: told what happens.

    Raises:
        UsageError: this is no run directory.
        SuiteError: a file in it is damaged.
    """
    on_event(StageStarted(stage="report"))
    begun = time.monotonic()
    run = load_run(run_dir)
    verdict = gate(run_dir) if verdict is None else verdict
    reports = Reports(
        verdict=verdict,
        html=write_html(run_dir, run, verdict),
        markdown=write_markdown(run_dir, run, verdict),
        junit=write_junit(run_dir, run.history.run, verdict, fault_rows(run.history)),
    )
    on_event(StageFinished(stage="report", seconds=time.monotonic() - begun))
    return reports


def judge_and_report(
    run_dir: Path, *, claims: Path | None = None, repeats: Sequence[Path] = (), on_event: OnEvent = ignore
) -> RunVerdict:
    """Judge a stored run and write every report of it; arguments as for `judge`.

    Raises:
        UsageError: this is no run directory, the claims have a mistake, or a repeat is of something else.
        SuiteError: a file in it is damaged.
    """
    verdict = judge(run_dir, claims=claims, repeats=repeats, on_event=on_event)
    report(run_dir, verdict, on_event=on_event)
    on_event(VerdictReached(verdict=verdict.verdict, sentence=sentence(verdict), run_dir=run_dir))
    return verdict
