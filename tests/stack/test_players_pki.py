"""Players' certificates: by an authority of their own, and what the gateway has to refuse is really refused."""

from __future__ import annotations

import socket
import ssl
import threading
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from necp_validate.core import StackError
from necp_validate.stack.pki import Authority, PlayersPki
from necp_validate.stack.protocol import PlayerTls, PlayerVariant


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> PlayersPki:
    made = PlayersPki(tmp_path_factory.mktemp("stack") / "players-pki")
    made.issue(["localhost", "127.0.0.1"])
    return made


def _serve(certificate: Path, key: Path, clients_ca: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.load_verify_locations(clients_ca)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def _login(server: ssl.SSLContext, player: PlayerTls) -> str:
    """Connect as a player; returns what the server said, or why it did not."""
    here, there = socket.socketpair()

    def serve() -> None:
        with there:
            try:
                with server.wrap_socket(there, server_side=True) as tls:
                    tls.sendall(b"welcome")
            except (ssl.SSLError, OSError):
                return

    thread = threading.Thread(target=serve)
    thread.start()
    client = ssl.create_default_context(cafile=str(player.ca))
    client.load_cert_chain(player.certificate, player.key)
    try:
        with here, client.wrap_socket(here, server_hostname="127.0.0.1") as tls:
            return tls.recv(100).decode()
    except (ssl.SSLError, OSError) as error:
        return str(error)
    finally:
        thread.join(10)


@pytest.mark.parametrize(
    ("variant", "said"), [("valid", "welcome"), ("expired", "certificate expired"), ("stranger", "unknown ca")]
)
def test_only_a_valid_player_of_the_right_authority_gets_in(pki: PlayersPki, variant: PlayerVariant, said: str) -> None:
    gateway = _serve(*pki.gateway(), pki.ca)
    assert said in _login(gateway, pki.player(variant))


def test_a_player_does_not_get_in_where_kafkas_authority_counts(pki: PlayersPki, tmp_path: Path) -> None:
    """What a broker trusts is another authority, though the names could be the same."""
    kafka = Authority(tmp_path / "pki")
    broker = kafka.issue_server("broker-1", ["127.0.0.1"])
    player = pki.player()
    trusting = PlayerTls(ca=kafka.ca_path, certificate=player.certificate, key=player.key)
    assert "unknown ca" in _login(_serve(broker.cert, broker.key, kafka.ca_path), trusting)


def test_the_gateways_certificate_serves_and_does_not_log_in(pki: PlayersPki) -> None:
    cert = x509.load_pem_x509_certificates(pki.gateway()[0].read_bytes())[0]
    assert list(cert.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [
        ExtendedKeyUsageOID.SERVER_AUTH
    ]


def test_private_keys_are_for_the_owner_only(pki: PlayersPki) -> None:
    keys = [path for path in pki.directory.rglob("*.pem") if b"PRIVATE KEY" in path.read_bytes()]
    assert {path.name for path in keys} >= {"player.key.pem", "expired.key.pem", "gateway.key.pem"}
    assert {path.stat().st_mode & 0o777 for path in keys} == {0o600}
    assert {path.parent.stat().st_mode & 0o777 for path in keys} == {0o700}


def test_a_stack_of_an_older_version_is_named(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="no players' certificates"):
        PlayersPki(tmp_path).player()
