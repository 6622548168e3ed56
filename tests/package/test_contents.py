"""Wheel and sdist hold all that is needed, and nothing else."""

from __future__ import annotations

import email
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from contents import ROOT, read_sdist, read_wheel, sdist_problems, wheel_problems

from necp_validate import __version__

Files = dict[str, bytes]


def test_the_wheel_holds_the_package_and_its_data_and_nothing_else(wheel: Path) -> None:
    assert wheel_problems(read_wheel(wheel)) == []


def test_the_sdist_holds_what_is_needed_to_build_and_to_read_and_nothing_else(sdist: Path) -> None:
    assert sdist_problems(read_sdist(sdist)) == []


def test_the_metadata_is_that_of_the_package(wheel: Path) -> None:
    files = read_wheel(wheel)
    metadata = email.message_from_bytes(files[f"necp_validate-{__version__}.dist-info/METADATA"])
    assert metadata["Name"] == "necp-validate"
    assert metadata["Version"] == __version__
    assert metadata["License-Expression"] == "Apache-2.0"
    entry = files[f"necp_validate-{__version__}.dist-info/entry_points.txt"].decode()
    assert "necp-validate = necp_validate.cli.app:main" in entry


def without_a_scenario(files: Files) -> str:
    del files["necp_validate/scenarios/smoke.toml"]
    return "missing: necp_validate/scenarios/smoke.toml"


def without_a_template(files: Files) -> str:
    del files["necp_validate/report/templates/report.html.j2"]
    return "missing: necp_validate/report/templates/report.html.j2"


def with_tests(files: Files) -> str:
    files["tests/conftest.py"] = b""
    return "not ours: tests/conftest.py"


def with_a_key(files: Files) -> str:
    files["necp_validate/stack/ca.pem"] = b"-----BEGIN PRIVATE KEY-----\n" + b"A" * 64
    return "a secret: necp_validate/stack/ca.pem"


def with_a_key_in_code(files: Files) -> str:
    files["necp_validate/cli/app.py"] += b'KEY = """-----BEGIN EC PRIVATE KEY-----\n' + b"A" * 64
    return "a secret: necp_validate/cli/app.py"


def with_an_old_file(files: Files) -> str:
    files["necp_validate/cli/app.py"] += b"\n"
    return "differs from the tree: necp_validate/cli/app.py"


@pytest.mark.parametrize(
    "spoil", [without_a_scenario, without_a_template, with_tests, with_a_key, with_a_key_in_code, with_an_old_file]
)
def test_a_spoilt_wheel_is_found_out(wheel: Path, spoil: Callable[[Files], str]) -> None:
    """Seeded defects."""
    files = read_wheel(wheel)
    assert spoil(files) in wheel_problems(files)


def test_an_sdist_with_the_environment_of_who_built_it_is_found_out(sdist: Path) -> None:
    files = read_sdist(sdist)
    files[".env"] = b"TOKEN=1"
    assert {"not ours: .env", "a secret: .env"} <= set(sdist_problems(files))


def test_the_image_is_built_from_all_that_a_wheel_needs() -> None:
    """What the Dockerfile copies is there, is let through, and is everything that ``pip install .`` reads."""
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    copied = {
        word for line in lines if line.startswith("COPY ") and "--from" not in line for word in line.split()[1:-1]
    }
    let_through = {
        line[1:] for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line.startswith("!")
    }
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {"pyproject.toml", project["project"]["readme"], *project["project"]["license-files"]}
    needed |= {*wheel["packages"], *wheel["force-include"]}
    assert copied == let_through == needed
    assert all((ROOT / name).exists() for name in needed)
