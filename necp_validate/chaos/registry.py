"""Which actions there are, what each needs of a stack, and which rollback undoes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import ParamSpec

from chaoslib.exceptions import ActivityFailed

from necp_validate.chaos.session import current
from necp_validate.core import SuiteError
from necp_validate.record.faults import FaultRecord

P = ParamSpec("P")

Outcome = dict[str, object]
"""What an action returns into the journal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultAction:
    """An action that breaks something.

    Args:
        needs: kinds of fault that the stack must be able to do.
        rollback: the action that undoes it; None where nothing has to be undone.
        players: whether it breaks the gateway, which is there only for players.
    """

    needs: tuple[str, ...]
    rollback: str | None
    players: bool = False


FAULTS: dict[str, FaultAction] = {}
"""By the action's name."""


def fault(
    *needs: str, rollback: str | None, players: bool = False
) -> Callable[[Callable[P, FaultRecord]], Callable[P, Outcome]]:
    """Register an action that breaks something; its record becomes the activity's output.

    Once the stack could not do a fault of an experiment, the experiment's further actions do nothing.
    """

    def register(function: Callable[P, FaultRecord]) -> Callable[P, Outcome]:
        FAULTS[function.__name__] = FaultAction(needs=needs, rollback=rollback, players=players)

        @wraps(function)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> Outcome:
            if (session := current()).needs:
                return {"skipped": session.needs}
            try:
                record = function(*args, **kwargs)
            except SuiteError as error:
                raise ActivityFailed(str(error)) from error
            return {"fault": record.id, "target": record.target, "evidence": record.evidence}

        guarded.__annotations__ = {**function.__annotations__, "return": dict}
        return guarded

    return register


def healing(function: Callable[P, int]) -> Callable[P, Outcome]:
    """Register an action that undoes faults; it returns how many there were."""

    @wraps(function)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> Outcome:
        try:
            return {"undone": function(*args, **kwargs)}
        except SuiteError as error:
            raise ActivityFailed(str(error)) from error

    guarded.__annotations__ = {**function.__annotations__, "return": dict}
    return guarded
