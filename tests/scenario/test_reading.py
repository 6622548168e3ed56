"""A reader that cannot read gives its reason, and the run goes on; one that dies ends the run."""

from __future__ import annotations

from pathlib import Path

import pytest

from necp_validate.clients.readback import ReadTask
from necp_validate.core import SuiteError
from necp_validate.scenario.reading import ProcessDied, read_back


def task(tmp_path: Path, **client: str) -> ReadTask:
    return ReadTask(
        client={"bootstrap.servers": "127.0.0.1:9", "log_level": "0", **client},
        begin={},
        known={"00000001": ("game.combat.events", "match-0001")},
        dead_letter_topics=[],
        timeout_s=1.0,
        out=str(tmp_path / "readback.json"),
    )


def test_a_reader_whose_brokers_do_not_answer_gives_that_as_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = tmp_path / "sitecustomize.py"
    reader.write_text("import necp_validate.clients.reader as reader\nreader._ANSWER_S = 0.2\n", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(SuiteError, match="the process that was to read everything back could not") as caught:
        read_back(task(tmp_path), tmp_path, lambda event: None)
    assert not isinstance(caught.value, ProcessDied)
    assert "Kafka did not say where its topics end" in (caught.value.detail or "")


def test_a_reader_that_dies_of_something_else_is_a_failure_of_the_suite(tmp_path: Path) -> None:
    with pytest.raises(
        ProcessDied, match="the process that was to read everything back ended with exit code 1"
    ) as caught:
        read_back(task(tmp_path, **{"no.such.property": "1"}), tmp_path, lambda event: None)
    assert "No such configuration property" in (caught.value.detail or "")
    assert str(tmp_path / "logs" / "readback.log") in (caught.value.hint or "")
    assert not list(tmp_path.glob("readback-task*"))
