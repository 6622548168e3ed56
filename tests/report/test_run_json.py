"""Whatever stands in the place of a value of ``run.json``: it is judged and reported, or one error says where it is."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

import pytest
from fabricate import Recipe, fabricate

from necp_validate.core import SuiteError
from necp_validate.record import parts, read_info
from necp_validate.record.closing import close
from necp_validate.report.pipeline import judge_and_report

ODD = (5, [1], {"a": 1}, None)
READ_FOR_A_VERDICT = (
    ("config", "judge"),
    ("config", "thresholds"),
    ("config", "phases"),
    ("config", "phases", 0, "duration_s"),
    ("config", "traffic"),
    ("config", "traffic", "combat", "rate_eps"),
    ("config", "load", "processes"),
    ("stack", "backend"),
    ("host", "memory_bytes"),
    ("versions", "necp-validate"),
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fabricate(tmp_path_factory.mktemp("runs"), Recipe(faults=True))


@pytest.fixture(scope="module")
def whole(run: Path) -> Any:
    return json.loads(parts.RUN.file(run).read_text(encoding="utf-8"))


def places(value: Any, *before: str | int) -> Iterator[tuple[str | int, ...]]:
    """Every value in another, the first two of a list."""
    inside: Any = value.items() if isinstance(value, dict) else enumerate(value[:2]) if isinstance(value, list) else ()
    for key, inner in inside:
        yield (*before, key)
        yield from places(inner, *before, key)


def put(run: Path, whole: Any, value: object, *where: tuple[str | int, ...]) -> None:
    changed = copy.deepcopy(whole)
    for place in where:
        holder = changed
        for key in place[:-1]:
            holder = holder[key]
        holder[place[-1]] = value
    parts.RUN.file(run).write_text(json.dumps(changed), encoding="utf-8")


def refused(run: Path) -> bool:
    try:
        read_info(run)
    except SuiteError:
        return True
    return False


@pytest.mark.parametrize("odd", ODD, ids=str)
def test_any_value_anywhere_is_judged_or_refused(run: Path, whole: Any, odd: object) -> None:
    """What is not refused one by one is judged all at once: whatever holds others on its own."""
    taken: dict[bool, list[tuple[str | int, ...]]] = {True: [], False: []}
    there = [place for place in places(whole) if place[:2] != ("config", "judge")]
    for place in there:
        put(run, whole, odd, place)
        if not refused(run):
            holds_others = any(True for _ in places(reduce(getitem, place, whole)))
            taken[holds_others].append(place)
    assert len(taken[True]) + len(taken[False]) < len(there)
    for together in filter(None, taken.values()):
        outermost = [place for place in together if not any(place[:n] in together for n in range(1, len(place)))]
        put(run, whole, odd, *outermost)
        close(run)
        judge_and_report(run)


@pytest.mark.parametrize("place", READ_FOR_A_VERDICT, ids=lambda place: ".".join(map(str, place)))
def test_the_error_names_the_place(run: Path, whole: Any, place: tuple[str | int, ...]) -> None:
    wrong: Any = [1] if place[-1] == "traffic" else {"a": [1]}  # of traffic, an object may be right
    put(run, whole, wrong, place)
    with pytest.raises(SuiteError) as caught:
        judge_and_report(run)
    assert caught.value.exit_code == 4
    written = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in place).removeprefix(".")
    assert "run.json is damaged: " in caught.value.message
    assert written in caught.value.message
