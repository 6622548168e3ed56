"""``necp-validate fuzz --machines``: state machines against the handlers of the reference, for so long."""

from __future__ import annotations

import secrets
from collections.abc import Callable

from necp_validate.core.errors import UsageError
from necp_validate.core.suggestions import did_you_mean
from necp_validate.fuzz.machines import MACHINES, Alone
from necp_validate.fuzz.machines.play import EXAMPLES, Round, play_for

ALL = "all"


def play_machines(
    wanted: str, *, max_time_s: float, seed: int | None, tell: Callable[[str], None], examples: int = EXAMPLES
) -> int:
    """Play machines until time is up, tell of each round, and give the exit code: 1 if a story went wrong.

    Args:
        wanted: a machine's name, or ``all``.
        max_time_s: no round begins later than this, but the first time around is played in any case.
        seed: of the first time around; by default any.
        tell: told each line.
        examples: so many stories in a round; what is told of reproduction counts on the default.

    Raises:
        UsageError: there is no such machine.
    """
    if wanted not in (ALL, *MACHINES):
        guess = did_you_mean(wanted, [ALL, *MACHINES])
        lead = f'did you mean "{guess}"? ' if guess else ""
        raise UsageError(f'there is no machine "{wanted}"', hint=f"{lead}machines: {', '.join(MACHINES)}, or {ALL}")
    machines = list(MACHINES.values()) if wanted == ALL else [MACHINES[wanted]]
    first = secrets.randbelow(1_000_000) if seed is None else seed
    rounds = play_for(
        machines, lambda machine: Alone(machine.domain), max_time_s=max_time_s, seed=first, examples=examples
    )
    failed = False
    for one in rounds:
        failed |= one.found is not None
        for line in _lines(one, examples):
            tell(line)
    return 1 if failed else 0


def _lines(one: Round, examples: int) -> list[str]:
    head = f"{one.machine:<8} seed {one.seed:<8}"
    if one.found is None:
        return [f"{head} {examples} stories of each length in {one.elapsed_s:.1f} s: as the model says"]
    return [
        f"{head} goes wrong after {one.elapsed_s:.1f} s; the shortest story:",
        "",
        *(f"    {line}" for line in one.found.example.splitlines()),
        "",
        *(f"    {line}" for line in one.found.error.splitlines()),
        "",
        f"reproduce: necp-validate fuzz --machines {one.machine} --seed {one.seed} --max-time 0",
    ]
