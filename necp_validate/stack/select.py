"""Which backend brings the target up."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from necp_validate.core import UsageError
from necp_validate.stack.config import JvmSettings
from necp_validate.stack.external import ExternalStack
from necp_validate.stack.external_config import load_external
from necp_validate.stack.local import LocalStack
from necp_validate.stack.protocol import Stack

BACKENDS = ("auto", "local", "docker", "external")


def open_stack(
    name: str = "auto",
    *,
    log_dir: Path | None = None,
    base_port: int | None = None,
    config: Path | None = None,
    jvm: JvmSettings | None = None,
    jmx_rules: str | None = None,
    overrides: Mapping[str, str] | None = None,
) -> Stack:
    """Return a stack that has not been started yet.

    Args:
        name: ``local``, ``docker``, ``external``; ``auto`` takes docker where an engine answers and its images can
            be had, else local.
        log_dir: folder for logs that are to stay.
        base_port: first port of the brokers; free ports are taken if None.
        config: the file that describes an external cluster.
        jvm: heap and options of the brokers.
        jmx_rules: which JMX beans brokers export, where this suite starts them; none if None.
        overrides: broker properties that replace the ones decided by the stack; an external cluster has its own.

    Raises:
        UsageError: the arguments do not go together.
    """
    if name not in BACKENDS:
        raise UsageError(f"there is no stack {name!r}; known: {', '.join(BACKENDS)}")
    if name == "external":
        if config is None:
            raise UsageError("the external stack needs a file that describes it")
        return ExternalStack(load_external(config))
    if config is not None:
        raise UsageError(f"a file describes an external cluster; the {name} stack takes none")
    if name == "auto":
        from necp_validate.stack.docker_engine import why_not_docker

        name = "docker" if why_not_docker() is None else "local"
    if name == "docker":
        # Only now: its libraries take longer to import than everything else here.
        from necp_validate.stack.docker import DockerStack

        return DockerStack(log_dir=log_dir, base_port=base_port, jvm=jvm, jmx_rules=jmx_rules, overrides=overrides)
    return LocalStack(log_dir=log_dir, base_port=base_port, jvm=jvm, jmx_rules=jmx_rules, overrides=overrides)
