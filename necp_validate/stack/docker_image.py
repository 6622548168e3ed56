"""The one image that brokers and services run from: Debian, the same Java and jars as locally, the same code."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import docker
import docker.errors

import necp_validate
from necp_validate.core import StackError
from necp_validate.stack.protocol import Progress
from necp_validate.stack.runtime import KafkaRuntime

SUITE = "bookworm"
_PYTHON = "3.11"  # Debian bookworm's
_PACKAGES = ("python3", "iptables", "iproute2")
_PULLED_BASE = "debian:bookworm-slim"
_LIBRARIES = ("confluent-kafka", "cryptography", "msgspec", "numpy", "prometheus-client", "uvloop", "websockets")
_CODE = ("__init__.py", "events", "realtime", "reference")
_REPOSITORY = "necp-validate"

JAVA = "/opt/java/bin/java"
JARS = "/opt/kafka/jars"

_DOCKERFILE = """\
FROM {base}
COPY java /opt/java
COPY jars {jars}
COPY site /opt/core/site
COPY code /opt/core/code
ENV PYTHONPATH=/opt/core/site:/opt/core/code PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
"""

_BASE_DOCKERFILE = f"""\
FROM {_PULLED_BASE}
RUN apt-get update && apt-get install -y --no-install-recommends {" ".join(_PACKAGES)} && rm -rf /var/lib/apt/lists/*
"""


def base_tag() -> str:
    """Return the name of the base image."""
    return f"{_REPOSITORY}-base:{SUITE}-{_digest(_PACKAGES)}"


def image_tag(runtime: KafkaRuntime) -> str:
    """Return the image's name, by what is in it: the same content is built once.

    Args:
        runtime: Java and Kafka.
    """
    parts = [base_tag(), _DOCKERFILE, runtime.java_version, *(jar.name for jar in runtime.jars)]
    parts += [f"{name}=={version(name)}" for name in _LIBRARIES]
    for file in _code_files():
        parts += [str(file.relative_to(_package().parent)), file.read_text(encoding="utf-8")]
    return f"{_REPOSITORY}:kafka-{runtime.kafka_version}-{_digest(parts)}"


def has_image(client: docker.DockerClient, tag: str) -> bool:
    """Tell whether the engine has an image."""
    try:
        client.images.get(tag)
    except docker.errors.ImageNotFound:
        return False
    return True


def why_not_base(client: docker.DockerClient) -> str | None:
    """Say why the base image cannot be had; None if it can."""
    if has_image(client, base_tag()) or has_image(client, _PULLED_BASE) or _can_bootstrap():
        return None
    try:
        client.images.get_registry_data(_PULLED_BASE)
    except (docker.errors.DockerException, OSError):
        return f"no image {_PULLED_BASE} can be pulled, and there is no mmdebstrap (as root) to make one"
    return None


def ensure_image(client: docker.DockerClient, runtime: KafkaRuntime, progress: Progress) -> str:
    """Build the image if the engine does not have it; return its name.

    Args:
        client: the engine.
        runtime: Java and Kafka.
        progress: receives a sentence for each stage.

    Raises:
        StackError: it cannot be built.
    """
    tag = image_tag(runtime)
    if has_image(client, tag):
        return tag
    if not has_image(client, base_tag()):
        _make_base(client, progress)
    progress("building the image of brokers and services (once)")
    with tempfile.TemporaryDirectory(prefix="necp-image-") as scratch:
        context = Path(scratch)
        shutil.copytree(runtime.java_home, context / "java", symlinks=True)
        (context / "jars").mkdir()
        for jar in runtime.jars:
            shutil.copy2(jar, context / "jars" / jar.name)
        _install_libraries(context / "site")
        for file in _code_files():
            target = context / "code" / file.relative_to(_package().parent)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file, target)
        (context / "Dockerfile").write_text(_DOCKERFILE.format(base=base_tag(), jars=JARS), encoding="utf-8")
        _build(client, context, tag)
    return tag


def class_path(runtime: KafkaRuntime) -> str:
    """Return the class path inside the image."""
    return ":".join(f"{JARS}/{jar.name}" for jar in runtime.jars)


def _make_base(client: docker.DockerClient, progress: Progress) -> None:
    ways: list[tuple[str, Callable[[docker.DockerClient], None]]] = [("pulling a base image (once)", _pull_base)]
    if _can_bootstrap():
        ways.append(("making a base image from Debian packages (once)", _bootstrap_base))
    problems = []
    for sentence, way in ways:
        progress(sentence)
        try:
            way(client)
        except (docker.errors.DockerException, OSError, StackError) as error:
            problems.append(f"{sentence}: {error}")
        else:
            return
    raise StackError(
        "there is no base image for the docker stack",
        detail="\n".join(problems),
        hint="use the local stack, or see that images can be pulled or that mmdebstrap is installed",
    )


def _pull_base(client: docker.DockerClient) -> None:
    with tempfile.TemporaryDirectory(prefix="necp-image-") as scratch:
        (Path(scratch) / "Dockerfile").write_text(_BASE_DOCKERFILE, encoding="utf-8")
        _build(client, Path(scratch), base_tag())


def _can_bootstrap() -> bool:
    return shutil.which("mmdebstrap") is not None and os.geteuid() == 0


def _bootstrap_base(client: docker.DockerClient) -> None:
    with tempfile.TemporaryDirectory(prefix="necp-image-") as scratch:
        archive = Path(scratch) / "base.tar"
        packages = ",".join(_PACKAGES)
        _run(["mmdebstrap", "--variant=minbase", f"--include={packages}", SUITE, str(archive)], "mmdebstrap")
        repository, _, tag = base_tag().partition(":")
        client.api.import_image_from_file(str(archive), repository=repository, tag=tag)


def _install_libraries(target: Path) -> None:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]
    command += ["--target", str(target), "--only-binary=:all:", "--implementation", "cp"]
    command += ["--python-version", _PYTHON]
    machine = os.uname().machine
    for abi in (f"cp{_PYTHON.replace('.', '')}", "abi3", "none"):
        command += ["--abi", abi]
    for platform in ("manylinux_2_34", "manylinux_2_28", "manylinux_2_17", "manylinux2014"):
        command += ["--platform", f"{platform}_{machine}"]
    _run([*command, *(f"{name}=={version(name)}" for name in _LIBRARIES)], "pip")


def _run(command: list[str], name: str) -> None:
    result = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if result.returncode != 0:
        raise StackError(f"{name} failed with exit code {result.returncode}", detail=result.stderr[-2000:])


def _build(client: docker.DockerClient, context: Path, tag: str) -> None:
    try:
        client.images.build(path=str(context), tag=tag, rm=True, forcerm=True, labels={_REPOSITORY: "image"})
    except docker.errors.BuildError as error:
        lines = [str(entry.get("stream") or entry.get("error") or "") for entry in error.build_log]
        raise StackError(f"the image {tag} cannot be built: {error.msg}", detail="".join(lines)[-2000:]) from error


def _package() -> Path:
    return Path(necp_validate.__file__).parent


def _code_files() -> list[Path]:
    files: list[Path] = []
    for name in _CODE:
        path = _package() / name
        files += [path] if path.is_file() else sorted(path.rglob("*.py"))
    return files


def _digest(parts: Iterable[Any]) -> str:
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()[:12]
