"""The registry's events: generator, exported JSON Schema and the core's decoder accept the same; a defect is found."""

from __future__ import annotations

import random
from typing import Annotated, Any

import jsonschema
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from necp_validate.core import Verdict
from necp_validate.events.envelope import Decoder, decode, encode
from necp_validate.events.registry import EventType, event_types
from necp_validate.events.schema import json_schema
from necp_validate.events.topics import Domain
from necp_validate.fuzz.check import VALIDATOR, check_schema, core_validator
from necp_validate.fuzz.mutations import operators_named
from necp_validate.fuzz.registry_schema import registry_schema, registry_schemas
from necp_validate.fuzz.search import Limits
from necp_validate.fuzz.strategies import boundary, valid

FEW = settings(max_examples=15, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
TYPES = [f"{name}.v{version}" for name, version in registry_schemas()]
WHOLE = jsonschema.Draft202012Validator(json_schema())


def _schema(title: str) -> Any:
    name, _, version = title.rpartition(".v")
    return registry_schema(name, int(version))


@pytest.mark.parametrize("title", TYPES)
def test_round_trip_and_agreement(title: str) -> None:
    """What is valid by the schema is read by the core, upcast, and encoded again to the bytes it came from."""
    schema = _schema(title)

    @FEW
    @given(valid(schema))
    def check(case: Any) -> None:
        assert case.value is not None
        event = decode(case.value)
        raw = msgspec.json.decode(case.value)
        data = msgspec.convert(raw["data"], schema.kind.data)
        again = encode(data, key=event.key, ts_us=event.ts, stream=event.stream, seq=event.seq)
        assert msgspec.json.decode(again) | {"crc": ""} == raw | {"crc": ""}
        assert decode(again).data == event.data
        assert WHOLE.is_valid(raw)

    check()


@pytest.mark.parametrize("title", TYPES)
def test_at_every_bound_schema_and_decoder_agree(title: str) -> None:
    """Each bound exactly met is read; just exceeded it is refused."""
    schema, validate = _schema(title), core_validator()
    met = 0

    @FEW
    @given(valid(schema), st.randoms(use_true_random=False))
    def check(case: Any, rng: random.Random) -> None:
        nonlocal met
        for one in schema.at_bounds(case, rng)[:20]:
            met += 1
            assert validate(one) == "", (validate(one), one.value)

    check()
    assert met > 10


def test_a_bound_just_exceeded_is_refused_by_both() -> None:
    schema, validate = registry_schema("economy.transfer", 2), core_validator()

    @settings(FEW, max_examples=60)
    @given(boundary(schema))
    def check(case: Any) -> None:
        assert (validate(case) == "") == case.valid, case

    check()


def _forgetful(kind: EventType) -> EventType:
    """A type whose decoder has forgotten that an amount has a largest value."""
    amount = Annotated[int, msgspec.Meta(ge=1)]
    fields: list[Any] = [
        (field.name, amount if field.name == "amount" else field.type) for field in msgspec.structs.fields(kind.data)
    ]
    data = msgspec.defstruct(
        "Forgetful",
        fields,
        bases=(kind.data.__bases__[0],),
        namespace={"type_name": kind.name, "version": kind.version},
        frozen=True,
        kw_only=True,
        forbid_unknown_fields=True,
    )
    return EventType(name=kind.name, version=kind.version, domain=Domain.ECONOMY, data=data, newest=True)


def test_seeded_defect_a_validator_that_forgets_a_bound_is_caught_with_the_smallest_event() -> None:
    schema = registry_schema("economy.reward", 1)
    (kind,) = (one for one in event_types() if one.name == "economy.reward")
    validate = core_validator(Decoder([_forgetful(kind)]).decode)
    limits = Limits(max_examples=100, seed=1)
    report = check_schema(schema, limits, validator=validate, operators=operators_named(["constraint-negated"]))
    assert report.verdict is Verdict.FAIL
    failure = next(one for one in report.failures if one.check.startswith(VALIDATOR))
    assert failure.case is not None
    assert "the validator accepts it, although it is invalid: data.amount" in failure.message
    data = msgspec.json.decode(failure.case.value or b"")["data"]
    assert data["amount"] == 10**17 + 1, "exactly one above the bound"
    assert len(data["account"]) == 1


def test_the_sound_validator_passes_the_same_check() -> None:
    schema = registry_schema("economy.reward", 1)
    report = check_schema(
        schema, Limits(max_examples=40, seed=1), operators=operators_named(["constraint-negated", "duplicate-key"])
    )
    assert (report.verdict, report.failures) == (Verdict.PASS, [])
    assert report.yields["duplicate-key"].invalid > 0
