"""The file of an external cluster: what is right is taken, what is wrong is named with file and key."""

from __future__ import annotations

from pathlib import Path

import pytest

from necp_validate.core import StackError, UsageError
from necp_validate.events.topics import Domain
from necp_validate.stack.external import ExternalStack
from necp_validate.stack.external_config import load_external
from necp_validate.stack.protocol import FaultUnavailable
from necp_validate.stack.select import open_stack

GOOD = """
bootstrap_servers = "kafka.example:9094"
ca = "ca.pem"

[principals.combat-service]
password = "secret"

[principals.event-core]
username = "core"
password_env = "CORE_PASSWORD"

[internal]
bootstrap_servers = "kafka.example:9093"
ca = "ca.pem"
certificate = "ca.pem"
key = "ca.pem"

[properties]
"client.id" = "suite"

[[core]]
http_url = "http://core.example:8080/"
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "ca.pem").write_text("certificate")
    monkeypatch.setenv("CORE_PASSWORD", "hidden")
    return tmp_path


def _write(folder: Path, text: str) -> Path:
    path = folder / "cluster.toml"
    path.write_text(text)
    return path


def test_a_good_file_gives_client_properties(folder: Path) -> None:
    stack = open_stack("external", config=_write(folder, GOOD))
    assert stack.client_config("event-core") == {
        "bootstrap.servers": "kafka.example:9094",
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "ssl.ca.location": str(folder / "ca.pem"),
        "client.id": "suite",
        "sasl.username": "core",
        "sasl.password": "hidden",
    }
    assert stack.internal_client_config()["bootstrap.servers"] == "kafka.example:9093"


def test_cores_are_handed_out_one_by_one(folder: Path) -> None:
    stack = open_stack("external", config=_write(folder, GOOD))
    core = stack.start_core("core-0", {})
    assert (core.http_url, core.metrics_url) == (
        "http://core.example:8080",
        "http://core.example:8080/metrics",
    )
    with pytest.raises(StackError, match="names 1 instances"):
        stack.start_core("core-1", {})


def test_it_has_no_publisher_to_flood(folder: Path) -> None:
    stack = open_stack("external", config=_write(folder, GOOD))
    with pytest.raises(UsageError, match="the target has no publisher of combat events"):
        stack.start_publisher(Domain.COMBAT, {})


def test_an_audit_trail_there_cannot_be_opened(folder: Path) -> None:
    stack = open_stack("external", config=_write(folder, GOOD))
    with pytest.raises(FaultUnavailable, match="the audit trail cannot be opened"):
        stack.audit_keyring()
    with pytest.raises(FaultUnavailable, match="the brokers' logs cannot be followed"):
        stack.start_collector("collector-0", {})


GATEWAY = """
[gateway]
websocket_url = "wss://game.example:8443/"
http_url = "http://game.example:8081"
ca = "ca.pem"
certificate = "ca.pem"
key = "ca.pem"
"""


def test_a_gateway_is_handed_out_with_what_players_need(folder: Path) -> None:
    stack = open_stack("external", config=_write(folder, GOOD + GATEWAY))
    gateway = stack.start_gateway("gateway-0", {})
    assert gateway.websocket_url == "wss://game.example:8443"
    assert gateway.udp_address == ("game.example", 7777)
    assert gateway.metrics_url == "http://game.example:8081/metrics"
    assert stack.player_tls().certificate == folder / "ca.pem"
    with pytest.raises(FaultUnavailable, match="gateway-0 cannot be killed"):
        gateway.kill()
    with pytest.raises(UsageError, match=r"cluster.toml: 'gateway.expired' is missing"):
        stack.player_tls("expired")


def test_without_a_gateway_there_are_no_players(folder: Path) -> None:
    stack = open_stack("external", config=_write(folder, GOOD))
    with pytest.raises(UsageError, match=r"cluster.toml: 'gateway' is missing"):
        stack.start_gateway("gateway-0", {})


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("wss://game.example:8443/", "ws://game.example", "'gateway.websocket_url' must be wss://HOST:PORT"),
        ('http_url = "http://game.example:8081"\n', "", "'gateway.http_url' is missing"),
        ('key = "ca.pem"\n', 'keys = "ca.pem"\n', "unknown key 'gateway.keys'; did you mean 'key'"),
        ('key = "ca.pem"\n', 'key = "gone.pem"\n', "'gateway.key' names a file that is not there"),
        ('key = "ca.pem"\n', 'key = "ca.pem"\nudp_port = 0\n', "'gateway.udp_port' must be a port number, not 0"),
        ('key = "ca.pem"\n', 'key = "ca.pem"\n[gateway.expired]\nkey = "ca.pem"\n', "'gateway.expired.certificate' is"),
    ],
)
def test_a_wrong_gateway_is_named(folder: Path, old: str, new: str, message: str) -> None:
    head, found, tail = (GOOD + GATEWAY).rpartition(old)
    assert found
    with pytest.raises(UsageError, match=message):
        load_external(_write(folder, head + new + tail))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cluster.toml: 'bootstrap_servers' is missing"),
        ("bootstrap_server = 'a:1'", "unknown key 'bootstrap_server'; did you mean 'bootstrap_servers'"),
        ("bootstrap_servers = 9094", "'bootstrap_servers' must be a string, not int"),
        ("bootstrap_servers = 'a:1'\nca = 'none.pem'", "'ca' names a file that is not there"),
        ("bootstrap_servers = 'a:1'\n[principals.x]\npasword = 'y'", "did you mean 'password'"),
        ("bootstrap_servers = 'a:1'\n[principals.x]\nusername = 'y'", "'principals.x.password' is missing"),
        (
            "bootstrap_servers = 'a:1'\n[principals.x]\npassword_env = 'NO_SUCH_VARIABLE'",
            "names a variable that is not set: NO_SUCH_VARIABLE",
        ),
        ("bootstrap_servers = 'a:1'\nprincipals = 3", "principals must be a table"),
        ("bootstrap_servers = 'a:1'\ncore = 3", "'core' must be a list of tables"),
        ("bootstrap_servers", "is not valid TOML"),
    ],
)
def test_a_wrong_key_is_named(folder: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=r"cluster\.toml") as caught:
        load_external(_write(folder, text))
    assert message in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.toml cannot be read: No such file"):
        load_external(tmp_path / "none.toml")


def test_a_missing_principal_names_the_known_ones(folder: Path) -> None:
    stack = ExternalStack(load_external(_write(folder, GOOD)))
    with pytest.raises(UsageError, match="known: combat-service, event-core"):
        stack.client_config("social-service")


def test_faults_are_refused(folder: Path) -> None:
    stack = ExternalStack(load_external(_write(folder, GOOD)))
    with pytest.raises(StackError, match="broker 1 cannot be killed: an external cluster is its owner's"):
        stack.kill_broker(1)
    assert stack.describe().faults == frozenset()


def test_an_unknown_backend_is_refused() -> None:
    with pytest.raises(UsageError, match="there is no stack 'cloud'; known: auto, local, docker, external"):
        open_stack("cloud")
    with pytest.raises(UsageError, match="needs a file"):
        open_stack("external")
