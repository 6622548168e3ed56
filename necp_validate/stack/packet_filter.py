"""Rules of one network namespace's packet filter that belong to one stack: put there at once, found again, removed.

The filter itself is the record of what is in force: every rule says in its comment which stack it belongs to and
which fault it makes, so that any later process can read the faults back, count what they dropped, and undo them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from necp_validate.core import StackError

Shell = Callable[[str], tuple[int, str]]
"""Runs a shell script as root somewhere; returns its exit code and what it wrote."""

Hook = tuple[str, str]
"""Table and built-in chain, e.g. ``("filter", "OUTPUT")``."""

JUMP = "jump"
_PROGRAMS = ("iptables", "iptables-legacy", "iptables-nft")
_PROBED = (
    "-p tcp -m owner --gid-owner 1 -m multiport --dports 1,2 -j DROP",
    "-p tcp -m connmark --mark 0x10000/0xff0000 -j DROP",
    "-m statistic --mode random --probability 0.5 -m comment --comment probe -j DROP",
)


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule.

    Args:
        label: the fault that it makes, e.g. ``cut broker-1 broker-2``; empty if it makes none by itself.
        match: the packets, in iptables' words.
        target: what happens to them, likewise.
    """

    label: str
    match: str
    target: str = "DROP"


def find_program(shell: Shell) -> str:
    """Return the iptables program whose rules the kernel takes; nothing if there is none.

    Tried in a network namespace of its own, which is gone afterwards.
    """
    tried = " && ".join(f"$p -A X {rule}" for rule in _PROBED)
    mark = "$p -t mangle -A OUTPUT -p tcp -j CONNMARK --set-xmark 0x10000/0xff0000"
    script = f'for p in {" ".join(_PROGRAMS)}; do unshare -n sh -c "$p -N X && {tried} && {mark}" >/dev/null 2>&1'
    code, output = shell(f"{script} && echo $p && exit 0; done; exit 1")
    return output.strip() if code == 0 else ""


class PacketFilter:
    """The rules of one stack in one network namespace.

    Args:
        shell: runs commands in the namespace.
        stack_id: the stack's id.
        program: from ``find_program``.
    """

    def __init__(self, shell: Shell, stack_id: str, program: str) -> None:
        self._shell = shell
        self._program = program
        self._prefix = f"NECP-{stack_id}"
        self._comment = f"necp-validate {stack_id}: "
        self._counted = re.compile(rf'^\[(\d+):\d+\] -A .*--comment "{re.escape(self._comment)}([^"]*)"', re.MULTILINE)

    def replace(self, chains: Mapping[Hook, Sequence[Rule]]) -> None:
        """Put rules in force in place of those that are; each table changes in one step.

        Raises:
            StackError: the kernel refused them.
        """
        saved = self._save()
        stale: Mapping[Hook, Sequence[Rule]] = dict.fromkeys(self._hooks(), ())
        chains = {**stale, **chains}
        lines = []
        for table in dict.fromkeys(table for table, _ in chains):
            hooks = {hook: rules for (of, hook), rules in chains.items() if of == table}
            lines.append(f"*{table}")
            lines += [f":{self._prefix}-{hook} - [0:0]" for hook in hooks]
            for hook, rules in hooks.items():
                chain = f"{self._prefix}-{hook}"
                lines += [f"-A {chain} {rule.match} {self._words(rule.label)} -j {rule.target}" for rule in rules]
                if f"{self._comment}{JUMP} {table} {hook}" not in saved:
                    lines.append(f"-I {hook} 1 {self._words(f'{JUMP} {table} {hook}')} -j {chain}")
            lines.append("COMMIT")
        self._restore(lines)

    def _hooks(self) -> list[Hook]:
        """Return the hooks that have a chain of the stack."""
        chain = re.compile(rf"^:{re.escape(self._prefix)}-(\S+)", re.MULTILINE)
        return [(table, hook) for table, saved in self._tables() for hook in chain.findall(saved)]

    def remove(self) -> None:
        """Remove every rule and chain of the stack; nothing happens if there is none."""
        lines: list[str] = []
        for table, saved in self._tables():
            chains = re.findall(rf"^:({re.escape(self._prefix)}-\S+)", saved, re.MULTILINE)
            jumps = re.findall(rf"^-A (?!{re.escape(self._prefix)})(.* -j {re.escape(self._prefix)}-\S+)", saved, re.M)
            if chains or jumps:
                lines += [f"*{table}", *(f"-D {jump}" for jump in jumps)]
                lines += [f"{verb} {chain}" for verb in ("-F", "-X") for chain in chains]
                lines.append("COMMIT")
        if lines:
            self._restore(lines)

    def counts(self) -> Counter[str]:
        """Return the faults in force: label to the number of packets that its rules have dropped."""
        found: Counter[str] = Counter()
        for packets, label in self._counted.findall(self._save()):
            if label and not label.startswith(JUMP):
                found[label] += int(packets)
        return found

    def _words(self, label: str) -> str:
        return f'-m comment --comment "{self._comment}{label}"'

    def _tables(self) -> list[tuple[str, str]]:
        """Return every table's name and saved lines, without counters."""
        text = re.sub(r"^\[\d+:\d+\] ", "", self._save(), flags=re.MULTILINE)
        return re.findall(r"^\*(\w+)\n(.*?)^COMMIT", text, re.MULTILINE | re.DOTALL)

    def _save(self) -> str:
        code, output = self._shell(f"{self._program}-save -c 2>/dev/null")
        if code != 0:
            raise StackError(f"{self._program}-save failed with exit code {code}", detail=output)
        return output

    def _restore(self, lines: Sequence[str]) -> None:
        text = "\n".join(lines)
        code, output = self._shell(f"{self._program}-restore -w 5 --noflush 2>&1 <<'END'\n{text}\nEND")
        if code != 0:
            raise StackError(f"{self._program}-restore refused the rules", detail=f"{output}\n{text}")
