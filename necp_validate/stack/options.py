"""How a stack is to be brought up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypedDict

from necp_validate.stack.config import JvmSettings


class StackOptions(TypedDict, total=False):
    """What a stack takes that this suite brings up; all of it may be left out.

    Args:
        parent: folder for its working directory; the system's temporary folder if None.
        log_dir: folder for logs that are to stay; inside the working directory if None.
        base_port: first port of the brokers; free ports are taken if None.
        jvm: heap and options of the brokers.
        overrides: broker properties that replace the ones decided here.
        kafka_version: version of Kafka.
        detached: let the brokers outlive this process.
        jmx_rules: let brokers export these of their JMX beans over HTTP (see ``stack.jmx``); none if None.
        use_aot: start faster with Java's AOT cache; where there is none, record one while the stack runs.
        on_launched: called when the brokers are there, long before they are ready.
    """

    parent: Path | None
    log_dir: Path | None
    base_port: int | None
    jvm: JvmSettings | None
    overrides: Mapping[str, str] | None
    kafka_version: str
    detached: bool
    jmx_rules: str | None
    use_aot: bool
    on_launched: Callable[[], None] | None
