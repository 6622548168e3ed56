"""The commands: foreign schemas without code, what is printed when something fails, the corpus, replay, exit codes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

from necp_validate.cli.app import app
from necp_validate.core import UsageError, Verdict
from necp_validate.fuzz import campaign, check
from necp_validate.fuzz.campaign import fuzz_topic
from necp_validate.fuzz.cases import Case
from necp_validate.fuzz.corpus import Corpus
from necp_validate.fuzz.fates import ADVANCES, ONE_PLACE, ORIGINAL, READ_BACK, REASON, Outcome, judge
from necp_validate.fuzz.live_topic import Found, Sent
from necp_validate.fuzz.load import load_schemas
from necp_validate.fuzz.search import Limits
from necp_validate.stack.external_config import FuzzTarget, load_external

FOREIGN = Path(__file__).parent / "foreign"


def _run(folder: Path, *arguments: str | Path) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(one) for one in arguments], env={"COLUMNS": "200"})
    return result.exit_code, result.output


def _fuzz(folder: Path, *arguments: str | Path) -> tuple[int, str]:
    return _run(folder, "fuzz", *arguments, "--corpus", folder / "corpus", "--max-examples", "10", "--seed", "3")


@pytest.mark.parametrize("name", ["streetlights-kafka.yml", "interop.avsc"])
def test_a_foreign_schema_works_without_code(tmp_path: Path, name: str) -> None:
    code, out = _fuzz(tmp_path, "--schema", FOREIGN / name)
    assert code == 0, out
    assert "✓ pass" in out
    assert "truncated" in out
    assert "seed 3" in out


def test_a_failure_is_shown_kept_and_replayed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The seeded defect: a decoder that takes events whose type has another version for its own."""
    sound = check.core_validator()
    monkeypatch.setattr(
        check, "core_validator", lambda: lambda case: "" if case.operator == "wrong-version" else sound(case)
    )
    code, out = _fuzz(tmp_path, "--schema", "registry:social.friend_add")
    assert code == 1
    assert "✗ validator-agrees: wrong-version  social.friend_add.v1" in out
    assert "the validator accepts it, although it is invalid: v: 1 was expected" in out
    (kept,) = (tmp_path / "corpus" / "cases").glob("*.json")
    assert f"--corpus {tmp_path / 'corpus'} --replay {kept.stem}" in out
    again = ("--schema", "registry:social.friend_add", "--replay")
    assert _fuzz(tmp_path, *again, kept.stem)[0] == 1
    monkeypatch.undo()
    code, out = _fuzz(tmp_path, *again, kept)
    assert (code, f"pass: case {kept.stem}" in out) == (0, True), out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--schema", "none.yml"), "none.yml cannot be read"),
        (("--schema", "registry", "--replay", "0123"), "there is no case '0123'"),
        (("--schema", "registry", "--target", "none.toml"), "none.toml cannot be read"),
    ],
)
def test_wrong_input_is_wrong_usage(tmp_path: Path, arguments: tuple[str, ...], told: str) -> None:
    code, out = _fuzz(tmp_path, *arguments)
    assert code == 2
    assert told in out


def test_schema_check_of_files(tmp_path: Path) -> None:
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    order = {
        "title": "order",
        "type": "object",
        "properties": {"n": {"type": "integer", "maximum": 9}},
        "required": ["n"],
    }
    old.write_text(json.dumps(order))
    new.write_text(json.dumps({**order, "properties": {"n": {"type": "integer", "maximum": 8}}}))
    code, out = _run(tmp_path, "schema", "check", old, new, "--max-examples", "10")
    assert code == 1
    assert (
        f"✗ order: BACKWARD: consumers of {new} cannot read what producers of {old} send: n: 9 is greater than" in out
    )
    assert "n: maximum 9 became 8" in out
    assert '{"n":9}' in out
    assert _run(tmp_path, "schema", "check", old, new, "--rule", "FORWARD", "--max-examples", "10")[0] == 0
    assert _run(tmp_path, "schema", "check", old, new, "--rule", "SIDEWAYS")[0] == 2


class _Live:
    """Stands for a topic: only what judging asks of it."""

    topic = "orders"

    def __init__(self, target: FuzzTarget) -> None:
        self.target = target


def _case(value: bytes, *, valid: bool) -> Case:
    return Case(type_name="order", key=b"k", value=value, valid=valid, problem="" if valid else "wrong")


def _found(one: Sent, topic: str, **changes: object) -> Found:
    record = {"topic": topic, "partition": 0, "offset": 1, "key": one.case.key, "value": one.case.value,
              "headers": (("reason", b"wrong"),)}  # fmt: skip
    return Found(**(record | changes))  # type: ignore[arg-type]


TARGET = FuzzTarget(topic="orders", dead_letter_topic="orders.dlt", output_topics=("out",), group="g")
GOOD = Sent(case=_case(b"good", valid=True), id="1", partition=0, offset=0)
BAD = Sent(case=_case(b"bad", valid=False), id="2", partition=0, offset=1)
BACK = {one.id: _found(one, "orders", headers=one.headers) for one in (GOOD, BAD)}
RIGHT = {"1": [_found(GOOD, "out")], "2": [_found(BAD, "orders.dlt")]}


@pytest.mark.parametrize(
    ("changes", "failed"),
    [
        ({}, set()),
        ({"back": {"1": BACK["1"]}}, {READ_BACK}),
        ({"committed": {0: 1}}, {ADVANCES}),
        ({"places": {"2": RIGHT["2"]}}, {ONE_PLACE}),
        ({"places": {**RIGHT, "2": [_found(BAD, "out")]}}, {ONE_PLACE}),
        ({"places": {**RIGHT, "1": [*RIGHT["1"], _found(GOOD, "orders.dlt")]}}, {ONE_PLACE}),
        ({"places": {**RIGHT, "2": [_found(BAD, "orders.dlt", value=b"ba")]}}, {ORIGINAL}),
        ({"places": {**RIGHT, "2": [_found(BAD, "orders.dlt", headers=())]}}, {REASON}),
    ],
)
def test_each_check_of_a_topic_can_fail(changes: dict[str, object], failed: set[str]) -> None:
    outcome = Outcome([GOOD, BAD], back=BACK, places=RIGHT, committed={0: 2})
    for name, value in changes.items():
        setattr(outcome, name, value)
    checks = judge(outcome, _Live(TARGET), "order")  # type: ignore[arg-type]
    assert {one.check for one in checks if one.verdict is Verdict.FAIL} == failed
    assert all(one.verdict is Verdict.PASS for one in checks if one.check not in failed | {ORIGINAL, REASON})


def test_a_failure_on_a_topic_becomes_as_small_as_it_gets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A consumer that takes 101 percent for valid; no brokers: each record goes straight where it would put it."""
    (schema,) = (one for one in load_schemas(str(FOREIGN / "streetlights-kafka.yml")) if one.name == "dimLight")
    sent_alone = []

    def try_cases(live: _Live, cases: Sequence[Case]) -> Outcome:
        sent = [Sent(case=case, id=str(number), partition=0, offset=number) for number, case in enumerate(cases)]
        lenient = [one.case.valid or "greater than the maximum" in one.case.problem for one in sent]
        places = {
            one.id: [_found(one, "out" if taken else "orders.dlt")] for one, taken in zip(sent, lenient, strict=True)
        }
        back = {one.id: _found(one, "orders", headers=one.headers) for one in sent}
        sent_alone.append(len(sent))
        return Outcome(sent, back=back, places=places, committed={0: len(sent)})

    monkeypatch.setattr(campaign, "try_cases", try_cases)
    limits = Limits(max_examples=40, seed=7)
    report = fuzz_topic(schema, _Live(TARGET), limits, Corpus(tmp_path), source="x")  # type: ignore[arg-type]
    (failure,) = report.failures
    assert failure.check == ONE_PLACE
    assert failure.case is not None
    assert failure.message == (
        "invalid (percentage: 101 is greater than the maximum of 100), and not dead-lettered: found out[0]@1"
    )
    assert sent_alone[1:].count(1) <= 12
    assert list((tmp_path / "cases").glob("*.json"))


def test_what_is_not_named_is_unknown() -> None:
    checks = judge(Outcome([GOOD], back=BACK), _Live(FuzzTarget()), "order")  # type: ignore[arg-type]
    assert {one.check: one.verdict.value for one in checks} == {
        READ_BACK: "pass", ADVANCES: "unknown", ONE_PLACE: "unknown", ORIGINAL: "unknown", REASON: "unknown",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("topc = 'x'", "unknown key 'fuzz.topc'; did you mean 'topic'"),
        ("output_topics = 'x'", "'fuzz.output_topics' must be a list of strings"),
        ("timeout_s = 0", "'fuzz.timeout_s' must be a number of seconds, not 0"),
    ],
)
def test_a_wrong_table_of_the_target_is_named(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "external.toml"
    file.write_text(f"bootstrap_servers = 'a:1'\n[fuzz]\n{text}\n")
    with pytest.raises(UsageError, match=r"external\.toml") as caught:
        load_external(file)
    assert told in str(caught.value)
