"""What a broker's process has used, read from the kernel."""

from __future__ import annotations

import os
from pathlib import Path

import psutil

from necp_validate.stack.protocol import BrokerSample


class DiskCounter:
    """Counts the operations of the disk below a folder.

    The kernel does not count disk operations per process. Those of the whole disk are never fewer than one
    broker's: a limit that they keep, the broker keeps. Where the folder is on no disk of its own (memory, network),
    the process's own read and write calls, sockets included, are the bound.

    Args:
        folder: the brokers' data.
    """

    def __init__(self, folder: Path) -> None:
        self.disk = _disk_of(folder)

    @property
    def source(self) -> str:
        """What the counts are of."""
        if self.disk is None:
            return "read and write calls of the process, sockets included (an upper bound)"
        return f"operations of the whole disk {self.disk} (an upper bound)"

    def operations(self, process: psutil.Process) -> tuple[int, int]:
        """Return the number of reads and of writes so far."""
        if self.disk is not None:
            counters = psutil.disk_io_counters(perdisk=True).get(self.disk)
            if counters is not None:
                return counters.read_count, counters.write_count
        own = process.io_counters()
        return own.read_count, own.write_count


def _disk_of(folder: Path) -> str | None:
    device = folder.stat().st_dev
    link = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}")
    name = link.resolve().name if link.exists() else None
    known = psutil.disk_io_counters(perdisk=True) or {}
    return name if name in known else None


def sample_process(broker: int, process: psutil.Process | None, disk: DiskCounter) -> BrokerSample | None:
    """Read the counters of one broker's process; None if it is gone."""
    if process is None:
        return None
    try:
        with process.oneshot():
            times = process.cpu_times()
            own = process.io_counters()
            reads, writes = disk.operations(process)
            return BrokerSample(
                broker=broker,
                cpu_s=times.user + times.system,
                rss_bytes=process.memory_info().rss,
                read_ios=reads,
                write_ios=writes,
                read_bytes=own.read_bytes,
                write_bytes=own.write_bytes,
            )
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return None
