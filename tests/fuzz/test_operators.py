"""Every operator is proven: it yields invalid events for some schema; the event core takes none of them for valid."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import pytest

from necp_validate.core import UsageError
from necp_validate.events.envelope import decode, event_id, head, seal
from necp_validate.events.receipts import Outcome
from necp_validate.events.samples import sample_event
from necp_validate.events.topics import Domain
from necp_validate.fuzz.cases import Case
from necp_validate.fuzz.check import core_validator
from necp_validate.fuzz.json_schema import JsonSchema
from necp_validate.fuzz.load import load_schemas
from necp_validate.fuzz.mutations import OPERATORS, mutate, operators_named
from necp_validate.fuzz.registry_schema import registry_schema
from necp_validate.reference.eventcore.handling import handle_batch

FOREIGN = Path(__file__).parent / "foreign"
HARMLESS = {"header-abuse"}
"""What the event core does not look at: such a record is processed, once."""


class Record:
    """A record as the Kafka client hands it over."""

    def __init__(self, case: Case, offset: int) -> None:
        self._case, self._offset = case, offset

    def partition(self) -> int:
        return 0

    def offset(self) -> int:
        return self._offset

    def key(self) -> bytes | None:
        return self._case.key

    def value(self) -> bytes | None:
        return self._case.value

    def headers(self) -> list[tuple[str, bytes]]:
        return list(self._case.headers)


def _valid_cases(count: int) -> list[Case]:
    rng = random.Random(5)
    cases = []
    for number in range(count):
        type_name, version, data = sample_event(rng.choice(list(Domain)), rng)
        value = seal(head(type_name, version, key="k:1", data=data), 10**15, event_id("0000000a", number))
        cases.append(registry_schema(type_name, version).case((b"k:1", value, ())))
    return cases


@pytest.fixture(scope="module")
def mutated() -> Mapping[str, list[Case]]:
    """Events of the registry after each operator."""
    rng = random.Random(6)
    found: dict[str, list[Case]] = defaultdict(list)
    for case in _valid_cases(60):
        assert case.valid, case.problem
        for name in OPERATORS:
            result = mutate(case, rng, name)
            if result is not None:
                found[name].append(result)
    return found


@pytest.mark.parametrize("operator", sorted(set(OPERATORS) - HARMLESS))
def test_an_operator_yields_invalid_events_of_the_registry(mutated: Mapping[str, list[Case]], operator: str) -> None:
    assert sum(not case.valid for case in mutated[operator]) >= 50
    assert all(case.operator == operator and case.problem for case in mutated[operator] if not case.valid)


def test_header_abuse_yields_invalid_events_where_headers_are_declared() -> None:
    (schema,) = (one for one in load_schemas(str(FOREIGN / "streetlights-kafka.yml")) if one.name == "dimLight")
    rng = random.Random(1)
    case = schema.case((None, b'{"percentage":1}', (("my-app-header", b"100"),)))
    assert case.valid
    found = [OPERATORS["header-abuse"].apply(schema, case, rng) for _ in range(30)]
    assert any(one is not None and one.problem.startswith("headers: ") for one in found)


@pytest.mark.parametrize("operator", OPERATORS)
def test_the_core_s_decoder_and_the_oracle_say_the_same(mutated: Mapping[str, list[Case]], operator: str) -> None:
    validate = core_validator()
    for case in mutated[operator]:
        assert (validate(case) == "") == case.valid, (case.problem, validate(case), (case.value or b"")[:300])


@pytest.mark.parametrize("operator", OPERATORS)
def test_whatever_is_sent_each_record_ends_in_one_outcome(mutated: Mapping[str, list[Case]], operator: str) -> None:
    """Invalid ones are dead-lettered byte for byte with a reason, the others are processed; nothing is raised."""
    cases = [case for case in mutated[operator] if len(case.value or b"") < 1_000_000]
    records = [Record(case, offset) for offset, case in enumerate(cases)]
    result = handle_batch(0, records, decode, lambda _: None)
    outcomes = {offset: outcome for _, first, last, outcome, _ in result.runs for offset in range(first, last + 1)}
    assert [outcomes[offset] for offset in range(len(cases))] == [
        Outcome.PROCESSED if case.valid else Outcome.DEAD_LETTERED for case in cases
    ]
    for letter in result.dead_letters:
        assert (letter.value or b"", letter.key) == (cases[letter.offset].value or b"", cases[letter.offset].key)
        assert letter.reason in ("malformed", "unknown-type", "invalid-data", "bad-crc")


def test_the_same_chance_gives_the_same_mutation() -> None:
    (case,) = _valid_cases(1)
    for name in OPERATORS:
        assert mutate(case, random.Random(3), name) == mutate(case, random.Random(3), name)


def test_what_does_not_apply_gives_nothing() -> None:
    schema = JsonSchema("flag", {"type": "boolean"})
    case = schema.case((None, b"true", ()))
    for name in ("required-field-removed", "unknown-field", "duplicate-key", "huge-number", "nan", "wrong-key"):
        assert mutate(case, random.Random(1), name, schema=schema) is None


def test_an_operator_that_there_is_not_is_named() -> None:
    with pytest.raises(UsageError, match="there is no operator 'bitflip'; known: required-field-removed"):
        operators_named(["bitflip"])
