"""``necp-validate schema check`` and ``schema publish``: what they print."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from necp_validate.core import Verdict

if TYPE_CHECKING:
    from necp_validate.fuzz.compatibility import Break


def check(old: str | None, new: str | None, *, rule: str, max_examples: int, seed: int) -> int:
    """Compare, print what breaks whom, and give the exit code."""
    from necp_validate.fuzz.compatibility import compare, rule_named
    from necp_validate.fuzz.load import REGISTRY, load_schemas
    from necp_validate.fuzz.search import Limits
    from necp_validate.fuzz.snapshot import check_registry, unpublished

    limits = Limits(max_examples=max_examples, seed=seed)
    if old in (None, REGISTRY) and new in (None, REGISTRY):
        missing = unpublished()
        breaks = check_registry(limits)
        if missing and not breaks:
            typer.echo(f"unknown: not published yet: {', '.join(missing)}; publish with: necp-validate schema publish")
            return Verdict.UNKNOWN.exit_code
        return _tell(breaks, "the registry against what was published, and each version against the next")
    before, now = load_schemas(old or REGISTRY), load_schemas(new or REGISTRY)
    breaks = compare(before, now, rule_named(rule), limits, names=(old or REGISTRY, new or REGISTRY))
    return _tell(breaks, f"{old} against {new or REGISTRY}, {rule_named(rule)}")


def publish_registry() -> int:
    """Write the snapshot anew, unless that would break a promise."""
    from necp_validate.fuzz.search import Limits
    from necp_validate.fuzz.snapshot import SCHEMAS, check_registry, publish, unpublished

    breaks = check_registry(Limits(max_examples=50))
    if breaks:
        return _tell(breaks, "not published")
    added = unpublished()
    publish()
    typer.echo(f"published: {', '.join(added) or 'nothing new'}; commit {SCHEMAS.name}")
    return 0


def _tell(breaks: Sequence[Break], what: str) -> int:
    from necp_validate.fuzz.corpus import preview

    for one in breaks:
        typer.echo(f"✗ {one}")
        for difference in one.differences[:10]:
            typer.echo(f"    {difference}")
        if one.case is not None:
            typer.echo(f"    example  {preview(one.case.value)}")
    verdict = Verdict.FAIL if breaks else Verdict.PASS
    typer.echo(f"{verdict}: {what}")
    return verdict.exit_code
