"""Checks of a schema by itself: what is generated is valid, comes back as it was, and is spoilt by the operators."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from hypothesis import strategies as st

from necp_validate.core import Verdict
from necp_validate.events.base import InvalidEvent
from necp_validate.events.envelope import Decoder
from necp_validate.fuzz.cases import Case
from necp_validate.fuzz.mutations import OPERATORS, Operator, around_bounds
from necp_validate.fuzz.registry_schema import RegistrySchema
from necp_validate.fuzz.schema import MAX_RECORD_BYTES, Schema
from necp_validate.fuzz.search import Broken, Limits, search
from necp_validate.fuzz.strategies import valid

Validator = Callable[[Case], str]
"""Takes a case; says why it is refused, "" if it is accepted. It is what is under test, not the oracle."""

GENERATOR: Final = "generator-agrees"
ROUND_TRIP: Final = "round-trip"
VALIDATOR: Final = "validator-agrees"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A property that does not hold, with the smallest example found.

    Args:
        schema: the event type.
        check: the property.
        message: what is wrong.
        case: the record, if one is to blame.
        where: ``topic[partition]@offset``, if it was sent.
    """

    schema: str
    check: str
    message: str
    case: Case | None = None
    where: str = ""


@dataclass(slots=True)
class Yield:
    """What an operator made of a schema's events.

    Args:
        invalid: so many were invalid.
        valid: so many were valid still.
        example: what the oracle said of an invalid one.
    """

    invalid: int = 0
    valid: int = 0
    example: str = ""


@dataclass(slots=True, kw_only=True)
class SchemaReport:
    """What the checks of one schema found.

    Args:
        name: the event type.
        form: ``json`` or ``avro``.
        cases: how many were checked, by kind: valid, boundary, mutated.
        yields: of each operator that applies.
        failures: what does not hold.
        complete: whether the time was enough.
    """

    name: str
    form: str
    cases: Counter[str] = field(default_factory=Counter)
    yields: dict[str, Yield] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    complete: bool = True

    @property
    def verdict(self) -> Verdict:
        """Fail with any failure; unknown if the time was up before everything had been tried."""
        if self.failures:
            return Verdict.FAIL
        return Verdict.PASS if self.complete and self.cases["valid"] else Verdict.UNKNOWN


def check_schema(
    schema: Schema,
    limits: Limits,
    *,
    validator: Validator | None = None,
    operators: Sequence[Operator] = tuple(OPERATORS.values()),
) -> SchemaReport:
    """Check one schema.

    Args:
        schema: the schema.
        limits: how far to search; each operator gets an eighth of the examples.
        validator: what must agree with the oracle; the event core's decoder for our own types, nothing else by default.
        operators: the operators to be tried.
    """
    report = SchemaReport(name=_title(schema), form=schema.form)
    validator = validator or (core_validator() if isinstance(schema, RegistrySchema) else None)

    def look(check: str, strategy: st.SearchStrategy[object], holds: Callable[[object], None], share: float) -> None:
        few = replace(limits, max_examples=max(int(limits.max_examples * share), 5))
        broken = search(f"{report.name} {check}", strategy, holds, few)
        if broken is not None:
            report.failures.append(Failure(schema=report.name, check=check, message=broken.message, case=broken.case))

    def generated(case: object) -> None:
        assert isinstance(case, Case)
        report.cases["valid"] += 1
        if not case.valid:
            raise Broken(f"made from the schema, and refused by it: {case.problem}", case)

    def comes_back(document: object) -> None:
        problem = schema.round_trip(document)
        if problem:
            raise Broken(problem)

    def agrees(kind: str) -> Callable[[object], None]:
        def holds(cases: object) -> None:
            for case in cases if isinstance(cases, list) else [cases]:
                assert isinstance(case, Case)
                report.cases[kind] += 1
                _agree(case, validator)

        return holds

    look(GENERATOR, schema.records().map(schema.case), generated, 1)
    look(ROUND_TRIP, schema.documents(), comes_back, 0.5)
    if not any(failure.check == GENERATOR for failure in report.failures):
        look(VALIDATOR, _around_bounds(schema), agrees("boundary"), 0.125)
        for operator in operators:
            look(
                f"{VALIDATOR}: {operator.name}",
                _applied(schema, operator),
                _tallied(report, operator.name, agrees("mutated")),
                0.125,
            )
    report.complete = not limits.over
    return report


def retried(schema: Schema, cases: Iterable[Case], validator: Validator | None = None) -> list[Failure]:
    """Judge found cases again: the oracle must say the same as when they were found, and the validator must agree."""
    validator = validator or (core_validator() if isinstance(schema, RegistrySchema) else None)
    failures = []
    for old in cases:
        case = schema.case((old.key, old.value, old.headers), operator=old.operator)
        try:
            if case.valid != old.valid:
                raise Broken(
                    f"was {'valid' if old.valid else 'invalid'} when it was found: {case.problem or 'valid'}", case
                )
            _agree(case, validator)
        except Broken as broken:
            failures.append(Failure(schema=_title(schema), check=VALIDATOR, message=broken.message, case=case))
    return failures


def core_validator(decode: Callable[[bytes], object] | None = None) -> Validator:
    """The event core's decoder as a validator.

    Args:
        decode: another one in its place.
    """
    decode = decode or Decoder().decode

    def validate(case: Case) -> str:
        if case.value is not None and len(case.value) > MAX_RECORD_BYTES:
            return "a record of this size is never read"
        try:
            event = decode(case.value or b"")
        except InvalidEvent as error:
            return str(error)
        return "" if event.key.encode() == case.key else "the record's key is not the event's"  # type: ignore[attr-defined]

    return validate


def _agree(case: Case, validator: Validator | None) -> None:
    """Compare oracle and validator.

    Raises:
        Broken: one accepts what the other refuses.
    """
    if validator is None:
        return
    refused = validator(case)
    if case.valid and refused:
        raise Broken(f"valid, and the validator refuses it: {refused}", case)
    if not case.valid and not refused:
        raise Broken(f"the validator accepts it, although it is invalid: {case.problem}", case)


def _tallied(report: SchemaReport, operator: str, holds: Callable[[object], None]) -> Callable[[object], None]:
    def tally(case: object) -> None:
        if not isinstance(case, Case):
            return
        found = report.yields.setdefault(operator, Yield())
        if case.valid:
            found.valid += 1
        else:
            found.invalid += 1
            found.example = found.example or case.problem
        holds(case)

    return tally


@st.composite
def _around_bounds(draw: st.DrawFn, schema: Schema) -> list[Case]:
    """Every bound of one event, exactly met and just exceeded."""
    return around_bounds(schema, draw(valid(schema)), draw(st.randoms(use_true_random=False)))


@st.composite
def _applied(draw: st.DrawFn, schema: Schema, operator: Operator) -> Case | None:
    """A case that one operator has made; None where it does not apply."""
    return operator.apply(schema, draw(valid(schema)), draw(st.randoms(use_true_random=False)))


def _title(schema: Schema) -> str:
    return f"{schema.name}.v{schema.version}" if schema.version else schema.name


def still_valid(yields: Mapping[str, Yield]) -> list[str]:
    """Operators that have made nothing invalid: what they do, the schema allows."""
    return [name for name, found in yields.items() if found.valid and not found.invalid]


__all__ = ["Failure", "SchemaReport", "Validator", "Yield", "check_schema", "core_validator", "retried", "still_valid"]
