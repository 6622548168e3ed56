"""What changes while a stack runs and nobody may notice: passwords, certificates, authorities, allowances."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Unpack

from confluent_kafka import KafkaException
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
)
from cryptography import x509

from necp_validate.core import StackError, UsageError
from necp_validate.events.topics import ACLS, Operation
from necp_validate.stack.base import Broker, BrokerStack
from necp_validate.stack.config import CONTROLLER_LISTENER
from necp_validate.stack.options import StackOptions
from necp_validate.stack.pki import BACKDATED, RENEW_AFTER_DAYS, VALIDITY_DAYS
from necp_validate.stack.protocol import ADMIN, Progress
from necp_validate.stack.provision import acl_bindings, admin_client, scram_user
from necp_validate.stack.renewing import Renewer
from necp_validate.stack.served import served_by
from necp_validate.stack.waiting import wait_until

_REQUEST_TIMEOUT_S = 15.0
_SERVED_WITHIN_S = 30.0
_RENEW_WHEN_OVER = RENEW_AFTER_DAYS / VALIDITY_DAYS

Store = Literal["keystore", "truststore"]


class RotatingStack(BrokerStack[Broker]):
    """A stack that can be given new secrets under way; what is asked of it comes over the internal listener."""

    def __init__(self, **options: Unpack[StackOptions]) -> None:
        super().__init__(**options)
        self._old_controllers: set[int] = set()  # they show the others a certificate of the authority before
        self._renewer = Renewer(self)

    def start(self, progress: Progress) -> None:
        """Bring it up; brokers' certificates are renewed in time from then on, as long as this process runs."""
        super().start(progress)
        if self.layout.authorities is not None:
            self._renewer.start()

    def stop(self) -> None:
        """Undo every fault, end every broker and service, remove every file."""
        self._renewer.stop()
        super().stop()

    def check_alive(self) -> None:
        """Do nothing if all is well.

        Raises:
            StackError: a broker died that was not ended on purpose, or certificates are not renewed any more.
        """
        super().check_alive()
        self._renewer.check()

    def due_certificates(self, now: datetime) -> list[int]:
        """Return the brokers that run and whose certificates are due for renewal."""
        found = []
        for broker in self._brokers:
            cert = x509.load_pem_x509_certificate(self.layout.certificate(broker).read_bytes())
            issued = cert.not_valid_before_utc + BACKDATED
            life = cert.not_valid_after_utc - issued
            if now - issued > _RENEW_WHEN_OVER * life and self.broker_alive(broker):
                found.append(broker)
        return found

    def rotate_password(self, principal: str) -> None:
        """Give a principal a new SCRAM password; its services and this process know it from now on."""
        self.layout.client_config(principal)  # a name that is wrong is told here
        password = secrets.token_urlsafe(18)
        admin = admin_client(self.internal_client_config())
        user = scram_user(principal, password)
        futures = admin.alter_user_scram_credentials([user], request_timeout=_REQUEST_TIMEOUT_S)
        _wait(futures, f"the new password of {principal}")
        self.layout.keep_password(principal, password)
        self._noted()

    def password_file(self, principal: str) -> Path | None:
        """Return the file in which a principal finds its password as it is now."""
        self.layout.client_config(principal)
        return self.layout.password_file(principal)

    def reload_certificate(self, broker: int, *, validity_days: float | None = None) -> int:
        """Issue a running broker a new certificate and have it serve that at every listener, without a restart."""
        self._broker(broker)
        serial = self.layout.issue_certificate(broker, validity_days)
        self._reload(broker, "keystore")
        return serial

    def renew_client_certificate(self, name: str = ADMIN) -> int:
        """Issue a client of the internal listener a new certificate in the place of its old one."""
        return self.layout.issuer.issue_client(name).serial

    def roll_authority(self) -> Mapping[int, int]:
        """Let the next authority take the place of the one that issues, under way and without a restart."""
        issuer = self.layout.issuer
        if issuer.replaced is not None:
            raise StackError(
                f"broker {', '.join(map(str, sorted(self._old_controllers)))} has to be restarted first",
                hint="its controller still shows the others a certificate of the authority before",
            )
        self._old_controllers = set(self._brokers)
        issuer.advance()
        self._reload_all("truststore")
        serials = {broker: self.layout.issue_certificate(broker) for broker in self._brokers}
        issuer.issue_admin(self.layout.admin)
        self._reload_all("keystore")
        # Told is not done. A broker that still shows a certificate of the old authority when its truststore no longer
        # has that one refuses both stores from then on: it tries each new pair against the old one.
        self._await_served(serials)
        issuer.drop_replaced()
        self._reload_all("truststore")
        return serials

    def start_broker(self, broker: int, timeout_s: float = 60.0) -> None:
        """Start a broker that was stopped or killed; come back when its listeners accept connections."""
        last = self._old_controllers == {broker}
        if last:
            self.layout.issuer.forget_replaced()
        super().start_broker(broker, timeout_s)
        self._old_controllers.discard(broker)
        if last:
            self._reload_all("truststore")

    def _reload_all(self, store: Store) -> None:
        for broker in self._brokers:
            if self.broker_alive(broker):
                self._reload(broker, store)

    def _await_served(self, serials: Mapping[int, int]) -> None:
        """Wait until each broker that runs shows its new certificate at every listener."""
        for broker, serial in serials.items():

            def served(broker: int = broker, serial: int = serial) -> bool:
                if not self.broker_alive(broker):
                    return True
                shown = served_by(self.listeners(), broker).values()
                return {cert and cert.serial_number for cert in shown} == {serial}

            wait_until(
                served,
                timeout_s=_SERVED_WITHIN_S,
                message=f"broker {broker} does not show its new certificate",
                hint="the old authority is still trusted: nothing is cut off",
            )

    def _reload(self, broker: int, store: Store) -> None:
        """Have a broker read a store again at all its listeners: it does whenever it is told where the store is."""
        settings = self.layout.settings[broker]
        key, trusted = settings.store, settings.ca
        paths = {listener.name: key if store == "keystore" else trusted for listener in settings.listeners()}
        paths[CONTROLLER_LISTENER] = key if store == "keystore" else settings.controllers_ca or trusted
        entries = [
            ConfigEntry(
                f"listener.name.{name.lower()}.ssl.{store}.location",
                path,
                incremental_operation=AlterConfigOpType.SET,
            )
            for name, path in paths.items()
        ]
        resource = ConfigResource(ConfigResource.Type.BROKER, str(broker), incremental_configs=entries)
        admin = admin_client(self.internal_client_config())
        futures = admin.incremental_alter_configs([resource], request_timeout=_REQUEST_TIMEOUT_S)
        _wait(futures, f"the new {store} of broker {broker}")

    def revoke_access(self, principal: str, topic: str, operation: Operation) -> None:
        """Take away what one principal may do on one topic."""
        allowed = _binding(principal, topic, operation)
        admin = admin_client(self.internal_client_config())
        filters = [
            AclBindingFilter(
                allowed.restype,
                allowed.name,
                allowed.resource_pattern_type,
                allowed.principal,
                allowed.host,
                allowed.operation,
                allowed.permission_type,
            )
        ]
        _wait(admin.delete_acls(filters, request_timeout=_REQUEST_TIMEOUT_S), f"what {principal} may no longer do")

    def grant_access(self, principal: str, topic: str, operation: Operation) -> None:
        """Give back what `revoke_access` has taken; nothing happens if it is allowed."""
        admin = admin_client(self.internal_client_config())
        bindings = [_binding(principal, topic, operation)]
        _wait(admin.create_acls(bindings, request_timeout=_REQUEST_TIMEOUT_S), f"what {principal} may do again")

    def _noted(self) -> None:
        """See that who attaches to the stack later knows what has changed."""
        if self._attached and self._on_launched is not None:
            self._on_launched()


def _binding(principal: str, topic: str, operation: Operation) -> AclBinding:
    for rule in ACLS:
        if rule.principal == principal and rule.matches("topic", topic) and operation in rule.operations:
            return acl_bindings([replace(rule, operations=(operation,))])[0]
    raise UsageError(f"{principal} has no allowance to {operation} {topic}: there is nothing to take away")


def _wait(futures: Mapping[Any, Future[Any]], what: str) -> None:
    for future in futures.values():
        try:
            future.result(_REQUEST_TIMEOUT_S + 5.0)
        except (KafkaException, TimeoutError) as error:
            raise StackError(f"the cluster did not take {what}: {error}", hint="see the brokers' logs") from error
