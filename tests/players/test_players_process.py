"""The players' process at the real gateway, which has a stand-in for Kafka and the event core behind it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from necp_validate.players.plan import PlayersPlan, PlayPhase
from necp_validate.record import PlayersRecord
from necp_validate.record.codec import from_plain
from necp_validate.scenario.playing import tls_files
from necp_validate.stack.pki import PlayersPki

LIMIT = 60
TOLD = 3 * LIMIT  # what players take for the limit: the greedy one exceeds it so much more, and it is over sooner
SECONDS = 13.0
GATEWAY = Path(__file__).with_name("gateway_with_stand_in.py")


@pytest.fixture
def pki(tmp_path: Path) -> PlayersPki:
    pki = PlayersPki(tmp_path / "pki")
    pki.issue(["localhost", "127.0.0.1"])
    return pki


@pytest.fixture
def ports(tmp_path: Path, pki: PlayersPki) -> Iterator[dict[str, int]]:
    certificate, key = pki.gateway()
    env = {
        **os.environ,
        "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
        "UDP_LISTEN_ADDR": "127.0.0.1:0",
        "WEBSOCKET_ADDR": "127.0.0.1:0",
        "HTTP_PORT": "0",
        "METRICS_PORT": "0",
        "TLS_CERT_LOCATION": str(certificate),
        "TLS_KEY_LOCATION": str(key),
        "TLS_CLIENT_CA_LOCATION": str(pki.ca),
        "RATE_LIMIT_REQUESTS_PER_MINUTE": str(LIMIT),
        "KAFKA_SECURITY_PROTOCOL": "PLAINTEXT",
    }
    with (tmp_path / "gateway.log").open("wb") as log:
        gateway = subprocess.Popen([sys.executable, GATEWAY], env=env, stdout=subprocess.PIPE, stderr=log)
    try:
        assert gateway.stdout is not None
        line = gateway.stdout.readline()
        assert line, (tmp_path / "gateway.log").read_text(encoding="utf-8")
        yield json.loads(line)
    finally:
        gateway.terminate()
        gateway.wait(40)


def plan_in(run_dir: Path, pki: PlayersPki, ports: dict[str, int], *, seconds: float = SECONDS, **more: float) -> Path:
    """Write the plan of four players, who begin in 3 s; returns its file."""
    plan = PlayersPlan(
        run_dir=str(run_dir),
        run_id=f"test-{run_dir.name:0>16}",
        seed=1,
        phases=[PlayPhase(name="steady", kind="steady", duration_s=seconds, players=4)],
        websocket_url=f"wss://127.0.0.1:{ports['ws']}",
        udp_host="127.0.0.1",
        tls=tls_files(pki.player()),
        start_us=time.time_ns() // 1000 + 3_000_000,
        **more,  # type: ignore[arg-type]
    )
    run_dir.mkdir()
    (run_dir / "plan.json").write_bytes(msgspec.json.encode(plan))
    return run_dir / "plan.json"


BROKEN = {
    "the clock": ("from necp_validate.players.game import Game as kind", "_do"),
    "a reader of a WebSocket": ("from necp_validate.players.player import Session as kind", "message"),
    "a reader of datagrams": ("from necp_validate.players.player import Session as kind", "datagram"),
    "a player": ("from necp_validate.players.users import _Visit as kind", "go"),
}
PROGRAM = """
from necp_validate.players import __main__ as process
{imported}
def failing(*_):
    raise TypeError("{name} does not work")
kind.{name} = failing
process.sys.exit(process.main())
"""


@pytest.mark.slow
def test_whatever_dies_of_it_ends_the_process_with_its_last_words(
    tmp_path: Path, pki: PlayersPki, ports: dict[str, int]
) -> None:
    """Players who were not read from any more would look as if the gateway had forgotten them."""
    begun = {}
    for number, (imported, name) in enumerate(BROKEN.values()):
        plan = plan_in(tmp_path / f"{number}", pki, ports, seconds=250.0)
        command = [sys.executable, "-c", PROGRAM.format(imported=imported, name=name), str(plan)]
        begun[name] = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        said = {name: process.communicate(timeout=200)[0] for name, process in begun.items()}
    finally:
        for process in begun.values():
            process.kill()
            process.wait()
    assert {name: process.returncode for name, process in begun.items()} == dict.fromkeys(begun, 4), said
    last = {name: output.splitlines()[-1] for name, output in said.items()}
    assert last == {name: f"the players could not go on: TypeError: {name} does not work" for name in begun}


@pytest.mark.slow
def test_who_asks_for_too_much_is_refused_and_stays(tmp_path: Path, pki: PlayersPki, ports: dict[str, int]) -> None:
    """Long enough for a flood, if the greedy one went on as it began: it is limited, eases off, keeps its session.

    At 18 a second, with 60 at once and 1 a second allowed, the first refusal comes after 4 s and would be a flood after
    another 4; at the 4.5 a second that it eases off to, after 24.
    """
    plan = plan_in(tmp_path / "run", pki, ports, limit_per_minute=TOLD, hit_per_s=0.2, greedy=1)
    command = [sys.executable, "-m", "necp_validate.players", str(plan)]
    subprocess.run(command, check=True, timeout=120)
    found = json.loads((tmp_path / "run" / "history" / "players-p0.json").read_text(encoding="utf-8"))
    record = from_plain(PlayersRecord, found)
    assert (record.sessions.logins, record.sessions.broken) == (5, 0), record.errors
    assert record.interruptions == ()
    (greedy,) = record.greedy
    assert greedy.limited > 0
    assert greedy.answered <= LIMIT + LIMIT / 60 * greedy.seconds + 1
    assert sum(ends.get("unexplained", 0) + ends.get("cut_off", 0) for ends in record.actions.values()) == 0
