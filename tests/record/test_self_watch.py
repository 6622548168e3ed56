"""A part of the suite that ends early is written into the run, with what rests on it."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from necp_validate.core import SuiteError
from necp_validate.record import parts
from necp_validate.record.record import Record
from necp_validate.record.self_watch import WatchedThread, noting
from necp_validate.record.store import parts_of

_TIMES = 200


def thread(run_dir: Path, work: Callable[[], None], asked: threading.Event | None = None) -> WatchedThread:
    failed = noting(run_dir, "watch", parts.HOST, parts.BROKERS)
    return WatchedThread(work, name="watch", asked=asked or threading.Event(), on_failure=failed)


def noted(run_dir: Path) -> list[tuple[str, str, tuple[str, ...]]]:
    return [(one.component, one.problem, one.parts) for one in parts.SUITE_FAILURES.read(run_dir)]


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (TypeError("two\nlines"), "TypeError: two ("),
        (KeyError("pid"), "KeyError: 'pid' ("),
        (SystemExit(3), "SystemExit: 3 ("),
        (ZeroDivisionError(), "ZeroDivisionError ("),
        (SuiteError("the disk is full", hint="free some"), "SuiteError: the disk is full"),
    ],
)
def test_whatever_ends_a_thread_is_noted_in_one_line_and_nothing_is_printed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], error: BaseException, problem: str
) -> None:
    def work() -> None:
        raise error

    watched = thread(tmp_path, work)
    watched.start()
    watched.join()
    ((component, found, written),) = noted(tmp_path)
    assert (component, written) == ("watch", ("host", "brokers"))
    assert found.startswith(problem)
    assert "\n" not in found
    assert capfd.readouterr() == ("", "")


def test_a_defect_is_noted_with_its_place(tmp_path: Path) -> None:
    watched = thread(tmp_path, lambda: [][1])
    watched.start()
    watched.join()
    ((_, problem, _),) = noted(tmp_path)
    assert "(test_self_watch.py, line " in problem


def test_a_thread_that_ends_before_it_was_asked_to_has_failed_as_well(tmp_path: Path) -> None:
    watched = thread(tmp_path, lambda: None)
    watched.start()
    watched.join()
    assert [problem for _, problem, _ in noted(tmp_path)] == ["it ended before it was asked to"]


def test_one_that_was_asked_to_end_leaves_nothing(tmp_path: Path) -> None:
    asked = threading.Event()
    watched = thread(tmp_path, lambda: asked.wait() and None, asked)
    watched.stop()  # it has not begun
    asked.clear()
    watched.start()
    watched.stop()
    watched.stop()
    assert not watched.is_alive()
    assert noted(tmp_path) == []


def test_what_fails_in_its_last_moment_is_noted_too(tmp_path: Path) -> None:
    asked = threading.Event()

    def work() -> None:
        asked.wait()
        raise OSError("the last sample could not be taken")

    watched = thread(tmp_path, work, asked)
    watched.start()
    watched.stop()
    assert len(noted(tmp_path)) == 1


def test_one_that_was_left_to_itself_writes_nothing_any_more(tmp_path: Path) -> None:
    """Its owner has closed its file, and perhaps the run: what is missing of it shows as missing."""
    asked, released = threading.Event(), threading.Event()

    def work() -> None:
        released.wait()
        raise ValueError("I/O operation on closed file")

    watched = thread(tmp_path, work, asked)
    watched.start()
    watched.stop(0.01)
    released.set()
    watched.join()
    assert noted(tmp_path) == []


def test_a_failure_that_cannot_be_written_down_is_raised_when_the_thread_is_stopped(tmp_path: Path) -> None:
    full = [SuiteError("could not write: no space left")] * 2
    written_down: list[str] = []

    def failed(problem: str) -> None:
        if full:
            raise full.pop()
        written_down.append(problem)

    watched = WatchedThread(lambda: None, name="watch", asked=threading.Event(), on_failure=failed)
    watched.start()
    watched.join()
    with pytest.raises(SuiteError, match="no space left"):
        watched.stop()
    watched.stop()
    watched.stop()
    assert written_down == ["it ended before it was asked to"]


def note_often(run_dir: Path, name: str) -> None:
    failed = noting(run_dir, name, parts.LOADS)
    for number in range(_TIMES):
        failed(f"{number}")


def test_no_failure_is_lost_when_threads_and_processes_fail_at_once(tmp_path: Path) -> None:
    other = multiprocessing.get_context("spawn").Process(target=note_often, args=(tmp_path, "process"))
    threads = [threading.Thread(target=note_often, args=(tmp_path, f"thread {number}")) for number in range(2)]
    for one in (other, *threads):
        one.start()
    for one in (other, *threads):
        one.join()
    assert len(noted(tmp_path)) == 3 * _TIMES


def test_every_part_that_a_component_can_name_is_of_the_record() -> None:
    """Parts are named by what writes them, so that a name cannot be wrong; the manifest is no part of a record."""
    everything = parts_of(Record)
    noting(Path(), "all", *everything.values())
    with pytest.raises(KeyError):
        noting(Path(), "nothing", parts.MANIFEST)


def test_where_nothing_is_to_be_written_the_thread_itself_has_what_ended_it() -> None:
    watched = WatchedThread(lambda: [][1], name="watch", asked=threading.Event())
    assert watched.problem == ""
    watched.start()
    watched.join()
    assert watched.problem.startswith("IndexError: list index out of range (")


def test_without_a_run_directory_a_thread_is_silent_and_stopping_it_raises(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    watched = thread(tmp_path / "gone", lambda: None)
    watched.start()
    watched.join()
    assert capfd.readouterr() == ("", "")
    with pytest.raises(FileNotFoundError):
        watched.stop()
    assert not (tmp_path / "gone").exists()
