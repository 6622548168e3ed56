"""A stack's logs are where its user meant, whoever is told the path: an engine takes a relative one for a name."""

from __future__ import annotations

from pathlib import Path

import pytest

from necp_validate.stack.docker import DockerStack
from necp_validate.stack.local import LocalStack


@pytest.mark.parametrize("backend", [LocalStack, DockerStack])
def test_a_relative_folder_of_logs_is_told_in_full(
    backend: type[LocalStack] | type[DockerStack], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert backend(log_dir=Path("runs/logs")).logs == tmp_path / "runs" / "logs"
