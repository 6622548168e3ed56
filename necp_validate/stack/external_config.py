"""The TOML file that describes an external cluster, read and checked."""

from __future__ import annotations

import tomllib
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from necp_validate.core import UsageError
from necp_validate.stack.config import SCRAM_MECHANISM
from necp_validate.stack.external_table import Table
from necp_validate.stack.external_topics import RegistryAddress, TopicTarget, read_registry, read_topics
from necp_validate.stack.protocol import PlayerTls, PlayerVariant

_KEYS = (
    "bootstrap_servers",
    "ca",
    "certificate",
    "core",
    "fuzz",
    "gateway",
    "internal",
    "key",
    "password",
    "password_env",
    "principals",
    "properties",
    "sasl_mechanism",
    "schema_registry",
    "security_protocol",
    "topics",
    "username",
)
PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", SCRAM_MECHANISM)


@dataclass(frozen=True, slots=True, kw_only=True)
class CoreAddress:
    """An instance of the event core that runs already.

    Args:
        name: its instance name.
        http_url: base address of its HTTP endpoint.
        metrics_url: full address of its metrics.
    """

    name: str
    http_url: str
    metrics_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayAddress:
    """A real-time gateway that runs already.

    Args:
        http_url: base address of its HTTP endpoint.
        metrics_url: full address of its metrics.
        websocket_url: where players open a WebSocket.
        udp_port: of its UDP socket, on the same host.
        tls: files of a player, by the kind of its certificate; what is not there cannot be tried.
    """

    http_url: str
    metrics_url: str
    websocket_url: str
    udp_port: int
    tls: Mapping[PlayerVariant, PlayerTls]


@dataclass(frozen=True, slots=True, kw_only=True)
class FuzzTarget:
    """Where fuzzed records go, and where one can see what becomes of them; what is not named cannot be seen.

    Args:
        topic: where they go; the schema's own topic if None.
        dead_letter_topic: where the consumer puts what it refuses.
        output_topics: where it puts what it makes of the others.
        group: its consumer group.
        principal: who sends and reads; the first of the file's by default.
        timeout_s: how long the consumer may take to commit what was sent.
    """

    topic: str | None = None
    dead_letter_topic: str | None = None
    output_topics: tuple[str, ...] = ()
    group: str | None = None
    principal: str | None = None
    timeout_s: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalSettings:
    """The file, checked.

    Args:
        file: where it was read from.
        client: librdkafka properties common to all principals.
        internal: librdkafka properties of the internal listener; empty if there is none.
        principals: user name and password by principal.
        cores: instances of the event core that run already.
        gateway: the gateway that runs already, if there is one.
        fuzz: where fuzzed records of other people's events go.
        login: user name and password of whoever has no entry in ``principals``.
        topics: topics of the user's own, by name.
        registry: where their schemas are, if they are in a Schema Registry.
    """

    file: Path
    client: Mapping[str, str]
    internal: Mapping[str, str] = field(default_factory=dict)
    principals: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    cores: tuple[CoreAddress, ...] = ()
    gateway: GatewayAddress | None = None
    fuzz: FuzzTarget = FuzzTarget()
    login: tuple[str, str] | None = None
    topics: Mapping[str, TopicTarget] = field(default_factory=dict)
    registry: RegistryAddress | None = None

    def login_of(self, principal: str) -> tuple[str, str] | None:
        """User name and password of a principal; None if the file has neither it nor a common login."""
        return self.principals.get(principal, self.login)


def load_external(file: Path) -> ExternalSettings:
    """Read and check the file.

    Args:
        file: TOML, with the keys ``bootstrap_servers``, ``security_protocol``, ``sasl_mechanism``, ``ca``,
            ``certificate`` and ``key`` (of a client), ``username`` and ``password`` or ``password_env``, the list
            ``topics`` and the table ``schema_registry`` (`external_topics`), the tables ``principals.<name>``
            (``username``, ``password`` or ``password_env``), ``internal`` (``bootstrap_servers``, ``ca``,
            ``certificate``, ``key``), ``properties`` (of librdkafka), ``gateway`` (``websocket_url``, ``udp_port``,
            ``http_url``, ``metrics_url``, ``ca``, ``certificate``, ``key``, and the tables ``expired`` and
            ``stranger`` of a ``certificate`` and ``key`` that it must refuse), ``fuzz`` (``topic``,
            ``dead_letter_topic``, ``output_topics``, ``group``, ``principal``, ``timeout_s``), and the list ``core``
            (``name``, ``http_url``, ``metrics_url``). Paths are relative to the file.

    Raises:
        UsageError: it cannot be read, or a key in it is wrong; names file and key.
    """
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from error
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{file} is not valid TOML: {error}") from error
    top = Table(file, "", content, _KEYS)
    client = {
        "bootstrap.servers": top.text("bootstrap_servers"),
        "security.protocol": top.choice("security_protocol", PROTOCOLS, "SASL_SSL"),
        **({"ssl.ca.location": top.existing_file("ca")} if "ca" in content else {}),
        **_client_certificate(top),
        **_properties(file, content.get("properties", {})),
    }
    if client["security.protocol"].startswith("SASL"):
        client["sasl.mechanism"] = top.choice("sasl_mechanism", MECHANISMS, SCRAM_MECHANISM)
    return ExternalSettings(
        file=file,
        client=client,
        internal=_internal(file, content["internal"]) if "internal" in content else {},
        principals=_principals(file, content.get("principals", {})),
        cores=_cores(file, content.get("core", [])),
        gateway=_gateway(file, content["gateway"]) if "gateway" in content else None,
        fuzz=_fuzz(file, content.get("fuzz", {})),
        login=(top.text("username"), top.secret()) if "username" in content else None,
        topics=read_topics(file, content.get("topics", []), registry="schema_registry" in content),
        registry=read_registry(file, content["schema_registry"]) if "schema_registry" in content else None,
    )


def _client_certificate(top: Table) -> dict[str, str]:
    """What a client shows of itself by mutual TLS; certificate and key go together."""
    if "certificate" not in top.values and "key" not in top.values:
        return {}
    return {
        "ssl.certificate.location": top.existing_file("certificate"),
        "ssl.key.location": top.existing_file("key"),
    }


def _properties(file: Path, values: object) -> dict[str, str]:
    table = Table(file, "properties", values, ())
    return {key: table.text(key) for key in table.values}


def _internal(file: Path, values: object) -> dict[str, str]:
    table = Table(file, "internal", values, ("bootstrap_servers", "ca", "certificate", "key"))
    return {
        "bootstrap.servers": table.text("bootstrap_servers"),
        "security.protocol": "SSL",
        "ssl.ca.location": table.existing_file("ca"),
        "ssl.certificate.location": table.existing_file("certificate"),
        "ssl.key.location": table.existing_file("key"),
    }


def _principals(file: Path, values: object) -> dict[str, tuple[str, str]]:
    found = {}
    for name, entry in Table(file, "principals", values, ()).values.items():
        table = Table(file, f"principals.{name}", entry, ("username", "password", "password_env"))
        found[name] = (table.text("username", name), table.secret())
    return found


def _cores(file: Path, values: object) -> tuple[CoreAddress, ...]:
    if not isinstance(values, list):
        raise UsageError(f"{file}: 'core' must be a list of tables: [[core]]")
    found = []
    for number, entry in enumerate(values):
        table = Table(file, f"core[{number}]", entry, ("name", "http_url", "metrics_url"))
        http_url = table.text("http_url").rstrip("/")
        metrics_url = table.text("metrics_url", f"{http_url}/metrics")
        found.append(CoreAddress(name=table.text("name", f"core-{number}"), http_url=http_url, metrics_url=metrics_url))
    return tuple(found)


_FUZZ_KEYS = ("topic", "dead_letter_topic", "output_topics", "group", "principal", "timeout_s")


def _fuzz(file: Path, values: object) -> FuzzTarget:
    table = Table(file, "fuzz", values, _FUZZ_KEYS)
    texts = {
        key: table.text(key) for key in ("topic", "dead_letter_topic", "group", "principal") if key in table.values
    }
    outputs, timeout_s = table.values.get("output_topics", []), table.values.get("timeout_s", 60.0)
    if not isinstance(outputs, list) or not all(isinstance(one, str) for one in outputs):
        table.refuse("'fuzz.output_topics'", "must be a list of strings")
    if isinstance(timeout_s, bool) or not isinstance(timeout_s, (int, float)) or timeout_s <= 0:
        table.refuse("'fuzz.timeout_s'", f"must be a number of seconds, not {timeout_s!r}")
    return FuzzTarget(**texts, output_topics=tuple(outputs), timeout_s=float(timeout_s))


_REFUSED: tuple[PlayerVariant, ...] = ("expired", "stranger")
_GATEWAY_KEYS = ("websocket_url", "udp_port", "http_url", "metrics_url", "ca", "certificate", "key", *_REFUSED)


def _gateway(file: Path, values: object) -> GatewayAddress:
    table = Table(file, "gateway", values, _GATEWAY_KEYS)
    websocket_url, http_url = table.text("websocket_url").rstrip("/"), table.text("http_url").rstrip("/")
    if not websocket_url.startswith("wss://") or not urllib.parse.urlsplit(websocket_url).hostname:
        table.refuse("'gateway.websocket_url'", f"must be wss://HOST:PORT, not {websocket_url!r}")
    ca = Path(table.existing_file("ca"))

    def tls(of: Table) -> PlayerTls:
        return PlayerTls(ca=ca, certificate=Path(of.existing_file("certificate")), key=Path(of.existing_file("key")))

    found: dict[PlayerVariant, PlayerTls] = {"valid": tls(table)}
    for variant in _REFUSED:
        if variant in table.values:
            found[variant] = tls(Table(file, f"gateway.{variant}", table.values[variant], ("certificate", "key")))
    return GatewayAddress(
        http_url=http_url,
        metrics_url=table.text("metrics_url", f"{http_url}/metrics"),
        websocket_url=websocket_url,
        udp_port=table.port("udp_port", 7777),
        tls=found,
    )
