"""Builds Kubernetes and etcd from the Go module proxy, once: there is nothing to download but their sources."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from necp_validate.core import SuiteError
from necp_validate.kubernetes.tool import run
from necp_validate.stack.process import tail
from necp_validate.stack.protocol import Progress
from necp_validate.stack.runtime import cache_dir

KUBERNETES_VERSION = "1.34.2"
ETCD_VERSION = "3.6.4"
NEEDED_GO = (1, 24)
"""What Kubernetes' own go.mod asks for."""
_FETCHING_GO = (1, 21)
"""From here on an older Go fetches the newer one that a module asks for, through the module proxy."""
_USUAL_PLACES = ("/usr/local/go/bin/go", "/usr/lib/go-1.24/bin/go", "/usr/lib/go/bin/go")
_HINT = "install Go 1.24 or newer; one from 1.21 on fetches what it needs itself, if GOTOOLCHAIN allows it"
_TIMEOUT_S = 2400.0

CONTROL_PLANE = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
HOLLOW = "kubemark"
KUBELET = "kubelet"
PROGRAMS = (*CONTROL_PLANE, HOLLOW, KUBELET)

# Kubernetes publishes these with versions of their own; its go.mod has them at v0.0.0, in the folder beside it.
_STAGING = (
    "api", "apiextensions-apiserver", "apimachinery", "apiserver", "cli-runtime", "client-go", "cloud-provider",
    "cluster-bootstrap", "code-generator", "component-base", "component-helpers", "controller-manager", "cri-api",
    "cri-client", "csi-translation-lib", "dynamic-resource-allocation", "endpointslice", "externaljwt", "kms",
    "kube-aggregator", "kube-controller-manager", "kube-proxy", "kube-scheduler", "kubectl", "kubelet", "metrics",
    "mount-utils", "pod-security-admission", "sample-apiserver", "sample-cli-plugin", "sample-controller",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """One program.

    Args:
        name: what it is called.
        path: the binary.
        seconds: how long its build took; 0 if it was there already.
    """

    name: str
    path: Path
    seconds: float


def binaries() -> Path:
    """Return the folder of the programs that are built already."""
    return cache_dir() / "kubernetes" / KUBERNETES_VERSION / "bin"


def kubernetes_module(version: str = KUBERNETES_VERSION) -> str:
    """Return the go.mod of a module that needs Kubernetes, every part of it at the same release.

    Args:
        version: of Kubernetes.
    """
    staged = "0" + version[version.index(".") :]
    lines = [f"module necp-validate.local/kubernetes\n\ngo {_dotted(NEEDED_GO)}.0\n", "godebug default=go1.24\n"]
    lines.append(f"require k8s.io/kubernetes v{version}\n")
    lines += [f"replace k8s.io/{name} => k8s.io/{name} v{staged}" for name in _STAGING]
    return "\n".join(lines) + "\n"


def etcd_module(version: str = ETCD_VERSION) -> str:
    """Return the go.mod of a module that needs etcd.

    Args:
        version: of etcd.
    """
    lines = (
        f"module necp-validate.local/etcd\n\ngo {_dotted(NEEDED_GO)}.0\n",
        f"require go.etcd.io/etcd/server/v3 v{version}",
    )
    return "\n".join(lines) + "\n"


def linker_flags(version: str = KUBERNETES_VERSION) -> str:
    """Return what tells Kubernetes' programs which release they are: without it they say v0.0.0-master.

    Args:
        version: of Kubernetes.
    """
    major, minor, _ = version.split(".")
    said = {"gitVersion": f"v{version}", "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    places = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    return " ".join(["-s -w", *(f"-X {place}.{key}={value}" for place in places for key, value in said.items())])


def find_go() -> Path:
    """Return a Go that can build Kubernetes, or can fetch one that can.

    Raises:
        SuiteError: there is none; it begins with "needs".
    """
    found = shutil.which("go") or next((place for place in _USUAL_PLACES if os.access(place, os.X_OK)), None)
    if found is None:
        raise SuiteError("needs Go to build Kubernetes, and there is none on the PATH", hint=_HINT)
    said = subprocess.run(
        [found, "version"], capture_output=True, text=True, check=False, env={**os.environ, "GOTOOLCHAIN": "local"}
    ).stdout
    if problem := go_problem(said, os.environ.get("GOTOOLCHAIN", "auto")):
        raise SuiteError(f"{problem} ({found})", hint=_HINT)
    return Path(found)


def go_problem(said: str, toolchain: str = "auto") -> str:
    """Say why a Go will not do; nothing if it will.

    Args:
        said: what ``go version`` printed.
        toolchain: the setting ``GOTOOLCHAIN``.
    """
    version = re.search(r"go(\d+)\.(\d+)", said)
    if version is None:
        return f"needs Go {_dotted(NEEDED_GO)} to build Kubernetes; this one does not say its version: {said.strip()!r}"
    has = (int(version[1]), int(version[2]))
    if has >= NEEDED_GO or (has >= _FETCHING_GO and toolchain != "local"):
        return ""
    return f"needs Go {_dotted(NEEDED_GO)} to build Kubernetes; this one is {_dotted(has)}"


def missing(programs: Sequence[str] = PROGRAMS) -> list[str]:
    """Return the programs that are still to be built."""
    return [name for name in programs if not os.access(binaries() / name, os.X_OK)]


def ensure(programs: Sequence[str], progress: Progress) -> dict[str, Built]:
    """Build what is missing; a program that was built before is taken from the cache.

    Args:
        programs: their names.
        progress: receives a sentence for each build.

    Raises:
        SuiteError: there is no Go for it, or a build failed.
    """
    todo = missing(programs)
    made = {name: Built(name=name, path=binaries() / name, seconds=0.0) for name in programs}
    if todo:
        go = find_go()
        binaries().mkdir(parents=True, exist_ok=True)
        for name in todo:
            progress(f"building {name} from its sources (once, minutes)")
            begun = time.monotonic()
            _build(go, name)
            made[name] = Built(name=name, path=binaries() / name, seconds=time.monotonic() - begun)
    return made


def _build(go: Path, name: str) -> None:
    module, package, flags = etcd_module(), "go.etcd.io/etcd/server/v3", "-s -w"
    if name != "etcd":
        module, package, flags = kubernetes_module(), f"k8s.io/kubernetes/cmd/{name}", linker_flags()
    with tempfile.TemporaryDirectory(dir=binaries().parent, prefix="build-") as scratch:
        folder = Path(scratch)
        (folder / "go.mod").write_text(module, encoding="utf-8")
        # What the module needs beside the one line is worked out from Kubernetes' own go.mod, the same every time, and
        # Go checks each download against the public checksum database.
        command = [str(go), "-C", str(folder), "build", "-mod=mod", "-buildvcs=false", f"-ldflags={flags}"]
        log = folder / "build.log"
        env = {**os.environ, "GOFLAGS": "", "GOWORK": "off"}
        code = run([*command, "-o", str(folder / name), package], log=log, timeout_s=_TIMEOUT_S, env=env)
        if code != 0:
            raise SuiteError(
                f"{name} cannot be built: go ended with {code}",
                detail=tail(log),
                hint="see that the Go module proxy can be reached, and that 6 GB of disk and 4 GB of memory are free",
            )
        (folder / name).rename(binaries() / name)


def _dotted(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"
