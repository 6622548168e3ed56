"""Runs every defect through the accounting and the checks, and says which of them were caught."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from necp_validate.claims import CHECKS, verify_run
from necp_validate.claims.catalogue import CLAIMS
from necp_validate.core import SuiteError, Verdict
from necp_validate.selftest.accounts import write_run
from necp_validate.selftest.defect import Defect
from necp_validate.selftest.defects import DEFECTS
from necp_validate.selftest.simulation import Simulation, new_simulation
from necp_validate.selftest.topic_defects import TOPIC_DEFECTS, TopicDefect
from necp_validate.selftest.topics import new_topic_run

_WORD = {Verdict.FAIL: "failed", Verdict.UNKNOWN: "unknown"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Caught:
    """What became of one defect.

    Args:
        defect: what was seeded.
        failed: the checks and judged claims that failed; for a defect that must leave them unknown, those too.
        summary: what the check, or claim, that had to catch it says.
    """

    defect: Defect | TopicDefect
    failed: frozenset[str]
    summary: str

    @property
    def expected(self) -> frozenset[str]:
        """The checks and claims that must fail, and no other."""
        return self.defect.expected

    @property
    def caught(self) -> bool:
        """Whether exactly those failed that must."""
        return self.failed == self.expected

    @property
    def problem(self) -> str:
        """Why the defect does not count as caught; empty if it does."""
        missed, extra = sorted(self.expected - self.failed), sorted(self.failed - self.expected)
        parts = [f"not {_WORD[self.defect.verdict]}: {', '.join(missed)}"] if missed else []
        parts += [f"{_WORD[self.defect.verdict]} as well: {', '.join(extra)}"] if extra else []
        return "; ".join(parts)


def run_selftest(on_result: Callable[[Caught], None] = lambda _: None) -> list[Caught]:
    """Seed every defect into a sound run and judge it; offline, in a few seconds.

    Args:
        on_result: told of every defect as soon as it has been judged.

    Raises:
        SuiteError: the sound run itself does not pass, so nothing can be said of the defects.
    """
    results = []
    with TemporaryDirectory(prefix="necp-selftest-") as folder:
        _require_sound(Path(folder) / "sound")
        for number, defect in enumerate(DEFECTS):
            result = _seed(defect, Path(folder) / f"defect-{number}")
            on_result(result)
            results.append(result)
        _require_sound_topics(Path(folder) / "topics")
        for number, one in enumerate(TOPIC_DEFECTS):
            result = _seed_topics(one, Path(folder) / f"topics-{number}")
            on_result(result)
            results.append(result)
    return results


def exit_code(results: list[Caught]) -> int:
    """0 if every defect was caught by exactly what must catch it, else 1."""
    return 0 if results and all(result.caught for result in results) else 1


def uncovered() -> list[str]:
    """Checks that no defect is seeded for (``complete-run`` looks at the run's status, not at its history)."""
    return sorted(CHECKS.keys() - {defect.caught_by for defect in DEFECTS} - {"complete-run"})


def table(results: list[Caught]) -> str:
    """The results as plain text: defect, what must catch it, and whether it did."""
    heads = ("defect", "must be caught by", "caught")
    rows = [(r.defect.name, r.defect.caught_by, "yes" if r.caught else f"NO ({r.problem})") for r in results]
    widths = [max(len(row[column]) for row in (heads, *rows)) for column in range(2)]
    lines = [f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c}" for a, b, c in (heads, *rows)]
    caught = sum(result.caught for result in results)
    return "\n".join([*lines, "", f"{caught} of {len(results)} defects caught"])


def _judge(simulation: Simulation, run_dir: Path) -> tuple[dict[str, Verdict], dict[str, str]]:
    """Verdicts and summaries of all checks and judged claims of a simulated run, by name."""
    write_run(simulation, run_dir)
    return _verdicts(run_dir)


def _verdicts(run_dir: Path) -> tuple[dict[str, Verdict], dict[str, str]]:
    findings, claims, _ = verify_run(run_dir)
    verdicts = {finding.name: finding.verdict for finding in findings}
    summaries = {finding.name: finding.summary for finding in findings}
    for claim in claims:
        verdicts[claim.id] = claim.verdict
        summaries[claim.id] = f"{claim.measured or 'nothing measured'}, claimed {claim.threshold}; {claim.evidence}"
    return verdicts, summaries


def _require_sound(run_dir: Path) -> None:
    simulation = new_simulation()
    simulation.go()
    _refuse_wrong(*_judge(simulation, run_dir))


def _require_sound_topics(run_dir: Path) -> None:
    new_topic_run().write(run_dir)
    _refuse_wrong(*_verdicts(run_dir))


def _refuse_wrong(verdicts: dict[str, Verdict], summaries: dict[str, str]) -> None:
    wrong = [name for name, verdict in verdicts.items() if verdict is not Verdict.PASS]
    if wrong:
        raise SuiteError(
            f"the sound run of the self-test does not pass: {', '.join(wrong)}",
            detail="\n".join(f"{name}: {verdicts[name]}: {summaries[name]}" for name in wrong),
            hint="the checks or the accounting are wrong in this version; please report it",
        )


def _seed(defect: Defect, run_dir: Path) -> Caught:
    if defect.caught_by not in CHECKS and defect.caught_by not in CLAIMS:
        raise SuiteError(f"defect {defect.name!r}: {defect.caught_by!r} is neither a check nor a claim")
    simulation = new_simulation()
    simulation.go(defect.after, defect.seed)
    verdicts, summaries = _judge(simulation, run_dir)
    wanted = {Verdict.FAIL, defect.verdict}
    failed = frozenset(name for name, verdict in verdicts.items() if verdict in wanted)
    if defect.verdict is Verdict.UNKNOWN:
        failed -= {name for name in defect.expected if verdicts[name] is Verdict.FAIL}
    return Caught(defect=defect, failed=failed, summary=summaries[defect.caught_by])


def _seed_topics(defect: TopicDefect, run_dir: Path) -> Caught:
    run = new_topic_run()
    defect.seed(run)
    run.write(run_dir)
    verdicts, summaries = _verdicts(run_dir)
    failed = frozenset(name for name, verdict in verdicts.items() if verdict is Verdict.FAIL)
    return Caught(defect=defect, failed=failed, summary=summaries[defect.caught_by])
