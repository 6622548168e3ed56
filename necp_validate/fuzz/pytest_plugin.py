"""The pytest plugin: a team fuzzes its own handlers (:func:`fuzz_events`) or its own topics (``fuzz_topic``).

Nothing is imported, and nothing happens, in a test run that uses neither.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from necp_validate.fuzz.campaign import LiveReport
    from necp_validate.fuzz.cases import Case
    from necp_validate.fuzz.strategies import Kind

FuzzTopic = Callable[..., "list[LiveReport]"]


def fuzz_events(
    schema: str | Path, *, kind: Kind = "any", operators: list[str] | None = None, max_examples: int = 100
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Run a test with events of a schema as its argument ``case``: valid, at bounds and mutated.

    Every bound of the schema, met and just exceeded, is tried in each run (up to a third of ``max_examples``); the rest
    is drawn by Hypothesis. Chance alone would miss an off-by-one in one run out of five.

    Args:
        schema: JSON Schema, ``.avsc`` or AsyncAPI.
        kind: ``valid``, ``boundary``, ``mutated`` or ``any``.
        operators: of the mutations; all of them by default.
        max_examples: how many events.

    Raises:
        UsageError: the file cannot be read, or there is no such operator.
    """
    from hypothesis import HealthCheck, example, given, settings

    from necp_validate.fuzz.strategies import from_schema

    strategy = from_schema(schema, kind=kind, operators=operators)
    bounds = _bounds(schema, max_examples, operators) if kind in ("any", "boundary") else []
    quiet = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture]

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        last: dict[str, Any] = {"source": str(schema)}

        @functools.wraps(test)
        def remembering(*args: Any, case: Case, **others: Any) -> None:
            last["case"] = case
            test(*args, case=case, **others)

        configured = settings(max_examples=max_examples, deadline=None, suppress_health_check=quiet)
        run: Callable[..., None] = configured(given(case=strategy)(remembering))
        for case in reversed(bounds):
            run = example(case=case)(run)
        run.fuzz_last = last  # type: ignore[attr-defined]  # where the report finds the smallest failing case
        return run

    return decorate


def _bounds(schema: str | Path, max_examples: int, operators: list[str] | None) -> list[Case]:
    from necp_validate.fuzz.drawing import draw_cases, every_bound
    from necp_validate.fuzz.load import load_schemas
    from necp_validate.fuzz.search import Limits
    from necp_validate.fuzz.strategies import valid

    limits = Limits(max_examples=max_examples)
    found = [
        case for one in load_schemas(str(schema)) for case in every_bound(one, draw_cases(valid(one), limits), limits)
    ]
    return [case for case in found if operators is None or case.operator in ("", *operators)]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of ``fuzz_topic``."""
    group = parser.getgroup("necp-validate fuzz")
    group.addoption("--fuzz-target", metavar="FILE", help="TOML file of the cluster whose topics are fuzzed")
    group.addoption("--fuzz-seed", metavar="N", type=int, default=0, help="same seed, same events")
    group.addoption("--fuzz-corpus", metavar="DIR", default=".necp/fuzz", help="where found cases are kept")


@pytest.fixture(scope="session")
def fuzz_topic(request: pytest.FixtureRequest) -> FuzzTopic:
    """Send a schema's events to a topic of the cluster of ``--fuzz-target``, and fail where one does not end right.

    Called as ``fuzz_topic(schema, topic=None, max_examples=100)``; gives a report for each event type.
    """
    target = request.config.getoption("--fuzz-target")
    if target is None:
        pytest.skip("needs --fuzz-target FILE")

    def run(schema: str | Path, *, topic: str | None = None, max_examples: int = 100) -> list[LiveReport]:
        from necp_validate.fuzz.campaign import fuzz_topic as follow
        from necp_validate.fuzz.campaign import live_topic
        from necp_validate.fuzz.corpus import Corpus, preview
        from necp_validate.fuzz.load import load_schemas
        from necp_validate.fuzz.search import Limits
        from necp_validate.stack.external_config import load_external

        settings, corpus = load_external(Path(target)), Corpus(Path(request.config.getoption("--fuzz-corpus")))
        limits = Limits(max_examples=max_examples, seed=request.config.getoption("--fuzz-seed"))
        reports = []
        for one in load_schemas(str(schema)):
            with live_topic(one, settings, topic) as live:
                reports.append(follow(one, live, limits, corpus, source=str(schema)))
        failures = [failure for report in reports for failure in report.failures]
        told = [
            f"{one.check}: {one.message}; at {one.where}: {preview(one.case.value) if one.case else ''}"
            for one in failures
        ]
        if told:
            pytest.fail("\n".join(told), pytrace=False)
        return reports

    return run


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Keep the smallest failing case of a test with :func:`fuzz_events`, and say how to see it again."""
    report = yield
    last = getattr(getattr(item, "obj", None), "fuzz_last", None)
    if last is not None and call.when == "call" and getattr(report, "failed", False) and "case" in last:
        _keep(item, report, last)
    return report


def _keep(item: pytest.Item, report: Any, last: dict[str, Any]) -> None:
    from necp_validate.fuzz.check import Failure
    from necp_validate.fuzz.corpus import Corpus, preview

    case: Case = last["case"]
    corpus = Corpus(Path(item.config.getoption("--fuzz-corpus")))
    said = str(report.longrepr).strip().splitlines()
    failure = Failure(schema=case.type_name, check=item.nodeid, message=said[-1] if said else "", case=case)
    path = corpus.keep(failure, source=last["source"], seed=0)
    lines = [
        f"event     {case.operator or 'valid'} {case.type_name}, by the schema {case.problem or 'valid'}",
        f"value     {preview(case.value)}",
        f"kept in   {path}",
        "repeat    pytest runs it first the next time (Hypothesis remembers it)",
    ]
    report.sections.append(("fuzzed event", "\n".join(lines)))
