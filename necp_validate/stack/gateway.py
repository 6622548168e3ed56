"""The real-time gateway as the stacks start it: its environment, its certificates, and where players reach it."""

from __future__ import annotations

import http.client
import socket
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec

from necp_validate.core import StackError
from necp_validate.events.topics import GATEWAY_PRINCIPAL
from necp_validate.stack.ports import free_ports
from necp_validate.stack.process import ManagedProcess
from necp_validate.stack.protocol import GatewayHandle
from necp_validate.stack.service import HttpService, ProcessService, ServiceKind, start_process

GATEWAY = ServiceKind(
    module="necp_validate.reference.gateway",
    principal=GATEWAY_PRINCIPAL,
    instance_variable="GATEWAY_INSTANCE",
    own_variables=("UDP_LISTEN_ADDR", "WEBSOCKET_ADDR", "TLS_"),
)
"""The real-time gateway."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayersAddress:
    """Where players reach a gateway; one that takes another's place has the same.

    Args:
        host: address.
        udp_port: port of the game state.
        websocket_port: port of everything that must arrive.
    """

    host: str
    udp_port: int
    websocket_port: int

    @classmethod
    def free(cls, host: str) -> PlayersAddress:
        """Return one that nothing listens at.

        Raises:
            StackError: every port is taken.
        """
        (udp_port,) = free_ports(1, host, kind=socket.SOCK_DGRAM)
        (websocket_port,) = free_ports(1, host)
        return cls(host=host, udp_port=udp_port, websocket_port=websocket_port)

    @property
    def websocket_url(self) -> str:
        """Where a WebSocket is opened."""
        return f"wss://{self.host}:{self.websocket_port}"


class Gateway(HttpService):
    """What every handle of a gateway has besides those of a service."""

    address: PlayersAddress

    @property
    def udp_address(self) -> tuple[str, int]:
        """Host and port of its UDP socket."""
        return self.address.host, self.address.udp_port

    @property
    def websocket_url(self) -> str:
        """Where a WebSocket is opened."""
        return self.address.websocket_url


class GatewayProcess(Gateway, ProcessService):
    """A gateway that runs as a process on this host."""

    @classmethod
    def at(cls, address: PlayersAddress) -> Callable[[str, ManagedProcess, int, int], GatewayProcess]:
        """Return what makes the handle of a gateway at an address."""

        def make(name: str, process: ManagedProcess, http_port: int, metrics_port: int) -> GatewayProcess:
            gateway = cls(name, process, http_port, metrics_port)
            gateway.address = address
            return gateway

        return make


class Audits(msgspec.Struct, frozen=True, kw_only=True):
    """The events that a gateway sends on its own account.

    Args:
        stream: their stream.
        key: of their records.
        sent: how many it has sent so far.
    """

    stream: str
    key: str
    sent: int


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """What a gateway says of itself.

    Args:
        status: its word for how it is; empty if it gave no answer, or not the answer of a service that is well.
        sessions: players that are logged in.
        tick_hz: its tick rate.
        audits: its own events; nothing if it has none.
    """

    status: str = ""
    sessions: Annotated[int, msgspec.Meta(ge=0)] | None = None
    tick_hz: Annotated[float, msgspec.Meta(ge=0)] | None = None
    audits: Audits | None = None


def ask_health(gateway: GatewayHandle, timeout_s: float = 1.0) -> Health:
    """Return what ``/health`` says; an empty status if it does not answer in time, or not in its own words."""
    try:
        with urllib.request.urlopen(f"{gateway.http_url}/health", timeout=timeout_s) as answer:
            return msgspec.json.decode(answer.read(), type=Health)
    except (urllib.error.URLError, http.client.HTTPException, OSError, msgspec.MsgspecError):
        return Health()


def gateway_environment(address: PlayersAddress, certificate: str, key: str, players_ca: str) -> dict[str, str]:
    """Return what a gateway's environment has besides that of every service.

    Args:
        address: where it listens.
        certificate: file of its certificate.
        key: file of the private key.
        players_ca: file of the authority that has signed the players' certificates.
    """
    return {
        "UDP_LISTEN_ADDR": f"{address.host}:{address.udp_port}",
        "WEBSOCKET_ADDR": f"{address.host}:{address.websocket_port}",
        "TLS_CERT_LOCATION": certificate,
        "TLS_KEY_LOCATION": key,
        "TLS_CLIENT_CA_LOCATION": players_ca,
        "CLIENT_CERT_REQUIRED": "true",
    }


def start_gateway_process(
    instance: str,
    client: Mapping[str, str],
    env: Mapping[str, str],
    address: PlayersAddress,
    *,
    log: Path,
    password_file: Path | None = None,
    detached: bool = False,
    command: Sequence[str] = (),
) -> GatewayProcess:
    """Start a gateway as a process on this host; arguments as those of `start_process`.

    Args:
        instance: its name.
        client: librdkafka properties of its principal.
        env: configuration on top, the certificates among it.
        address: where players reach it.
        log: file for its output.
        password_file: where its password is; without it, it is in the environment.
        detached: let it outlive this process.
        command: what to run instead of the gateway itself.

    Raises:
        StackError: it cannot be started.
    """
    make = GatewayProcess.at(address)
    return start_process(
        GATEWAY,
        instance,
        client,
        env,
        make=make,
        log=log,
        password_file=password_file,
        detached=detached,
        command=command,
    )


def require_alone(running: Sequence[object]) -> None:
    """Do nothing if no gateway among these services is alive: a stack has one address for players.

    Raises:
        StackError: there is one.
    """
    for service in running:
        if isinstance(service, GatewayHandle) and service.alive():
            raise StackError(
                f"{service.name} runs at {service.websocket_url} already",
                hint="end it first: the one that takes its place gets its address",
            )
