"""A real node on this machine: kubelet and containerd, in a PID namespace and a mount namespace of their own.

Whatever it starts (shims, pods, mounts) is in these namespaces: when their first process ends, in whatever way, the
kernel ends everything in them. What is left then, empty control groups, is removed by ``stop`` or by the next start.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import psutil
from kubernetes import client

from necp_validate.core import SuiteError
from necp_validate.kubernetes.access import node_user
from necp_validate.kubernetes.build import KUBELET, binaries
from necp_validate.kubernetes.control_plane import ControlPlane
from necp_validate.kubernetes.nodes import wait_ready_nodes
from necp_validate.kubernetes.started import Started
from necp_validate.kubernetes.tool import run
from necp_validate.stack.process import ManagedProcess, tail
from necp_validate.stack.waiting import wait_until

NAME = "node-1"
PAUSE = "docker.io/necp-validate/pause:1"
_PROGRAMS = ("unshare", "containerd", "containerd-shim-runc-v2", "ctr", "runc", "mount")
_GROUPS = Path("/sys/fs/cgroup")
_GROUP_PREFIX = "necp-node-"
_SOCKET_TIMEOUT_S = 30.0
_END_TIMEOUT_S = 30.0
_IMPORT_TIMEOUT_S = 180.0
# The kubelet sets these for the whole machine; in its own namespace it gets copies to write to.
_TUNABLES = (
    "vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops", "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)  # fmt: skip

_FIRST_PROCESS = """\
set -e
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /var/log
{tunables}
containerd --config {containerd} > {logs}/containerd.log 2>&1 &
tries=0
until test -S {socket}; do
    tries=$((tries + 1)); test $tries -lt 300 || exit 1
    sleep 0.1
done
{kubelet} > {logs}/kubelet.log 2>&1 &
wait $!
"""


def why_not() -> str:
    """Say why there can be no real node here; it begins with "needs", and is empty if there can be one."""
    if os.geteuid() != 0:
        return "needs root: a kubelet makes control groups, mounts and containers"
    if absent := [name for name in _PROGRAMS if shutil.which(name) is None]:
        packages = "containerd, runc and util-linux"
        return f"needs {', '.join(absent)} on the PATH (Debian: {packages})"
    if not (_GROUPS / "memory").is_dir() and not (_GROUPS / "cgroup.controllers").exists():
        return f"needs control groups, mounted at {_GROUPS}"
    if node_address() is None:
        return (
            "needs an interface with an IPv4 address besides loopback: a kubelet takes no loopback address for its own"
        )
    return ""


def node_address() -> str | None:
    """Return an IPv4 address of this machine that is not loopback; None if there is none."""
    addresses = psutil.net_if_addrs()
    for name, status in psutil.net_if_stats().items():
        for one in addresses.get(name, ()):
            if status.isup and one.family == socket.AF_INET and not one.address.startswith(("127.", "169.254.")):
                return str(one.address)
    return None


class Node(Started):
    """One node, until the block ends.

    Args:
        plane: the control plane that it joins; its directory is used.
    """

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane
        self._directory = plane.directory / "node"
        self._group = f"{_GROUP_PREFIX}{plane.directory.name.rpartition('-')[2]}"
        self._process: ManagedProcess | None = None

    @property
    def socket(self) -> Path:
        """Where containerd listens."""
        return self._directory / "containerd.sock"

    def check_alive(self) -> None:
        """Raise if the node has ended.

        Raises:
            SuiteError: with the last words of kubelet and containerd.
        """
        if self._process is not None and not self._process.alive():
            last = "\n".join(tail(self._plane.logs / f"{name}.log", 6) for name in ("node", "containerd", "kubelet"))
            raise SuiteError("the node has ended", detail=last)

    def import_images(self, archive: Path) -> None:
        """Give containerd the images of an archive.

        Args:
            archive: as ``docker save`` writes it.

        Raises:
            SuiteError: it does not take them.
        """
        log = self._plane.logs / "import.log"
        command = ["ctr", "--address", str(self.socket), "--namespace", "k8s.io", "images", "import", str(archive)]
        if run(command, log=log, timeout_s=_IMPORT_TIMEOUT_S) != 0:
            raise SuiteError(f"containerd does not take {archive.name}", detail=tail(log))

    def join(self) -> None:
        """Come back when the node is ready.

        Raises:
            SuiteError: it did not become ready.
        """
        wait_ready_nodes(client.CoreV1Api(self._plane.api()), [NAME], check=self.check_alive)

    def stop(self) -> None:
        """End everything on the node and remove its control groups. May be called more than once."""
        if self._process is not None:
            self._process.kill()
            self._process = None
        wait_until(self._emptied, timeout_s=_END_TIMEOUT_S, message=f"processes of {self._group} did not end")

    def _start(self) -> None:
        sweep_groups()
        self._directory.mkdir()
        for top in _hierarchies():
            _make_group(top / self._group)
        kubelet = self._write_configuration()
        script = _FIRST_PROCESS.format(
            tunables=self._tunables(),
            containerd=self._directory / "containerd.toml",
            socket=self.socket,
            logs=self._plane.logs,
            kubelet=shlex.join(kubelet),
        )
        alone = ["unshare", "--pid", "--fork", "--kill-child", "--mount", "--propagation", "private", "--mount-proc"]
        self._process = ManagedProcess.spawn(
            [*map(_found, alone[:1]), *alone[1:], "sh", "-c", script], log=self._plane.logs / "node.log"
        )

        def listens() -> bool:
            self.check_alive()
            return self.socket.exists()

        wait_until(listens, timeout_s=_SOCKET_TIMEOUT_S, message="containerd did not listen")

    def _tunables(self) -> str:
        lines = []
        for name in filter(lambda name: (Path("/proc/sys") / name).exists(), _TUNABLES):
            copy = self._directory / "sys" / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text((Path("/proc/sys") / name).read_text(encoding="utf-8"), encoding="utf-8")
            lines.append(f"mount --bind {copy} /proc/sys/{name}")
        return "\n".join(lines)

    def _write_configuration(self) -> list[str]:
        """Write what containerd and kubelet are told; return the kubelet's command line."""
        home = self._directory
        for name in ("cni", "plugins", "pods"):
            (home / name).mkdir()
        # Every pod uses the node's own network: there only has to be some network for the node to be ready.
        network = {"cniVersion": "0.4.0", "name": "none", "plugins": [{"type": "loopback"}]}
        (home / "cni" / "none.conflist").write_text(json.dumps(network), encoding="utf-8")
        (home / "containerd.toml").write_text(_containerd(home, self.socket), encoding="utf-8")
        (home / "kubelet.json").write_text(json.dumps(self._kubelet()), encoding="utf-8")
        return [
            str(binaries() / KUBELET),
            f"--config={home / 'kubelet.json'}",
            f"--kubeconfig={self._plane.access.kubeconfig(node_user(NAME), self._plane.server)}",
            f"--root-dir={home / 'kubelet'}",
            f"--cert-dir={home / 'kubelet-pki'}",
            f"--hostname-override={NAME}",
            f"--node-ip={node_address()}",
        ]

    def _kubelet(self) -> dict[str, object]:
        never = dict.fromkeys(("memory.available", "nodefs.available", "nodefs.inodesFree", "imagefs.available"), "0%")
        return {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "enableServer": False,
            "authentication": {"anonymous": {"enabled": False}, "webhook": {"enabled": False}},
            "authorization": {"mode": "AlwaysAllow"},
            "containerRuntimeEndpoint": f"unix://{self.socket}",
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": f"/{self._group}",
            "failCgroupV1": False,
            "enforceNodeAllocatable": [],
            "failSwapOn": False,
            "makeIPTablesUtilChains": False,
            "evictionHard": never,
            "imageGCHighThresholdPercent": 100,
            "resolvConf": "",
            "podLogsDir": str(self._directory / "pods"),
            "volumePluginDir": str(self._directory / "plugins"),
            "registerNode": True,
        }

    def _emptied(self) -> bool:
        """Remove the node's control groups; tell whether they are gone."""
        return all(_remove_group(top / self._group) for top in _hierarchies())


def sweep_groups() -> None:
    """Remove control groups of nodes whose owner was killed; those in which something runs stay."""
    for top in _hierarchies():
        for group in top.glob(f"{_GROUP_PREFIX}*"):
            _remove_group(group)


def _hierarchies() -> Iterator[Path]:
    """Where control groups are made: each of version 1's controllers, or the one tree of version 2."""
    if (_GROUPS / "cgroup.controllers").exists():
        yield _GROUPS
        return
    for top in sorted(_GROUPS.iterdir()):
        if top.is_dir() and not top.is_symlink() and (top / "cgroup.procs").exists():
            yield top


def _make_group(path: Path) -> None:
    path.mkdir(exist_ok=True)
    for name in ("cpuset.cpus", "cpuset.mems"):  # a new group of this controller has none, and takes no process
        if (path / name).exists() and not (path / name).read_text(encoding="utf-8").strip():
            (path / name).write_text((path.parent / name).read_text(encoding="utf-8"), encoding="utf-8")


def _remove_group(path: Path) -> bool:
    """Remove a group and all below it; tell whether it is gone. What is in use stays."""
    if not path.is_dir():
        return True
    for child in path.iterdir():
        if child.is_dir():
            _remove_group(child)
    try:
        path.rmdir()
    except OSError:
        return False
    return True


def _found(program: str) -> str:
    return shutil.which(program) or program


def _containerd(home: Path, listens_at: Path) -> str:
    return f"""\
version = 2
root = "{home}/containerd/root"
state = "{home}/containerd/state"
disabled_plugins = ["io.containerd.internal.v1.opt"]

[grpc]
  address = "{listens_at}"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE}"
  restrict_oom_score_adj = true
  disable_tcp_service = true
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"

[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "{home}/plugins"
  conf_dir = "{home}/cni"

[plugins."io.containerd.grpc.v1.cri".containerd]
  snapshotter = "overlayfs"
  default_runtime_name = "runc"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
  BinaryName = "{_found("runc")}"
  SystemdCgroup = false
"""
