"""A certificate authority for one stack: broker certificates, client certificates, all in PEM."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from necp_validate.core import StackError
from necp_validate.stack.private import write_private, write_whole
from necp_validate.stack.protocol import ADMIN, ClientVariant, PlayerTls, PlayerVariant

ORGANIZATION = "necp-validate"
RENEW_AFTER_DAYS = 30
"""How old a broker's certificate becomes before it is renewed."""
VALIDITY_DAYS = 3 * RENEW_AFTER_DAYS
"""So long that one which is due for renewal is still far from the 30 days before its end at which alerts begin."""
AUTHORITY_DAYS = 3 * 365
"""How long an authority is valid: longer than what it issues, whenever that is."""


BACKDATED = timedelta(minutes=5)
"""Certificates are valid from a while before they are issued: clocks differ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPair:
    """Files of one certificate.

    Args:
        cert: certificate chain.
        key: private key, PKCS#8, unencrypted.
        store: both in one file, as Kafka's PEM key store wants them.
        serial: the certificate's number.
    """

    cert: Path
    key: Path
    store: Path
    serial: int


class Authority:
    """Issues certificates, writes them to a directory.

    Args:
        directory: where everything goes; made if it is not there.
        validity_days: of every certificate that it issues.
        name: common name of the authority.
    """

    def __init__(
        self, directory: Path, *, validity_days: float = VALIDITY_DAYS, name: str = "necp-validate CA"
    ) -> None:
        self.directory = directory
        self.validity_days = validity_days
        directory.mkdir(parents=True, exist_ok=True)
        directory.chmod(0o700)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(name)
        usage = _key_usage(ca=True)
        self._cert = (
            self._builder(self._name, self._key.public_key(), AUTHORITY_DAYS)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.ca_path = directory / "ca.pem"
        self.ca_path.write_bytes(self.pem)

    @property
    def pem(self) -> bytes:
        """Its certificate."""
        return self._cert.public_bytes(serialization.Encoding.PEM)

    def issue_server(
        self, name: str, hosts: Sequence[str], *, validity_days: float | None = None, directory: Path | None = None
    ) -> KeyPair:
        """Issue a broker's certificate: server and client, since brokers call each other.

        Args:
            name: common name, which is also its Kafka principal.
            hosts: names and addresses that clients may use for it.
            validity_days: until when; the authority's own by default.
            directory: where its files go; beside the authority's by default.
        """
        days = self.validity_days if validity_days is None else validity_days
        usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        return self._issue(name, hosts, usages, days, directory=directory)

    def issue_endpoint(self, name: str, hosts: Sequence[str]) -> KeyPair:
        """Issue the certificate of a server that is nobody's client.

        Args:
            name: common name.
            hosts: names and addresses that clients may use for it.
        """
        return self._issue(name, hosts, [ExtendedKeyUsageOID.SERVER_AUTH], self.validity_days)

    def issue_client(
        self,
        name: str,
        *,
        validity_days: float | None = None,
        starts_in_days: float = 0.0,
        directory: Path | None = None,
    ) -> KeyPair:
        """Issue a client's certificate; its common name is its Kafka principal on the internal listener.

        Args:
            name: common name.
            validity_days: until when; negative for one whose time is over. The authority's own by default.
            starts_in_days: from when.
            directory: where its files go; beside the authority's by default.
        """
        days = self.validity_days if validity_days is None else validity_days
        usages = [ExtendedKeyUsageOID.CLIENT_AUTH]
        return self._issue(name, [], usages, days, starts_in_days=starts_in_days, directory=directory)

    def _issue(
        self,
        name: str,
        hosts: Sequence[str],
        usages: list[x509.ObjectIdentifier],
        validity_days: float,
        *,
        starts_in_days: float = 0.0,
        directory: Path | None = None,
    ) -> KeyPair:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = (
            self._builder(_name(name), key.public_key(), validity_days, starts_in_days)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(ca=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        )
        if hosts:
            names = [_san(host) for host in hosts]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        cert = builder.sign(self._key, hashes.SHA256())
        return self._write(directory or self.directory, name, key, cert)

    def _builder(
        self,
        subject: x509.Name,
        public_key: ec.EllipticCurvePublicKey,
        validity_days: float,
        starts_in_days: float = 0.0,
    ) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        begin = min(now, now + timedelta(days=validity_days)) - BACKDATED + timedelta(days=starts_in_days)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(now + timedelta(days=validity_days))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )

    def _write(self, directory: Path, name: str, key: ec.EllipticCurvePrivateKey, cert: x509.Certificate) -> KeyPair:
        chain = cert.public_bytes(serialization.Encoding.PEM) + self.pem
        secret = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        directory.mkdir(parents=True, exist_ok=True)
        directory.chmod(0o700)
        files = KeyPair(
            cert=directory / f"{name}.cert.pem",
            key=directory / f"{name}.key.pem",
            store=directory / f"{name}.store.pem",
            serial=cert.serial_number,
        )
        write_whole(files.cert, chain, mode=0o644)  # a renewal may be looked for at any time
        write_private(files.key, secret)
        write_private(files.store, secret + chain)
        return files


_NOT_YET_DAYS = 10.0


class AdminPki:
    """Certificates of the super user: the one that brokers accept, and those that they must refuse.

    Args:
        valid: folder of the one that is accepted, beside the authority's own.
        refused: folder of the others.
    """

    def __init__(self, valid: Path, refused: Path) -> None:
        self._folders: dict[ClientVariant, Path] = {
            "valid": valid,
            "expired": refused / "expired",
            "not-yet-valid": refused / "not-yet-valid",
            "wrong-ca": refused / "wrong-ca",
        }

    def issue(self, authority: Authority) -> None:
        """Issue all of them; nothing but their time, or their authority, tells them apart."""
        folders = self._folders
        authority.issue_client(ADMIN, directory=folders["valid"])
        authority.issue_client(ADMIN, validity_days=-1, directory=folders["expired"])
        authority.issue_client(
            ADMIN, validity_days=2 * _NOT_YET_DAYS, starts_in_days=_NOT_YET_DAYS, directory=folders["not-yet-valid"]
        )
        Authority(folders["wrong-ca"]).issue_client(ADMIN)

    def files(self) -> dict[ClientVariant, tuple[Path, Path]]:
        """Certificate and key of every variant that there is."""
        pairs = {v: (folder / f"{ADMIN}.cert.pem", folder / f"{ADMIN}.key.pem") for v, folder in self._folders.items()}
        return {variant: pair for variant, pair in pairs.items() if pair[0].exists()}


GATEWAY_NAME = "gateway"
"""Name of the gateway's certificate."""
_VALID, _EXPIRED, _STRANGER = "player", "expired", "stranger"


class PlayersPki:
    """The certificates of gateway and players, in a folder of their own, by an authority of their own.

    Args:
        directory: the folder.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @property
    def ca(self) -> Path:
        """Certificate of the authority."""
        return self.directory / "ca.pem"

    def issue(self, hosts: Sequence[str]) -> None:
        """Issue everything: for the gateway, for players, and what the gateway has to refuse.

        Args:
            hosts: names and addresses at which players reach the gateway.
        """
        authority = Authority(self.directory, name="necp-validate players CA")
        authority.issue_endpoint(GATEWAY_NAME, hosts)
        authority.issue_client(_VALID)
        authority.issue_client(_EXPIRED, validity_days=-1)
        Authority(self.directory / _STRANGER, name="necp-validate strangers CA").issue_client(_VALID)

    def gateway(self) -> tuple[Path, Path]:
        """Return certificate and private key of the gateway."""
        return self._pair(self.directory, GATEWAY_NAME)

    def player(self, variant: PlayerVariant = "valid") -> PlayerTls:
        """Return the files of a player.

        Raises:
            StackError: there are none.
        """
        if not self.ca.exists():
            hint = "the stack was brought up by an older version: end it with `necp-validate down`, start again"
            raise StackError(f"there are no players' certificates in {self.directory}", hint=hint)
        folder = self.directory / _STRANGER if variant == "stranger" else self.directory
        certificate, key = self._pair(folder, _EXPIRED if variant == "expired" else _VALID)
        return PlayerTls(ca=self.ca, certificate=certificate, key=key)

    @staticmethod
    def _pair(folder: Path, name: str) -> tuple[Path, Path]:
        return folder / f"{name}.cert.pem", folder / f"{name}.key.pem"


def _name(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANIZATION),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def _san(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _key_usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )
