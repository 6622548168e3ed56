"""What ``necp-validate fuzz`` prints: what was tried; for each failure the smallest example and how to repeat it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from necp_validate.cli.tables import badge, grid, show

if TYPE_CHECKING:
    from necp_validate.fuzz.campaign import LiveReport
    from necp_validate.fuzz.cases import Case
    from necp_validate.fuzz.check import Failure, SchemaReport

__all__ = ["case_text", "failure_text", "live_table", "schema_table", "show"]


def schema_table(reports: Sequence[SchemaReport]) -> RenderableType:
    """Each event type with its cases, and what the operators made of them."""
    table = grid(
        "verdict", "event type", "form", "valid", "at a bound", "mutated", numbers=["valid", "at a bound", "mutated"]
    )
    for report in reports:
        counts = (f"{report.cases[kind]:,}" for kind in ("valid", "boundary", "mutated"))
        table.add_row(badge(report.verdict), report.name, report.form, *counts)
    yields = grid("operator", "invalid", "valid still", "refused, e.g.", numbers=["invalid", "valid still"])
    for name in dict.fromkeys(name for report in reports for name in report.yields):
        found = [report.yields[name] for report in reports if name in report.yields]
        example = next((one.example for one in found if one.example), "the schema allows it")
        yields.add_row(
            name, f"{sum(one.invalid for one in found):,}", f"{sum(one.valid for one in found):,}", Text(example[:100])
        )
    return Group(table, Text(), yields)


def live_table(reports: Sequence[LiveReport]) -> RenderableType:
    """Each event type with its records and the verdict of every check."""
    parts: list[RenderableType] = []
    for report in reports:
        total, valid = report.operators.total(), report.operators[""]
        mix = f"{valid:,} valid or at a bound, {total - valid:,} mutated"
        head = f"{report.schema} to {report.topic}: {total:,} records, {mix}"
        table = grid("verdict", "check", "what it rests on")
        for one in report.checks.values():
            table.add_row(badge(one.verdict), one.check, Text(one.summary))
        parts += [Text(head, style="bold"), table]
        parts += [Text(f"{count:,} not written: {why}", style="dim") for why, count in report.refused.items()]
        parts.append(Text())
    return Group(*parts)


def failure_text(
    failure: Failure, *, source: str, seed: int, corpus: Path, target: Path | None = None
) -> RenderableType:
    """A failure: what does not hold, the smallest example, where it went, and how to repeat it."""
    parts: list[RenderableType] = [
        Text.assemble(("✗ ", "red"), (failure.check, "bold red"), f"  {failure.schema}"),
        Text(f"  {failure.message}"),
    ]
    command = f"necp-validate fuzz --schema {source}{f' --target {target} --allow write' if target else ''}"
    if failure.case is not None:
        parts.append(case_text(failure.case))
        if failure.where:
            parts.append(Text(f"  went to   {failure.where}"))
        folder = "" if corpus == Path(".necp/fuzz") else f" --corpus {corpus}"
        parts.append(Text(f"  repeat    {command}{folder} --replay {failure.case.id}"))
    parts += [Text(f"  seed      {command} --seed {seed}"), Text()]
    return Group(*parts)


def case_text(case: Case) -> RenderableType:
    """A record as a person can read it."""
    from necp_validate.fuzz.corpus import preview

    lines = [
        f"  example   {case.operator or 'valid'} {case.type_name}, by the schema {case.problem or 'valid'}",
        f"  key       {preview(case.key) if case.key is not None else '(none)'}",
        f"  value     {preview(case.value)}",
    ]
    lines += [f"  header    {name[:60]}: {preview(text)[:120]}" for name, text in case.headers[:5]]
    return Text("\n".join(lines))
