"""Reading a run directory back: whatever is there, merged over the load workers."""

from __future__ import annotations

from pathlib import Path

from necp_validate.core import SuiteError, UsageError
from necp_validate.record import parts
from necp_validate.record.model import RunInfo
from necp_validate.record.record import Record
from necp_validate.record.store import parts_of


def read_record(run_dir: Path | str) -> Record:
    """Read all that a run directory holds.

    Raises:
        UsageError: this is not a run directory.
        SuiteError: a file is damaged; the message names it.
    """
    run_dir = Path(run_dir)
    run = read_info(run_dir)
    found = {name: part.read(run_dir) for name, part in parts_of(Record).items() if part is not parts.RUN}
    return Record(run=run, run_dir=run_dir, **found)


def read_info(run_dir: Path | str) -> RunInfo:
    """Read what was run, and nothing of what came of it.

    Raises:
        UsageError: this is not a run directory.
        SuiteError: the file is damaged.
    """
    run_dir = Path(run_dir)
    if not parts.RUN.file(run_dir).is_file():
        raise UsageError(
            f"{run_dir} is not a run directory: it holds no {parts.RUN.path}",
            hint="give the directory of one run, e.g. reports/runs/<id>",
        )
    run = parts.RUN.read(run_dir)
    if run is None:
        raise SuiteError(f"{parts.RUN.file(run_dir)} vanished while it was read", hint="run the command again")
    return run
