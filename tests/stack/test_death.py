"""A broker that died is told with what it said last and with what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from necp_validate.stack.death import broker_died, death_hint


@pytest.mark.parametrize(
    ("log", "exit_code", "word"),
    [
        ("java.io.IOException: No space left on device", 1, "no space left"),
        ("java.net.BindException: Address already in use", 1, "port is in use"),
        ("java.lang.OutOfMemoryError: Java heap space", 3, "not enough memory"),
        ("", -9, "something killed it"),
        ("", 1, "reason is in its log"),
    ],
)
def test_a_death_comes_with_advice(log: str, exit_code: int, word: str) -> None:
    assert word in death_hint(log, exit_code)


def test_frames_of_stack_traces_do_not_hide_the_message(tmp_path: Path) -> None:
    log = tmp_path / "broker-2.log"
    frames = "".join(f"\tat kafka.Frame{number}(Frame.java:1)\n" for number in range(100))
    log.write_text(f"java.io.IOException: No space left on device\n{frames}\t... 12 more\n")
    assert str(broker_died(2, 1, log)) == (
        "broker 2 died (exit code 1)\n"
        "last lines of broker-2.log:\n"
        "java.io.IOException: No space left on device\n"
        "hint: there is no space left on the disk: free some, or choose another folder"
    )
