"""``summary.md``: what fits a CI job's summary page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from necp_validate.core import ClaimResult, Finding, Verdict
from necp_validate.evidence.inventory import Holding
from necp_validate.evidence.load_workers import clock_words
from necp_validate.report import text
from necp_validate.report.faults import fault_rows, losses
from necp_validate.report.figures import key_figures, representative_phase
from necp_validate.report.frames import ALL, RunFrames, percentile_rows, records, throughput_rows
from necp_validate.report.fuzz import fuzz_tables
from necp_validate.report.reproduce import run_command
from necp_validate.report.verdict import RunVerdict, first_clause, open_checks, sentence
from necp_validate.report.workers import worker_rows

FILE_NAME = "summary.md"
_MARKS = {Verdict.PASS: "✅ pass", Verdict.FAIL: "❌ fail", Verdict.UNKNOWN: "❔ unknown"}
_EXAMPLES_AT_MOST = 5


def write_markdown(run_dir: Path, run: RunFrames, verdict: RunVerdict) -> Path:
    """Write ``summary.md`` into the run directory and return its path."""
    path = run_dir / FILE_NAME
    path.write_text(render(run, verdict), encoding="utf-8")
    return path


def render(run: RunFrames, verdict: RunVerdict) -> str:
    """The whole summary, Markdown as GitHub and GitLab read it."""
    info = run.history.run
    parts = [f"## {_MARKS[verdict.verdict]}: {info.scenario}", sentence(verdict)]
    if info.status != "finished":
        parts.append(f"**The run is {info.status}**: {(info.error or 'no reason is recorded').splitlines()[0]}")
    parts.append("\n".join(f"- {one.label}: **{one.value}** {_note(one.note)}" for one in key_figures(run)))
    parts += [_claims(verdict.claims), _checks(verdict), _evidence(verdict.evidence)]
    parts += [_fuzz(run), _faults(run), _rates(run), _workers(run), f"Run `{info.id}`. Again: `{run_command(info)}`"]
    return "\n\n".join(part for part in parts if part) + "\n"


def _note(note: str) -> str:
    return f"({note})" if note else ""


def _claims(claims: Sequence[ClaimResult]) -> str:
    if not claims:
        return ""
    rows = (
        (_MARKS[claim.verdict], claim.id, claim.threshold, claim.measured or text.MISSING, _rests_on(claim))
        for claim in claims
    )
    return "### Claims\n\n" + table(("", "claim", "claimed", "measured", "evidence"), rows)


def _rests_on(claim: ClaimResult) -> str:
    sees = f". Would have seen: {text.brief(claim.sees)}" if claim.sees else ""
    return text.brief(claim.evidence, 3) + sees


def _evidence(holdings: Sequence[Holding]) -> str:
    """What is missing; of what is all there, only how much that is."""
    short = [one for one in holdings if not one.complete]
    if not short:
        return ""
    rows = ((one.what, text.count(one.due), text.count(one.found), f"`{one.file}`") for one in short)
    lead = f"{len(holdings) - len(short)} of {len(holdings)} kinds of evidence are complete. Not so:"
    return f"### Evidence\n\n{lead}\n\n" + table(("", "due", "found", "file"), rows)


def _checks(verdict: RunVerdict) -> str:
    """Failed and unknown checks, the passed ones by name, the others folded away."""
    parts = []
    open_ones = open_checks(verdict)
    if open_ones:
        parts.append(table(("", "check", "found", "what it rests on"), (_open_row(group) for group in open_ones)))
    for check in (check for group in open_ones for check in group):
        parts += [
            f"- `{check.name}` {_cell(one.where)}: {_cell(one.detail)}" for one in check.examples[:_EXAMPLES_AT_MOST]
        ]
    passed = [f"`{check.name}`" for check in verdict.applicable if check.verdict is Verdict.PASS]
    if passed:
        parts.append(f"Passed: {', '.join(passed)}.")
    if verdict.not_applicable:
        names = ", ".join(f"`{check.name}`" for check in verdict.not_applicable)
        lead = f"{len(verdict.not_applicable)} checks are about what this run does not have"
        parts.append(f"<details><summary>{lead}</summary>\n\n{names}\n\n</details>")
    return "### Checks\n\n" + "\n\n".join(parts) if parts else ""


def _open_row(group: Sequence[Finding]) -> tuple[str, ...]:
    """A check that did not pass, or several that are unknown for one reason."""
    one, *others = group
    if others:
        return _MARKS[one.verdict], ", ".join(check.name for check in group), "", first_clause(one.summary)
    return _MARKS[one.verdict], one.name, text.count(one.count), text.brief(one.summary, 3)


def _faults(run: RunFrames) -> str:
    """What was broken, how it was seen, and how fast the system came back."""
    rows = [
        (row.number, row.id, row.target, row.evidence, row.rates, row.gap, row.recovery, row.rebalance)
        for row in fault_rows(run.history)
    ]
    if not rows:
        return ""
    head = ("#", "fault", "target", "seen", "acked/s before → worst → after", "longest gap", "recovery", "rebalance")
    return f"### Faults\n\n{table(head, rows)}\n\n{losses(run.history)}"


def _fuzz(run: RunFrames) -> str:
    """What each mutation operator led to."""
    tables = fuzz_tables(run.history)
    if tables is None:
        return ""
    rows = [(row.name, *(text.count(count) for count in row.counts), text.count(row.wrong)) for row in tables.operators]
    head = ("mutation operator", *tables.columns, "wrong")
    return f"### Fuzzed events\n\n{tables.lead}\n\n{table(head, rows)}"


def _rates(run: RunFrames) -> str:
    """Rates and latencies of the phase that stands for the run, and of the surge."""
    shown = {representative_phase(run), *(span.name for span in run.spans_of("surge"))}
    kind = "e2e" if run.history.sees_ends(run.domains) else "ack"
    latency = {(row["phase"], row["domain"]): row for row in records(percentile_rows(run, kind))}
    rows = []
    for rate in records(throughput_rows(run)):
        if rate["phase"] in shown:
            found = latency.get((rate["phase"], rate["domain"]), {})
            values = (text.ms(found.get(column)) for column in ("p50", "p99", "p999"))
            who = "**all**" if rate["domain"] == ALL else rate["domain"]
            rows.append((rate["phase"], who, text.count(rate["acked_eps"]), *values))
    if not rows:
        return ""
    of = "" if kind == "e2e" else " until acked"
    head = ("phase", "topic" if run.history.own_topics else "domain", "acked/s", f"P50{of}", f"P99{of}", f"P99.9{of}")
    return "### Rates and latency\n\n" + table(head, rows)


def _workers(run: RunFrames) -> str:
    """Who sent the load, where one process did not."""
    rows = [
        (row.name, row.host, row.state, row.acked, row.unknown, row.clock_first, row.clock_last)
        for row in worker_rows(run.history)
    ]
    if not rows:
        return ""
    head = ("worker", "host", "state", "acked", "unknown outcome", "clock before", "clock at the end")
    return f"### Load workers\n\nLatencies: {clock_words(run.history)}.\n\n{table(head, rows)}"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    lines += [f"| {' | '.join(_cell(value) for value in row)} |" for row in rows]
    return "\n".join(lines)


def _cell(value: object) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")
