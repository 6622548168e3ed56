"""Sessions: ``nox -s load`` runs the suite, ``nox -s tests`` tests it. Each makes its own environment."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import nox
from nox.command import CommandFailed

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.sessions = ["lint", "tests"]
nox.options.reuse_existing_virtualenvs = True

PROJECT = nox.project.load_toml("pyproject.toml")


@nox.session
def load(session: nox.Session) -> None:
    """Bring up Kafka and the event core, drive 100% and 200% of peak, judge. Arguments go to `necp-validate run`."""
    session.install("-e", ".")
    arguments = session.posargs or ["peak-200"]
    if arguments[0].startswith("-"):
        arguments = ["peak-200", *arguments]
    suite(session, "run", *arguments)


@nox.session
def chaos(session: nox.Session) -> None:
    """Break the stack in every way it can be broken, under load, and judge. Arguments go to `necp-validate chaos`."""
    session.install("-e", ".")
    suite(session, "chaos", *session.posargs)


@nox.session
def players(session: nox.Session) -> None:
    """2,000 players at the real-time gateway. Arguments go to `necp-validate run players`."""
    session.install("-e", ".")
    suite(session, "run", "players", *session.posargs)


@nox.session
def security(session: nox.Session) -> None:
    """Try whatever must be refused at every listener and by every principal. Arguments go to `necp-validate run`."""
    session.install("-e", ".")
    suite(session, "run", "security", *session.posargs)


@nox.session
def fuzz(session: nox.Session) -> None:
    """Send 200,000 fuzzed events through real Kafka and judge each. Arguments go to `necp-validate fuzz`."""
    session.install("-e", ".")
    suite(session, "fuzz", *session.posargs)


@nox.session
def k8s(session: nox.Session) -> None:
    """Build a real Kubernetes, prove experiments and manifests on it. Arguments: which tiers (`api`, `kubelet`)."""
    session.install("-e", ".[k8s]")
    to_its_end(session, "python", "-m", "necp_validate.kubernetes", *session.posargs)


def suite(session: nox.Session, *arguments: str) -> None:
    to_its_end(session, "necp-validate", *arguments)


def to_its_end(session: nox.Session, program: str, *arguments: str) -> None:
    # Not session.run: nox would turn every exit code into 1, and kill the run half a second after Ctrl-C,
    # before it has taken down what it started.
    process = subprocess.Popen([f"{session.bin}/{program}", *arguments])
    while True:
        try:
            code = process.wait()
            break
        except KeyboardInterrupt:
            session.warn("interrupted: waiting until everything is stopped")
    if code:
        sys.exit(code)


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests: first those without brokers; those marked `docker` need an engine, and say so without."""
    session.install("-e", ".[k8s]", *nox.project.dependency_groups(PROJECT, "tests"))
    if session.posargs:
        session.run("pytest", *session.posargs)
        return
    halves = {
        "without brokers": ["-n", "auto", "-m", "not kafka and not docker"],
        "on brokers": ["-n", "2", "-m", "kafka or docker"],  # they wait more than they work
    }
    failed = []
    for half, arguments in halves.items():
        try:
            session.run("pytest", *arguments)
        except CommandFailed:  # the other half is run all the same
            failed.append(half)
    if failed:
        session.error(f"tests failed: {' and '.join(failed)}; see the summary above, of each half its own")
    session.log(f"tests passed: {' and '.join(halves)}")


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, types and the layers."""
    groups = nox.project.dependency_groups(PROJECT, "lint", "tests")
    session.install("-e", ".[k8s]", *groups)
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy")
    session.run("lint-imports")


@nox.session
def package(session: nox.Session) -> None:
    """Build wheel and sdist into dist/, check them, and try the wheel as `pipx run` has it. Arguments go to pytest."""
    session.install("-e", ".", "pipx>=1.7", *nox.project.dependency_groups(PROJECT, "package"))
    dist = Path("dist").resolve()
    shutil.rmtree(dist, ignore_errors=True)
    session.run("python", "-m", "build", "--outdir", str(dist))
    built = sorted(map(str, dist.iterdir()))
    (wheel,) = map(str, dist.glob("*.whl"))
    session.run("twine", "check", "--strict", *built)
    with tempfile.TemporaryDirectory(prefix="necp-package-") as elsewhere:
        home = {"PIPX_HOME": f"{elsewhere}/pipx", "PIPX_BIN_DIR": f"{elsewhere}/bin"}
        with session.chdir(elsewhere):
            session.run("pipx", "run", "--spec", wheel, "necp-validate", "--version", env=home)
        (program,) = Path(elsewhere).glob("pipx/**/bin/necp-validate")
        tried = {"NECP_DIST": str(dist), "NECP_INSTALLED": str(program)}
        session.run("pytest", "tests/package", *session.posargs, env=tried)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation's site into site/, strictly. `-- serve` serves it, and builds it anew as files change."""
    session.install("-e", ".", *nox.project.dependency_groups(PROJECT, "docs"))
    arguments = session.posargs or ["build", "--strict"]
    session.run("mkdocs", *arguments, env={"NO_MKDOCS_2_WARNING": "1"})


@nox.session
def audit(session: nox.Session) -> None:
    """Look the dependencies up among known vulnerabilities: 1 if one has any, 3 if none could be looked up."""
    session.install("-e", ".[k8s]", *nox.project.dependency_groups(PROJECT, "audit"))
    out = Path(session.create_tmp()) / "audit.json"
    out.unlink(missing_ok=True)
    # 1: there are vulnerabilities, or there was no answer at all; what was written tells the two apart.
    arguments = ("--skip-editable", "--progress-spinner", "off", "--format", "json", "--output", str(out))
    session.run("pip-audit", *arguments, success_codes=[0, 1], silent=True)
    if not out.exists():
        session.warn("not audited: the database of vulnerabilities does not answer")
        sys.exit(3)
    found = json.loads(out.read_text(encoding="utf-8"))["dependencies"]
    skipped = [one for one in found if "skip_reason" in one and one["name"] != PROJECT["project"]["name"]]
    audited = [one for one in found if "vulns" in one]
    for one in audited:
        for flaw in one["vulns"]:
            session.warn(f"{one['name']} {one['version']}: {flaw['id']}, fixed in {flaw['fix_versions'] or 'none yet'}")
    if any(one["vulns"] for one in audited):
        session.error("dependencies with known vulnerabilities")
    if skipped:
        session.warn(f"not audited: {len(skipped)} of {len(skipped) + len(audited)}, e.g. {skipped[0]['skip_reason']}")
        sys.exit(3)
    session.log(f"{len(audited)} dependencies, no known vulnerability")


@nox.session
def bench(session: nox.Session) -> None:
    """Measure the generator, the reader and the stack side by side with Kafka's own tools, as ratios."""
    session.install("-e", ".")
    session.run("python", "-m", "benchmarks", *session.posargs)


@nox.session
def foreign(session: nox.Session) -> None:
    """Try targets of others: Kafka of the previous major version, and what NECP_FOREIGN_* name (docs/external.md)."""
    session.install("-e", ".", *nox.project.dependency_groups(PROJECT, "tests"))
    session.run("pytest", "tests/external/test_foreign.py", *session.posargs, env={"NECP_FOREIGN": "1"})
