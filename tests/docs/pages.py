"""The examples in the pages: every code block, the commands in it, and what else can be read by a program."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "ARCHITECTURE.md")),
    *sorted(path for path in (ROOT / "docs").rglob("*.md")),
]
_PROGRAMS = r"(?:necp-validate|nox -s|chaos run|python -m necp_validate[.\w]*)"
_COMMAND = re.compile(rf"(?:^|&& |\$ |run: |; do |^\w+=\S+ )(?:\$ )?({_PROGRAMS}(?= |$)[^|;&<>#\n]*)", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A code block.

    Args:
        page: its page, from the root of the tree.
        line: its first line.
        language: as the page says; empty if it says none.
        text: what is in it.
    """

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def commands(self) -> list[str]:
        """The command lines of programs of ours in it, without what comes before and after."""
        return [found.strip() for found in _COMMAND.findall(self.text)]

    @property
    def toml(self) -> bool:
        """Whether it is a TOML document with a table."""
        if self.language:
            return self.language == "toml"
        try:
            return any(isinstance(value, dict | list) for value in tomllib.loads(self.text).values())
        except tomllib.TOMLDecodeError:
            return False


def blocks(page: str, text: str) -> Iterator[Block]:
    """The code blocks of a page, fenced or indented, also those in lists."""
    for token in MarkdownIt("commonmark").parse(text):
        if token.type in ("fence", "code_block"):
            line = (token.map or [0])[0] + 1
            yield Block(page=page, line=line, language=token.info.strip(), text=token.content)


def all_blocks() -> list[Block]:
    """The code blocks of all pages."""
    return [
        block for path in PAGES for block in blocks(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8"))
    ]


def nox_sessions() -> set[str]:
    """The sessions of the noxfile, read from its text."""
    tree = ast.parse((ROOT / "noxfile.py").read_text(encoding="utf-8"))
    return {
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and any("nox.session" in ast.unparse(one) for one in node.decorator_list)
    }
