"""The programs that hold packets back: one for each broker whose links are slow, ended with this process."""

from __future__ import annotations

import os
import sys
import zlib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from necp_validate.core import StackError
from necp_validate.stack import delay
from necp_validate.stack.packet_filter import Shell
from necp_validate.stack.process import ManagedProcess
from necp_validate.stack.root import root_shell
from necp_validate.stack.waiting import wait_until

NEEDS = "needs root, and NFQUEUE (nfnetlink_queue) in the kernel"
_START_TIMEOUT_S = 10.0
_QUEUES = 60_000


def can_delay(shell: Shell, program: str) -> bool:
    """Tell whether packets can be handed to a program; tried in network namespaces of their own.

    Args:
        shell: runs commands where the packet filter is.
        program: the iptables program that works there.
    """
    rule = f"unshare -n {program} -A OUTPUT -j NFQUEUE --queue-num 1 --queue-bypass"
    return bool(program) and _can_open_queue() and shell(rule)[0] == 0


@cache
def _can_open_queue() -> bool:
    return os.geteuid() == 0 and root_shell(f"unshare -n {' '.join(_command(1, 0.0))}")[0] == 0


def _command(queue: int, delay_ms: float) -> list[str]:
    return [sys.executable, "-I", "-S", str(Path(delay.__file__)), str(queue), f"{delay_ms:g}"]


class Delays:
    """What holds packets back for one stack.

    Args:
        stack_id: the stack's id.
        folder: for the programs' output.
    """

    def __init__(self, stack_id: str, folder: Path) -> None:
        self._id = stack_id
        self._folder = folder
        self._wanted: dict[str, float] = {}
        self._running: dict[str, tuple[tuple[str, ...], float, ManagedProcess]] = {}

    def target(self, node: str) -> str:
        """Return the target of rules that hand over a broker's packets; they pass if nothing takes them."""
        return f"NFQUEUE --queue-num {self._queue(node)} --queue-bypass"

    def _queue(self, node: str) -> int:
        return 1 + zlib.crc32(f"{self._id} {node}".encode()) % _QUEUES

    def want(self, node: str, delay_ms: float) -> None:
        """Say how late a broker's packets are to be; ``keep`` makes it so."""
        self._wanted[node] = delay_ms

    def keep(self, node: str, enter: Sequence[str]) -> None:
        """See that a broker's packets are as late as wanted.

        Args:
            node: the broker.
            enter: program with arguments that runs a command where its packets are; nothing if that is here.

        Raises:
            StackError: the kernel refused to hand them over.
        """
        delay_ms = self._wanted.get(node, 0.0)
        if node in self._running:
            where, late_ms, process = self._running[node]
            if (where, late_ms) == (tuple(enter), delay_ms) and process.alive():
                return
            del self._running[node]
            process.kill()
        if delay_ms:
            process = self._start(node, enter, delay_ms)
            self._running[node] = (tuple(enter), delay_ms, process)

    def _start(self, node: str, enter: Sequence[str], delay_ms: float) -> ManagedProcess:
        log = self._folder / f"delay-{node}.log"
        log.unlink(missing_ok=True)
        process = ManagedProcess.spawn([*enter, *_command(self._queue(node), delay_ms)], log=log)

        def ready() -> bool:
            if not process.alive():
                raise StackError(f"the packets of {node} cannot be held back", detail=process.log_tail())
            return delay.READY in process.log_tail(1)

        message = f"the program that holds back the packets of {node} was not ready"
        wait_until(ready, timeout_s=_START_TIMEOUT_S, backoff_s=0.01, message=message)
        return process

    def clear(self) -> None:
        """End every program."""
        self._wanted.clear()
        running, self._running = self._running, {}
        for _, _, process in running.values():
            process.kill()

    def ended_early(self) -> Mapping[str, tuple[tuple[str, ...], str]]:
        """Return the programs that ended before they were asked to: by broker, how its packets are reached, and why."""
        running = tuple(self._running.items())
        return {node: (where, why) for node, (where, _, process) in running if (why := process.early_end())}
