"""The files of a new cluster: certificates, users, formatted data directories, one configuration per broker."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from necp_validate.core import UsageError
from necp_validate.events.topics import PRINCIPALS
from necp_validate.stack.authorities import TRUSTED, Authorities
from necp_validate.stack.config import (
    COMPILER_DIRECTIVES,
    SCRAM_MECHANISM,
    BrokerSettings,
    broker_principal,
    server_properties,
    write_properties,
)
from necp_validate.stack.keyring import make_keyring
from necp_validate.stack.pki import AdminPki, PlayersPki
from necp_validate.stack.private import write_private
from necp_validate.stack.protocol import ADMIN, FaultUnavailable, ListenerInfo
from necp_validate.stack.runtime import KafkaRuntime
from necp_validate.stack.storage import bootstrap_snapshot, format_directory, new_cluster_id

_PKI = "pki"
_MUTUAL = ("internal", "controller")


@dataclass(frozen=True, kw_only=True)
class ClusterLayout:
    """One cluster on disk, and how to log in to it.

    Args:
        directory: the stack's working directory.
        settings: of every broker, by id.
        passwords: SCRAM password of every principal, as it is now.
        authorities: issue certificates; None for who has only attached to the stack. Their keys are never written down.
    """

    directory: Path
    settings: Mapping[int, BrokerSettings]
    passwords: dict[str, str]
    authorities: Authorities | None = None

    @classmethod
    def create(
        cls,
        directory: Path,
        settings: Sequence[BrokerSettings],
        runtime: KafkaRuntime,
        *,
        overrides: Mapping[str, str] | None = None,
        gateway_hosts: Sequence[str] = ("localhost", "127.0.0.1"),
    ) -> ClusterLayout:
        """Write every file of a new cluster.

        Args:
            directory: the stack's working directory.
            settings: of every broker; paths in them are those that the broker will see.
            runtime: Java and Kafka.
            overrides: broker properties that replace the ones decided here.
            gateway_hosts: names and addresses at which players reach the gateway.

        Raises:
            StackError: Kafka's storage tool failed.
        """
        passwords = {name: secrets.token_urlsafe(18) for name in (*PRINCIPALS, ADMIN)}
        authorities = Authorities(directory / "authorities", directory / _PKI)
        by_id = {one.id: one for one in settings}
        layout = cls(directory=directory, settings=by_id, passwords=passwords, authorities=authorities)
        for principal, password in passwords.items():
            layout.keep_password(principal, password)
        authorities.issue_admin(layout.admin)
        layout.players.issue(gateway_hosts)
        make_keyring(layout.keyring)
        snapshot, cluster_id = bootstrap_snapshot(runtime), new_cluster_id()
        for broker in settings:
            layout.issue_certificate(broker.id)
            home = layout.home(broker.id)
            format_directory(home / "data", node_id=broker.id, cluster_id=cluster_id, snapshot=snapshot)
            write_properties(layout.properties_file(broker.id), server_properties(broker, settings, overrides))
            layout.directives_file(broker.id).write_text(COMPILER_DIRECTIVES, encoding="utf-8")
        return layout

    @property
    def pki(self) -> Path:
        """Folder of the certificates."""
        return self.directory / _PKI

    @property
    def ca(self) -> Path:
        """Certificates of the authorities that are trusted."""
        return self.pki / TRUSTED

    @property
    def admin(self) -> AdminPki:
        """Certificates of the super user; those to be refused are not in ``pki``, which brokers see."""
        return AdminPki(self.pki, self.directory / "refused-pki")

    @property
    def players(self) -> PlayersPki:
        """Certificates of gateway and players; none of them is in ``pki``, which brokers see."""
        return PlayersPki(self.directory / "players-pki")

    @property
    def keyring(self) -> Path:
        """Keys of the audit trail, in a folder of their own, which the event cores share."""
        return self.directory / "audit" / "keyring.sqlite"

    def issue_certificate(self, broker: int, validity_days: float | None = None) -> int:
        """Issue a broker's certificate, in the place of the one that it has; returns its serial number.

        Args:
            broker: node id.
            validity_days: until when; as long as usual by default.

        Raises:
            FaultUnavailable: this process does not have the authority's key.
        """
        settings, name = self.settings[broker], broker_principal(broker)
        hosts = dict.fromkeys((settings.internal_host, settings.external_host, name, "localhost", "127.0.0.1"))
        return self.issuer.issue_server(name, list(hosts), validity_days).serial

    @property
    def issuer(self) -> Authorities:
        """Who issues certificates.

        Raises:
            FaultUnavailable: this process does not have the authority's key.
        """
        if self.authorities is None:
            raise FaultUnavailable("needs the authority's key, which only the command that brought the stack up has")
        return self.authorities

    def password_file(self, principal: str) -> Path:
        """Return the file of a principal's password, in a folder of its own that can be mounted into a container."""
        return self.directory / "secrets" / principal / "password"

    def keep_password(self, principal: str, password: str) -> None:
        """Take down a principal's password; whoever watches its file finds the new one whole."""
        self.passwords[principal] = password
        path = self.password_file(principal)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(path, password.encode())

    def certificate(self, broker: int) -> Path:
        """Return the file of a broker's certificate, its chain included."""
        return self.pki / f"{broker_principal(broker)}.cert.pem"

    def home(self, broker: int) -> Path:
        """Return the folder of one broker."""
        return self.directory / f"broker-{broker}"

    def properties_file(self, broker: int) -> Path:
        """Return the configuration file of one broker."""
        return self.home(broker) / "server.properties"

    def directives_file(self, broker: int) -> Path:
        """Return what a broker's Java is told about its compilers."""
        return self.home(broker) / "compiler-directives.json"

    def client_config(self, principal: str, servers: Sequence[str] | None = None) -> dict[str, str]:
        """Return librdkafka properties for the external listener.

        Args:
            principal: user to log in as.
            servers: bootstrap servers; every broker's external listener if None.

        Raises:
            UsageError: there is no such principal.
        """
        try:
            password = self.passwords[principal]
        except KeyError:
            raise UsageError(f"there is no principal {principal!r}; known: {', '.join(self.passwords)}") from None
        return {
            "bootstrap.servers": ",".join(servers or [external_address(s) for s in self.settings.values()]),
            "security.protocol": "SASL_SSL",
            "sasl.mechanism": SCRAM_MECHANISM,
            "sasl.username": principal,
            "sasl.password": password,
            "ssl.ca.location": str(self.ca),
        }

    def client_config_at(self, principal: str, broker: int) -> dict[str, str]:
        """Return the same with one broker as the only bootstrap server."""
        return self.client_config(principal, [external_address(self.settings[broker])])

    def internal_client_config(self, principal: str = ADMIN) -> dict[str, str]:
        """Return librdkafka properties for the internal listener (mutual TLS).

        Raises:
            UsageError: no certificate was issued to this principal.
        """
        cert, key = self.pki / f"{principal}.cert.pem", self.pki / f"{principal}.key.pem"
        if not cert.exists():
            raise UsageError(f"there is no certificate for {principal!r} in {self.pki}")
        return {
            "bootstrap.servers": ",".join(f"{s.internal_host}:{s.internal_port}" for s in self.settings.values()),
            "security.protocol": "SSL",
            "ssl.ca.location": str(self.ca),
            "ssl.certificate.location": str(cert),
            "ssl.key.location": str(key),
        }

    def listeners(self) -> tuple[ListenerInfo, ...]:
        """Return every listener of every broker, as it is reached from here."""
        found = []
        for broker in self.settings.values():
            places = {
                "internal": f"{broker.internal_host}:{broker.internal_port}",
                "controller": f"{broker.internal_host}:{broker.controller_port}",
                "external": external_address(broker),
                **({"service": f"{broker.internal_host}:{broker.service_port}"} if broker.service_host else {}),
            }
            found += [
                ListenerInfo(name=name, broker=broker.id, address=address, mutual=name in _MUTUAL)
                for name, address in places.items()
            ]
        return tuple(found)

    def state(self) -> dict[str, Any]:
        """Return what another process needs to find the cluster again, ready for JSON."""
        return {
            "directory": str(self.directory),
            "settings": [asdict(settings) for settings in self.settings.values()],
            "passwords": dict(self.passwords),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> ClusterLayout:
        """Return the layout that ``state`` was taken from."""
        settings = [BrokerSettings(**entry) for entry in state["settings"]]
        return cls(
            directory=Path(state["directory"]),
            settings={entry.id: entry for entry in settings},
            passwords=dict(state["passwords"]),
        )


def external_address(settings: BrokerSettings) -> str:
    """Return host and port that clients connect to."""
    return f"{settings.external_host}:{settings.advertised_external_port or settings.external_port}"
