"""Where the secrets of a stack show: in processes, containers, files that others can read, and at ports."""

from __future__ import annotations

import stat
from collections.abc import Iterable, Mapping
from ipaddress import IPv6Address, ip_address
from pathlib import Path

import psutil
from docker import DockerClient

Secrets = Mapping[str, bytes]
"""What must not show, by what it is."""


def private_keys(folder: Path) -> dict[str, bytes]:
    """A line out of the middle of every private key below a folder, by its file."""
    found = {}
    for path in folder.rglob("*.key.pem"):
        found[f"key {path.relative_to(folder)}"] = path.read_bytes().splitlines()[1]
    return found


def shown(content: bytes, secrets: Secrets) -> list[str]:
    """Which secrets are in it."""
    return [name for name, secret in secrets.items() if secret in content]


def in_processes(secrets: Secrets) -> tuple[list[str], int]:
    """Secrets on the command line or in the environment of any process; and of how many both could be read."""
    found, read = [], 0
    for process in psutil.process_iter(["pid"]):
        home = Path(f"/proc/{process.pid}")
        try:
            command, environment = (home / "cmdline").read_bytes(), (home / "environ").read_bytes()
        except OSError:
            continue  # it is gone, or somebody else's
        read += 1
        called = command.replace(b"\0", b" ").decode(errors="replace")[:120]
        found += [f"{name}: command line of {called}" for name in shown(command, secrets)]
        found += [f"{name}: environment of {called}" for name in shown(environment, secrets)]
    return found, read


def in_containers(client: DockerClient, prefix: str, secrets: Secrets) -> tuple[list[str], int]:
    """Secrets in what the engine tells of containers; and of how many it told."""
    containers = [one for one in client.containers.list() if str(one.name).startswith(prefix)]
    told = [(one.name, str(client.api.inspect_container(one.id)).encode()) for one in containers]
    return [f"{name}: container {one}" for one, said in told for name in shown(said, secrets)], len(told)


def in_files(folders: Iterable[Path], secrets: Secrets, *, others_only: bool) -> list[str]:
    """Secrets in files; with ``others_only`` only in those that other users can read."""
    found = []
    for folder in folders:
        for path in folder.rglob("*"):
            if path.is_file() and not path.is_symlink() and (not others_only or readable_by_others(path, folder)):
                found += [f"{name}: {path}" for name in shown(path.read_bytes(), secrets)]
    return found


def readable_by_others(path: Path, folder: Path) -> bool:
    """Whether a user who is neither owner nor in the group, and has got to a folder, gets to what is in it."""
    between = [parent for parent in path.parents if parent.is_relative_to(folder)]
    return bool(path.stat().st_mode & stat.S_IROTH) and all(one.stat().st_mode & stat.S_IXOTH for one in between)


def open_to_other_hosts(pid: int) -> list[str]:
    """Sockets of a process and its children at which other hosts are heard."""
    found = []
    for process in [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]:
        try:
            sockets = process.net_connections(kind="inet")
        except psutil.Error:
            continue
        for one in sockets:
            waits = one.status == psutil.CONN_LISTEN or (one.status == psutil.CONN_NONE and not one.raddr)
            if waits and one.laddr and not _is_loopback(one.laddr.ip):
                found.append(f"{' '.join(process.cmdline())[:120]} at {one.laddr.ip}:{one.laddr.port}")
    return found


def _is_loopback(address: str) -> bool:
    """Whether only this host is heard there; Java names it by IPv6."""
    ip = ip_address(address)
    mapped = ip.ipv4_mapped if isinstance(ip, IPv6Address) else None
    return (mapped or ip).is_loopback
