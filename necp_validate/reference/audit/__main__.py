"""``python -m necp_validate.reference.audit``: make a keyring, rotate its key, erase a person, show what it holds.

Exit codes: 0 done, 1 there is no such person, 2 wrong usage, or a keyring that cannot be used.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from necp_validate.reference.audit.keyring import Keyring, KeyringError


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m necp_validate.reference.audit", description="The keyring of the audit trail."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name, told in (
        ("init", "make a new keyring with one key"),
        ("rotate", "add a key, which new records use from now on; old records stay readable"),
        ("erase", "destroy the keys of a person, whose name is read from standard input; nothing brings them back"),
        ("show", "say what the keyring holds, without any secret"),
    ):
        commands.add_parser(name, help=told).add_argument("keyring", type=Path, help="the file")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Do what the command line says; give the exit code."""
    arguments = _parser().parse_args(argv)
    try:
        if arguments.command == "init":
            Keyring.create(arguments.keyring).close()
            return 0
        keyring = Keyring(arguments.keyring)
        try:
            return _do(arguments.command, keyring)
        finally:
            keyring.close()
    except KeyringError as error:
        print(f"audit: {error}", file=sys.stderr)
        return 2


def _do(command: str, keyring: Keyring) -> int:
    if command == "rotate":
        print(json.dumps({"active_key": keyring.rotate()}))
        return 0
    if command == "erase":
        # From standard input: a name on a command line is in the process list and the shell's history.
        destroyed = keyring.erase(sys.stdin.read().strip())
        print(json.dumps({"destroyed_keys": destroyed}))
        return 0 if destroyed else 1
    print(json.dumps({"active_key": keyring.active_key(), "keys": keyring.key_ids(), **keyring.counts()}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
