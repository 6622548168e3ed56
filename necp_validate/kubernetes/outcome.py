"""What the proof on Kubernetes found: findings, and the table of what was killed and how fast it returned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from necp_validate.core.verdict import Example, Finding, Verdict, worst
from necp_validate.kubernetes.replacements import Replacement
from necp_validate.record.writer import write_json
from necp_validate.stack.protocol import Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Killed:
    """One row of the table.

    Args:
        tier: which part of the proof it belongs to.
        by: the experiment that did it.
        replacement: what was killed, and what took its place.
    """

    tier: str
    by: str
    replacement: Replacement


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """All of it.

    Args:
        findings: one for each check.
        killed: the table.
        seconds: how long each part took.
        versions: of what it ran on.
    """

    findings: tuple[Finding, ...]
    killed: tuple[Killed, ...] = field(default=())
    seconds: Mapping[str, float] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def verdict(self) -> Verdict:
        """The worst of the findings."""
        return worst(finding.verdict for finding in self.findings)


@dataclass(slots=True, kw_only=True)
class Proof:
    """What a tier has found so far.

    Args:
        out: folder for journals.
        progress: receives a sentence for each stage.
        findings: one for each check.
        killed: the table.
        versions: of what it ran on.
    """

    out: Path
    progress: Progress
    findings: list[Finding] = field(default_factory=list)
    killed: list[Killed] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)


def unknown(name: str, reason: str) -> Finding:
    """Return the finding of a check for which something is missing.

    Args:
        name: of the check.
        reason: what.
    """
    return Finding(name=name, verdict=Verdict.UNKNOWN, count=0, summary=reason)


_MOST_EXAMPLES = 8
HEADINGS = (
    "tier",
    "experiment",
    "killed",
    "ran on",
    "gone after",
    "made again after",
    "placed after",
    "ready after",
    "now on",
)


def rows(killed: Sequence[Killed]) -> list[tuple[str, ...]]:
    """Return the table's rows as text."""
    return [
        (
            one.tier,
            one.by,
            one.replacement.pod,
            one.replacement.node,
            *map(_seconds, (one.replacement.gone_s, one.replacement.made_s, one.replacement.placed_s)),
            _seconds(one.replacement.ready_s),
            one.replacement.new_node or "nowhere",
        )
        for one in killed
    ]


def markdown(outcome: Outcome) -> str:
    """Return everything as Markdown."""
    lines = [f"# Kubernetes: {outcome.verdict}", ""]
    lines += [f"- {name} {version}" for name, version in outcome.versions.items()]
    lines += [f"- {name}: {seconds:.0f} s" for name, seconds in outcome.seconds.items()]
    lines += ["", "| check | verdict | what was seen |", "|---|---|---|"]
    lines += [f"| {one.name} | {one.verdict} | {one.summary} |" for one in outcome.findings]
    lines += ["", "What was killed, and how fast it returned:", "", f"| {' | '.join(HEADINGS)} |"]
    lines += ["|" + "---|" * len(HEADINGS), *(f"| {' | '.join(row)} |" for row in rows(outcome.killed))]
    return "\n".join(lines) + "\n"


def save(outcome: Outcome, folder: Path) -> None:
    """Write ``kubernetes.json`` and ``summary.md``.

    Args:
        outcome: all of it.
        folder: where.
    """
    write_json(folder / "kubernetes.json", {"verdict": outcome.verdict, **asdict(outcome)})
    (folder / "summary.md").write_text(markdown(outcome), encoding="utf-8")


def _seconds(value: float | None) -> str:
    return "never" if value is None else f"{value:.1f} s"


def finding(name: str, wrong: Sequence[Example], summary: str) -> Finding:
    """Return a check's finding: it passes if nothing is wrong.

    Args:
        name: of the check.
        wrong: what is, the worst first.
        summary: one sentence for when nothing is.
    """
    if not wrong:
        return Finding(name=name, verdict=Verdict.PASS, count=0, summary=summary)
    said = f"{wrong[0].where}: {wrong[0].detail}"
    said += f"; and {len(wrong) - 1} more" if len(wrong) > 1 else ""
    return Finding(
        name=name, verdict=Verdict.FAIL, count=len(wrong), summary=said, examples=tuple(wrong[:_MOST_EXAMPLES])
    )
