"""Scenarios with players: what they say, what the players' processes are told, and that these never stay behind."""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from necp_validate.chaos.experiment import load_experiment
from necp_validate.core import SuiteError, UsageError
from necp_validate.players.plan import PlayersPlan, PlayPhase, TlsFiles
from necp_validate.record import parts
from necp_validate.reference.gateway.config import load_config
from necp_validate.scenario import Scenario, load_scenario
from necp_validate.scenario.gateway_watch import GatewayWatch
from necp_validate.scenario.planning import backgrounds_of, with_experiments
from necp_validate.scenario.playing import PlayersRun, players_plan
from necp_validate.stack import GatewayHandle, PlayerTls, Stack
from necp_validate.stack.fleet import GatewayFleet
from necp_validate.stack.gateway import PlayersAddress, gateway_environment, start_gateway_process

STAND_IN = [sys.executable, str(Path(__file__).parents[1] / "stack" / "gateway_stand_in.py")]

PLAYED = """
[players]
count = 40
hot_share = 0.25

[traffic.combat]
rate_eps = 100

[[phases]]
name = "quiet"
kind = "warmup"
duration_s = 5
players = 10

[[phases]]
name = "all"
kind = "steady"
duration_s = 10
hot_share = 0.9
"""


def read(tmp_path: Path, text: str) -> Scenario:
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return load_scenario(path)


class Target:
    """A stack with certificates, and without a wrong one to try if it is somebody else's."""

    def __init__(self, *, foreign: bool = False) -> None:
        self._foreign = foreign

    def player_tls(self, variant: str = "valid") -> PlayerTls:
        if self._foreign and variant != "valid":
            raise UsageError(f"'gateway.{variant}' is missing")
        return PlayerTls(ca=Path("ca"), certificate=Path(f"{variant}.cert"), key=Path(f"{variant}.key"))


GATEWAY = cast(
    GatewayHandle, SimpleNamespace(websocket_url="wss://127.0.0.1:8443", udp_address=("127.0.0.1", 7777), name="g")
)


def test_players_are_told_the_phases_of_the_load(tmp_path: Path) -> None:
    plan = players_plan(read(tmp_path, PLAYED), cast(Stack, Target()), GATEWAY, tmp_path / "run-1")
    assert plan.phases == [
        PlayPhase(name="quiet", kind="warmup", duration_s=5, players=10, hot_share=0.25),
        PlayPhase(name="all", kind="steady", duration_s=10, players=40, hot_share=0.9),
    ]
    assert (plan.websocket_url, plan.udp_host, plan.run_id) == ("wss://127.0.0.1:8443", "127.0.0.1", "run-1")
    assert plan.tls == TlsFiles(ca="ca", certificate="valid.cert", key="valid.key")
    assert plan.refused_tls == {
        "none": TlsFiles(ca="ca"),
        "expired": TlsFiles(ca="ca", certificate="expired.cert", key="expired.key"),
        "wrong-ca": TlsFiles(ca="ca", certificate="stranger.cert", key="stranger.key"),
    }


def test_gateway_and_players_are_told_the_same_of_the_gateway(tmp_path: Path) -> None:
    """What players check is what the gateway was told, by the names that the claims use."""
    own = PLAYED + "\n[gateway]\ngrid = 500\nbatch = 50\ntick_min_hz = 4\ntick_max_hz = 10\nlimit_per_minute = 90\n"
    scenario = read(tmp_path, own)
    plan = players_plan(scenario, cast(Stack, Target()), GATEWAY, tmp_path)
    files = ("TLS_CERT_LOCATION", "TLS_KEY_LOCATION", "TLS_CLIENT_CA_LOCATION")
    for name in files:
        (tmp_path / name).touch()
    env = {name: str(tmp_path / name) for name in files}
    kafka = {"KAFKA_BOOTSTRAP_SERVERS": "x:1", "KAFKA_SECURITY_PROTOCOL": "PLAINTEXT"}
    told = load_config({**scenario.gateway.environment(), **env, **kafka})
    assert (plan.grid, plan.batch, plan.tick_min_hz, plan.tick_max_hz, plan.limit_per_minute) == (500, 50, 4, 10, 90)
    assert (told.grid, told.batch, told.tick_min_hz, told.tick_max_hz, told.requests_per_min) == (500, 50, 4, 10, 90)


def test_what_a_foreign_target_does_not_give_is_not_tried(tmp_path: Path) -> None:
    plan = players_plan(read(tmp_path, PLAYED), cast(Stack, Target(foreign=True)), GATEWAY, tmp_path)
    assert list(plan.refused_tls) == ["none"]


def test_without_players_a_scenario_has_none() -> None:
    scenario = load_scenario("smoke")
    assert scenario.players is None
    assert [scenario.players_in(phase) for phase in scenario.phases] == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("old", "new", "place", "says"),
    [
        ("count = 40", "count = 0", 3, "players.count"),
        ("count = 40", "cuont = 40", 3, 'did you mean "count"'),
        ("hot_share = 0.25", "hot_share = 25", 4, "a share lies between 0 and 1"),
        ("hot_share = 0.25", "hit_per_s = -1", 4, "how many times a second"),
        ("hot_share = 0.25", "processes = 41", 4, "41 processes for 40 players"),
        ("players = 10", "players = 1.5", 13, "phases[0].players"),
        ("[players]\ncount = 40\nhot_share = 0.25\n", "", 10, "the scenario has no players"),
        ("count = 40", "count = 40\nmove_hz = 0\nhit_per_s = 0\ntrade_per_s = 0\nchat_per_s = 0", 2, "do nothing"),
        ("count = 40\nhot_share = 0.25", 'count = "many"', 3, "players.count"),
        ("[players]", "[gateway]\ntick_min_hz = 30\n[players]", 3, "30 Hz is more than tick_max_hz (20 Hz)"),
        ("[players]", "[gateway]\nbatch = 0\n[players]", 3, "gateway.batch"),
    ],
)
def test_an_error_names_line_and_remedy(tmp_path: Path, old: str, new: str, place: int, says: str) -> None:
    assert old in PLAYED
    with pytest.raises(UsageError) as caught:
        read(tmp_path, PLAYED.replace(old, new, 1))
    assert f"mine.toml:{place}: " in str(caught.value)
    assert says in str(caught.value)


def test_a_game_that_nobody_plays_is_refused(tmp_path: Path) -> None:
    text = PLAYED.replace("players = 10", "players = 0").replace("hot_share = 0.9", "players = 0")
    with pytest.raises(UsageError, match="no player is ever online"):
        read(tmp_path, text)


def test_an_experiment_on_the_gateway_has_its_own_background() -> None:
    """The others do not pay for it, and one that is chosen for all counts for all."""
    kill, other = load_experiment("gateway-kill"), load_experiment("core-kill")
    assert (kill.players, other.players) == (True, False)
    found = backgrounds_of([kill, other], None, load_scenario)
    assert {name: scenario.name for name, scenario in found.items()} == {
        "gateway-kill": "chaos-players",
        "core-kill": "chaos",
    }
    assert backgrounds_of([other], "chaos-players", load_scenario)["core-kill"].players is not None


def test_a_background_without_players_is_refused_before_anything_starts() -> None:
    kill = load_experiment("gateway-kill")
    with pytest.raises(UsageError, match="gateway-kill breaks the gateway, and chaos has no players") as caught:
        backgrounds_of([kill], "chaos", load_scenario)
    assert caught.value.hint == 'its own scenario is "chaos-players"'
    with pytest.raises(UsageError, match="has no players"):
        with_experiments(load_scenario("chaos"), [kill])


PLAYER = """
import json, pathlib, signal, sys, time
plan = json.loads(pathlib.Path(sys.argv[1]).read_text())
print("ready", flush=True)
line = sys.stdin.readline()
out = pathlib.Path(plan["run_dir"]) / ("told-" + "-".join(sys.argv[2:]) + ".json")
out.write_text(json.dumps(line))
BODY
"""


@pytest.fixture
def playing(tmp_path: Path) -> Iterator[Any]:
    """Makes the players' processes of a run from a few lines; they are ended."""
    made: list[PlayersRun] = []

    def make(body: str, processes: int = 1) -> PlayersRun:
        program = tmp_path / "player.py"
        program.write_text(PLAYER.replace("BODY", textwrap.dedent(body)), encoding="utf-8")
        plan = PlayersPlan(
            run_dir=str(tmp_path),
            run_id="r",
            seed=1,
            phases=[],
            websocket_url="wss://x:1",
            udp_host="x",
            tls=TlsFiles(ca="ca"),
            processes=processes,
        )
        made.append(PlayersRun(plan, [sys.executable, str(program)]))
        return made[-1]

    yield make
    for one in made:
        one.stop()


def begin(tmp_path: Path) -> None:
    path = parts.PHASES.file(tmp_path)
    path.parent.mkdir()
    path.write_text('[{"name": "a", "start_us": 1234567}]', encoding="utf-8")


def test_players_begin_when_the_load_does(playing: Any, tmp_path: Path) -> None:
    run = playing("", processes=2)
    run.start()
    assert (tmp_path / "players-plan.json").stat().st_mode & 0o777 == 0o600
    run.poll()
    assert list(tmp_path.glob("told-*")) == [], "nobody knows yet when the load begins"
    begin(tmp_path)
    run.poll()
    run.finish()
    told = {path.name: json.loads(path.read_text()) for path in tmp_path.glob("told-*")}
    assert told == {f"told---worker-{number}.json": "start 1234567\n" for number in (0, 1)}
    run.stop()
    assert not (tmp_path / "players-plan.json").exists()


def test_a_player_process_that_fails_breaks_the_run_off(playing: Any, tmp_path: Path) -> None:
    run = playing("sys.exit('the gateway speaks another language')")
    run.start()
    begin(tmp_path)
    run.poll()
    with pytest.raises(SuiteError, match="ended with exit code 1") as caught:
        run.finish()
    assert "another language" in str(caught.value.detail)


def test_one_that_is_never_ready_is_told_with_its_words(tmp_path: Path, playing: Any) -> None:
    run = playing("")
    (tmp_path / "player.py").write_text("import sys; sys.exit('no module')", encoding="utf-8")
    with pytest.raises(SuiteError, match="exit code 1") as caught:
        run.start()
    assert "no module" in str(caught.value.detail)


def test_players_do_not_outlive_the_run(playing: Any) -> None:
    run = playing("time.sleep(600)")
    run.start()
    (process,) = run._processes
    assert process.alive()
    run.stop()
    assert not process.alive()
    run.stop()


class Gateways:
    """A stack that starts stand-ins for the gateway, all at one address."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._address = PlayersAddress.free("127.0.0.1")

    def start_gateway(self, instance: str, env: dict[str, str]) -> GatewayHandle:
        given = {**gateway_environment(self._address, "c", "k", "a"), **env}
        log = self._folder / f"{instance}.log"
        client = {"bootstrap.servers": "x"}
        return start_gateway_process(instance, client, given, self._address, log=log, command=STAND_IN)


def test_the_gateway_is_watched_through_its_end_and_its_replacement(tmp_path: Path) -> None:
    fleet = GatewayFleet(cast(Stack, Gateways(tmp_path)))
    watch = GatewayWatch(fleet)
    assert watch.sample() is None
    try:
        (first,) = fleet.start(1)
        watch.sample()
        row = watch.sample()
        assert row is not None
        assert (row.instance, row.sessions, row.tick_hz) == ("gateway-0", 3, 20.0)
        assert row.cpu_pct is not None
        assert row.cpu_pct >= 0
        assert (row.rss_bytes or 0) > 1e6
        fleet.kill(first)
        row = watch.sample()
        assert row is not None
        assert (row.instance, row.sessions, row.tick_hz, row.rss_bytes) == ("gateway-0", None, None, None)
        second = fleet.replace("gateway-0")
        row = watch.sample()
        assert row is not None
        assert (row.instance, row.sessions) == ("gateway-1", 3)
        assert second.websocket_url == first.websocket_url
        own = watch.own_streams()
        assert [(one.instance, one.sent, one.killed) for one in own.streams] == [
            ("gateway-0", 2, True),
            ("gateway-1", 2, False),
        ]
        killed, alive = own.as_load().streams
        assert (killed.stream, killed.sent) == (f"{first.pid:08x}", 12)
        assert (alive.sent, alive.acked.count, alive.unknown.to_list()) == (2, 0, [[0, 1]])
    finally:
        fleet.close()
