"""``python -m necp_validate.kubernetes``: build a Kubernetes, prove experiments and manifests on it, show the table."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from necp_validate.core import SuiteError
from necp_validate.core.verdict import Verdict
from necp_validate.kubernetes import api_tier, build, kubelet_tier, node
from necp_validate.kubernetes.outcome import HEADINGS, Outcome, Proof, rows, save
from necp_validate.scenario.interrupts import sigterm_interrupts

_TIERS = ("api", "kubelet")
_STYLE = {Verdict.PASS: "green", Verdict.FAIL: "red", Verdict.UNKNOWN: "yellow"}


def main(argv: Sequence[str] | None = None) -> int:
    """Prove the tiers asked for; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m necp_validate.kubernetes", description=__doc__)
    parser.add_argument("tiers", nargs="*", choices=[[], *_TIERS], help="which tiers; all of them by default")
    parser.add_argument("--out", type=Path, default=Path("reports/k8s"), help="folder for the report")
    given = parser.parse_args(argv)
    console = Console(width=None if sys.stdout.isatty() else 160)
    started = time.monotonic()

    def progress(sentence: str) -> None:
        console.print(f"[dim]{time.monotonic() - started:6.1f} s[/dim]  {sentence}", highlight=False)

    out = given.out / datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    out.mkdir(parents=True)
    try:
        with sigterm_interrupts():
            outcome = prove(given.tiers or list(_TIERS), Proof(out=out.resolve(), progress=progress))
    except SuiteError as error:
        console.print(f"[red]{error}[/red]", highlight=False)
        return error.exit_code
    except KeyboardInterrupt:
        console.print("interrupted; everything is stopped")
        return 130
    save(outcome, out)
    show(outcome, console)
    console.print(f"report: {out}/summary.md", highlight=False)
    return outcome.verdict.exit_code


def prove(tiers: Sequence[str], proof: Proof) -> Outcome:
    """Build what is missing, and prove one tier after the other.

    Args:
        tiers: which.
        proof: takes what is found.

    Raises:
        SuiteError: something could not be built or brought up.
    """
    seconds: dict[str, float] = {}
    kubelet = [build.KUBELET] if "kubelet" in tiers and not node.why_not() else []
    programs = [*build.CONTROL_PLANE, *([build.HOLLOW] if "api" in tiers else []), *kubelet]
    begun = time.monotonic()
    built = build.ensure(programs, proof.progress)
    seconds |= {f"building {one.name}": one.seconds for one in built.values() if one.seconds}
    for tier, prove_tier in (("api", api_tier.prove), ("kubelet", kubelet_tier.prove)):
        if tier in tiers:
            begun = time.monotonic()
            prove_tier(proof)
            seconds[f"tier {tier}"] = time.monotonic() - begun
    return Outcome(
        findings=tuple(proof.findings), killed=tuple(proof.killed), seconds=seconds, versions=dict(proof.versions)
    )


def show(outcome: Outcome, console: Console) -> None:
    """Print findings and table."""
    checks = Table("check", "verdict", "what was seen", title="Kubernetes")
    for finding in outcome.findings:
        checks.add_row(finding.name, f"[{_STYLE[finding.verdict]}]{finding.verdict}[/]", finding.summary)
    table = Table(*HEADINGS, title="What was killed, and how fast it returned")
    for row in rows(outcome.killed):
        table.add_row(*row)
    console.print(checks, table)
    console.print(f"verdict: [{_STYLE[outcome.verdict]}]{outcome.verdict}[/]")


if __name__ == "__main__":
    sys.exit(main())
