"""The AsyncAPI document, checked by AsyncAPI's own parser."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest

from necp_validate.events.asyncapi import asyncapi_document
from necp_validate.events.topics import TOPICS

PARSER = "@asyncapi/parser@3"
CHECK = """
const { Parser } = require('@asyncapi/parser');
const { readFileSync } = require('fs');
new Parser().parse(readFileSync(0, 'utf8')).then((result) => {
  const found = result.diagnostics.map(({ severity, code, message, path }) => ({ severity, code, message, path }));
  console.log(JSON.stringify({ parsed: result.document !== undefined, found }));
});
"""
ERROR, WARNING = 0, 1


@pytest.fixture(scope="module")
def modules(request: pytest.FixtureRequest) -> Path:
    """The folder with the parser: installed once, and kept in pytest's cache."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("needs node and npm on the path")
    folder: Path = request.config.cache.mkdir("asyncapi-parser")  # type: ignore[union-attr]  # the cache is always on
    modules = folder / "node_modules"
    if not modules.exists():
        with tempfile.TemporaryDirectory(dir=folder) as scratch:  # whole or not at all: other workers look for it, too
            command = [npm, "install", "--prefix", scratch, "--ignore-scripts", "--no-audit", "--no-fund", PARSER]
            done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
            if done.returncode != 0:
                pytest.skip(f"needs {PARSER}, which npm could not install: {done.stderr.strip()[-300:]}")
            with contextlib.suppress(OSError):  # another was faster
                Path(scratch, "node_modules").rename(modules)
    return modules


def _diagnose(modules: Path, document: dict[str, Any]) -> dict[str, Any]:
    command = ["node", "--eval", CHECK]
    done = subprocess.run(
        command, cwd=modules.parent, input=json.dumps(document), capture_output=True, text=True, timeout=120, check=True
    )
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def test_every_topic_is_a_channel_with_its_binding() -> None:
    """The document and the topics are one and the same."""
    channels = asyncapi_document()["channels"]
    assert set(channels) == set(TOPICS)
    assert {name: channel["bindings"]["kafka"]["partitions"] for name, channel in channels.items()} == {
        name: spec.partitions for name, spec in TOPICS.items()
    }


@pytest.mark.slow
def test_the_official_parser_finds_no_fault(modules: Path) -> None:
    """Neither errors nor warnings, against AsyncAPI's schema and rules."""
    report = _diagnose(modules, asyncapi_document())
    assert report["parsed"]
    assert [found for found in report["found"] if found["severity"] <= WARNING] == []


@pytest.mark.slow
def test_the_official_parser_would_find_a_fault(modules: Path) -> None:
    """The check above can fail: a channel that is no channel is an error."""
    document = asyncapi_document()
    document["channels"]["game.combat.events"]["bindings"]["kafka"]["partitions"] = "many"
    report = _diagnose(modules, document)
    assert [found for found in report["found"] if found["severity"] == ERROR] != []
