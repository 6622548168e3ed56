"""What a broker's container has used, from its control group; both versions of the kernel's interface."""

from __future__ import annotations

from pathlib import Path

import psutil

from necp_validate.stack.protocol import BrokerSample

_ROOT = Path("/sys/fs/cgroup")


def sample_container(broker: int, pid: int, root: Path = _ROOT) -> BrokerSample | None:
    """Read the counters of one broker; None if it is gone.

    Args:
        broker: its id.
        pid: the container's first process, which is the broker.
        root: where control groups are mounted.
    """
    try:
        process = psutil.Process(pid)
        times, memory = process.cpu_times(), process.memory_info()
        groups = control_groups(Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8"), root)
    except (psutil.Error, OSError):
        return None
    read_ios, write_ios, read_bytes, write_bytes = disk_counters(groups)
    return BrokerSample(
        broker=broker,
        cpu_s=times.user + times.system,
        rss_bytes=memory.rss,
        read_ios=read_ios,
        write_ios=write_ios,
        read_bytes=read_bytes,
        write_bytes=write_bytes,
    )


def control_groups(text: str, root: Path) -> dict[str, Path]:
    """Return the folder of each controller; version 2 has one for all, named with the empty string.

    Args:
        text: content of the process's ``cgroup`` file.
        root: where control groups are mounted.
    """
    found = {}
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        relative = path.lstrip("/")
        for controller in controllers.split(","):
            found[controller] = root / controller / relative if controller else root / relative
    return found


def disk_counters(groups: dict[str, Path]) -> tuple[int, int, int, int]:
    """Return read operations, write operations, bytes read and bytes written of all disks together."""
    if "blkio" in groups:
        operations = _version_1(groups["blkio"] / "blkio.throttle.io_serviced_recursive")
        sizes = _version_1(groups["blkio"] / "blkio.throttle.io_service_bytes_recursive")
        return operations["Read"], operations["Write"], sizes["Read"], sizes["Write"]
    totals = {"rios": 0, "wios": 0, "rbytes": 0, "wbytes": 0}
    for line in _lines(groups.get("", Path("/nonexistent")) / "io.stat"):
        for field in line.split()[1:]:
            key, _, value = field.partition("=")
            if key in totals:
                totals[key] += int(value)
    return totals["rios"], totals["wios"], totals["rbytes"], totals["wbytes"]


def _version_1(file: Path) -> dict[str, int]:
    totals = {"Read": 0, "Write": 0}
    for line in _lines(file):
        fields = line.split()
        if len(fields) == 3 and fields[1] in totals:
            totals[fields[1]] += int(fields[2])
    return totals


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
