"""Sending and reading as processes of their own: ``python -m necp_validate.external send|read FILE``."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from necp_validate.core import SuiteError
from necp_validate.external.plan import SendPlan
from necp_validate.external.reading import ReadTask, read
from necp_validate.external.sending import send


def main(argv: list[str]) -> int:
    """Do what the file says; returns the exit code."""
    what, file = argv[0], Path(argv[1])
    content = file.read_bytes()
    file.unlink()  # it holds passwords, and nobody may be left to remove it later
    try:
        if what == "send":
            send(msgspec.json.decode(content, type=SendPlan))
        else:
            read(msgspec.json.decode(content, type=ReadTask))
    except SuiteError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
