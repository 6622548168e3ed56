"""Events that a JSON Schema describes."""

from __future__ import annotations

import random
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Final

import jsonschema
from hypothesis import strategies as st
from hypothesis_jsonschema import from_schema
from jsonschema.protocols import Validator

from necp_validate.core import UsageError
from necp_validate.fuzz.bounds import met
from necp_validate.fuzz.cases import Case, Headers
from necp_validate.fuzz.json_nodes import Site, replaced, sites, unrolled
from necp_validate.fuzz.json_text import Malformed, parse, render
from necp_validate.fuzz.schema import Record, Schema

_KEYS: Final = st.none() | st.binary(min_size=1, max_size=16)
_DRAFT: Final = jsonschema.Draft202012Validator


class JsonSchema(Schema):
    """Events whose value is JSON.

    Args:
        name: of the event type.
        schema: of the value; self-contained (:func:`necp_validate.fuzz.json_nodes.bundle`).
        topic: where its events go, if that is known.
        key_schema: of the record's key, if it has one.
        header_schema: of the record's headers as an object, if it has one.
        draft: the dialect, where the schema does not say.

    Raises:
        UsageError: one of them is no JSON Schema.
    """

    form = "json"

    def __init__(
        self,
        name: str,
        schema: Mapping[str, Any],
        *,
        topic: str | None = None,
        key_schema: Mapping[str, Any] | None = None,
        header_schema: Mapping[str, Any] | None = None,
        draft: type[Validator] = _DRAFT,
    ) -> None:
        super().__init__(name, topic=topic)
        self.schema = schema
        self._validator = validator_of(name, schema, draft)
        self._key = (key_schema, validator_of(f"{name}: key", key_schema, draft)) if key_schema else None
        self._headers = (
            (header_schema, validator_of(f"{name}: headers", header_schema, draft)) if header_schema else None
        )

    @property
    def has_key(self) -> bool:
        """Whether the schema says anything about keys."""
        return self._key is not None

    @property
    def header_schema(self) -> Mapping[str, Any]:
        """The schema of the headers; empty if there is none."""
        return self._headers[0] if self._headers else {}

    @cached_property
    def _documents(self) -> st.SearchStrategy[Any]:
        return generator(self.name, self.schema)

    def documents(self) -> st.SearchStrategy[Any]:
        """Valid payloads, as hypothesis-jsonschema understands the schema."""
        return self._documents

    def encode(self, document: Any) -> bytes:
        """Write a payload as JSON; fragments in it as they are."""
        return render(document)

    def decode(self, value: bytes) -> Any:
        """Read a payload strictly."""
        return parse(value)

    def judge_value(self, value: bytes) -> str:
        """Say what is wrong with a value, after the jsonschema library."""
        try:
            document = self.decode(value)
        except Malformed as error:
            return f"no JSON: {error}"
        return first_problem(self._validator, document)

    def judge_key(self, key: bytes | None, value: bytes) -> str:  # noqa: ARG002 (ours needs it)
        """Say what is wrong with a key; whatever it is, if the schema says nothing."""
        if self._key is None:
            return ""
        schema, validator = self._key
        if key is None:
            return "the record has no key"
        problem = first_problem(validator, _from_bytes(key, schema))
        return f"key: {problem}" if problem else ""

    def judge_headers(self, headers: Headers) -> str:
        """Say what is wrong with the headers, read as an object; of several of one name the last counts."""
        if self._headers is None:
            return ""
        schema, validator = self._headers
        known = schema.get("properties", {})
        found = {name: _from_bytes(text, known.get(name, {})) for name, text in headers}
        problem = first_problem(validator, found)
        return f"headers: {problem}" if problem else ""

    def records(self) -> st.SearchStrategy[Record]:
        """Whole records."""
        keys = generator(self.name, self._key[0]).map(to_bytes) if self._key else _KEYS
        return st.tuples(keys, self.documents().map(self.encode), self._header_records())

    def _header_records(self) -> st.SearchStrategy[Headers]:
        if not self._headers:
            return st.just(())
        named = {**self._headers[0], "additionalProperties": False}
        return generator(self.name, named).map(
            lambda found: tuple((name, to_bytes(one)) for name, one in found.items())
        )

    def is_valid(self, part: Mapping[str, Any], value: Any) -> bool:
        """Tell whether a value is valid against a part of the schema."""
        return bool(
            self._validator.evolve(schema={"$defs": self.schema.get("$defs", {}), "allOf": [part]}).is_valid(value)
        )

    def sites(self, document: Any) -> list[Site]:
        """Every place of a valid document with each schema that speaks about it."""
        return list(sites(self.schema, document, self.is_valid))

    def at_bounds(self, case: Case, rng: random.Random) -> list[Case]:
        """Variants of a valid case in which one bound is exactly met and all else still holds."""
        document = self.decode(case.value or b"")
        values = [
            self.encode(replaced(document, site.path, value))
            for site in self.sites(document)
            for value in met(site)
            if value != site.value or type(value) is not type(site.value)
        ]
        rng.shuffle(values)
        return [found for value in values if (found := self.case((case.key, value, case.headers))).valid]


def validator_of(name: str, schema: Mapping[str, Any], draft: type[Validator]) -> Validator:
    """Make the validator of a schema.

    Raises:
        UsageError: it is no JSON Schema.
    """
    kind = jsonschema.validators.validator_for(schema, default=draft)
    try:
        kind.check_schema(dict(schema))
    except jsonschema.SchemaError as error:
        place = "/".join(map(str, error.absolute_path)) or "the top"
        raise UsageError(f"{name} is no JSON Schema: at {place}: {error.message}") from None
    return kind(schema, format_checker=kind.FORMAT_CHECKER)


def generator(name: str, schema: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    """Strategy for what a schema allows.

    Raises:
        UsageError: hypothesis-jsonschema cannot make anything of it.
    """
    try:
        strategy = from_schema(unrolled(schema))
    except (LookupError, jsonschema.SchemaError, ValueError, TypeError) as error:
        raise UsageError(f"{name}: no events can be made of this schema: {error}") from error
    if strategy.is_empty:
        raise UsageError(f"{name}: nothing is valid against this schema")
    return strategy


def first_problem(validator: Validator, document: Any) -> str:
    """The most telling error, with its place; "" if there is none."""
    try:
        error = jsonschema.exceptions.best_match(validator.iter_errors(document))
    except RecursionError:
        return "nested too deeply to be judged"
    if error is None:
        return ""
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.absolute_path)
    message = error.message if len(error.message) <= 200 else f"{error.message[:120]} ... {error.message[-60:]}"
    return f"{place.lstrip('.') or 'the whole'}: {message}"


def to_bytes(value: Any) -> bytes:
    """Write a key or a header: text as it is, anything else as JSON."""
    return value.encode() if isinstance(value, str) else render(value)


def _from_bytes(text: bytes, schema: Mapping[str, Any]) -> Any:
    """Read a key or a header as the type that its schema asks for; as text where that is no JSON."""
    try:
        return text.decode() if schema.get("type", "string") == "string" else parse(text)
    except ValueError:
        return text.decode(errors="replace") if schema.get("type", "string") != "string" else list(text)
