"""What a broker's container has used, from its control group where the kernel accounts it there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import psutil

from necp_validate.stack.protocol import BrokerSample
from necp_validate.stack.sampling import DiskCounter, sample_process

_ROOT = Path("/sys/fs/cgroup")


class ContainerUsage:
    """Reads the counters of containers.

    Only version 2 of the kernel's control groups accounts delayed writes to the group that caused them; with
    version 1 nearly every write of a broker would go unseen, so the disk as a whole is counted, as for a process.

    Args:
        folder: the brokers' data on this host.
        root: where control groups are mounted.
    """

    def __init__(self, folder: Path, root: Path = _ROOT) -> None:
        self._disk = DiskCounter(folder)
        self._root = root
        self._unified = (root / "cgroup.controllers").exists()

    @property
    def source(self) -> str:
        """What the counts of disk operations are of."""
        return "operations of the broker's container" if self._unified else self._disk.source

    def sample(self, broker: int, pid: int) -> BrokerSample | None:
        """Read the counters of one broker; None if it is gone.

        Args:
            broker: its id.
            pid: the container's first process, which is the broker.
        """
        try:
            counted = sample_process(broker, psutil.Process(pid), self._disk)
            if counted is None or not self._unified:
                return counted
            group = group_of(Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8"), self._root)
            totals = disk_totals((group / "io.stat").read_text(encoding="utf-8"))
        except (psutil.Error, OSError):
            return None
        return replace(
            counted,
            read_ios=totals["rios"],
            write_ios=totals["wios"],
            read_bytes=totals["rbytes"],
            write_bytes=totals["wbytes"],
        )


def group_of(text: str, root: Path) -> Path:
    """Return the folder of a process's control group (version 2).

    Args:
        text: content of the process's ``cgroup`` file.
        root: where control groups are mounted.
    """
    paths = [line.split(":", 2)[2] for line in text.splitlines() if line.startswith("0::")]
    return root / paths[0].lstrip("/") if paths else root


def disk_totals(text: str) -> dict[str, int]:
    """Return the counters of all disks together.

    Args:
        text: content of the group's ``io.stat`` file: a line for each disk, ``8:0 rbytes=1 wbytes=2 rios=3 ...``.
    """
    totals = {"rios": 0, "wios": 0, "rbytes": 0, "wbytes": 0}
    for line in text.splitlines():
        for field in line.split()[1:]:
            key, _, value = field.partition("=")
            if key in totals:
                totals[key] += int(value)
    return totals
