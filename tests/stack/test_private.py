"""Files that are replaced: closed to others from the beginning, and never seen in half."""

from __future__ import annotations

import os
from pathlib import Path
from threading import Event, Thread

from necp_validate.stack.private import write_private, write_whole


def test_nobody_else_can_read_it_whatever_the_umask_or_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("older")
    path.chmod(0o644)
    before = os.umask(0)
    try:
        write_private(path, b"new")
    finally:
        os.umask(before)
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"new", 0o600)
    assert [one.name for one in tmp_path.iterdir()] == ["secret"]


def test_whoever_reads_meanwhile_has_the_one_or_the_other(tmp_path: Path) -> None:
    path, contents = tmp_path / "certificate", (b"a" * 50_000, b"b" * 70_000)
    write_whole(path, contents[0], mode=0o644)
    stop = Event()

    def write() -> None:
        while not stop.is_set():
            for content in contents:
                write_whole(path, content, mode=0o644)

    writer = Thread(target=write)
    writer.start()
    try:
        seen = {path.read_bytes() for _ in range(3_000)}
    finally:
        stop.set()
        writer.join()
    assert seen <= set(contents)
