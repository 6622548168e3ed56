"""The master lets in who knows the key, reads clocks, keeps what workers send, and accounts for those that it loses."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gevent.event
import pytest
from neutral import neutral

from necp_validate import __version__
from necp_validate.claims import CHECKS
from necp_validate.core import SuiteError, Verdict
from necp_validate.load import master as master_module
from necp_validate.load import messages as say
from necp_validate.load.master import Master
from necp_validate.load.messages import Seal, pieces
from necp_validate.load.plan import DomainTraffic, LoadPlan, PlannedPhase
from necp_validate.load.world import World
from necp_validate.record import LoadRecord, RunInfo, TimelineRow, parts
from necp_validate.record.codec import to_plain
from necp_validate.record.reader import read_record

KEY = "a key that both sides know"
SEAL = Seal(KEY)


class StandIn:
    """In the place of Locust's master, and of the workers behind it: each answers pings by a clock of its own."""

    def __init__(self) -> None:
        self.clients: dict[str, Any] = {}
        self._users_dispatcher = None
        self.listeners: dict[str, Callable[..., None]] = {}
        self.sent: list[tuple[str, str, Any]] = []
        self.ahead_s: dict[str, float] = {}
        self.then: dict[str, Callable[[str], object]] = {}

    def register_message(self, kind: str, listener: Callable[..., None]) -> None:
        self.listeners[kind] = listener

    def send_message(self, kind: str, data: Any, client_id: str) -> None:
        said = SEAL.open(data) if "sealed" in data else data
        self.sent.append((client_id, kind, said))
        self.then.get(kind, lambda _: None)(client_id)
        if kind == say.PING and client_id in self.ahead_s:
            theirs_ns = time.time_ns() + round(self.ahead_s[client_id] * 1e9)
            self.hear(client_id, say.PONG, {**said, "received_ns": theirs_ns, "answered_ns": theirs_ns})

    def hear(self, client_id: str, kind: str, said: Any, *, seal: Seal = SEAL) -> None:
        message = SimpleNamespace(node_id=client_id, data=seal.seal(said))
        self.listeners[kind](environment=None, msg=message)

    def join(self, client_id: str, *, ahead_s: float = 0.0, seal: Seal = SEAL, version: str = __version__) -> None:
        self.clients[client_id] = SimpleNamespace(state="ready")
        self.ahead_s[client_id] = ahead_s
        hello = {"version": version, "host": f"host-of-{client_id}", "namespace": "", "pid": 1, "cpus": 2}
        self.hear(client_id, say.JOIN, hello, seal=seal)

    def told(self, client_id: str, kind: str) -> list[Any]:
        return [said for to, of, said in self.sent if (to, of) == (client_id, kind)]


def plan_in(run_dir: Path, password_file: str = "") -> LoadPlan:
    (run_dir / "ca.pem").write_text("the authority", encoding="utf-8")
    traffic = DomainTraffic(
        topic="game.combat.events",
        rate_eps=100,
        run_length=5,
        tick_hz=5,
        cheat_share=0.1,
        poison_share=0.1,
        client={"acks": "all", "ssl.ca.location": str(run_dir / "ca.pem"), "sasl.password": "old"},
        password_file=password_file,
    )
    return LoadPlan(
        run_dir=str(run_dir),
        run_id="r",
        seed=1,
        processes=2,
        phases=[PlannedPhase(name="steady", kind="steady", duration_s=10.0, load=1.0)],
        traffic={"combat": traffic},
        verifier={},
        drain_timeout_s=0.0,
        listen="127.0.0.1:1",
        join_key=KEY,
        join_timeout_s=0.2,
    )


class Scene:
    """A master, the stand-in for Locust, and what the master tells."""

    def __init__(self, run_dir: Path, **plan: Any) -> None:
        self.run_dir = run_dir
        self.plan = plan_in(run_dir, **plan)
        self.runner = StandIn()
        self.told: list[str] = []
        runner: Any = self.runner
        self.then: dict[str, Callable[[], object]] = {}
        self.master = Master(self.plan, runner, self._tell)
        self.world = World(self.plan, self.plan.processes)
        self.stopped = gevent.event.Event()

    def _tell(self, text: str) -> None:
        """Take what is told, and let happen what is to happen then."""
        self.told.append(text)
        self.then.get(text.split(" of ")[0], lambda: None)()

    def begin(self, *clients: str) -> None:
        for client in clients:
            if client not in self.runner.clients:
                self.runner.join(client)
            self.runner.hear(client, say.READY, {})
        self.master.wait_ready(self.stopped)
        self.master.start(self.world)

    def finish(self, client: str, worker: str) -> None:
        record = json.dumps(to_plain(neutral(LoadRecord, worker=worker))).encode()
        for piece in pieces(f"history/load-{worker}.json", record, 7):
            self.runner.hear(client, say.FILE, piece)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_workers_are_given_numbers_the_plan_and_its_files(scene: Scene) -> None:
    scene.begin("a", "b")
    first, second = scene.runner.told("a", say.PLAN)[0], scene.runner.told("b", say.PLAN)[0]
    assert (first["index"], second["index"]) == (0, 1)
    assert list(first["files"].values()) == [b"the authority"]
    assert [one.state for one in parts.WORKERS.read(scene.run_dir)] == ["playing", "playing"]
    assert read_history_phases(scene.run_dir) == ["steady"]


def read_history_phases(run_dir: Path) -> list[str]:
    return [row["name"] for row in json.loads((parts.PHASES.file(run_dir)).read_text(encoding="utf-8"))]


def test_who_does_not_know_the_key_is_turned_away_and_sees_nothing(scene: Scene) -> None:
    scene.runner.join("stranger", seal=Seal("another key altogether"))
    assert scene.runner.told("stranger", say.PLAN) == []
    assert "does not know the join key" in scene.runner.told("stranger", say.REFUSED)[0]["reason"]
    assert "stranger" not in scene.runner.clients


@pytest.mark.parametrize(
    ("arrange", "why"),
    [
        (lambda scene: scene.runner.join("late", version="0.0.1"), "version 0.0.1"),
        (lambda scene: (scene.begin("a", "b"), scene.runner.join("late")), "the load has begun"),
        (lambda scene: [scene.runner.join(name) for name in ("a", "b", "late")], "all 2 workers are here"),
    ],
)
def test_who_cannot_take_part_is_told_why(scene: Scene, arrange: Callable[[Scene], object], why: str) -> None:
    arrange(scene)
    assert why in scene.runner.told("late", say.REFUSED)[0]["reason"]
    assert scene.runner.told("late", say.PLAN) == []


def test_workers_that_do_not_come_are_named(scene: Scene) -> None:
    scene.runner.join("a")
    with pytest.raises(SuiteError, match="1 of 2 load workers joined"):
        scene.master.wait_ready(scene.stopped)


def test_a_worker_that_cannot_work_ends_the_run_with_its_reason(scene: Scene) -> None:
    scene.runner.join("a")
    scene.runner.hear("a", say.FAILED, {"message": "the brokers cannot be reached", "hint": None})
    with pytest.raises(SuiteError, match="w0 on host-of-a: the brokers cannot be reached"):
        scene.master.wait_ready(scene.stopped)


def test_one_that_goes_before_the_load_begins_may_be_replaced(scene: Scene) -> None:
    scene.runner.join("a")
    del scene.runner.clients["a"]
    with pytest.raises(SuiteError):
        scene.master.wait_ready(scene.stopped)
    scene.begin("b", "c")
    assert scene.runner.told("b", say.PLAN)[0]["index"] == 0


def test_each_worker_begins_by_its_own_clock_and_its_rows_are_kept_by_the_masters(scene: Scene) -> None:
    scene.runner.join("a", ahead_s=5.0)
    scene.begin("a", "b")
    ahead = scene.runner.told("a", say.START)[0]["start_us"] - scene.world.start_us
    assert ahead == pytest.approx(5e6, abs=1e5)
    scene.runner.hear("a", say.ROWS, [neutral(TimelineRow, t=scene.world.start_us / 1e6 + 6.0, domain="combat")])
    row = json.loads((scene.run_dir / "history/timeline-w0.jsonl").read_text(encoding="utf-8"))
    assert row["t"] - scene.world.start_us / 1e6 == pytest.approx(1.0, abs=0.1)
    clocks = {one.worker: one.clocks[0].offset_us for one in parts.WORKERS.read(scene.run_dir)}
    assert clocks["w0"] == pytest.approx(5e6, abs=1e5)
    assert abs(clocks["w1"]) < 1e5


def test_who_does_not_tell_the_time_plays_no_part(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(master_module, "_PING_TIMEOUT_S", 0.01)
    scene.runner.join("a")
    del scene.runner.ahead_s["a"]
    with pytest.raises(SuiteError, match="did not answer when asked for the time"):
        scene.begin("a", "b")


def test_a_run_is_over_when_every_worker_has_sent_its_history(scene: Scene) -> None:
    scene.begin("a", "b")
    scene.master._end_us = 0  # it is over
    scene.finish("a", "w0")
    scene.finish("b", "w1")
    scene.master.watch(scene.world, scene.stopped)
    assert [one.state for one in parts.WORKERS.read(scene.run_dir)] == ["finished", "finished"]
    assert scene.runner.told("a", say.RECEIVED) == [{"name": "history/load-w0.json"}]


def test_one_that_sends_its_history_before_the_end_has_left(scene: Scene) -> None:
    scene.begin("a", "b")
    scene.finish("a", "w0")
    scene.master._end_us = 0
    scene.finish("b", "w1")
    scene.master.watch(scene.world, scene.stopped)
    assert [one.state for one in parts.WORKERS.read(scene.run_dir)] == ["left", "finished"]


def test_a_worker_cannot_send_what_is_not_its_own(scene: Scene) -> None:
    scene.begin("a", "b")
    scene.finish("a", "w1")
    with pytest.raises(SuiteError, match="not its file"):
        scene.master.watch(scene.world, scene.stopped)
    assert not (scene.run_dir / "history/load-w1.json").exists()


def lose_one(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run in which worker b is silent from the beginning, and the load is over."""
    monkeypatch.setattr(master_module, "_GIVE_UP_S", 0.05)
    scene.begin("a", "b")
    scene.world.start_us -= 60_000_000
    scene.master._end_us = scene.world.end_us
    scene.runner.clients["b"].state = "missing"
    scene.finish("a", "w0")
    scene.master.watch(scene.world, scene.stopped)


def test_a_worker_that_is_lost_leaves_its_schedule_as_events_of_unknown_outcome(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    lose_one(scene, monkeypatch)
    parts.RUN.write(
        scene.run_dir, neutral(RunInfo, id="r", scenario="s", scale=1.0, seed=1, config={"load": {"processes": 2}})
    )
    history = read_record(scene.run_dir)
    lost = next(load for load in history.loads if load.lost_us is not None)
    assert lost.worker == "w1"
    assert [one.state for one in history.workers] == ["finished", "lost"]
    # 100 events a second for 10 s over 4 servers: two of them are this worker's.
    assert {stream.key for stream in lost.streams} == {"match-0001", "match-0003"}
    assert sum(stream.unknown.count for stream in lost.streams) == sum(stream.sent for stream in lost.streams) == 500
    assert lost.planted == {"combat": {"cheat": 50, "poison": 50, "fuzz": 0}}
    finding = CHECKS["lost-worker"](history)
    assert (finding.verdict, finding.count) == (Verdict.UNKNOWN, 500)
    assert "worker w1" in finding.examples[0].where
    assert "w1 on host-of-b is lost" in scene.told[-1]


def test_a_worker_that_fails_is_lost_at_once_with_its_reason(scene: Scene) -> None:
    scene.begin("a", "b")
    scene.master._end_us = 0
    scene.runner.hear("b", say.FAILED, {"message": "the load could not go on: TypeError: x", "hint": None})
    scene.finish("a", "w0")
    scene.master.watch(scene.world, scene.stopped)
    assert [one.state for one in parts.WORKERS.read(scene.run_dir)] == ["finished", "lost"]
    assert scene.told[-1] == (
        "w1 on host-of-b is lost (the load could not go on: TypeError: x): what became of its events is unknown"
    )
    (failure,) = parts.SUITE_FAILURES.read(scene.run_dir)
    assert (failure.component, failure.problem) == (
        "load worker w1 on host-of-b",
        "the load could not go on: TypeError: x",
    )


def test_a_load_of_which_every_worker_fails_ends_the_run(scene: Scene) -> None:
    scene.begin("a", "b")
    for client in ("a", "b"):
        scene.runner.hear(client, say.FAILED, {"message": "no memory", "hint": "give it more"})
    with pytest.raises(SuiteError, match="w1 on host-of-b: no memory") as caught:
        scene.master.watch(scene.world, scene.stopped)
    assert caught.value.hint == "give it more"


def test_a_message_that_the_master_cannot_handle_ends_the_run(scene: Scene) -> None:
    """Locust would log it, and the master would wait for what it has lost."""
    scene.begin("a", "b")
    scene.runner.hear("a", say.FILE, {"name": "history/load-w0.json"})
    with pytest.raises(SuiteError, match=rf"a message of a load worker \({say.FILE}\) could not be handled: KeyError"):
        scene.master.watch(scene.world, scene.stopped)


def test_its_record_has_the_streams_that_it_would_have_sent(scene: Scene) -> None:
    """The same ids and keys as every worker's own: else what it did send would be records that nobody sent."""
    worlds = [World(scene.plan, index) for index in range(scene.plan.processes)]
    for world in worlds:
        world.start_us = 1
    streams = [stream.stream for world in worlds for stream in world.unknown_record(1).streams]
    assert len(streams) == len(set(streams)) == World(scene.plan, 0).schedules["combat"].most_servers


def test_one_that_is_silent_for_a_while_is_not_lost(scene: Scene) -> None:
    scene.begin("a", "b")
    scene.master._end_us = 0
    scene.finish("a", "w0")
    scene.runner.clients["b"].state = "missing"
    scene.then = {
        "nothing is heard": lambda: setattr(scene.runner.clients["b"], "state", "running"),
        "w1 on host-of-b is heard": lambda: scene.finish("b", "w1"),
    }
    scene.master.watch(scene.world, scene.stopped)
    (told,) = [one for one in parts.WORKERS.read(scene.run_dir) if one.worker == "w1"]
    assert (told.state, told.silences) == ("finished", 1)
    assert [line for line in scene.told if "w1" in line and "heard" in line] == [
        "nothing is heard of w1 on host-of-b any more; the run goes on",
        "w1 on host-of-b is heard of again",
    ]


def test_a_password_that_was_changed_is_passed_on(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("old", encoding="utf-8")
    scene = Scene(tmp_path, password_file=str(secret))
    scene.begin("a", "b")
    scene.finish("a", "w0")
    secret.write_text("new", encoding="utf-8")
    scene.runner.then[say.PASSWORD] = lambda client: scene.finish(client, "w1") if client == "b" else None
    scene.master.watch(scene.world, scene.stopped)
    assert scene.runner.told("b", say.PASSWORD) == [{"domain": "combat", "password": "new"}]
