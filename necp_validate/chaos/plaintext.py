"""A listener without TLS, opened on a broker that runs, as a careless change of its settings would."""

from __future__ import annotations

from collections.abc import Mapping

from confluent_kafka import KafkaException
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource

from necp_validate.clients.broker_state import broker_config
from necp_validate.clients.connection import Connection
from necp_validate.clients.wire import WireClient
from necp_validate.core import StackError, UsageError
from necp_validate.stack import Stack
from necp_validate.stack.ports import free_ports, listening
from necp_validate.stack.protocol import FaultUnavailable
from necp_validate.stack.provision import admin_client
from necp_validate.stack.waiting import wait_until

NAME = "OPEN"
_LISTENERS, _PROTOCOLS = "listeners", "listener.security.protocol.map"
_TIMEOUT_S = 15.0
_ANSWER_S = 5.0
_API_VERSIONS = 18


class PlaintextListener:
    """The listener, and a client that stays connected to it.

    Args:
        stack: whose broker it is opened on.
        broker: node id.

    Raises:
        FaultUnavailable: the stack has no internal listener that we may use.
    """

    def __init__(self, stack: Stack, broker: int) -> None:
        try:
            config = stack.internal_client_config()
        except UsageError as error:
            raise FaultUnavailable("needs the brokers' internal listener, to change their settings") from error
        internal = next(one for one in stack.listeners() if one.broker == broker and one.name == "internal")
        self._config = config
        self._internal = internal.address
        self._broker = broker
        self.host = internal.address.rpartition(":")[0]
        (self.port,) = free_ports(1)
        self._clients: list[Connection] = []

    def open(self, clients: int) -> None:
        """Open it, and connect to it in the clear; an answer on each connection is what shows that it is open.

        Args:
            clients: how many connections.

        Raises:
            StackError: the broker does not take the change.
            OSError: nobody answers there.
        """
        wire = WireClient(self._config)
        try:
            now = broker_config(wire, self._internal, self._broker, (_LISTENERS, _PROTOCOLS))
        except OSError as error:
            raise StackError(f"broker {self._broker} does not tell its listeners: {error}") from error
        finally:
            wire.close()
        bind = now[_LISTENERS].partition("://")[2].partition(",")[0].rpartition(":")[0]
        self._alter(
            {
                _LISTENERS: f"{now[_LISTENERS]},{NAME}://{bind}:{self.port}",
                _PROTOCOLS: f"{now[_PROTOCOLS]},{NAME}:PLAINTEXT",
            }
        )
        # The broker answers before it has opened it.
        wait_until(
            lambda: listening(self.host, self.port),
            timeout_s=_TIMEOUT_S,
            message=f"broker {self._broker} did not open port {self.port}",
        )
        for _ in range(clients):
            connection = Connection(f"{self.host}:{self.port}", timeout_s=_ANSWER_S)
            self._clients.append(connection)
            connection.ask(_API_VERSIONS, 0, b"")

    def close(self) -> None:
        """Drop the clients and close it; nothing happens if it is closed.

        Raises:
            StackError: it is still open.
        """
        for connection in self._clients:
            connection.close()
        self._clients.clear()
        self._alter({_LISTENERS: None, _PROTOCOLS: None})
        wait_until(
            lambda: not listening(self.host, self.port),
            timeout_s=_TIMEOUT_S,
            message=f"the listener without TLS of broker {self._broker} is still open at port {self.port}",
        )

    def _alter(self, values: Mapping[str, str | None]) -> None:
        entries = [
            ConfigEntry(
                name,
                value,
                incremental_operation=AlterConfigOpType.SET if value is not None else AlterConfigOpType.DELETE,
            )
            for name, value in values.items()
        ]
        resource = ConfigResource(ConfigResource.Type.BROKER, str(self._broker), incremental_configs=entries)
        admin = admin_client(self._config)
        for future in admin.incremental_alter_configs([resource], request_timeout=_TIMEOUT_S).values():
            try:
                future.result(_TIMEOUT_S)
            except (KafkaException, TimeoutError) as error:
                raise StackError(f"broker {self._broker} does not take other listeners: {error}") from error
