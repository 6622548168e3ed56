"""The clock of the event core: the machine's, or one that a drill can step.

``CORE_CLOCK_OFFSET_FILE`` names a file of eight bytes, a little-endian signed number of microseconds that is added to
the machine's time whenever this service looks at its clock. It moves this service's own clock only: the Kafka client
below it has no other clock than the machine's.
"""

from __future__ import annotations

import mmap
import struct
import time
from pathlib import Path
from typing import Final

_OFFSET: Final = struct.Struct("<q")
OFFSET_BYTES: Final = _OFFSET.size


class Clock:
    """Epoch time in microseconds.

    Args:
        offset_file: file with the offset; None for none.

    Raises:
        OSError, ValueError: it cannot be read, or holds fewer than eight bytes.
    """

    def __init__(self, offset_file: Path | None = None) -> None:
        self._offset: mmap.mmap | None = None
        if offset_file is not None:
            with offset_file.open("rb") as file:
                self._offset = mmap.mmap(file.fileno(), _OFFSET.size, access=mmap.ACCESS_READ)

    def now_us(self) -> int:
        """Look at the clock."""
        now = time.time_ns() // 1_000
        return now if self._offset is None else now + int(_OFFSET.unpack_from(self._offset)[0])
