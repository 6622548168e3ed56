"""Where the Prometheus binaries come from: the PATH, or Debian's package, unpacked without being installed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from necp_validate.core import StackError
from necp_validate.stack.runtime import cache_dir

_TIMEOUT_S = 300.0
_PACKAGE = "prometheus"


class PrometheusMissing(StackError):
    """There is no Prometheus, and none can be had; the message begins with "needs"."""


def find(program: str = "prometheus") -> Path | None:
    """Return a program of Prometheus' that is at hand; None if there is none yet.

    Args:
        program: ``prometheus`` or ``promtool``.
    """
    if found := shutil.which(program):
        return Path(found)
    unpacked = _unpacked() / program
    return unpacked if os.access(unpacked, os.X_OK) else None


def can_fetch() -> bool:
    """Tell whether this machine has what the package is fetched and unpacked with."""
    return all(map(shutil.which, ("apt-get", "dpkg")))


def ensure(program: str = "prometheus") -> Path:
    """Return a program of Prometheus'; Debian's package is downloaded the first time, if there is no other.

    Raises:
        PrometheusMissing: it cannot be had.
    """
    if found := find(program):
        return found
    if not can_fetch():
        raise PrometheusMissing("needs prometheus: there is none on the PATH, and no apt-get to fetch Debian's package")
    try:
        _fetch()
    except (OSError, subprocess.SubprocessError) as error:
        raise PrometheusMissing(f"needs prometheus: Debian's package cannot be fetched: {_said(error)}") from error
    if found := find(program):
        return found
    raise PrometheusMissing(f"needs prometheus: Debian's package has no {program}")


def version_of(binary: Path) -> str:
    """Return the version that a binary says it is; empty if it says none."""
    try:
        said = subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=20.0, check=False)
    except (OSError, subprocess.SubprocessError):
        return ""
    found = re.search(r"version (\S+)", said.stdout + said.stderr)
    return found.group(1) if found else ""


def _unpacked() -> Path:
    return cache_dir() / _PACKAGE / "usr" / "bin"


def _fetch() -> None:
    target = cache_dir() / _PACKAGE
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix="prometheus-") as scratch:
        folder = Path(scratch)
        try:
            _run("apt-get", "download", _PACKAGE, folder=folder)
        except subprocess.SubprocessError:
            if os.geteuid() != 0:
                raise
            _run("apt-get", "update", "-qq", folder=folder)  # the lists are old, or there are none yet
            _run("apt-get", "download", _PACKAGE, folder=folder)
        (package,) = folder.glob("*.deb")
        _run("dpkg", "-x", str(package), str(folder / "tree"), folder=folder)
        shutil.rmtree(target, ignore_errors=True)
        try:
            (folder / "tree").rename(target)
        except OSError:
            if find() is None:  # another process may have been quicker; its result is as good
                raise


def _run(*command: str, folder: Path) -> None:
    subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_TIMEOUT_S, check=True)


def _said(error: Exception) -> str:
    output = getattr(error, "stderr", None)
    lines = str(output).strip().splitlines() if output else []
    return lines[-1] if lines else str(error)
