"""The event core's clock, and the file that steps it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from necp_validate.reference.eventcore.clock import Clock
from necp_validate.reference.eventcore.config import ConfigError, load_config


def test_without_a_file_it_is_the_machines_clock() -> None:
    before = time.time_ns() // 1_000
    assert before <= Clock().now_us() <= time.time_ns() // 1_000


def test_a_step_is_seen_at_once_and_so_is_its_end(tmp_path: Path) -> None:
    file = tmp_path / "offset"
    file.write_bytes(bytes(8))
    clock = Clock(file)
    for offset_us in (3_600_000_000, -3_600_000_000, 0):
        with file.open("r+b") as opened:
            opened.write(offset_us.to_bytes(8, "little", signed=True))
        before = time.time_ns() // 1_000
        assert before + offset_us <= clock.now_us() <= time.time_ns() // 1_000 + offset_us


def test_a_file_that_is_missing_or_too_short_is_named(tmp_path: Path) -> None:
    file = tmp_path / "offset"
    env = {
        "KAFKA_BOOTSTRAP_SERVERS": "b:1",
        "KAFKA_SECURITY_PROTOCOL": "PLAINTEXT",
        "CORE_CLOCK_OFFSET_FILE": str(file),
        "CORE_DOMAINS": "combat",
    }
    for content in (None, b"1234567"):
        if content is not None:
            file.write_bytes(content)
        with pytest.raises(ConfigError, match=r"CORE_CLOCK_OFFSET_FILE: .*offset' is not a file of 8 bytes"):
            load_config(env)
    file.write_bytes(bytes(8))
    assert load_config(env).clock_offset_file == file
