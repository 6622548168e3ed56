"""Starting a gateway: its environment, its one address, and what can be done to it."""

from __future__ import annotations

import json
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from necp_validate.core import StackError
from necp_validate.stack import GatewayHandle
from necp_validate.stack.gateway import (
    GATEWAY,
    GatewayProcess,
    PlayersAddress,
    gateway_environment,
    require_alone,
    start_gateway_process,
)

CLIENT = {"bootstrap.servers": "127.0.0.1:9094", "security.protocol": "SASL_SSL", "sasl.username": "gateway"}
COMMAND = [sys.executable, str(Path(__file__).with_name("gateway_stand_in.py"))]


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[GatewayProcess]]:
    """Gateways that a test has started; they are ended."""
    monkeypatch.setenv("TLS_STRAY", "from outside")
    monkeypatch.setenv("UDP_LISTEN_ADDR", "from outside")
    gateways: list[GatewayProcess] = []
    yield gateways
    for gateway in gateways:
        gateway.kill()


def _start(started: list[GatewayProcess], tmp_path: Path, name: str, address: PlayersAddress) -> GatewayProcess:
    env = gateway_environment(address, "cert.pem", "key.pem", "ca.pem")
    log = tmp_path / f"{name}.log"
    gateway = start_gateway_process(name, CLIENT, env, address, log=log, command=COMMAND)
    started.append(gateway)
    gateway.wait_ready(20)
    return gateway


def test_a_gateway_gets_its_environment_from_the_stack_alone(started: list[GatewayProcess], tmp_path: Path) -> None:
    address = PlayersAddress.free("127.0.0.1")
    gateway = _start(started, tmp_path, "gateway-0", address)
    assert isinstance(gateway, GatewayHandle)
    assert gateway.udp_address == ("127.0.0.1", address.udp_port)
    assert gateway.websocket_url == f"wss://127.0.0.1:{address.websocket_port}"
    with urllib.request.urlopen(f"{gateway.http_url}/health", timeout=5) as answer:
        told = json.load(answer)["env"]
    assert told == {
        "GATEWAY_INSTANCE": "gateway-0",
        "UDP_LISTEN_ADDR": f"127.0.0.1:{address.udp_port}",
        "WEBSOCKET_ADDR": f"127.0.0.1:{address.websocket_port}",
        "TLS_CERT_LOCATION": "cert.pem",
        "KAFKA_SASL_USERNAME": "gateway",
        "TLS_STRAY": None,
    }


def test_whoever_takes_its_place_has_its_address(started: list[GatewayProcess], tmp_path: Path) -> None:
    address = PlayersAddress.free("127.0.0.1")
    first = _start(started, tmp_path, "gateway-0", address)
    with pytest.raises(StackError, match=r"gateway-0 runs at wss://127\.0\.0\.1:\d+ already"):
        require_alone(started)
    first.kill()
    require_alone(started)
    second = _start(started, tmp_path, "gateway-1", address)
    assert (second.udp_address, second.websocket_url) == (first.udp_address, first.websocket_url)
    assert second.log_tail() == "stand-in listens"
    assert second.stop(10)


def test_a_frozen_gateway_is_there_and_does_not_answer(started: list[GatewayProcess], tmp_path: Path) -> None:
    gateway = _start(started, tmp_path, "gateway-0", PlayersAddress.free("127.0.0.1"))
    gateway.pause()
    assert gateway.paused()
    assert gateway.alive()
    assert not gateway.healthy()
    gateway.resume()
    assert gateway.healthy()
    assert gateway.cpu_s() > 0


def test_one_that_dies_is_told_with_its_log(tmp_path: Path) -> None:
    address = PlayersAddress.free("127.0.0.1")
    command = [sys.executable, "-c", "import sys; sys.exit('no certificate')"]
    gateway = start_gateway_process("gateway-0", CLIENT, {}, address, log=tmp_path / "log", command=command)
    with pytest.raises(StackError, match="gateway-0 died") as caught:
        gateway.wait_ready(20)
    assert "no certificate" in str(caught.value.detail)


def test_its_own_variables_are_never_inherited() -> None:
    env = {"TLS_KEY_LOCATION": "k", "HTTP_PORT": "1", "KAFKA_X": "1", "WEBSOCKET_ADDR": ":1", "SPATIAL_GRID_SIZE": "9"}
    assert GATEWAY.inherited(env) == {"SPATIAL_GRID_SIZE": "9"}
