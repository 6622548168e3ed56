"""What a run's evidence supports of SOC 2, ISO 27001 and the GDPR, and what no test can decide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import msgspec

from necp_validate.core import ClaimResult, Verdict

SUPPORTED, CONTRADICTED, UNDECIDED = "supported", "contradicted", "no evidence"
"""What the claims of a control come to. None of them is "fulfilled": that is for an auditor to say."""


class Control(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One control of a standard.

    Args:
        id: as the standard numbers it.
        title: what it asks for, shortened.
        claims: claims whose evidence can be used for it.
        open: what has to be shown otherwise.
    """

    id: str
    title: str
    claims: tuple[str, ...]
    open: str


class Standard(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A standard.

    Args:
        name: its name.
        edition: which edition the numbers are of.
        never: what of it no test can decide.
        control: the controls that a run has evidence for.
    """

    name: str
    edition: str
    never: str
    control: tuple[Control, ...]


class _Mapping(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    standard: tuple[Standard, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlRow:
    """A control, with what a run has for it.

    Args:
        control: the control.
        claims: its claims, each with its verdict in the run, or None where it was not judged.
        outcome: ``contradicted`` if a claim failed, else ``supported`` if one passed, else ``no evidence``.
        missing: how many of its claims the run did not judge, or could not decide.
    """

    control: Control
    claims: Sequence[tuple[str, Verdict | None]]
    outcome: str
    missing: int


@cache
def standards() -> tuple[Standard, ...]:
    """The standards and their controls, as they are declared in ``compliance.toml``."""
    source = files("necp_validate.report").joinpath("compliance.toml").read_bytes()
    return msgspec.toml.decode(source, type=_Mapping).standard


def compliance_rows(claims: Sequence[ClaimResult]) -> list[tuple[Standard, list[ControlRow]]]:
    """Put a run's verdicts beside the controls.

    Args:
        claims: the claims that the run judged.
    """
    verdicts = {claim.id: claim.verdict for claim in claims}
    return [(one, [_row(control, verdicts) for control in one.control]) for one in standards()]


def _row(control: Control, verdicts: Mapping[str, Verdict]) -> ControlRow:
    shown = [(claim, verdicts.get(claim)) for claim in control.claims]
    said = {verdict for _, verdict in shown}
    outcome = CONTRADICTED if Verdict.FAIL in said else SUPPORTED if Verdict.PASS in said else UNDECIDED
    missing = sum(verdict in (None, Verdict.UNKNOWN) for _, verdict in shown)
    return ControlRow(control=control, claims=shown, outcome=outcome, missing=missing)
