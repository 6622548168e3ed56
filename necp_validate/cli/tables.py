"""What the commands print in the end: tables that can be read in ten seconds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from necp_validate.core import ClaimResult, Verdict

if TYPE_CHECKING:
    from necp_validate.report.baseline import BaselineComparison
    from necp_validate.report.campaign import Trial
    from necp_validate.report.capacity import Capacity
    from necp_validate.report.compare import Comparison
    from necp_validate.report.verdict import RunVerdict
    from necp_validate.scenario.doctor import Diagnosis
    from necp_validate.selftest import Results
    from necp_validate.stack import Stack

_STYLES = {
    "pass": "green", "ok": "green", "fail": "red", "missing": "red", "unknown": "yellow", "limited": "yellow",
}  # fmt: skip
_SYMBOLS = {"pass": "✓", "ok": "✓", "fail": "✗", "missing": "✗", "unknown": "?", "limited": "~"}
_CHANGED_BY = 0.1


def badge(word: str) -> Text:
    """A verdict or state in its colour, and readable without."""
    return Text(f"{_SYMBOLS.get(word, ' ')} {word}", style=_STYLES.get(word, "dim"))


def grid(*heads: str, numbers: Iterable[str] = ()) -> Table:
    """A plain table; columns named in ``numbers`` are right-aligned."""
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for head in heads:
        table.add_column(head, justify="right" if head in numbers else "left", overflow="fold")
    return table


def verdict_table(verdict: RunVerdict, sentence: str) -> RenderableType:
    """The verdict, why, every claim, and those checks that did not pass; conditions and the rest are in the reports."""
    from necp_validate.report.text import brief
    from necp_validate.report.verdict import first_clause, open_checks

    style = _STYLES[verdict.verdict]
    head = Text(f"{_SYMBOLS[verdict.verdict]} {verdict.verdict.upper()}", style=f"bold {style}")
    parts: list[RenderableType] = [Panel(Group(head, Text(sentence)), border_style=style, expand=False)]
    if verdict.claims:
        claims = grid("verdict", "claim", "claimed", "measured")
        for claim in verdict.claims:
            claims.add_row(badge(claim.verdict), claim.id, _claimed(claim), _measured(claim))
        parts += [claims, Text()]
    open_ones = open_checks(verdict)
    if open_ones:
        checks = grid("verdict", "check", "found", "what it rests on", numbers=["found"])
        for check, *others in open_ones:
            names = ", ".join(named.name for named in (check, *others))
            found = "" if others else f"{check.count:,}"
            why = first_clause(check.summary) if others else brief(check.summary)
            checks.add_row(badge(check.verdict), names, found, why)
        parts += [checks, Text()]
    short = [one for one in verdict.evidence if not one.complete]
    if short:
        evidence = grid("evidence", "due", "found", "file", numbers=["due", "found"])
        for one in short:
            evidence.add_row(one.what, f"{one.due:,.0f}", f"{one.found:,.0f}", one.file)
        parts += [evidence, Text()]
    passed = sum(check.verdict is Verdict.PASS for check in verdict.applicable)
    words = f"{passed} of {len(verdict.applicable)} checks passed"
    if verdict.not_applicable:
        words += f", {len(verdict.not_applicable)} are about what this run does not have"
    parts.append(Text(words, style="dim"))
    return Group(*parts)


def _claimed(claim: ClaimResult) -> str:
    """The claim in its own words, with its figure; of a team's own, what it is held against."""
    from necp_validate.report.text import clauses

    return "\n".join([claim.title, *clauses(claim.threshold)]) if claim.source else claim.title


def _measured(claim: ClaimResult) -> Text:
    """What was measured, and what would have been seen; where that is no pass, how, or what was missing."""
    from necp_validate.report.text import brief

    if claim.verdict is Verdict.PASS:
        rest = f"would have seen: {brief(claim.sees, 1)}" if claim.sees else ""
    else:
        rest = brief(claim.evidence)
    return Text.assemble(claim.measured, "\n" if claim.measured and rest else "", (rest, "dim"))


def comparison_table(comparison: Comparison) -> RenderableType:
    """Runs side by side; ratios are against the first, and marked where they differ by a tenth."""
    parts: list[RenderableType] = []
    table = grid("", *comparison.runs, numbers=comparison.runs)
    table.add_row("verdict", *(badge(verdict) for verdict in comparison.verdicts))
    group = ""
    for row in comparison.rows:
        if row.group != group:
            group = row.group
            table.add_row()
            table.add_row(Text(group, style="bold"))
        cells = [Text(row.values[0])]
        for value, ratio in zip(row.values[1:], row.ratios[1:], strict=True):
            cells.append(Text.assemble(value, _ratio(ratio)))
        table.add_row(row.name, *cells)
    parts.append(table)
    if comparison.changes:
        changes = grid("changed verdict", *comparison.runs)
        for change in comparison.changes:
            changes.add_row(change.name, *(badge(verdict) for verdict in change.verdicts))
        parts += [Text(), changes]
    parts += [Text(f"careful: {caveat}", style="yellow") for caveat in comparison.caveats]
    return Group(*parts)


def _ratio(ratio: float | None) -> tuple[str, str]:
    if ratio is None:
        return "", ""
    style = "bold" if abs(ratio - 1) >= _CHANGED_BY else "dim"
    return f"  ×{ratio:.2f}", style  # noqa: RUF001  # the sign that people read as "times"


def capacity_table(found: Capacity) -> RenderableType:
    """The capacity, then every run by scale; names of runs and the brokers' CPU are left to the page."""
    from necp_validate.report.capacity_page import rows
    from necp_validate.report.frames import ORDER

    style = _STYLES[found.verdict]
    head = Text(f"{_SYMBOLS[found.verdict]} {found.verdict.upper()}", style=f"bold {style}")
    columns = ("scale", "events/s", "P99", *ORDER, "lost", "host")
    table = grid("verdict", *columns, numbers=columns)
    for verdict, scale, rate, _, *cells, _ in rows(found):
        table.add_row(badge(verdict), scale, rate, *cells)
    return Group(Panel(Group(head, Text(found.sentence)), border_style=style, expand=False), table)


def baseline_table(found: BaselineComparison) -> RenderableType:
    """Runs against a baseline: what came of it, then every figure."""
    from necp_validate.report.baseline_page import HEAD, by_chance, row

    style = _STYLES[found.verdict]
    head = Text(f"{_SYMBOLS[found.verdict]} {found.verdict.upper()}", style=f"bold {style}")
    table = grid(*HEAD, numbers=HEAD[2:])
    styles = {"worse": "red", "better": "green", "too few runs": "yellow"}
    for one in found.differences:
        outcome, *cells = row(one)
        table.add_row(Text(outcome, style=styles.get(outcome, "dim")), *cells)
    return Group(
        Panel(Group(head, Text(found.sentence)), border_style=style, expand=False),
        table,
        Text(),
        Text(by_chance(found), style="dim"),
        *(Text(f"careful: {caveat}", style="yellow") for caveat in found.caveats),
    )


def stack_table(stack: Stack) -> RenderableType:
    """What a stack is, and whether each broker of it runs."""
    found = stack.describe()
    facts = grid("", "")
    facts.show_header = False
    versions = [("Kafka", found.kafka_version), ("Java", found.java_version)]
    facts.add_row("backend", ", ".join([found.backend, *(f"{name} {v}" for name, v in versions if v)]))
    for listener, protocol in found.security.items():
        facts.add_row(listener, protocol)
    facts.add_row("topics", f"replication {found.replication_factor}, min.insync.replicas {found.min_insync_replicas}")
    brokers = grid("broker", "", "SASL_SSL", "mTLS", "process")
    for broker in found.brokers:
        state = badge("ok" if stack.broker_alive(broker.id) else "missing")
        process = broker.container or (f"pid {broker.pid}" if broker.pid else "")
        brokers.add_row(
            str(broker.id),
            state,
            f"{broker.host}:{broker.external_port}",
            f"{broker.host}:{broker.internal_port}",
            process,
        )
    return Group(facts, Text(), brokers)


def doctor_table(diagnosis: Diagnosis) -> RenderableType:
    """What was found, and what follows for stacks and scenarios."""
    probes = grid("this machine", "", "found", "means")
    for probe in diagnosis.probes:
        probes.add_row(probe.name, badge(probe.state), probe.found, probe.means)
    stacks = grid("stack", "", "what it would do here")
    for stack in diagnosis.stacks:
        stacks.add_row(stack.name, badge(stack.state), stack.expect)
    scenarios = grid("scenario", "", "what it takes", "what would come of it")
    for scenario in diagnosis.scenarios:
        scenarios.add_row(scenario.name, badge(scenario.state), scenario.size, scenario.expect)
    return Group(probes, Text(), stacks, Text(), scenarios)


def selftest_table(results: Results) -> RenderableType:
    """Every seeded defect and what caught it; whatever was taken away, and what passes without it."""
    seeded = grid("", "seeded defect", "caught by", "which says")
    for one in results.caught:
        says = one.summary if one.caught else one.problem
        seeded.add_row(badge("ok" if one.caught else "fail"), one.name, one.caught_by, says)
    taken = grid("", "taken away", "rest on it", "pass without it", numbers=("rest on it",))
    for gone in results.missed:
        taken.add_row(badge("fail" if gone.passing else "ok"), gone.removal, f"{len(gone.resting)}", gone.words)
    tables = [table for table, rows in ((seeded, results.caught), (taken, results.missed)) if rows]
    spaced = [part for table in tables for part in (table, Text())]
    return Group(*spaced, *(Text(words, style="bold") for words in results.words))


def campaign_table(trials: Sequence[Trial]) -> RenderableType:
    """Every experiment: its verdict, whether its fault took effect, how fast it was over, what was lost."""
    numbers = ("seed", "recovery", "rebalance", "lost", "took")
    table = grid("verdict", "experiment", "seed", "fault", *numbers[1:], numbers=numbers)
    for trial in trials:
        table.add_row(
            badge(trial.verdict),
            trial.experiment,
            str(trial.seed),
            badge("ok" if trial.effective else "missing" if trial.run_dir else "unknown"),
            _seconds(trial.recovery_s),
            _seconds(trial.rebalance_s),
            "" if trial.lost is None else f"{trial.lost:,}",
            _seconds(trial.seconds or None),
        )
    parts: list[RenderableType] = [table, Text()]
    open_ones = [trial for trial in trials if trial.verdict is not Verdict.PASS]
    parts += [Text.assemble((trial.experiment, "bold"), f": {trial.why}") for trial in open_ones]
    parts.append(Text(f"{sum(t.verdict is Verdict.PASS for t in trials)} of {len(trials)} passed", style="bold"))
    return Group(*parts)


def _seconds(value: float | None) -> str:
    if value is None:
        return ""
    return "never" if math.isinf(value) else f"{value:.1f} s"


def show(renderable: RenderableType) -> None:
    """Print to standard output."""
    Console().print(renderable)
