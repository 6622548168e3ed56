"""From a finished run directory to its verdict and every report of it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from necp_validate.claims import verify_run
from necp_validate.claims.files import places_in, store_claims, stored_claims
from necp_validate.core.errors import UsageError
from necp_validate.record import read_info
from necp_validate.report.faults import fault_rows
from necp_validate.report.frames import load_run
from necp_validate.report.html import write_html
from necp_validate.report.junit import write_junit
from necp_validate.report.markdown import write_markdown
from necp_validate.report.verdict import RunVerdict, conclude, read_verdict, sentence, write_verdict
from necp_validate.scenario.events import OnEvent, StageFinished, StageStarted, VerdictReached, ignore


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
        store_claims(run_dir, claims, places_in(read_info(run_dir).config))
    require_same(run_dir, repeats)
    findings, results, _ = verify_run(run_dir, stored_claims(run_dir), repeats=repeats)
    verdict = conclude(run_dir.resolve().name, results, findings)
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


def judge_and_report(
    run_dir: Path, *, claims: Path | None = None, repeats: Sequence[Path] = (), on_event: OnEvent = ignore
) -> RunVerdict:
    """Judge a stored run and write every report of it; arguments as for `judge`.

    Raises:
        UsageError: this is no run directory, the claims have a mistake, or a repeat is of something else.
        SuiteError: a file in it is damaged.
    """
    verdict = judge(run_dir, claims=claims, repeats=repeats, on_event=on_event)
    report(run_dir, on_event=on_event)
    on_event(VerdictReached(verdict=verdict.verdict, sentence=sentence(verdict), run_dir=run_dir))
    return verdict


def require_same(run_dir: Path, repeats: Sequence[Path]) -> None:
    """Do nothing if other runs are repeats of a run.

    Raises:
        UsageError: one is of another scenario or scale, or the run itself.
    """
    run = read_info(run_dir) if repeats else None
    for one in repeats:
        other = read_info(one)
        assert run is not None
        if other.id == run.id:
            raise UsageError(f"{run.id} is no repeat of itself", hint="name other runs of the same scenario")
        if (other.scenario, other.scale) != (run.scenario, run.scale):
            was, of = f"{other.scenario} at scale {other.scale:g}", f"{run.scenario} at scale {run.scale:g}"
            raise UsageError(f"{other.id} is no repeat of {run.id}: it ran {was}, not {of}")


def _verdict_if_any(run_dir: Path) -> RunVerdict | None:
    try:
        return read_verdict(run_dir)
    except UsageError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            return None
        raise
