"""Defects of secrets that are changed under load: passwords and certificates."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from necp_validate.core import Verdict
from necp_validate.selftest.defect import Defect, Seed, seeded
from necp_validate.selftest.simulated.faults import RELOAD
from necp_validate.selftest.simulated.simulation import Simulation

_DAY_US = 86_400 * 1_000_000


def _password(**changes: Any) -> Seed:
    def seed(simulation: Simulation) -> None:
        (change,) = simulation.course.password_changes
        simulation.course.password_changes = [replace(change, **changes)]

    return seed


def _swap(how: str, **changes: Any) -> Seed:
    """Spoil one of the certificates that were swapped in this way."""

    def seed(simulation: Simulation) -> None:
        swaps = simulation.course.certificate_swaps
        at = next(i for i, one in enumerate(swaps) if one.how == how)
        swaps[at] = replace(swaps[at], **changes)

    return seed


def _ends_with_the_logins(simulation: Simulation) -> None:
    """The last login from before ends when nobody sends any more: nothing shows that the new password is used."""
    (change,) = simulation.course.password_changes
    last_us = max(ack.at_us for ack in simulation.acks) + 10_000_000
    later = replace(change, watched_us=last_us + 1, session_ms=(last_us - (change.known_us or 0)) // 1000)
    simulation.course.password_changes = [later]


_TAKEN_NEVER = {"load w0": None}
_OLD_SERIAL, _SHORT_US = "a1", RELOAD.begin_us + 20 * _DAY_US
_SECRETS, _CERTS = "password-rotation", "certificate-swap"

SECRET_DEFECTS: tuple[Defect, ...] = tuple(
    Defect(name=f"drill: {name}", caught_by=caught_by, make=seeded(seed), verdict=verdict)
    for name, caught_by, seed, verdict in (
        ("old password still accepted", _SECRETS, _password(let_in_later=1), Verdict.FAIL),
        ("old password never refused by a broker", _SECRETS, _password(refused_us=None), Verdict.FAIL),
        ("new password refused", _SECRETS, _password(accepted_us=None), Verdict.FAIL),
        ("client keeps the old password", _SECRETS, _password(taken_us=_TAKEN_NEVER), Verdict.FAIL),
        ("nothing sent after the old logins had ended", _SECRETS, _ends_with_the_logins, Verdict.UNKNOWN),
        ("no login had to be renewed", _SECRETS, _password(session_ms=0), Verdict.UNKNOWN),
        ("old certificate still served", _CERTS, _swap("reload", served=_OLD_SERIAL, served_us=None), Verdict.FAIL),
        ("broker restarted instead of reloaded", _CERTS, _swap("reload", pid_after=999), Verdict.FAIL),
        ("certificate about to end served", _CERTS, _swap("reload", valid_until_us=_SHORT_US), Verdict.FAIL),
        ("certificate not renewed by itself", _CERTS, _swap("renewal", served="a2", served_us=None), Verdict.FAIL),
        ("process cannot be seen", _CERTS, _swap("reload", pid_after=0), Verdict.UNKNOWN),
    )
)
"""That an acked event was lost in a drill is seeded in ``load.py``: it fails both claims, too."""
