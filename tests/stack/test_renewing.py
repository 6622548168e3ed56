"""Certificates are renewed by themselves when they are due; authorities follow each other without a gap in trust."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from necp_validate.core import StackError
from necp_validate.stack import renewing, rotating
from necp_validate.stack.authorities import TRUSTED, TRUSTED_BY_CONTROLLERS, Authorities
from necp_validate.stack.config import BrokerSettings
from necp_validate.stack.layout import ClusterLayout
from necp_validate.stack.local import LocalStack
from necp_validate.stack.pki import Authority
from necp_validate.stack.renewing import Renewer
from necp_validate.stack.waiting import wait_until

NOW = datetime.now(UTC)


class Certificates:
    """Two brokers, of which one is due."""

    def __init__(self, *, broken: bool = False) -> None:
        self.due = [2]
        self.renewed: list[int] = []
        self._broken = broken

    def due_certificates(self, now: datetime) -> list[int]:
        assert now == NOW
        return self.due

    def reload_certificate(self, broker: int, *, validity_days: float | None = None) -> int:
        assert validity_days is None
        if self._broken:
            raise StackError("the cluster did not take it")
        self.renewed.append(broker)
        return 1


def names(path: Path) -> list[str]:
    """Return the common names of the certificates in a file."""
    found = x509.load_pem_x509_certificates(path.read_bytes())
    return [str(cert.subject.rfc4514_string()).split(",")[0] for cert in found]


def test_what_is_due_is_renewed_and_nothing_else() -> None:
    stack = Certificates()
    assert Renewer(stack).renew(NOW)
    assert stack.renewed == [2]


def test_what_goes_wrong_is_told_and_tried_again_later() -> None:
    assert not Renewer(Certificates(broken=True)).renew(NOW)


def test_a_renewer_whose_thread_died_stops_the_run_as_a_dead_broker_does(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Else a certificate that is not renewed would be the target's failure."""
    monkeypatch.setattr(renewing, "_LOOK_EVERY_S", 0.01)
    stack = LocalStack()
    monkeypatch.setattr(stack, "due_certificates", lambda now: [][1])
    stack.check_alive()
    stack._renewer.start()
    with pytest.raises(StackError, match="the renewal of brokers' certificates ended early: IndexError: list index"):
        wait_until(lambda: stack.check_alive() is not None, timeout_s=10, message="it goes on")  # type: ignore[func-returns-value]
    stack._renewer.stop()
    assert capfd.readouterr() == ("", "")


def test_the_renewer_ends_at_once_and_may_be_ended_without_having_begun() -> None:
    renewer = Renewer(Certificates())
    renewer.stop()
    renewer.start()
    renewer.start()
    renewer.stop()


class Running:
    """All that is asked of a broker's process here."""

    @staticmethod
    def alive() -> bool:
        return True


def one_broker(stack: LocalStack, folder: Path) -> Authorities:
    """Give a stack a broker with a certificate, without starting it."""
    settings = BrokerSettings(
        id=1,
        bind="127.0.0.1",
        internal_host="127.0.0.1",
        external_host="127.0.0.1",
        internal_port=1,
        external_port=2,
        controller_port=3,
        log_dir="",
        store="",
        ca="",
    )
    authorities = Authorities(folder / "authorities", folder / "pki")
    stack._layout = ClusterLayout(directory=folder, settings={1: settings}, passwords={}, authorities=authorities)
    stack._layout.issue_certificate(1)
    stack._brokers = {1: Running()}  # type: ignore[dict-item]
    return authorities


def test_a_certificate_is_due_when_a_third_of_its_life_is_over(tmp_path: Path) -> None:
    stack = LocalStack()
    one_broker(stack, tmp_path)
    begin = datetime.now(UTC)
    assert stack.due_certificates(begin + timedelta(days=29, hours=23)) == []
    assert stack.due_certificates(begin + timedelta(days=30, hours=1)) == [1]


class Slow(LocalStack):
    """One broker that takes over a store only at the third look; like Kafka, only if new and old trust each other."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.pki = folder / "pki"
        self.authorities = one_broker(self, folder)
        self.served, self.trusted = self.read()
        self.told, self.looks = False, 0

    def read(self) -> tuple[x509.Certificate, set[str]]:
        leaf = x509.load_pem_x509_certificates(self.layout.certificate(1).read_bytes())[0]
        return leaf, set(names(self.pki / TRUSTED))

    def take_over(self) -> None:
        cert, trusted = self.read()
        if {_issuer(cert), _issuer(self.served)} <= trusted & self.trusted:
            self.served, self.trusted = cert, trusted
        self.told = False

    def _reload(self, broker: int, store: str) -> None:
        self.told, self.looks = True, 0

    def look(self, *_: object) -> dict[str, x509.Certificate | None]:
        self.looks += 1
        if self.told and self.looks == 3:
            self.take_over()
        return {"internal": self.served}


def _issuer(cert: x509.Certificate) -> str:
    return str(cert.issuer.rfc4514_string()).split(",")[0]


def test_the_old_authority_is_dropped_only_when_no_broker_shows_its_certificate_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = Slow(tmp_path)
    monkeypatch.setattr(rotating, "served_by", stack.look)
    serials = stack.roll_authority()
    stack.take_over()
    assert stack.served.serial_number == serials[1]
    assert stack.trusted == {"CN=necp-validate CA 2", "CN=necp-validate CA 3"}


def test_the_next_authority_is_trusted_before_it_issues_and_the_last_one_by_controllers_for_longer(
    tmp_path: Path,
) -> None:
    pki = tmp_path / "pki"
    authorities = Authorities(tmp_path / "authorities", pki)
    first, second, third = (f"CN=necp-validate CA {n}" for n in (1, 2, 3))
    assert names(pki / TRUSTED) == [first, second] == names(pki / TRUSTED_BY_CONTROLLERS)
    authorities.advance()
    assert names(pki / TRUSTED) == [first, second, third]
    authorities.drop_replaced()
    assert names(pki / TRUSTED) == [second, third]
    assert names(pki / TRUSTED_BY_CONTROLLERS) == [second, third, first]
    authorities.forget_replaced()
    assert names(pki / TRUSTED_BY_CONTROLLERS) == [second, third]
    assert not [path for path in (tmp_path / "authorities").rglob("*") if "key" in path.name]


def test_who_was_made_before_accepts_a_certificate_of_the_next_authority(tmp_path: Path) -> None:
    authorities = Authorities(tmp_path / "authorities", tmp_path / "pki")
    context = ssl.create_default_context(cafile=str(tmp_path / "pki" / TRUSTED))
    authorities.advance()
    pair = authorities.issue_server("broker-1", ["localhost"])
    (issuer,) = [cert for cert in context.get_ca_certs() if ("commonName", "necp-validate CA 2") in _flat(cert)]
    assert issuer["serialNumber"]
    leaf, chain = x509.load_pem_x509_certificates(pair.cert.read_bytes())
    leaf.verify_directly_issued_by(chain)
    assert f"{chain.serial_number:X}".lstrip("0") == str(issuer["serialNumber"]).lstrip("0")


def _flat(cert: dict[str, object]) -> list[tuple[str, str]]:
    return [pair for part in cert["subject"] for pair in part]  # type: ignore[attr-defined]


def test_keys_of_authorities_are_never_written_down(tmp_path: Path) -> None:
    Authority(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["ca.pem"]
