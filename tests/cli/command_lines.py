"""Command lines as they are written in pages and templates, parsed as the program parses them."""

from __future__ import annotations

import shlex
from typing import Any

import typer

from necp_validate.cli.app import app


def parse(command: str) -> dict[str, Any]:
    """Parse what follows ``necp-validate`` without running it; returns the parameters, with ``command`` its full name.

    Raises:
        click.UsageError: there is no such command, option or value.
    """
    words = shlex.split(command.replace("$seed", "1"))
    group: Any = typer.main.get_command(app)
    parent, names = typer.Context(group, info_name="necp-validate"), []
    if words in (["--help"], ["--version"]):
        return {"command": ""}
    asks_for_help = "--help" in words
    words = [word for word in words if word != "--help"]
    while hasattr(group, "commands") and (words or not asks_for_help):
        name, group, words = group.resolve_command(parent, list(words))
        names.append(str(name))
        parent = group.make_context(name, list(words), parent=parent, resilient_parsing=asks_for_help)
    return {**parent.params, "command": " ".join(names)}
