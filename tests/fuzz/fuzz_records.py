"""A record of a campaign, sound or with one defect, and the run directory that holds it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from necp_validate.core.intervals import IntervalSet
from necp_validate.record import (
    CoreShutdown,
    FuzzConsumer,
    FuzzEffect,
    FuzzFlaw,
    FuzzGroup,
    FuzzRecord,
    History,
    HistoryWriter,
    LedgerRead,
    TopicSettings,
)
from necp_validate.record.model import RunInfo

CLAIMS = ("EVT-REGISTRY", "EVT-COMBAT", "EVT-ECONOMY", "EVT-SOCIAL", "EVT-SYSTEM")


def group(kind: str, operator: str, expected: str, found: str, count: int) -> FuzzGroup:
    return FuzzGroup(type_name=kind, operator=operator, expected=expected, found=found, count=count)


SOUND = FuzzRecord(
    seed=7,
    asked=100,
    sent=98,
    distinct=50,
    seconds=2.0,
    groups=(
        group("combat.heal", "", "processed", "processed", 20),
        group("combat.heal", "", "rejected", "rejected", 10),
        group("combat.heal", "nan", "dead_lettered", "dead_lettered", 20),
        group("economy.reward", "", "processed", "processed", 20),
        group("economy.reward", "oversized", "refused", "refused", 2),
        group("social.friend_add", "", "processed", "processed", 10),
        group("system.audit", "", "processed", "processed", 18),
    ),
    effects=(
        FuzzEffect(name="postings", domain="economy", due=20, found=20, wrong=0),
        FuzzEffect(name="messages", domain="social", due=0, found=0, wrong=0),
        FuzzEffect(name="audit entries", domain="system", due=18, found=18, wrong=0),
        FuzzEffect(name="damage", domain="combat", due=0, found=0, wrong=0),
    ),
    ledger=(LedgerRead(partition=0, covered=IntervalSet([(0, 19)]), entries=20),),
    consumers=tuple(
        FuzzConsumer(domain=name, end=24, committed=24) for name in ("combat", "economy", "social", "system")
    ),
    settings=(TopicSettings(topic="t", found={"retention.ms": "1"}, claimed={"retention.ms": "1"}),),
)

FLAW = FuzzFlaw(
    kind="dead-letter",
    type_name="combat.heal",
    operator="nan",
    topic="game.combat.events",
    partition=3,
    offset=41,
    expected="dead_lettered",
    found="dead_lettered",
    detail="the dead letter has no reason",
    value='{"amount":NaN}',
    minimal='{"a":NaN}',
    file="fuzz/example-0.json",
)


def history(**changes: Any) -> History:
    """The history of a campaign whose record differs from the sound one."""
    run = RunInfo(id="r", scenario="fuzz", scale=1.0, seed=7, status="finished", config={"judge": list(CLAIMS)})
    shutdown = changes.pop("shutdown", CoreShutdown(exit_code=0, seconds=1.0, healthy_before=True))
    return History(run=run, fuzz=replace(SOUND, **changes), core_shutdown=shutdown)


def write(folder: Path, **changes: Any) -> Path:
    """The same as a run directory."""
    made = history(**changes)
    writer = HistoryWriter(folder)
    config = {"judge": list(CLAIMS), "fuzz": {"events": 100, "replay": ""}}
    writer.save_run(replace(made.run, config=config))
    assert made.fuzz is not None
    writer.save_fuzz(made.fuzz)
    return folder
