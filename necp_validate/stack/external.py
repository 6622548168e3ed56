"""A cluster that somebody else runs: it can be loaded and watched, not broken."""

# ruff: noqa: ARG002 - the protocol names the arguments; most of them mean nothing to a cluster that is not ours

from __future__ import annotations

import time
import urllib.parse
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from confluent_kafka import KafkaException

from necp_validate.core import StackError, UsageError
from necp_validate.events.topics import TOPICS, VERIFIER_PRINCIPAL, Domain, Operation
from necp_validate.stack.external_config import ExternalSettings, GatewayAddress
from necp_validate.stack.namespaces import WorkerNetwork
from necp_validate.stack.protocol import (
    ADMIN,
    FAULT_KINDS,
    BrokerInfo,
    BrokerSample,
    ClientVariant,
    FaultUnavailable,
    ListenerInfo,
    PlayerTls,
    PlayerVariant,
    Progress,
    ServiceHandle,
    StackDescription,
)
from necp_validate.stack.provision import admin_client
from necp_validate.stack.service import HttpService
from necp_validate.stack.waiting import wait_until

_CONNECT_TIMEOUT_S = 30.0
_NEEDS = "needs the local or the docker stack"


class ExternalService(HttpService):
    """A service that runs already: it can be asked, not started or ended."""

    @property
    def pid(self) -> int | None:
        """Nothing: it runs elsewhere."""
        return None

    def alive(self) -> bool:
        """Tell whether it answers."""
        return self.healthy()

    def stop(self, timeout_s: float = 30.0) -> bool:
        """Leave it alone; it is not ours to end."""
        return True

    def kill(self) -> None:
        """Refuse.

        Raises:
            FaultUnavailable: always.
        """
        _not_ours(f"{self.name} cannot be killed")

    def pause(self) -> None:
        """Refuse.

        Raises:
            FaultUnavailable: always.
        """
        _not_ours(f"{self.name} cannot be paused")

    def resume(self) -> None:
        """Do nothing: it was never paused."""

    def paused(self) -> bool:
        """Return False: it was never paused."""
        return False

    def hold(self) -> None:
        """Refuse.

        Raises:
            FaultUnavailable: always.
        """
        _not_ours(f"{self.name} cannot be told to pause its consumers")

    def release(self) -> None:
        """Do nothing: it was never held."""

    def log_tail(self, lines: int = 20) -> str:
        """Return nothing: its log cannot be seen from here."""
        return ""

    def cpu_s(self) -> float:
        """Return 0: it cannot be seen from here."""
        return 0.0


class ExternalGateway(ExternalService):
    """A gateway that runs already.

    Args:
        name: what it is called here.
        address: where it is.
    """

    def __init__(self, name: str, address: GatewayAddress) -> None:
        super().__init__(name, address.http_url, address.metrics_url)
        self._address = address

    @property
    def udp_address(self) -> tuple[str, int]:
        """Host and port of its UDP socket."""
        return str(urllib.parse.urlsplit(self._address.websocket_url).hostname), self._address.udp_port

    @property
    def websocket_url(self) -> str:
        """Where a WebSocket is opened."""
        return self._address.websocket_url


class ExternalStack:
    """A cluster that somebody else runs.

    Args:
        settings: the checked file.
    """

    def __init__(self, settings: ExternalSettings) -> None:
        self._settings = settings
        self._brokers: tuple[BrokerInfo, ...] = ()
        self._stages: dict[str, float] = {}
        self._given = 0

    @property
    def stages(self) -> Mapping[str, float]:
        """Seconds since the start at which each stage of ``start`` was complete."""
        return dict(self._stages)

    def start(self, progress: Progress) -> None:
        """See that the cluster answers and has the topics.

        Raises:
            StackError: it does not.
        """
        started = time.monotonic()
        progress("connecting to the external cluster")
        admin = admin_client(self.client_config(self._observer()))
        found: set[str] = set()

        def connected() -> bool:
            metadata = admin.list_topics(timeout=5.0)
            found.update(metadata.topics)
            self._brokers = tuple(
                BrokerInfo(id=broker.id, host=str(broker.host), external_port=broker.port, internal_port=0)
                for broker in sorted(metadata.brokers.values(), key=lambda broker: broker.id)
            )
            return True

        wait_until(
            connected,
            timeout_s=_CONNECT_TIMEOUT_S,
            retry_on=(KafkaException,),
            message=f"{self._settings.client['bootstrap.servers']} did not answer",
            hint=f"see that addresses, authority and credentials in {self._settings.file} are right",
        )
        missing = sorted(set(TOPICS) - found)
        if missing:
            raise StackError(
                f"the external cluster does not show {', '.join(missing)} to {self._observer()}",
                hint="create the topics, and allow the principal to describe them",
            )
        self._stages["ready"] = round(time.monotonic() - started, 3)

    def _observer(self) -> str:
        for name in (VERIFIER_PRINCIPAL, ADMIN):
            if name in self._settings.principals:
                return name
        return next(iter(self._settings.principals), VERIFIER_PRINCIPAL)

    def stop(self) -> None:
        """Leave everything as it is."""

    def brokers(self) -> tuple[BrokerInfo, ...]:
        """Return every broker that the cluster names."""
        return self._brokers

    def kill_broker(self, broker: int) -> None:
        """Refuse."""
        _not_ours(f"broker {broker} cannot be killed")

    def stop_broker(self, broker: int, timeout_s: float = 30.0) -> None:
        """Refuse."""
        _not_ours(f"broker {broker} cannot be stopped")

    def start_broker(self, broker: int, timeout_s: float = 60.0) -> None:
        """Refuse."""
        _not_ours(f"broker {broker} cannot be started")

    def pause_broker(self, broker: int) -> None:
        """Refuse."""
        _not_ours(f"broker {broker} cannot be paused")

    def resume_broker(self, broker: int) -> None:
        """Refuse."""
        _not_ours(f"broker {broker} cannot be resumed")

    def services(self) -> tuple[ServiceHandle, ...]:
        """Return nothing: none is started from here."""
        return ()

    def broker_metrics(self) -> None:
        """Return nothing: what the brokers export is not known here."""

    def renew_certificate(self, broker: int) -> int:
        """Refuse."""
        _not_ours(f"broker {broker} gets its certificates from somebody else")

    def rotate_password(self, principal: str) -> None:
        """Refuse."""
        _not_ours(f"the password of {principal} is changed by somebody else")

    def password_file(self, principal: str) -> Path | None:
        """Return nothing: passwords are in the file that describes the cluster, and stay."""
        return None

    def reload_certificate(self, broker: int, *, validity_days: float | None = None) -> int:
        """Refuse."""
        _not_ours(f"broker {broker} gets its certificates from somebody else")

    def renew_client_certificate(self, name: str = ADMIN) -> int:
        """Refuse."""
        _not_ours(f"{name} gets its certificates from somebody else")

    def roll_authority(self) -> Mapping[int, int]:
        """Refuse."""
        _not_ours("whom its brokers trust is not decided here")

    def revoke_access(self, principal: str, topic: str, operation: Operation) -> None:
        """Refuse."""
        _not_ours(f"what {principal} may do on {topic} is not decided here")

    def grant_access(self, principal: str, topic: str, operation: Operation) -> None:
        """Refuse."""
        _not_ours(f"what {principal} may do on {topic} is not decided here")

    def shared_file(self, name: str) -> tuple[Path, str]:
        """Refuse."""
        _not_ours(f"services there do not see the file {name} here")

    def worker_network(self) -> WorkerNetwork:
        """Refuse."""
        _not_ours("its network is not on this host")

    def broker_alive(self, broker: int) -> bool:
        """Tell whether the cluster named the broker when it was asked."""
        return any(info.id == broker for info in self._brokers)

    def cut(self, source: str, target: str) -> None:
        """Refuse."""
        _not_ours(f"{source} cannot be cut off from {target}")

    def slow(self, node: str, *, delay_ms: float, loss: float = 0.0) -> None:
        """Refuse."""
        _not_ours(f"{node} cannot be slowed down")

    def touched_packets(self, node: str) -> int:
        """Refuse."""
        _not_ours(f"the packets of {node} cannot be counted")

    def heal(self) -> None:
        """Do nothing: nothing was cut."""

    def link_open(self, source: str, target: str) -> bool:
        """Refuse."""
        _not_ours(f"the link from {source} to {target} cannot be measured")

    def fill_disk(self, broker: int) -> None:
        """Refuse."""
        _not_ours(f"the disk of broker {broker} cannot be filled")

    def crowd_disk(self, broker: int, percent: float) -> None:
        """Refuse."""
        _not_ours(f"the disk of broker {broker} cannot be filled to {percent:g}%")

    def free_disk(self, broker: int) -> None:
        """Do nothing: nothing was filled."""

    def read_only_disk(self, broker: int) -> None:
        """Refuse."""
        _not_ours(f"the disk of broker {broker} cannot be made read-only")

    def writable_disk(self, broker: int) -> None:
        """Do nothing: nothing was made read-only."""

    def remaining_faults(self) -> list[str]:
        """Return nothing: no fault can be injected."""
        return []

    def undo_faults(self) -> None:
        """Do nothing: no fault can be injected."""

    def describe_unavailable(self) -> Mapping[str, str]:
        """Return every kind of fault: none can be injected."""
        return dict.fromkeys(FAULT_KINDS, _NEEDS)

    def client_config(self, principal: str) -> dict[str, str]:
        """Return librdkafka properties of a principal.

        Raises:
            UsageError: the file has none of this name.
        """
        if not self._settings.client["security.protocol"].startswith("SASL"):
            return dict(self._settings.client)
        login = self._settings.login_of(principal)
        if login is None:
            known = ", ".join(self._settings.principals) or "none"
            raise UsageError(f"{self._settings.file}: 'principals.{principal}' is missing; known: {known}")
        return {**self._settings.client, "sasl.username": login[0], "sasl.password": login[1]}

    def internal_client_config(self, principal: str = ADMIN) -> dict[str, str]:
        """Return librdkafka properties of the internal listener.

        Raises:
            UsageError: the file has none.
        """
        if not self._settings.internal:
            raise UsageError(f"{self._settings.file}: 'internal' is missing: no mutual TLS without it")
        return dict(self._settings.internal)

    def listeners(self) -> tuple[ListenerInfo, ...]:
        """Return the listeners that the file names: the external one, and the internal one where it is given."""
        external = self._settings.client["bootstrap.servers"].split(",")
        internal = [one for one in self._settings.internal.get("bootstrap.servers", "").split(",") if one]
        named = [("external", False, external), ("internal", True, internal)]
        return tuple(
            ListenerInfo(name=name, broker=number, address=address, mutual=mutual)
            for name, mutual, addresses in named
            for number, address in enumerate(addresses, start=1)
        )

    def client_certificates(self) -> Mapping[ClientVariant, tuple[Path, Path]]:
        """Return the certificate of the internal listener; none that must be refused."""
        internal = self._settings.internal
        if "ssl.certificate.location" not in internal:
            return {}
        return {"valid": (Path(internal["ssl.certificate.location"]), Path(internal["ssl.key.location"]))}

    def broker_logs(self) -> Mapping[int, Path]:
        """Return nothing: they are on somebody else's machine."""
        return {}

    def start_core(self, instance: str, env: Mapping[str, str]) -> ExternalService:
        """Return the next instance of the event core that the file names.

        Raises:
            StackError: it names no more.
        """
        if self._given >= len(self._settings.cores):
            raise StackError(
                f"{self._settings.file} names {len(self._settings.cores)} instances of the event core",
                hint="add a [[core]] with its http_url for each instance that the scenario wants",
            )
        self._given += 1
        core = self._settings.cores[self._given - 1]
        return ExternalService(core.name, core.http_url, core.metrics_url)

    def start_collector(self, instance: str, env: Mapping[str, str]) -> ExternalService:
        """Refuse."""
        _not_ours("the brokers' logs cannot be followed")

    def audit_keyring(self) -> Path:
        """Refuse."""
        _not_ours("the audit trail cannot be opened")

    def start_publisher(self, domain: Domain, env: Mapping[str, str]) -> ExternalService:
        """Start nothing: a publisher of somebody else's would have a limit and a token that nobody has told us.

        Raises:
            UsageError: always.
        """
        raise UsageError(
            f"{self._settings.file}: the target has no publisher of {domain} events that this suite could flood",
            hint="leave the experiment security/producer-limit out",
        )

    def start_gateway(self, instance: str, env: Mapping[str, str]) -> ExternalGateway:
        """Return the gateway that the file names.

        Raises:
            UsageError: it names none.
        """
        return ExternalGateway(instance, self._gateway)

    def player_tls(self, variant: PlayerVariant = "valid") -> PlayerTls:
        """Return the files of a player that the file names.

        Raises:
            UsageError: it names none of this kind.
        """
        try:
            return self._gateway.tls[variant]
        except KeyError:
            raise UsageError(f"{self._settings.file}: 'gateway.{variant}' is missing") from None

    @property
    def _gateway(self) -> GatewayAddress:
        if self._settings.gateway is None:
            raise UsageError(
                f"{self._settings.file}: 'gateway' is missing: players have nothing to connect to",
                hint="add a [gateway] with websocket_url, http_url, ca, certificate and key, or run without players",
            )
        return self._settings.gateway

    def sample(self) -> list[BrokerSample]:
        """Return nothing: the brokers cannot be seen from here."""
        return []

    def check_alive(self) -> None:
        """Do nothing: its owner looks after it."""

    def describe(self) -> StackDescription:
        """Say what it is."""
        client = self._settings.client
        return StackDescription(
            backend="external",
            kafka_version="",
            java_version="",
            brokers=self._brokers,
            security={"external": f"{client['security.protocol']}, {client.get('sasl.mechanism', 'no SASL')}"},
            replication_factor=0,
            min_insync_replicas=0,
        )


def _not_ours(what: str) -> NoReturn:
    raise FaultUnavailable(f"{_NEEDS}: {what}: an external cluster is its owner's")
