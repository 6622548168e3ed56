"""Examples as files: events with all their bytes, to be played again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from necp_validate.core import UsageError
from necp_validate.events.topics import Domain
from necp_validate.fuzz.cases import Case
from necp_validate.record.writer import write_bytes


class StoredExample(msgspec.Struct, frozen=True, kw_only=True):
    """Events of one domain in their order; bytes are in base64.

    Args:
        domain: whose topic they go to.
        what: what was wrong with the last of them.
        cases: the events.
    """

    domain: Domain
    what: str
    cases: tuple[Case, ...]


def save_example(path: Path, domain: Domain, what: str, cases: Sequence[Case]) -> None:
    """Write an example.

    Raises:
        SuiteError: it could not be written.
    """
    example = StoredExample(domain=domain, what=what, cases=tuple(cases))
    write_bytes(path, msgspec.json.format(msgspec.json.encode(example), indent=1) + b"\n")


def load_example(path: Path) -> StoredExample:
    """Read an example.

    Raises:
        UsageError: it is none.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=StoredExample)
    except (OSError, msgspec.DecodeError) as error:
        hint = "examples are written into fuzz/ of a run directory"
        raise UsageError(f"{path} is no example of fuzzed events: {error}", hint=hint) from error
