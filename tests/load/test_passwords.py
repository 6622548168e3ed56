"""The load's producers take a new password over, and the history says when."""

from __future__ import annotations

from pathlib import Path

import pytest

from necp_validate.load import passwords
from necp_validate.load.passwords import PasswordFile
from necp_validate.record import parts


def test_a_new_password_is_used_once_and_taken_down_without_being_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passwords, "LOOK_EVERY_S", 0.0)
    used: list[str] = []
    path = tmp_path / "password"
    file = PasswordFile(path, "combat-service", "old-secret", used.append)
    assert not file.look(tmp_path, "w0")
    path.write_text("old-secret")
    assert not file.look(tmp_path, "w0")
    path.write_text("new-secret")
    assert file.look(tmp_path, "w0")
    assert not file.look(tmp_path, "w0")
    assert used == ["new-secret"]
    (row,) = parts.PASSWORDS_TAKEN.read_of(tmp_path, "w0")
    assert (row.principal, row.taken_us > 0) == ("combat-service", True)
    assert "secret" not in "".join(p.read_text() for p in (tmp_path / "history").iterdir())


def test_the_file_is_not_looked_at_more_often_than_it_must_be(tmp_path: Path) -> None:
    path = tmp_path / "password"
    file = PasswordFile(path, "combat-service", "old", lambda _: None)
    assert not file.look(tmp_path, "w0")
    path.write_text("new")
    assert not file.look(tmp_path, "w0"), "a tenth of a second is not over"
