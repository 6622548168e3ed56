"""Examples of what a campaign of fuzzed events found: one file each, and the smallest event that shows it."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from necp_validate.core import StackError
from necp_validate.events.topics import Domain
from necp_validate.fuzz.cases import Case
from necp_validate.fuzz.examples import save_example
from necp_validate.fuzz.handlers import judge_alone
from necp_validate.fuzz.judging import Flaw, Sent, judge, readable
from necp_validate.fuzz.kafka import CaseSender, OutputReader
from necp_validate.fuzz.shrinking import Fails, Minimal, shrink
from necp_validate.fuzz.source import retagged
from necp_validate.record import FuzzFlaw
from necp_validate.record.fuzz import EFFECT
from necp_validate.stack import Stack
from necp_validate.stack.fleet import CoreFleet

_SHRUNK: Final = 4
_SHRINK_S: Final = 25.0


class Examples:
    """Writes examples while the stack of the campaign is still up.

    Args:
        run_dir: the run directory.
        tag: what the keys of the campaign's events bear.
        stack: where they were sent.
        reader: reads the event core's outputs.
        fleet: the event core.
    """

    def __init__(self, run_dir: Path, tag: str, stack: Stack, reader: OutputReader, fleet: CoreFleet) -> None:
        self._run_dir = run_dir
        self._tag = tag
        self._stack = stack
        self._reader = reader
        self._fleet = fleet

    def write(self, flaws: Sequence[Flaw], sent: Sequence[Sent]) -> list[FuzzFlaw]:
        """Write an example of each flaw, and look for a smaller one for the first of each kind and operator.

        Args:
            flaws: what was found.
            sent: all events of the campaign.
        """
        written: list[FuzzFlaw] = []
        tried: set[tuple[str, str, str]] = set()
        for number, flaw in enumerate(flaws):
            if flaw.sent is None:
                written.append(flaw.plain())
                continue
            what = (flaw.kind, flaw.sent.case.type_name, flaw.sent.case.operator)
            minimal: Minimal | None = None
            if what not in tried and len(tried) < _SHRUNK:
                tried.add(what)
                minimal = self._minimal(flaw, flaw.sent, sent)
            file = f"fuzz/example-{number}.json"
            cases = minimal.cases if minimal else (flaw.sent.case,)
            save_example(self._run_dir / file, _domain_of(flaw.sent), flaw.detail, cases)
            written.append(flaw.plain(minimal=_words(minimal), file=file))
        return written

    def _minimal(self, flaw: Flaw, of: Sent, sent: Sequence[Sent]) -> Minimal | None:
        """Shrink on the handlers alone where the flaw shows there too, else on the event core as long as it lives."""
        same = (one for one in sent if one.place[:2] == of.place[:2] and one.case.key == of.case.key)
        before = [one.case for one in sorted(same, key=lambda one: one.offset) if one.offset < of.offset]
        domain = _domain_of(of)

        def alone(cases: Sequence[Case]) -> bool:
            try:
                return any(found.kind == flaw.kind for found in judge_alone({domain: cases}).flaws)
            except Exception:  # noqa: BLE001 (a handler that ends the loop: that is what is looked for)
                return True

        found = shrink(of.case, before[-200:], alone, budget_s=_SHRINK_S)
        sealed = domain is Domain.SYSTEM and flaw.kind == EFFECT  # the audit trail is opened once, in the end
        if found is not None or sealed or not all(core.alive() for core in self._fleet.running()):
            return found
        return shrink(of.case, before[-50:], self._replayed(domain, flaw.kind), budget_s=_SHRINK_S)

    def _replayed(self, domain: Domain, kind: str) -> Fails:
        """Play events to the event core that runs, under keys that it does not know yet."""
        sender, reader = CaseSender(self._stack), self._reader

        def fails(cases: Sequence[Case]) -> bool:
            reader.fresh()
            sender.sent.clear()
            new = secrets.token_hex(len(self._tag) // 2)
            sender.send(domain, [retagged(case, self._tag, new) for case in cases])
            try:
                sender.flush()
            except StackError:
                return False
            reader.wait(lambda observed: observed.settled >= len(sender.sent), 10.0)
            reader.read_to_end(10.0)
            return any(flaw.kind == kind for flaw in judge(sender.sent, reader.fresh()).flaws)

        return fails


def _domain_of(sent: Sent) -> Domain:
    return Domain(sent.topic.split(".")[1])


def _words(minimal: Minimal | None) -> str:
    if minimal is None:
        return ""
    *before, last = minimal.cases
    after = f" after {len(before)} other{'s' if len(before) > 1 else ''}" if before else ""
    return f"{readable(last.value, 600)} (key {readable(last.key, 100)}{after})"
