"""What the site shows beside the pages in docs/: commands, scenarios, experiments and pages of the tree's root."""

from __future__ import annotations

import os.path
import posixpath
import re
from collections.abc import Callable
from pathlib import Path

import typer.main
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from typer.cli import get_docs_for_click

from necp_validate.chaos.experiment import all_experiment_names, load_experiment
from necp_validate.cli.app import app
from necp_validate.scenario.files import load_scenario, scenario_names

ROOT = Path(__file__).parents[2]
_LINK = re.compile(r"(?<=\]\()(?!https?:|#|mailto:)([^)#\s]+)(#[^)\s]*)?(?=\))")
_LANGUAGES = {".toml": "toml", ".json": "json", ".yml": "yaml", ".yaml": "yaml", ".py": "python"}

#: Where things of the tree are that are no page of docs/ themselves.
_PAGES = {
    "README.md": "index.md",
    "ARCHITECTURE.md": "architecture.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "scenarios": "reference/scenarios.md",
    "experiments": "reference/experiments.md",
    "experiments/security": "reference/experiments.md",
}


def commands_page() -> str:
    """Every command with its arguments and options, out of the program itself."""
    command = typer.main.get_command(app)
    context = typer.Context(command, info_name="necp-validate")
    text = get_docs_for_click(obj=command, ctx=context, name="necp-validate", title="Commands")
    return str(text).replace("\n# `necp-validate`", "")


def scenarios_page() -> str:
    """Every scenario that comes with the suite, in full."""
    parts = [
        "# Scenarios",
        "What `necp-validate run NAME` takes; `necp-validate scenarios NAME` prints one to copy from.",
    ]
    for name in scenario_names():
        parts += [f"## {name}", f"{load_scenario(name).description}.", _fenced(ROOT / "scenarios" / f"{name}.toml")]
    return "\n\n".join(parts)


def experiments_page() -> str:
    """Every experiment that comes with the suite, in full."""
    lead = "What `necp-validate chaos NAME` takes; `necp-validate experiments NAME` prints one to copy from. "
    parts = ["# Experiments", lead + "Those in `security/` are played by the scenario `security`."]
    for name in all_experiment_names():
        parts += [f"## {name}", f"{load_experiment(name).title}.", _fenced(ROOT / "experiments" / f"{name}.json")]
    return "\n\n".join(parts)


def verdicts_page() -> str:
    """The part of the README that says how verdicts are decided."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.search(r"^## (How verdicts are decided\n.*?)(?=^## |\Z)", text, flags=re.MULTILINE | re.DOTALL)
    if found is None:
        raise LookupError("README.md has no section on how verdicts are decided any more")
    return f"# {found[1]}"


def _fenced(path: Path) -> str:
    language = _LANGUAGES.get(path.suffix, "text")
    return f"```{language}\n{path.read_text(encoding='utf-8').rstrip()}\n```"


def _root_page(name: str) -> Callable[[], str]:
    return lambda: (ROOT / name).read_text(encoding="utf-8")


_MADE: dict[str, tuple[str, Callable[[], str]]] = {
    "reference/commands.md": ("docs/reference/commands.md", commands_page),
    "reference/scenarios.md": ("docs/reference/scenarios.md", scenarios_page),
    "reference/experiments.md": ("docs/reference/experiments.md", experiments_page),
    "explanation/verdicts.md": ("README.md", verdicts_page),
    **{page: (name, _root_page(name)) for name, page in _PAGES.items() if "/" not in page and name != "README.md"},
}
"""Pages that are made: the file of the tree that their links are written for, and what makes them."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made, and the files of the tree that any page links to."""
    texts = {file.src_uri: (f"docs/{file.src_uri}", file.content_string) for file in files.documentation_pages()}
    for uri, (source, make) in _MADE.items():
        texts[uri] = (source, make())
        files.append(File.generated(config, uri, content=texts[uri][1]))
    linked = {_target(source, link[1]) for source, text in texts.values() for link in _LINK.finditer(text)}
    for name in sorted(linked):
        if (ROOT / name).is_file() and not name.startswith("docs/") and name not in _PAGES:
            page = File.generated(config, _shown(name), content=f"# {name}\n\n{_fenced(ROOT / name)}")
            files.append(page)
        elif name == "examples/ci":
            listed = "\n".join(f"- [{one.name}](../../{name}/{one.name})" for one in sorted((ROOT / name).iterdir()))
            files.append(File.generated(config, _shown(name), content=f"# {name}\n\n{listed}"))
    return files


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Turn links into the tree into links within the site."""
    uri = page.file.src_uri
    source = _MADE[uri][0] if uri in _MADE else f"docs/{uri}"
    return _LINK.sub(lambda link: _within_site(uri, _target(source, link[1])) + (link[2] or ""), markdown)


def _target(source: str, link: str) -> str:
    """What of the tree a link in a file of it leads to."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(source), link))


def _within_site(uri: str, target: str) -> str:
    in_docs = target.removeprefix("docs/") if target.startswith("docs/") else None
    page = in_docs or _PAGES.get(target) or _shown(target)
    return os.path.relpath(page, posixpath.dirname(uri) or ".")


def _shown(name: str) -> str:
    """The page that shows a file of the tree."""
    return f"source/{name}.md"
