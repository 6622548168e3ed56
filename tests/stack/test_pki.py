"""Certificates are what the listeners and the principal rules expect."""

from __future__ import annotations

import ipaddress
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID

from necp_validate.stack.pki import RENEW_AFTER_DAYS, VALIDITY_DAYS, Authority


def _load(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificates(path.read_bytes())[0]


def test_broker_certificate_names_every_host_and_serves_both_sides(tmp_path: Path) -> None:
    pair = Authority(tmp_path).issue_server("broker-1", ["localhost", "127.0.0.1", "broker-1"])
    cert = _load(pair.cert)
    san = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    usage = cert.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert san.get_values_for_type(x509.DNSName) == ["localhost", "broker-1"]
    assert san.get_values_for_type(x509.IPAddress) == [ipaddress.ip_address("127.0.0.1")]
    assert set(usage) == {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}


def test_subject_reads_as_the_mapping_rule_wants_it(tmp_path: Path) -> None:
    pair = Authority(tmp_path).issue_client("admin")
    assert _load(pair.cert).subject.rfc4514_string() == "CN=admin,O=necp-validate"


def test_a_certificate_that_is_due_for_renewal_is_far_from_its_end(tmp_path: Path) -> None:
    cert = _load(Authority(tmp_path).issue_client("admin").cert)
    left = cert.not_valid_after_utc - datetime.now(UTC)
    assert timedelta(days=89, hours=23) < left <= timedelta(days=90)
    assert VALIDITY_DAYS - RENEW_AFTER_DAYS > 30


def test_an_expired_certificate_can_be_issued_for_negative_probes(tmp_path: Path) -> None:
    cert = _load(Authority(tmp_path).issue_client("late", validity_days=-1).cert)
    assert cert.not_valid_before_utc < cert.not_valid_after_utc < datetime.now(UTC)


def test_keys_are_pkcs8_and_for_the_owner_only(tmp_path: Path) -> None:
    pair = Authority(tmp_path / "pki").issue_server("broker-1", ["localhost"])
    assert pair.key.read_bytes().startswith(b"-----BEGIN PRIVATE KEY-----")
    assert pair.store.read_bytes() == pair.key.read_bytes() + pair.cert.read_bytes()
    assert {path.stat().st_mode & 0o777 for path in (pair.key, pair.store)} == {0o600}
    assert (tmp_path / "pki").stat().st_mode & 0o777 == 0o700
    serialization.load_pem_private_key(pair.key.read_bytes(), None)


def test_the_chain_verifies_against_the_authority(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    pair = authority.issue_server("broker-1", ["localhost"])
    context = ssl.create_default_context(cafile=str(authority.ca_path))
    context.load_cert_chain(pair.cert, pair.key)
    _load(pair.cert).verify_directly_issued_by(_load(authority.ca_path))
