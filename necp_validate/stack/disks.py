"""A broker's disk that is full, or can only be read: a mount over its data directory, made while the broker runs.

What the broker has open stays as it is; whatever it creates from then on (a segment, and every few seconds its
checkpoints) meets the kernel's own answer: ``No space left on device``, ``Read-only file system``. Nothing is ever
written to, or removed from, the data itself: to undo the fault is to unmount.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from necp_validate.core import StackError
from necp_validate.stack.packet_filter import Shell

FULL = "full"
READ_ONLY = "read-only"

_PROBE = """
d=$(mktemp -d) || exit 1
unshare -m sh -c "mount -t tmpfs t $d && mkdir $d/l $d/u $d/w && mount --bind $d/w $d/w &&
mount -o remount,bind,ro $d/w && umount $d/w &&
mount -t overlay t -o lowerdir=$d/l,upperdir=$d/u,workdir=$d/w $d/l" >/dev/null 2>&1
r=$?; rmdir $d; exit $r
"""

# The layer over the data takes whatever is created; it is in memory, and full before the broker sees it.
_FILL = """
set -e
mkdir -p {spare}
mount -t tmpfs -o size=64k,mode=0755 {name} {spare}
mkdir {spare}/upper {spare}/work
chown --reference={data} {spare}/upper
chmod --reference={data} {spare}/upper
mount -t overlay {name} -o lowerdir={data},upperdir={spare}/upper,workdir={spare}/work {data}
dd if=/dev/zero of={spare}/filler bs=4k >/dev/null 2>&1 || true
"""

# As large as what a broker creates in the time of a fault, many times over; what is free of it stays free.
_CROWD_MIB = 128
_CROWD = """
set -e
mkdir -p {spare}
mount -t tmpfs -o size={size}m,mode=0755 {name} {spare}
mkdir {spare}/upper {spare}/work
chown --reference={data} {spare}/upper
chmod --reference={data} {spare}/upper
dd if=/dev/zero of={spare}/filler bs=1M count={filled} >/dev/null 2>&1
mount -t overlay {name} -o lowerdir={data},upperdir={spare}/upper,workdir={spare}/work {data}
"""

_READ_ONLY = """
set -e
mount --bind {data} {data}
mount -o remount,bind,ro {data}
"""

# Lazily: a broker that runs may still have files open there.
_CLEAR = """
umount -l {data} 2>/dev/null
umount -l {spare} 2>/dev/null
rmdir {spare} 2>/dev/null
! grep -qF " "{data}" " /proc/self/mounts
"""


def can_mount(shell: Shell) -> bool:
    """Tell whether the mounts can be made there; tried in a mount namespace of its own."""
    return shell(_PROBE)[0] == 0


def unmount_below(folder: Path, shell: Shell) -> None:
    """Remove every mount below a folder of this host, the last one first."""
    mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()]
    for point in reversed(mounts):
        if point.startswith(f"{folder}/"):
            shell(f"umount -l {shlex.quote(point)}")


class Disk:
    """The disk of one broker.

    Args:
        shell: runs commands where the broker sees its files.
        data: its data directory, as the broker sees it.
        name: what the mounts are called, with the stack's id.
    """

    def __init__(self, shell: Shell, data: str, name: str) -> None:
        if re.search(r"[\s:,\\]", data):
            raise StackError(f"{data} cannot be mounted over: it has a blank, colon, comma or backslash")
        self._shell = shell
        self._data = data
        self._words = {"data": shlex.quote(data), "spare": shlex.quote(f"{data}.spare"), "name": name}

    def fault(self) -> str:
        """Return what is in force, as the kernel's table of mounts has it: ``full``, ``read-only`` or nothing."""
        code, output = self._shell("cat /proc/self/mounts")
        if code != 0:
            raise StackError("the mounts cannot be read", detail=output)
        entries = [line.split() for line in output.splitlines()]
        kinds = [kind for _, point, kind, *_ in entries if point == self._data]
        if not kinds:
            return ""
        return FULL if kinds[-1] == "overlay" else READ_ONLY

    def fill(self) -> None:
        """Leave no space on it; nothing happens if it is full.

        Raises:
            StackError: it is read-only now, or a mount failed.
        """
        self._make(FULL, _FILL)

    def crowd(self, percent: float) -> None:
        """Leave so little space on it that a share of it is used, and enough for a broker to go on for some minutes.

        What the broker creates meanwhile is in memory, and gone with the fault: checkpoints, which it writes again.

        Raises:
            StackError: a fault is in force already, or a mount failed.
        """
        if found := self.fault():
            raise StackError(f"{self._data} is {found} already", hint="undo that first")
        script = _CROWD.replace("{size}", str(_CROWD_MIB)).replace("{filled}", str(round(_CROWD_MIB * percent / 100)))
        self._make(FULL, script)

    def read_only(self) -> None:
        """Let nothing be created on it; nothing happens if that is so.

        Raises:
            StackError: it is full now, or a mount failed.
        """
        self._make(READ_ONLY, _READ_ONLY)

    def clear(self) -> None:
        """Undo either; nothing happens if there is nothing to undo.

        Raises:
            StackError: a mount could not be removed.
        """
        if self.fault():
            code, output = self._shell(_CLEAR.format(**self._words))
            if code != 0:
                raise StackError(f"{self._data} could not be unmounted", detail=output)

    def _make(self, kind: str, script: str) -> None:
        found = self.fault()
        if found == kind:
            return
        if found:
            raise StackError(f"{self._data} is {found} already", hint="undo that first")
        code, output = self._shell(script.format(**self._words))
        if code != 0:
            self._shell(_CLEAR.format(**self._words))
            raise StackError(f"{self._data} could not be made {kind}", detail=output)
