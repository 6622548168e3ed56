"""The inventory of evidence: for each kind, how much of it a run owes, and how much of that is in its record.

Checks and metrics declare the kinds that they rest on. What is due follows from the scenario and from
``history/due.json``, never from what was found: of a record with half of its rows, the rows cannot say what is missing.
"""

from __future__ import annotations

from collections.abc import Iterable

from necp_validate.evidence.inventory.campaign import CAMPAIGN, CONSUMERS, EFFECTS, SETTINGS
from necp_validate.evidence.inventory.counting import (
    SHARE_COVERED,
    Asked,
    Evidence,
    Holding,
    whole_run,
)
from necp_validate.evidence.inventory.faults import (
    BREAKERS,
    CERTIFICATES,
    CORE_STOPS,
    EXPERIMENTS,
    EXPLAINING_FAULTS,
    FAULTS,
    FLOODS,
    PASSWORDS,
)
from necp_validate.evidence.inventory.load import (
    ACK_LATENCY,
    CORE_SHUTDOWN,
    DRAIN,
    END_TO_END,
    LATENESS,
    OUTCOMES_AT_ONCE,
    PHASES,
    SENDERS,
    TIMELINE,
    TRANSACTIONS,
    WITNESS,
    WORKERS,
)
from necp_validate.evidence.inventory.monitoring import METRIC_VALUES, MONITORING
from necp_validate.evidence.inventory.players import (
    GATEWAY_SHUTDOWN,
    PLAYERS,
    PLAYERS_TIMELINE,
    RECORD_LAYOUTS,
)
from necp_validate.evidence.inventory.readback import DEAD_LETTERS, EPOCHS, EVENTS_READ, LEDGER, RECEIPTS
from necp_validate.evidence.inventory.samples import (
    BROKERS,
    COMMIT_TIMES,
    EXPLAINING_GROUPS,
    EXPLAINING_LAG,
    GROUPS,
    HOST,
    LAG,
    LEADERS,
    REPLICAS,
    TOPIC_CONFIGURATIONS,
)
from necp_validate.evidence.inventory.security import (
    ACCESS,
    ALL_LISTENERS,
    AUDIT,
    EXPLAINING_ROUNDS,
    LOGIN_LISTENERS,
    MUTUAL_LISTENERS,
    ROUNDS,
    ROUNDS_UNDER_FAULTS,
)
from necp_validate.record import Record

__all__ = [
    "ACCESS",
    "ACK_LATENCY",
    "ALL_LISTENERS",
    "AUDIT",
    "BREAKERS",
    "BROKERS",
    "CAMPAIGN",
    "CERTIFICATES",
    "COMMIT_TIMES",
    "CONSUMERS",
    "CORE_SHUTDOWN",
    "CORE_STOPS",
    "DEAD_LETTERS",
    "DRAIN",
    "EFFECTS",
    "END_TO_END",
    "EPOCHS",
    "EVENTS_READ",
    "EXPERIMENTS",
    "EXPLAINING_FAULTS",
    "EXPLAINING_GROUPS",
    "EXPLAINING_LAG",
    "EXPLAINING_ROUNDS",
    "FAULTS",
    "FLOODS",
    "GATEWAY_SHUTDOWN",
    "GROUPS",
    "HOST",
    "LAG",
    "LATENESS",
    "LEADERS",
    "LEDGER",
    "LOGIN_LISTENERS",
    "METRIC_VALUES",
    "MONITORING",
    "MUTUAL_LISTENERS",
    "OUTCOMES_AT_ONCE",
    "PASSWORDS",
    "PHASES",
    "PLAYERS",
    "PLAYERS_TIMELINE",
    "RECEIPTS",
    "RECORD_LAYOUTS",
    "REPLICAS",
    "ROUNDS",
    "ROUNDS_UNDER_FAULTS",
    "SENDERS",
    "SETTINGS",
    "SHARE_COVERED",
    "TIMELINE",
    "TOPIC_CONFIGURATIONS",
    "TRANSACTIONS",
    "WITNESS",
    "WORKERS",
    "Asked",
    "Evidence",
    "Holding",
    "inventory",
    "shortfalls",
    "whole_run",
]


def shortfalls(history: Record, kinds: Iterable[Evidence], asked: Asked | None = None) -> list[Holding]:
    """What is missing of some kinds of evidence; none of it is missing if the list is empty.

    A part that something of the suite's own would have written and did not is missing whatever is there of it.

    Args:
        history: the record.
        kinds: of evidence.
        asked: which phases and domains; the whole run by default.
    """
    looked_at = whole_run(history) if asked is None else asked
    kinds = list(kinds)
    found = [holding for kind in kinds for holding in kind.count(history, looked_at) if not holding.complete]
    parts = {part for kind in kinds for part in kind.parts}
    for failure in history.suite_failures:
        if parts & set(failure.parts):
            what = f"parts of the suite at work to the end ({failure.component}: {failure.problem})"
            found.append(Holding(what=what, due=1, found=0, file="history/suite-failures.jsonl", misleads=True))
    return list(dict.fromkeys(found))


def inventory(history: Record, kinds: Iterable[Evidence]) -> list[Holding]:
    """What is due and found of some kinds of evidence over the whole run, each thing once."""
    asked = whole_run(history)
    return list(dict.fromkeys(holding for kind in dict.fromkeys(kinds) for holding in kind.count(history, asked)))
