"""What checks and metrics look at in a record is what they have declared as their evidence."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import fields

import pytest

from necp_validate.claims import CHECKS
from necp_validate.claims.metrics.measures import MEASURES, Question, Scope
from necp_validate.evidence.inventory import Evidence
from necp_validate.evidence.missing import NoEvidence
from necp_validate.record import Record, read_record
from necp_validate.record.store import parts_of
from necp_validate.selftest.bed import BEDS
from necp_validate.selftest.contents import write_run

PARTS = parts_of(Record).keys()
SENDERS = {"loads", "drill_loads", "gateway_record", "collector_record", "players"}

OF_EVERY_RUN = {
    "run": "without it there is no record",
    "phases": "names and times; the check `complete-run` holds them against the plan",
}
RATES = ("sent_rate", "acked_rate", "handled_rate", "throughput")
LATENCIES = [f"{kind}_{quantile}" for kind in ("ack", "e2e", "late") for quantile in ("p50", "p95", "p99", "p999")]
UNDECLARED = {
    **{
        (name, part): "an excuse: what was not recorded excuses nothing"
        for part, names in (
            ("host", (*RATES, *LATENCIES)),
            ("workers", (*RATES, *LATENCIES, "implausible-end")),
            ("latency", RATES),
        )
        for name in names
    },
    **dict.fromkeys(
        (("rebalance_time", "loads"), ("rebalance_time", "timeline"), ("recovery_time", "groups")),
        "worked out beside it, for the report on a fault",
    ),
    **{
        (name, part): "what a metric has nothing to be compared with, the check `metric-series` finds"
        for name in ("metric-mismatch", "metric-series")
        for part in (*SENDERS, "floods", "lag", "latency")
    },
    ("suite-failure", "suite_failures"): "it is about them",
    ("security-alerts", "lag"): "none of these alerts is about lag",
}
"""By check or metric and part of the record: why it need not be declared."""


class Watched(Record):
    """A record that keeps the names of the parts that were asked for."""

    asked: set[str] = set()  # noqa: RUF012  # of all that are made

    def __getattribute__(self, name: str) -> object:
        if name in PARTS:
            Watched.asked.add(name)
        return super().__getattribute__(name)


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> list[Record]:
    """The sound runs of the self-test."""
    found = []
    for bed in BEDS:
        folder = tmp_path_factory.mktemp(bed.name.replace(" ", "-"))
        write_run(bed.sound(), folder)
        found.append(read_record(folder))
    return found


def watched(record: Record) -> Record:
    return Watched(**{field.name: getattr(record, field.name) for field in fields(record)})


def questions(record: Record, scope: Scope) -> Iterator[Question]:
    for phase in (None,) if scope is Scope.RUN else record.phases:
        yield Question(history=record, phase=phase, domains=record.domains)


def undeclared(looked_at: dict[str, set[str]], evidence: dict[str, tuple[Evidence, ...]]) -> set[tuple[str, str]]:
    declared = {name: {part for kind in of for part in kind.parts} for name, of in evidence.items()}
    return {(name, part) for name, asked in looked_at.items() for part in asked - declared[name] - OF_EVERY_RUN.keys()}


def test_checks_and_metrics_declare_every_part_of_a_record_that_they_look_at(records: list[Record]) -> None:
    looked_at: dict[str, set[str]] = defaultdict(set)
    for record in records:
        of = watched(record)
        for name, check in CHECKS.items():
            if check.subject.there(record):
                Watched.asked.clear()
                check(of)
                looked_at[name] |= Watched.asked
        for name, measure in MEASURES.items():
            for question in questions(of, measure.scope):
                Watched.asked.clear()
                with suppress(NoEvidence):
                    measure.measure(question)
                looked_at[name] |= Watched.asked
    evidence = {name: check.evidence for name, check in CHECKS.items()}
    evidence |= {name: measure.evidence for name, measure in MEASURES.items()}
    assert undeclared(looked_at, evidence) == UNDECLARED.keys()
