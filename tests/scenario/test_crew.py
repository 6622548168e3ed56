"""Where load workers meet their master, and what is told of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from neutral import neutral

from necp_validate.cli.workers import placement_of
from necp_validate.core import SuiteError, UsageError
from necp_validate.load.luggage import pack, unpack
from necp_validate.load.messages import KEY_VARIABLE
from necp_validate.load.plan import DomainTraffic, LoadPlan, PlannedPhase, split_address
from necp_validate.record.workers import WorkerRecord
from necp_validate.record.writer import write_json
from necp_validate.scenario.crew import Crew, CrewWatcher, Placement
from necp_validate.scenario.events import RunEvent, StageStarted, WarningRaised
from necp_validate.stack.namespaces import WorkerNetwork


def plan(processes: int = 1, **client: str) -> LoadPlan:
    servers = {"bootstrap.servers": "127.0.0.1:9", **client}
    traffic = DomainTraffic(
        topic="t", rate_eps=10, run_length=1, tick_hz=10, cheat_share=0, poison_share=0, client=servers
    )
    phases = [PlannedPhase(name="steady", kind="steady", duration_s=1, load=1)]
    return LoadPlan(
        run_dir="there",
        run_id="r",
        seed=1,
        processes=processes,
        phases=phases,
        traffic={"combat": traffic},
        verifier=dict(servers),
    )


def test_one_process_needs_no_master() -> None:
    assert Crew().meet(plan()) == plan()


def test_processes_of_this_host_meet_on_the_loopback_interface_with_a_key_of_their_own() -> None:
    first, second = Crew().meet(plan(2)), Crew().meet(plan(2))
    assert first.listen.startswith("127.0.0.1:")
    assert len(first.join_key) >= 24
    assert first.join_key != second.join_key


def test_workers_in_namespaces_are_given_the_addresses_that_they_can_reach() -> None:
    network = WorkerNetwork(bridge="br", prefix="127.0.0.", gateway="127.0.0.1", hosts={}, bootstrap="broker-1:9095")

    class _Stack:
        def worker_network(self) -> WorkerNetwork:
            return network

    stack: Any = _Stack()
    met = Crew(Placement(where="namespaces"), stack).meet(plan(1))
    assert met.listen.startswith("127.0.0.1:")
    assert met.traffic["combat"].client["bootstrap.servers"] == "broker-1:9095"
    assert met.verifier["bootstrap.servers"] == "broker-1:9095"


def test_workers_elsewhere_are_waited_for_where_the_user_says() -> None:
    met = Crew(Placement(where="elsewhere", listen="0.0.0.0:5557", key="k" * 20)).meet(plan(3))
    assert (met.listen, met.join_key) == ("0.0.0.0:5557", "k" * 20)
    assert met.join_timeout_s > 600
    assert Crew(Placement(where="elsewhere")).start(met, Path()) == []


def test_files_that_clients_need_go_along_and_are_found_again(tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    ca.write_bytes(b"authority")
    here = plan(2, **{"ssl.ca.location": str(ca), "sasl.password": str(ca)})
    folder = tmp_path / "there"
    folder.mkdir()
    there = unpack(here, pack(here), folder)
    client = there.traffic["combat"].client
    assert Path(client["ssl.ca.location"]).read_bytes() == b"authority"
    assert Path(client["ssl.ca.location"]).parent == folder
    assert client["sasl.password"] == str(ca)  # not a place, whatever it looks like
    assert there.verifier["ssl.ca.location"] == client["ssl.ca.location"]
    assert there.run_dir == str(folder)


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(SuiteError, match="no-such-file"):
        pack(plan(2, **{"ssl.key.location": "/no-such-file"}))


def test_it_is_told_who_comes_and_who_is_lost(tmp_path: Path) -> None:
    told: list[RunEvent] = []
    watcher = CrewWatcher(tmp_path, plan(2), told.append)
    for states in (
        ("joined",),
        ("ready", "joined"),
        ("playing", "playing"),
        ("playing", "silent"),
        ("finished", "lost"),
    ):
        records = [neutral(WorkerRecord, worker=f"w{n}", host="h", state=state) for n, state in enumerate(states)]
        write_json(tmp_path / "history/workers.json", records)
        watcher.tell()
        watcher.tell()  # nothing is told twice
    details = [event.detail for event in told if isinstance(event, StageStarted)]
    warnings = [event.message for event in told if isinstance(event, WarningRaised)]
    assert details[-1] == "2 of 2 workers are here, w1 on h"
    assert warnings == [
        "load worker w1 on h is silent: no heartbeat; the run goes on",
        "load worker w1 on h is lost: what became of its events is unknown",
    ]


@pytest.mark.parametrize("address", ["", "host", "host:", "host:x", "host:0", "host:70000"])
def test_what_is_no_address_is_wrong_usage(address: str) -> None:
    with pytest.raises(UsageError, match="no address of a master"):
        split_address(address)


def test_addresses() -> None:
    assert split_address("10.0.0.5:5557") == ("10.0.0.5", 5557)
    assert split_address(":5557") == ("*", 5557)
    assert split_address("[::1]:5557") == ("::1", 5557)


def test_options_of_run_say_where_workers_are(monkeypatch: pytest.MonkeyPatch) -> None:
    def placed(workers: int | None = None, **options: Any) -> tuple[Placement, list[str]]:
        return placement_of(workers, **{"namespaces": False, "master": None, "expect_workers": None, **options})

    assert placed() == (Placement(), [])
    assert placed(4) == (Placement(), ["load.processes=4"])
    assert placed(4, namespaces=True) == (Placement(where="namespaces"), ["load.processes=4"])
    monkeypatch.setenv(KEY_VARIABLE, "k" * 20)
    elsewhere, overrides = placed(master="0.0.0.0:5557", expect_workers=3)
    assert (elsewhere.where, elsewhere.listen, elsewhere.key) == ("elsewhere", "0.0.0.0:5557", "k" * 20)
    assert overrides == ["load.processes=3"]
    for wrong in ({"expect_workers": 2}, {"master": "h:1"}, {"master": "h:1", "expect_workers": 1, "workers": 1}):
        with pytest.raises(UsageError):
            placed(**wrong)
    monkeypatch.setenv(KEY_VARIABLE, "short")
    with pytest.raises(UsageError, match="16 are the least"):
        placed(master="0.0.0.0:5557", expect_workers=3)
