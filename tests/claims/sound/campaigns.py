"""A record of a campaign of fuzzed events, sound or with one defect, and the run directory that holds it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from histories import run_info

from necp_validate.core.intervals import IntervalSet
from necp_validate.record import (
    CoreShutdown,
    FuzzConsumer,
    FuzzEffect,
    FuzzFlaw,
    FuzzGroup,
    FuzzRecord,
    LedgerRead,
    Record,
    TopicSettings,
    parts,
)
from necp_validate.record.closing import close

CLAIMS = ("EVT-REGISTRY", "EVT-COMBAT", "EVT-ECONOMY", "EVT-SOCIAL", "EVT-SYSTEM")
DOMAINS = ("combat", "economy", "social", "system")


def group(kind: str, operator: str, expected: str, found: str, count: int) -> FuzzGroup:
    """So many events that were to end in one way, and did end in one."""
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
    flaws=(),
    flaw_counts={},
    effects=(
        FuzzEffect(name="postings", domain="economy", due=20, found=20, wrong=0),
        FuzzEffect(name="messages", domain="social", due=0, found=0, wrong=0),
        FuzzEffect(name="audit entries", domain="system", due=18, found=18, wrong=0),
        FuzzEffect(name="damage", domain="combat", due=0, found=0, wrong=0),
    ),
    ledger=(
        LedgerRead(
            partition=0,
            covered=IntervalSet([(0, 19)]),
            covered_twice=0,
            entries=20,
            trades=0,
            repeated=0,
            torn=0,
            unfounded=0,
            overdrawn=0,
            moved={},
        ),
    ),
    consumers=tuple(FuzzConsumer(domain=name, end=60, committed=60) for name in DOMAINS),
    crashes=(),
    settings=tuple(
        TopicSettings(topic=f"game.{name}.events", found={"retention.ms": "1"}, claimed={"retention.ms": "1"})
        for name in DOMAINS
    ),
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
    key="",
    value='{"amount":NaN}',
    headers="",
    minimal='{"a":NaN}',
    file="fuzz/example-0.json",
)


def campaign(**changes: Any) -> Record:
    """A campaign whose record differs from the sound one."""
    run = run_info(id="r", scenario="fuzz", seed=7)
    config = {"fuzz": {"events": 100, "replay": ""}, "judge": list(CLAIMS)}
    shutdown = changes.pop("shutdown", CoreShutdown(exit_code=0, seconds=1.0, healthy_before=True))
    return Record(run=replace(run, config=config), fuzz=replace(SOUND, **changes), core_shutdown=shutdown)


def write(folder: Path, **changes: Any) -> Path:
    """The same as a run directory that is closed."""
    made = campaign(**changes)
    parts.RUN.write(folder, made.run)
    assert made.fuzz is not None
    assert made.core_shutdown is not None
    parts.FUZZ.write(folder, made.fuzz)
    parts.CORE_SHUTDOWN.write(folder, made.core_shutdown)
    close(folder)
    return folder
