"""Runs that were recorded before a run said what it owes: read, judged as far as their evidence goes, and reported.

Two real ones of November 2026, as they were left: no ``manifest.json``, no ``history/due.json``, fewer fields. What was
wrong in them is still wrong; what passed then is unknown, since nobody can say any more what is missing.
"""

from __future__ import annotations

import json
import tarfile
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from necp_validate.cli.app import app
from necp_validate.core import Verdict
from necp_validate.record import read_record
from necp_validate.report.gate import gate
from necp_validate.report.pipeline import judge
from necp_validate.report.verdict import read_verdict, sentence

ARCHIVE = Path(__file__).parents[1] / "data" / "runs-of-november-2026.tar.xz"
SMOKE, BROKER_KILL = "20261127T050718-smoke-700f", "20261127T050922-chaos-broker-kill-d081"
RUNS = (SMOKE, BROKER_KILL)


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """The folder with both."""
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path


def test_the_archive_is_small() -> None:
    assert ARCHIVE.stat().st_size < 100_000


@pytest.mark.parametrize("name", RUNS)
def test_its_verdict_of_then_is_read_and_counts_for_nothing(recorded: Path, name: str) -> None:
    then = read_verdict(recorded / name)
    assert (then.verdict, then.evidence, then.repeats) == (Verdict.PASS, (), ())
    assert gate(recorded / name).verdict is Verdict.UNKNOWN


@pytest.mark.parametrize("name", RUNS)
def test_what_passed_is_unknown_and_says_what_is_missing(recorded: Path, name: str) -> None:
    then, now = read_verdict(recorded / name), gate(recorded / name)
    assert {claim.id for claim in now.claims} == {claim.id for claim in then.claims}
    assert {claim.verdict for claim in now.claims} == {Verdict.UNKNOWN}
    assert all("history/due.json" in claim.evidence for claim in now.claims)
    assert {check.verdict for check in now.applicable} == {Verdict.PASS, Verdict.UNKNOWN}
    assert sentence(now).startswith("Nothing failed, but ")
    assert "check changed-record (this run was never closed" in sentence(now)
    assert "list of the topics that had to be read" in {one.what for one in now.evidence if not one.complete}


@pytest.mark.parametrize("name", RUNS)
def test_what_is_there_is_still_measured(recorded: Path, name: str) -> None:
    (acked,) = (claim for claim in gate(recorded / name).claims if claim.id == "DUR-ACKED")
    assert acked.measured == "lost: 0 events"


def test_what_it_recorded_of_its_fault_is_read(recorded: Path) -> None:
    record = read_record(recorded / BROKER_KILL)
    assert [fault.id for fault in record.faults] == ["broker-kill-1"]
    assert [one.faults for one in record.experiments] == [None], "not recorded, and not none"


@pytest.mark.parametrize("name", RUNS)
def test_every_command_takes_it(recorded: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    run = recorded / name
    codes = {command: CliRunner().invoke(app, [command, str(run)]) for command in ("verify", "gate", "report")}
    assert {command: done.exit_code for command, done in codes.items()} == {"verify": 3, "gate": 3, "report": 0}
    assert read_verdict(run).verdict is Verdict.UNKNOWN
    assert "? unknown" in (run / "report.html").read_text(encoding="utf-8")
    assert (run / "summary.md").read_text(encoding="utf-8").startswith("## ❔ unknown")
    assert ET.parse(run / "junit.xml").getroot().get("failures") == "0"


def test_two_of_them_are_compared_but_prove_nothing(recorded: Path) -> None:
    done = CliRunner().invoke(app, ["compare", "--baseline", str(recorded / SMOKE), str(recorded / BROKER_KILL)])
    assert done.exit_code == 3
    assert "it was never closed" in " ".join(done.stdout.split())


@contextmanager
def edited(run: Path, name: str) -> Iterator[dict[str, Any]]:
    """A file of the history, to be changed."""
    path = run / "history" / name
    document = json.loads(path.read_text())
    yield document
    path.write_text(json.dumps(document))


@contextmanager
def read_again(run: Path) -> Iterator[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]]:
    """The readback, with its first stream and the partition of it; what was read of both stays the same number."""
    stream = json.loads((run / "history" / "load-w0.json").read_text())["streams"][0]
    with edited(run, "readback.json") as readback:
        read = readback["streams"][stream["stream"]]
        place = (stream["topic"], read["partitions"][0])
        partition = next(one for one in readback["partitions"] if (one["topic"], one["partition"]) == place)
        before = partition["read"]
        yield readback, read, partition
        readback["events_read"] += partition["read"] - before


def lose_three(run: Path) -> None:
    with read_again(run) as (_, stream, partition):
        ((first, last),) = stream["read"]
        stream["read"] = [[first, 99], [103, last]]
        partition["read"] -= 3
        partition["gaps"] += 3
        partition["offsets"] = None


def read_two_twice(run: Path) -> None:
    with read_again(run) as (_, stream, partition):
        stream["duplicates"] = 2
        for name in ("read", "high"):
            partition[name] += 2
        partition["offsets"] = None


def let_a_cheat_through(run: Path) -> None:
    with edited(run, "readback.json") as readback:
        combat = [one for one in readback["receipts"] if one["topic"] == "game.combat.events" and one["rejected"]]
        combat[0]["rejected"] -= 1
        combat[0]["processed"] += 1


def end_with_an_error(run: Path) -> None:
    with edited(run, "core-shutdown.json") as shutdown:
        shutdown["exit_code"] = 9


@pytest.mark.parametrize(
    ("name", "spoil", "check", "claims"),
    [
        (SMOKE, lose_three, "lost-write", {"DUR-ACKED", "OPS-HEALTH"}),
        (BROKER_KILL, lose_three, "lost-write", {"DUR-ACKED", "FT-BROKER", "CHAOS-ALL"}),
        (SMOKE, read_two_twice, "duplicate", {"OPS-HEALTH"}),
        (SMOKE, let_a_cheat_through, "planted-cheats", {"EVT-COMBAT", "OPS-HEALTH"}),
        (SMOKE, end_with_an_error, "graceful-shutdown", {"OPS-HEALTH"}),
    ],
)
def test_what_is_wrong_in_it_is_a_fail(
    recorded: Path, name: str, spoil: Callable[[Path], None], check: str, claims: set[str]
) -> None:
    """What is missing beside it takes nothing of it back."""
    spoil(recorded / name)
    found = judge(recorded / name)
    assert {one.name for one in found.applicable if one.verdict is Verdict.FAIL} >= {check}
    assert {one.id for one in found.of(Verdict.FAIL)} == claims
    assert found.verdict is Verdict.FAIL


def test_a_record_that_does_not_add_up_proves_no_violation(recorded: Path) -> None:
    """Three events are gone from a stream, but not from its partition: one of the two is wrong."""
    with edited(recorded / SMOKE, "readback.json") as readback:
        stream = max(readback["streams"].values(), key=lambda one: one["read"][0][1])
        ((first, last),) = stream["read"]
        stream["read"] = [[first, 99], [103, last]]
    found = judge(recorded / SMOKE)
    assert found.verdict is Verdict.UNKNOWN
    (account,) = (one for one in found.applicable if one.name == "position-account")
    assert "139,075 records read by partition, 139,072 by stream" in account.summary
