"""What changes in a running stack must show, with real brokers; its test module says which stack that is."""

from __future__ import annotations

import ssl
import time
from pathlib import Path

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer

from necp_validate.clients.connection import Connection, LoginRefused
from necp_validate.core import StackError, UsageError
from necp_validate.stack import LocalStack, Stack, wait_until
from necp_validate.stack.docker_engine import why_not_docker
from necp_validate.stack.provision import SILENT
from necp_validate.stack.served import served_by

TOPIC, SERVICE = "game.social.events", "social-service"
DAY_S = 86_400


def gets_in(stack: Stack, address: str, password: str, user: str = SERVICE) -> bool:
    """Tell whether one is let in at a listener with logins."""
    context = ssl.create_default_context(cafile=stack.client_config(user)["ssl.ca.location"])
    with Connection(address, timeout_s=5.0) as connection:
        connection.secure(context)
        try:
            connection.log_in(user, password, "SCRAM-SHA-512")
        except LoginRefused:
            return False
    return True


def logins(stack: Stack, password: str) -> set[bool]:
    """Return how logins end, at all brokers."""
    return {gets_in(stack, one.address, password) for one in stack.listeners() if not one.mutual}


def write(producer: Producer, timeout_s: float = 20.0) -> KafkaError | None:
    """Write a record, always to the same leader; return what became of it."""
    ends: list[KafkaError | None] = []
    try:
        producer.produce(TOPIC, b"x", partition=0, on_delivery=lambda error, _: ends.append(error))
    except KafkaException as error:  # it remembers for a while that it was denied
        producer.poll(0.1)
        return KafkaError(error.args[0].code())
    assert producer.flush(timeout_s) == 0
    return ends[0]


def new_producer(stack: Stack, **more: str) -> Producer:
    return Producer(
        {**stack.client_config(SERVICE), "message.timeout.ms": "15000", "log_level": "2", **more}, logger=SILENT
    )


def serials(stack: Stack, broker: int) -> set[int | None]:
    """Return the serial numbers of the certificates that a broker serves."""
    return {cert and cert.serial_number for cert in served_by(stack.listeners(), broker).values()}


def admitted(stack: Stack, address: str, certificate: Path, key: Path) -> bool:
    """Tell whether a certificate is accepted at a listener with mutual TLS."""
    context = ssl.create_default_context(cafile=stack.internal_client_config()["ssl.ca.location"])
    context.load_cert_chain(certificate, key)
    try:
        with Connection(address, timeout_s=5.0) as connection:
            connection.secure(context)
            connection.ask(18, 0, b"")
    except OSError:
        return False
    return True


class RotationCases:
    def test_a_new_password_is_in_force_and_the_old_one_refused_everywhere(self, stack: Stack) -> None:
        old = stack.client_config(SERVICE)["sasl.password"]
        producer = new_producer(stack)
        assert write(producer) is None
        stack.rotate_password(SERVICE)
        new = stack.client_config(SERVICE)["sasl.password"]
        assert new != old
        wait_until(lambda: logins(stack, old) == {False}, timeout_s=10, message="the old password is accepted")
        assert logins(stack, new) == {True}
        file = stack.password_file(SERVICE)
        assert file is not None
        assert (file.read_text(), file.stat().st_mode & 0o777) == (new, 0o600)
        assert write(producer) is None, "an open connection goes on"
        assert write(new_producer(stack)) is None

    def test_the_password_of_nobody_cannot_be_changed(self, stack: Stack) -> None:
        with pytest.raises(UsageError, match="no principal 'nobody'"):
            stack.rotate_password("nobody")

    def test_a_running_broker_serves_a_new_certificate_at_every_listener(self, stack: Stack) -> None:
        before = {one.id: (one.pid, serials(stack, one.id)) for one in stack.brokers()}
        producer = new_producer(stack)
        assert write(producer) is None
        for broker, (pid, old) in before.items():
            serial = stack.reload_certificate(broker)
            wait_until(
                lambda broker=broker, serial=serial: serials(stack, broker) == {serial},  # type: ignore[misc]
                timeout_s=15,
                message=f"broker {broker} does not serve {serial:x} everywhere: {served_by(stack.listeners(), broker)}",
            )
            assert serial not in old
            assert {one.pid for one in stack.brokers() if one.id == broker} == {pid}
        assert write(producer) is None
        assert write(new_producer(stack)) is None

    def test_a_certificate_that_is_due_is_renewed_by_itself(self, stack: Stack) -> None:
        short = stack.reload_certificate(2, validity_days=30 / DAY_S)
        wait_until(lambda: serials(stack, 2) == {short}, timeout_s=15, message="the short certificate is not served")
        wait_until(
            lambda: len(found := serials(stack, 2)) == 1 and found.isdisjoint({short, None}),
            timeout_s=25,
            message="it was not renewed",
        )

    def test_what_is_taken_away_is_denied_until_it_is_given_back(self, stack: Stack) -> None:
        producer = new_producer(stack, **{"topic.metadata.refresh.interval.ms": "500"})
        assert write(producer) is None
        stack.revoke_access(SERVICE, TOPIC, "Write")
        try:

            def denied() -> bool:
                error = write(producer)
                return error is not None and error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED

            wait_until(denied, timeout_s=10, message="it may still write")
        finally:
            stack.grant_access(SERVICE, TOPIC, "Write")
        wait_until(lambda: write(producer) is None, timeout_s=10, message="it may not write again")

    def test_what_nobody_has_cannot_be_taken_away(self, stack: Stack) -> None:
        with pytest.raises(UsageError, match="no allowance to Write"):
            stack.revoke_access(SERVICE, "game.economy.events", "Write")

    def test_a_new_client_certificate_is_accepted(self, stack: Stack) -> None:
        config = stack.internal_client_config()
        certificate, key = Path(config["ssl.certificate.location"]), Path(config["ssl.key.location"])
        before = certificate.read_bytes()
        stack.renew_client_certificate()
        assert certificate.read_bytes() != before
        internal = [one.address for one in stack.listeners() if one.mutual]
        assert {admitted(stack, address, certificate, key) for address in internal} == {True}

    def test_the_next_authority_takes_over_without_a_restart(self, stack: Stack, tmp_path: Path) -> None:
        """In the local stack a drill does it under load (`test_drills_kafka`)."""
        if isinstance(stack, LocalStack) and not why_not_docker():
            pytest.skip("the docker stack does it, and a drill")
        config = stack.internal_client_config()
        old = [tmp_path / name for name in ("cert.pem", "key.pem")]
        for path, key in zip(old, ("ssl.certificate.location", "ssl.key.location"), strict=True):
            path.write_bytes(Path(config[key]).read_bytes())
        producer, pids = new_producer(stack), [one.pid for one in stack.brokers()]
        assert write(producer) is None
        issuers = {cert and cert.issuer for cert in served_by(stack.listeners(), 1).values()}
        stack.roll_authority()
        wait_until(
            lambda: all(
                {cert and cert.issuer for cert in served_by(stack.listeners(), one.id).values()}.isdisjoint(
                    {*issuers, None}
                )
                for one in stack.brokers()
            ),
            timeout_s=20,
            message="a certificate of the old authority is served",
        )
        internal = [one.address for one in stack.listeners() if one.name == "internal"]
        wait_until(
            lambda: not any(admitted(stack, address, *old) for address in internal),
            timeout_s=10,
            message="the old authority is trusted",
        )
        assert [one.pid for one in stack.brokers()] == pids
        assert write(producer) is None
        with pytest.raises(StackError, match="broker 1, 2, 3 has to be restarted first"):
            stack.roll_authority()
        self.restart_in_turn(stack, producer)
        controllers = [one.address for one in stack.listeners() if one.name == "controller"]
        wait_until(
            lambda: not any(admitted(stack, address, *old) for address in controllers),
            timeout_s=20,
            message="controllers trust the old authority",
        )

    @staticmethod
    def restart_in_turn(stack: Stack, producer: Producer) -> None:
        """A producer that was made under the old authority connects anew to each; the quorum holds meanwhile."""
        for one in stack.brokers():
            stack.stop_broker(one.id)
            stack.start_broker(one.id)
            deadline = time.monotonic() + 30
            while time.monotonic() < deadline and write(producer) is not None:
                time.sleep(0.2)
            assert write(producer) is None
