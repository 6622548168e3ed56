"""The exported JSON Schema says the same as the decoder."""

from __future__ import annotations

import json
import random
from typing import Any

import jsonschema
import pytest

from necp_validate.events.envelope import event_id, head, seal
from necp_validate.events.registry import event_types
from necp_validate.events.samples import Sample, sample_event
from necp_validate.events.schema import json_schema, schema_name
from necp_validate.events.topics import Domain

SCHEMA = json_schema()


def _document(sample: Sample) -> Any:
    type_name, version, data = sample
    value = seal(head(type_name, version, key="k", data=data), 1_700_000_000_000_000, event_id("0a1b2c3d", 1))
    return json.loads(value)


def test_the_schema_is_valid_against_its_dialect() -> None:
    """It is JSON Schema 2020-12, with one entry for each type and version."""
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert {schema_name(kind) for kind in event_types()} <= set(SCHEMA["$defs"])


@pytest.mark.parametrize("domain", Domain)
def test_samples_are_valid_against_the_schema(domain: Domain) -> None:
    """Everything the generator sends as valid is valid for somebody who only has the schema."""
    validator = jsonschema.Draft202012Validator(SCHEMA)
    rng = random.Random(3)
    for _ in range(100):
        validator.validate(_document(sample_event(domain, rng)))


@pytest.mark.parametrize("domain", Domain)
def test_poison_that_is_json_is_invalid_against_the_schema(domain: Domain) -> None:
    """What the decoder refuses, the schema refuses."""
    validator = jsonschema.Draft202012Validator(SCHEMA)
    rng = random.Random(4)
    checked = 0
    while checked < 60:
        try:
            document = _document(sample_event(domain, rng, kind="poison"))
        except ValueError:  # not JSON at all, or not UTF-8
            continue
        assert not validator.is_valid(document), document
        checked += 1
