"""What a check can be about, and whether a scenario has it: a check of what is not there is not applicable."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from necp_validate.evidence.load_workers import expected_players, expected_workers
from necp_validate.record import Record

TRANSACTIONAL = "economy"
"""The domain whose outputs, receipts and offsets are written in transactions."""

AUDITED = "system"
"""The domain whose events are entered in the audit trail."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Something that a scenario has or has not.

    Args:
        name: in a word or two.
        absent: why a check of it is not applicable, as a sentence.
        there: whether a run has it: by its scenario, or by a record that it left of it.
    """

    name: str
    absent: str
    there: Callable[[Record], bool]


def _campaign(history: Record) -> bool:
    return history.fuzz is not None or history.run.plan.fuzz is not None


def _load(history: Record) -> bool:
    return not _campaign(history)


def _game(history: Record) -> bool:
    return _load(history) and not history.own_topics


def _faults(history: Record) -> bool:
    plan = history.run.plan
    planned = any(one.kind == "fault" for one in plan.phases or ())
    return planned or bool(plan.experiments or history.faults or history.experiments)


def _backlog(history: Record) -> bool:
    kinds = {one.kind for one in history.run.plan.phases or ()} | {phase.kind for phase in history.phases}
    return _load(history) and bool(kinds & {"surge", "fault"})


RUN = Subject(name="run", absent="there is no run", there=lambda _: True)
LOAD = Subject(name="load", absent="a campaign of fuzzed events has no streams and no schedule", there=_load)
EVENT_CORE = Subject(
    name="event core", absent="the run is on topics of the user's own, without the game's event core", there=_game
)
OWN_EVENT_CORE = Subject(
    name="event core of the suite",
    absent="the event core is not the suite's own to stop",
    there=lambda history: not history.own_topics and history.run.target.backend != "external",
)
OUTCOMES = Subject(
    name="outcomes",
    absent="nothing answers the events, so no end of them is seen",
    there=lambda history: _load(history) and history.sees_ends(history.domains),
)
COMMIT_TIME_KNOWN = Subject(
    name="commit time",
    absent="it is not known within which time the consumers commit, or the run was too short to sample their lag",
    # Lag is sampled every two seconds; a mean of fewer than 15 samples says nothing.
    there=lambda history: (
        _load(history)
        and (history.due is None or bool(history.due.committed_within_s))
        and not history.own_topics
        and sum(phase.duration_s for phase in history.phases) >= 30.0
    ),
)
TRANSACTIONS = Subject(
    name="transactions",
    absent=f"there is no {TRANSACTIONAL} traffic, the only one in transactions",
    there=lambda history: _game(history) and TRANSACTIONAL in history.domains,
)
BACKLOG = Subject(name="backlog", absent="there is no surge and no fault, so no backlog to work off", there=_backlog)
WORKERS = Subject(
    name="load workers",
    absent="one process sent the load",
    there=lambda history: bool(history.workers) or expected_workers(history) > 1,
)
FAULTS = Subject(name="faults", absent="the scenario has no faults", there=_faults)
PLAYERS = Subject(
    name="players",
    absent="the scenario has no players",
    there=lambda history: bool(history.players) or expected_players(history) > 0,
)
SECURITY = Subject(
    name="security probes",
    absent="the scenario tries nothing that must be refused",
    there=lambda history: bool(history.security) or bool(history.run.plan.rounds),
)
CALM_ROUNDS = ("start", "end")
"""Rounds in which every listener must answer; any other is made while something is broken, or just afterwards."""
CALM_SECURITY = Subject(
    name="security probes of a whole target",
    absent="the scenario tries nothing that must be refused before or after the load",
    there=lambda history: bool(history.run.plan.rounds) or any(one.when in CALM_ROUNDS for one in history.security),
)
AUDIT = Subject(
    name="audit trail",
    absent="the scenario does not read the audit trail",
    there=lambda history: history.audit is not None or history.run.plan.audited,
)
MONITORING = Subject(
    name="monitoring",
    absent="the scenario has no monitoring",
    there=lambda history: history.monitoring is not None or history.run.plan.monitoring is not None,
)
CAMPAIGN = Subject(name="campaign", absent="the run is no campaign of fuzzed events", there=_campaign)
PLANTED = Subject(
    name="planted events",
    absent="no invalid event is planted",
    there=lambda history: (
        _game(history)
        and any(
            (share or 0) > 0
            for one in (history.run.plan.traffic or {}).values()
            for share in (one.cheat_share, one.poison_share, one.fuzz)
        )
    ),
)
