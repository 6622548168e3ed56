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
SECONDS = 30.0
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


@pytest.mark.slow
def test_who_asks_for_too_much_is_refused_and_stays(tmp_path: Path, pki: PlayersPki, ports: dict[str, int]) -> None:
    """Long enough for a flood, if the greedy one went on as it began: it is limited, eases off, keeps its session."""
    plan = PlayersPlan(
        run_dir=str(tmp_path / "run"),
        run_id="test-0000000000000000",
        seed=1,
        phases=[PlayPhase(name="steady", kind="steady", duration_s=SECONDS, players=4)],
        websocket_url=f"wss://127.0.0.1:{ports['ws']}",
        udp_host="127.0.0.1",
        tls=tls_files(pki.player()),
        limit_per_minute=LIMIT,
        hit_per_s=0.2,
        greedy=1,
        start_us=time.time_ns() // 1000 + 3_000_000,
    )
    (tmp_path / "run").mkdir()
    (tmp_path / "plan.json").write_bytes(msgspec.json.encode(plan))
    command = [sys.executable, "-m", "necp_validate.players", str(tmp_path / "plan.json")]
    subprocess.run(command, check=True, timeout=120)
    found = json.loads((tmp_path / "run" / "history" / "players-p0.json").read_text(encoding="utf-8"))
    record = from_plain(PlayersRecord, found)
    assert (record.sessions["logins"], record.sessions.get("broken", 0)) == (5, 0), record.errors
    assert record.interruptions == ()
    (greedy,) = record.greedy
    assert greedy.limited > 0
    assert greedy.answered <= LIMIT + LIMIT / 60 * greedy.seconds + 1
    assert sum(ends.get("unexplained", 0) + ends.get("cut_off", 0) for ends in record.actions.values()) == 0
