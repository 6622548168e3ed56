"""A working directory whose owner was killed is removed by the next stack; a living owner's stays."""

from __future__ import annotations

import json
from pathlib import Path

from necp_validate.stack.workdir import disown, new_directory, sweep


def test_only_orphaned_directories_are_swept(tmp_path: Path) -> None:
    mine, orphan, detached = (new_directory(tmp_path) for _ in range(3))
    owner = json.loads((orphan / "owner.json").read_text())
    (orphan / "owner.json").write_text(json.dumps({**owner, "birth": owner["birth"] - 100}))
    (tmp_path / "somebody-elses").mkdir()
    disown(detached)
    assert sweep(tmp_path) == [orphan]
    assert sorted(tmp_path.iterdir()) == sorted([mine, detached, tmp_path / "somebody-elses"])
