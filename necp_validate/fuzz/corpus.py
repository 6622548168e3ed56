"""Cases that were found to fail, kept as files: one JSON each, named by the record's content."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Final

import msgspec

from necp_validate.core import UsageError
from necp_validate.fuzz.cases import Case
from necp_validate.fuzz.check import Failure

CASES: Final = "cases"
DATABASE: Final = "hypothesis"
_SHOWN: Final = 200


class KeptCase(msgspec.Struct, frozen=True, kw_only=True):
    """A failure with its record, as it is in a file.

    Args:
        id: of the record, see :attr:`necp_validate.fuzz.cases.Case.id`.
        source: the file with the schema, as it was named.
        schema: the event type.
        check: the property that does not hold.
        message: what is wrong.
        seed: of the run that found it.
        where: ``topic[partition]@offset``, if it was sent.
        type_name: the case's.
        version: the case's.
        operator: the case's.
        valid: what the oracle said of it.
        problem: why.
        key: base64; None if there is none.
        value: base64; None if there is none.
        headers: names and base64.
        text: the beginning of the value, for people.
    """

    id: str
    source: str
    schema: str
    check: str
    message: str
    seed: int
    where: str
    type_name: str
    version: int
    operator: str
    valid: bool
    problem: str
    key: str | None
    value: str | None
    headers: list[tuple[str, str]]
    text: str

    @property
    def case(self) -> Case:
        """The record."""
        return Case(
            type_name=self.type_name,
            version=self.version,
            operator=self.operator,
            key=_read(self.key),
            value=_read(self.value),
            headers=tuple((name, base64.b64decode(text)) for name, text in self.headers),
            valid=self.valid,
            problem=self.problem,
        )


class Corpus:
    """A folder with found cases, and what Hypothesis remembers.

    Args:
        folder: made when something is kept.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def database(self) -> Path:
        """Where Hypothesis remembers failing examples."""
        return self.folder / DATABASE

    def keep(self, failure: Failure, *, source: str, seed: int) -> Path | None:
        """Write a failure's record into a file; None if it has none."""
        case = failure.case
        if case is None:
            return None
        kept = KeptCase(
            id=case.id,
            source=source,
            schema=failure.schema,
            check=failure.check,
            message=failure.message,
            seed=seed,
            where=failure.where,
            type_name=case.type_name,
            version=case.version,
            operator=case.operator,
            valid=case.valid,
            problem=case.problem,
            key=_write(case.key),
            value=_write(case.value),
            headers=[(name, _write(text) or "") for name, text in case.headers],
            text=preview(case.value),
        )
        path = self.folder / CASES / f"{case.id}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(msgspec.json.format(msgspec.json.encode(kept)) + b"\n")
        return path

    def cases(self) -> list[KeptCase]:
        """Every kept case, in the order of their names.

        Raises:
            UsageError: a file in the folder is none.
        """
        return [read_case(path) for path in sorted((self.folder / CASES).glob("*.json"))]

    def find(self, name: str) -> KeptCase:
        """The case of this id or file.

        Raises:
            UsageError: there is none.
        """
        direct = Path(name)
        path = direct if direct.is_file() else self.folder / CASES / f"{name}.json"
        if not path.is_file():
            known = ", ".join(case.id for case in self.cases()) or "none"
            raise UsageError(f"there is no case {name!r}: neither a file nor an id in {self.folder}; known: {known}")
        return read_case(path)


def read_case(path: Path) -> KeptCase:
    """Read a kept case.

    Raises:
        UsageError: the file is none.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=KeptCase)
    except (OSError, msgspec.DecodeError) as error:
        raise UsageError(f"{path} is no kept case: {error}") from error


def preview(value: bytes | None) -> str:
    """The beginning of a value, readable."""
    if value is None:
        return "(no value)"
    text = value[:_SHOWN].decode("utf-8", errors="backslashreplace")
    shown = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
    return shown + (f" ... ({len(value)} bytes)" if len(value) > _SHOWN else "")


def _write(text: bytes | None) -> str | None:
    return None if text is None else base64.b64encode(text).decode()


def _read(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text)
