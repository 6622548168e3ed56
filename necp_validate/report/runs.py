"""Finds a stored run by its path, by its id, or by the word ``last``."""

from __future__ import annotations

from pathlib import Path

from necp_validate.core.errors import UsageError
from necp_validate.core.suggestions import did_you_mean
from necp_validate.record import parts

RUNS = Path("reports/runs")
LAST = "last"


def find_run(name: str | Path, *, runs: Path = RUNS) -> Path:
    """The directory of a stored run.

    Args:
        name: a path, the id of a run in ``runs``, or ``last`` for the newest there.
        runs: the folder of run directories.

    Raises:
        UsageError: there is no such run.
    """
    path = Path(name)
    if (parts.RUN.file(path)).is_file():
        return path
    known = sorted((one.parent for one in runs.glob(f"*/{parts.RUN.path}")), key=lambda run: run.stat().st_mtime)
    if str(name) == LAST and known:
        return known[-1]
    for run in known:
        if run.name == str(name):
            return run
    if path.is_dir():
        raise UsageError(f"{path} is no run directory: it holds no {parts.RUN.path}", hint=_hint(str(name), known))
    raise UsageError(f'there is no run "{name}"', hint=_hint(str(name), known))


def _hint(name: str, known: list[Path]) -> str:
    if not known:
        return f"no run is stored in {RUNS}/ yet; make one with: necp-validate run smoke"
    guess = did_you_mean(name, [run.name for run in known])
    lead = f'did you mean "{guess}"? ' if guess else ""
    return f'{lead}give the path of a run directory, an id in {known[-1].parent}/, or "{LAST}" ({known[-1].name})'
