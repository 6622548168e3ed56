"""A user's run: schemas checked by themselves, and, with a target, their events sent to a topic and followed."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Final

from hypothesis import Phase, find, settings
from hypothesis.errors import NoSuchExample

from necp_validate.core import UsageError, Verdict, worst
from necp_validate.fuzz.cases import Case
from necp_validate.fuzz.check import Failure, SchemaReport, check_schema, retried
from necp_validate.fuzz.corpus import Corpus
from necp_validate.fuzz.drawing import draw_cases, with_every_bound
from necp_validate.fuzz.fates import ADVANCES, Checked, Outcome, judge, try_cases
from necp_validate.fuzz.live_topic import LiveTopic, config_of
from necp_validate.fuzz.schema import Schema
from necp_validate.fuzz.search import Limits
from necp_validate.fuzz.strategies import from_schema
from necp_validate.stack.external_config import ExternalSettings

BATCH: Final = 200
_ATTEMPTS: Final = 12
"""How many records are sent one by one to find a smaller example; each takes seconds."""
Told = Callable[[str], None]


class _Spent(BaseException):
    """No attempt is left. No `Exception`: Hypothesis would take that for one more failure, and go on."""


@dataclass(slots=True, kw_only=True)
class LiveReport:
    """What was seen of one event type's records on a topic.

    Args:
        schema: the event type.
        topic: where they went.
        operators: how many records, by operator; "" for valid ones.
        refused: how many were never written, and why.
        checks: the worst of each check over all batches.
    """

    schema: str
    topic: str
    operators: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    checks: dict[str, Checked] = field(default_factory=dict)

    @property
    def verdict(self) -> Verdict:
        """The worst of the checks."""
        return worst(one.verdict for one in self.checks.values())

    @property
    def failures(self) -> list[Failure]:
        """The first failure of each check."""
        return [one.failures[0] for one in self.checks.values() if one.failures]


def check_schemas(
    schemas: Sequence[Schema], limits: Limits, corpus: Corpus, *, source: str, told: Told = lambda _: None
) -> list[SchemaReport]:
    """Check schemas by themselves; what was found before is tried first, what is found now is kept.

    Args:
        schemas: of the file.
        limits: how far to search.
        corpus: where found cases are kept.
        source: the file, as the user named it.
        told: progress, one sentence at a time.
    """
    kept = [case for case in corpus.cases() if case.source == source]
    reports = []
    for schema in schemas:
        told(f"checking {schema.name}")
        before = [case.case for case in kept if case.type_name == schema.name and case.version == schema.version]
        again = retried(schema, before)
        report = check_schema(schema, replace(limits, database=corpus.database))
        report.failures = again + report.failures
        for failure in report.failures:
            corpus.keep(failure, source=source, seed=limits.seed)
        reports.append(report)
    return reports


def fuzz_topic(
    schema: Schema,
    live: LiveTopic,
    limits: Limits,
    corpus: Corpus,
    *,
    source: str,
    told: Told = lambda _: None,
) -> LiveReport:
    """Send a schema's events, valid, at bounds and mutated, to a topic, and follow each.

    Args:
        schema: the event type.
        live: the topic.
        limits: ``max_examples`` is the number of records.
        corpus: kept cases of this type are sent first, found ones are kept.
        source: the file, as the user named it.
        told: progress, one sentence at a time.
    """
    before = [kept.case for kept in corpus.cases() if kept.source == source and kept.type_name == schema.name]
    cases = [*before, *with_every_bound(schema, draw_cases(from_schema(schema), limits), limits)]
    report = LiveReport(schema=schema.name, topic=live.topic)
    for start in range(0, len(cases), BATCH):
        if start and limits.over:
            break
        batch = cases[start : start + BATCH]
        told(f"{schema.name}: {start + len(batch)} of {len(cases)} records to {live.topic}")
        outcome = try_cases(live, batch)
        _count(report, outcome)
        checks = judge(outcome, live, schema.name)
        _merge(report, checks)
        if any(one.verdict is Verdict.FAIL for one in checks):
            break
    _shrink(report, schema, live, limits)
    for failure in report.failures:
        corpus.keep(failure, source=source, seed=limits.seed)
    return report


def replay(schema: Schema, case: Case, live: LiveTopic | None) -> list[Checked] | list[Failure]:
    """Try one found case again: on the topic, if there is one, else against the schema alone."""
    if live is None:
        return retried(schema, [case])
    return judge(try_cases(live, [case]), live, schema.name)


def live_topic(schema: Schema, settings: ExternalSettings, topic: str | None) -> LiveTopic:
    """Open the topic of a schema, and see that it is there, and the others that the target names.

    Raises:
        UsageError: nobody says which topic it is, or one cannot be seen.
    """
    name = topic or settings.fuzz.topic or schema.topic
    if name is None:
        raise UsageError(
            f"it is not known which topic {schema.name} goes to",
            hint="name it with --topic, or as fuzz.topic in the target's file",
        )
    live = LiveTopic(config_of(settings), name, settings.fuzz)
    live.ends([one for one in (name, settings.fuzz.dead_letter_topic, *settings.fuzz.output_topics) if one is not None])
    return live


def schema_of(schemas: Sequence[Schema], case: Case) -> Schema:
    """The schema that a case began as.

    Raises:
        UsageError: the file describes it no more.
    """
    for schema in schemas:
        if (schema.name, schema.version) == (case.type_name, case.version):
            return schema
    known = ", ".join(schema.name for schema in schemas)
    raise UsageError(f"the case is a {case.type_name}, which the file does not describe; known: {known}")


def _count(report: LiveReport, outcome: Outcome) -> None:
    for one in outcome.sent:
        report.operators[one.case.operator] += 1
        if one.refused:
            report.refused[one.refused] += 1


def _merge(report: LiveReport, checks: Sequence[Checked]) -> None:
    """Keep the worst of each check; a later unknown does not hide an earlier pass with evidence."""
    order = {Verdict.UNKNOWN: 0, Verdict.PASS: 1, Verdict.FAIL: 2}
    for one in checks:
        before = report.checks.get(one.check)
        if before is None or order[one.verdict] > order[before.verdict]:
            report.checks[one.check] = one


def _shrink(report: LiveReport, schema: Schema, live: LiveTopic, limits: Limits) -> None:
    """Look for a smaller record with the same failure, sent alone; a consumer that stands still cannot be asked."""
    if any(failure.check == ADVANCES for failure in report.failures):
        return
    for check, found in list(report.checks.items()):
        case = found.failures[0].case if found.failures else None
        if case is None or limits.over:
            continue
        tried: dict[str, tuple[Case, list[Failure]]] = {}

        def fails(case: Case, check: str = check, tried: dict[str, tuple[Case, list[Failure]]] = tried) -> bool:
            if case.id not in tried:
                if len(tried) >= _ATTEMPTS or limits.over:
                    raise _Spent
                checks = judge(try_cases(live, [case]), live, schema.name)
                tried[case.id] = case, [failure for one in checks if one.check == check for failure in one.failures]
            return bool(tried[case.id][1])

        mutated = bool(case.operator)
        strategy = from_schema(
            schema, kind="mutated" if mutated else "valid", operators=[case.operator] if mutated else None
        )
        quick = settings(max_examples=_ATTEMPTS, deadline=None, database=None, phases=[Phase.generate, Phase.shrink])
        with suppress(NoSuchExample, _Spent):
            find(strategy, fails, settings=quick, random=random.Random(limits.seed))
        failed = [(one, failures) for one, failures in tried.values() if failures]
        if failed:
            # Of equal length the one that Hypothesis came to last: it takes that for simpler.
            _, failures = min(reversed(failed), key=lambda one: len(one[0].value or b""))
            report.checks[check] = replace(found, failures=(failures[0], *found.failures))
