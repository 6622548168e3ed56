"""Programs that are run to their end."""

import sys
from pathlib import Path

import psutil
import pytest

from necp_validate.core import SuiteError
from necp_validate.kubernetes import tool
from necp_validate.stack.process import ManagedProcess


def test_exit_code_and_output_are_kept(tmp_path: Path):
    program = [sys.executable, "-c", "import sys; print('said'); sys.exit(3)"]
    assert tool.run(program, log=tmp_path / "log", timeout_s=60.0) == 3
    assert (tmp_path / "log").read_text() == "said\n"


def test_what_takes_too_long_is_ended(tmp_path: Path):
    with pytest.raises(SuiteError, match=r"did not end in 0\.2 s"):
        tool.run([sys.executable, "-c", "import time; time.sleep(600)"], log=tmp_path / "log", timeout_s=0.2)
    assert not [one for one in psutil.Process().children() if "time.sleep(600)" in one.cmdline()]


def test_it_ends_with_who_is_interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def interrupted(self: ManagedProcess, timeout_s: float) -> bool:
        monkeypatch.undo()
        raise KeyboardInterrupt

    monkeypatch.setattr(ManagedProcess, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        tool.run([sys.executable, "-c", "import time; time.sleep(601)"], log=tmp_path / "log", timeout_s=60.0)
    assert not [one for one in psutil.Process().children() if "time.sleep(601)" in one.cmdline()]


def test_a_program_is_found_on_the_path_or_named(tmp_path: Path):
    assert tool.run(["true"], log=tmp_path / "log", timeout_s=60.0) == 0
    with pytest.raises(SuiteError, match="no-such-program"):
        tool.run(["no-such-program"], log=tmp_path / "log", timeout_s=60.0)
