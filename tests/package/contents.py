"""What may be in a wheel or an sdist of the suite, and what must be."""

from __future__ import annotations

import re
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]

#: Folders of the tree, and where the wheel has them.
WHEEL_FOLDERS = {
    "necp_validate": "necp_validate",
    "scenarios": "necp_validate/scenarios",
    "experiments": "necp_validate/experiments",
}
SDIST_FOLDERS = {name: name for name in ("necp_validate", "scenarios", "experiments", "examples", "docs")}
SDIST_FILES = {
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "README.md",
    "pyproject.toml",
    "PKG-INFO",
    ".gitignore",  # hatchling's own doing
}
_METADATA = re.compile(r"necp_validate-[^/]+\.dist-info/(METADATA|WHEEL|RECORD|entry_points\.txt|licenses/LICENSE)")
_SECRET_NAME = re.compile(r"\.(pem|key|p12|jks|env|sqlite)$|(^|/)(id_rsa|password|\.netrc|\.pypirc)$")
_SECRET_TEXT = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----\s+[A-Za-z0-9+/=]{40}")


def read_wheel(path: Path) -> dict[str, bytes]:
    """The files of a wheel by name."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def read_sdist(path: Path) -> dict[str, bytes]:
    """The files of an sdist by name, without its own top folder."""
    with tarfile.open(path) as archive:
        members = {member.name: archive.extractfile(member) for member in archive.getmembers() if member.isfile()}
        return {name.partition("/")[2]: file.read() for name, file in members.items() if file}


def wheel_problems(files: Mapping[str, bytes]) -> list[str]:
    """What is wrong with the contents of a wheel; nothing if it is sound."""
    return _problems(files, WHEEL_FOLDERS, lambda name: bool(_METADATA.fullmatch(name)))


def sdist_problems(files: Mapping[str, bytes]) -> list[str]:
    """What is wrong with the contents of an sdist; nothing if it is sound."""
    return _problems(files, SDIST_FOLDERS, lambda name: name in SDIST_FILES)


def _problems(files: Mapping[str, bytes], folders: Mapping[str, str], may_be_besides) -> list[str]:
    wanted = {
        f"{inside}/{path.relative_to(ROOT / folder).as_posix()}": path
        for folder, inside in folders.items()
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    found = [f"missing: {name}" for name in sorted(wanted.keys() - files.keys())]
    found += [f"not ours: {name}" for name in sorted(files.keys() - wanted.keys()) if not may_be_besides(name)]
    for name, content in sorted(files.items()):
        if name in wanted and content != wanted[name].read_bytes():
            found.append(f"differs from the tree: {name}")
        if _SECRET_NAME.search(name) or _SECRET_TEXT.search(content):
            found.append(f"a secret: {name}")
        if str(ROOT).encode() in content:
            found.append(f"names a path of the machine that built it: {name}")
    return found
