"""The image of brokers' pods, made without an engine: Debian, the same Java and the same jars as everywhere else."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import tarfile
import tempfile
from pathlib import Path

from necp_validate.core import SuiteError
from necp_validate.kubernetes.tool import run
from necp_validate.stack.docker_image import JARS, SUITE
from necp_validate.stack.process import tail
from necp_validate.stack.protocol import Progress
from necp_validate.stack.runtime import KafkaRuntime, cache_dir

_TIMEOUT_S = 900.0
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
_PAUSE_COMMAND = ["/bin/sleep", "infinity"]


def why_not_image() -> str:
    """Say why no image can be made; it begins with "needs", and is empty if one can."""
    if shutil.which("mmdebstrap") is None:
        return "needs mmdebstrap on the PATH, to make an image from Debian's packages"
    return "" if os.geteuid() == 0 else "needs root, to make an image from Debian's packages"


def image_name(runtime: KafkaRuntime) -> str:
    """Return what the image of a broker is called.

    Args:
        runtime: Java and Kafka.
    """
    parts = [SUITE, runtime.java_version, *(jar.name for jar in runtime.jars)]
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]
    return f"docker.io/necp-validate/kafka:{runtime.kafka_version}-{digest}"


def ensure_archive(runtime: KafkaRuntime, pause: str, progress: Progress) -> Path:
    """Make the archive of both images, or return the one that was made before.

    Args:
        runtime: Java and Kafka.
        pause: what the image is called that holds a pod's namespaces.
        progress: receives a sentence if it has to be made.

    Raises:
        SuiteError: it cannot be made.
    """
    name = image_name(runtime)
    target = cache_dir() / "kubernetes" / "images" / f"{name.rpartition(':')[2]}.tar"
    if target.exists():
        return target
    progress("making the brokers' image from Debian's packages (once)")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix="image-") as scratch:
        folder = Path(scratch)
        base, kafka = folder / "base.tar", folder / "kafka.tar"
        _bootstrap(base)
        with tarfile.open(kafka, "w") as layer:
            layer.add(runtime.java_home, "opt/java")
            for jar in runtime.jars:
                layer.add(jar.resolve(), f"{JARS.strip('/')}/{jar.name}")
        images = {name: ([base, kafka], ["/bin/sh"]), pause: ([base], _PAUSE_COMMAND)}
        write_archive(folder / "images.tar", images)
        (folder / "images.tar").rename(target)
    return target


def write_archive(path: Path, images: dict[str, tuple[list[Path], list[str]]]) -> None:
    """Write an archive of images as ``docker save`` does.

    Args:
        path: where.
        images: by name, their layers (uncompressed tar files) and the command that they run.
    """
    manifest = []
    with tarfile.open(path, "w") as archive:
        layers = dict.fromkeys(layer for given, _ in images.values() for layer in given)
        for layer in layers:
            archive.add(layer, layer.name)
        for name, (given, command) in images.items():
            config = json.dumps(_config(given, command)).encode()
            file = f"{hashlib.sha256(config).hexdigest()}.json"
            _add(archive, file, config)
            manifest.append({"Config": file, "RepoTags": [name], "Layers": [layer.name for layer in given]})
        _add(archive, "manifest.json", json.dumps(manifest).encode())


def _config(layers: list[Path], command: list[str]) -> dict[str, object]:
    return {
        "architecture": _MACHINES.get(os.uname().machine, os.uname().machine),
        "os": "linux",
        "config": {"Cmd": command, "Env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{_digest(layer)}" for layer in layers]},
    }


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    archive.addfile(entry, io.BytesIO(content))


def _bootstrap(target: Path) -> None:
    log = target.with_name("mmdebstrap.log")
    code = run(["mmdebstrap", "--variant=minbase", SUITE, str(target)], log=log, timeout_s=_TIMEOUT_S)
    if code != 0:
        raise SuiteError(f"mmdebstrap failed with exit code {code}", detail=tail(log))
