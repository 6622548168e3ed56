"""What a run was made with, for its record: versions, this host, the stack."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from typing import Any

import psutil

from necp_validate import __version__
from necp_validate.record.codec import to_plain
from necp_validate.stack.protocol import StackDescription


def plain_description(described: StackDescription) -> dict[str, Any]:
    """Return what was brought up, ready for JSON."""
    plain: dict[str, Any] = to_plain(described)
    plain["faults"] = sorted(described.faults)
    return plain


def versions() -> dict[str, str]:
    """Return the versions of what measures."""
    names = ("confluent-kafka", "locust", "msgspec", "numpy", "pandas")
    return {
        "necp-validate": __version__,
        "python": platform.python_version(),
        **{name: version(name) for name in names},
    }


def host() -> dict[str, Any]:
    """Return what this host is and has now."""
    return {
        "platform": platform.platform(),
        "cpus": len(psutil.Process().cpu_affinity()) if hasattr(psutil.Process, "cpu_affinity") else os.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
        "disk_free_bytes": psutil.disk_usage(".").free,
        "load_average": psutil.getloadavg()[0],
    }
