"""Experiment files: where they are, how they are read, and what the suite's own block in them says.

An experiment is Chaos Toolkit's JSON. Its ``extensions`` hold one block of the suite:
``{"name": "necp-validate", "claims": [...], "cores": 2, "fault": {"duration_s": 20}, ...}``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from necp_validate.core import UsageError
from necp_validate.core.suggestions import did_you_mean

EXTENSION = "necp-validate"

Seconds = Annotated[float, Meta(gt=0)]


class PhasePlan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an experiment changes of a phase of the scenario.

    Args:
        duration_s: its length.
        load: multiplier of every rate in it.
        poison_share: share of invalid events in it, all domains.
        players: how many players are online in it.
        hot_share: share of them that gather in one place.
    """

    duration_s: Seconds | None = None
    load: Annotated[float, Meta(ge=0)] | None = None
    poison_share: Annotated[float, Meta(ge=0, le=1)] | None = None
    players: Annotated[int, Meta(ge=0)] | None = None
    hot_share: Annotated[float, Meta(ge=0, le=1)] | None = None

    @property
    def changes_load(self) -> bool:
        """Whether the load is another one in it."""
        return any(one is not None for one in (self.load, self.poison_share, self.players, self.hot_share))


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The suite's block in an experiment.

    Args:
        name: ``necp-validate``.
        claims: ids of the claims that the experiment is evidence for.
        cores: instances of the event core; the scenario's own number if not given.
        scenario: the background that it is played under, by name; the usual one if not given.
        fault: what the phase is like in which the method runs.
        recovery: likewise for the phase after it.
        before: likewise for the phase before it.
    """

    name: str
    claims: tuple[str, ...] = ()
    cores: Annotated[int, Meta(ge=1)] | None = None
    scenario: Annotated[str, Meta(min_length=1)] | None = None
    before: PhasePlan = PhasePlan()
    fault: PhasePlan = PhasePlan()
    recovery: PhasePlan = PhasePlan()


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """An experiment as read and checked.

    Args:
        name: file name without ending, with its folder where it is in one: ``security/rotate-password``.
        document: the JSON document.
        settings: the suite's block.
        needs: kinds of fault that a stack must be able to do.
        players: whether it breaks what only players use, the gateway.
    """

    name: str
    document: Mapping[str, Any]
    settings: Settings
    needs: tuple[str, ...]
    players: bool = False

    @property
    def slug(self) -> str:
        """Its name as a part of other names: of phases, of files."""
        return slug_of(self.name)

    @property
    def title(self) -> str:
        """What it is about, in one line."""
        return str(self.document["title"])


def slug_of(name: str) -> str:
    """An experiment's name as a part of other names."""
    return name.replace("/", "-")


def experiments_folder() -> Path:
    """The folder of the experiments that come with the suite, in a source tree or an installed wheel."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "experiments"
    return installed if installed.is_dir() else package.parent / "experiments"


def experiment_names() -> list[str]:
    """Names of the experiments of a campaign: those that leave the stack as it was first."""
    names = sorted(path.stem for path in experiments_folder().glob("*.json"))
    return sorted(names, key=lambda name: name in _LEAVE_A_TRACE)


def all_experiment_names() -> list[str]:
    """Names of all experiments that come with the suite: a campaign's, then those in folders, for scenarios."""
    in_folders = [path for path in experiments_folder().glob("*/*.json") if path.parent.name != _KUBERNETES]
    return [*experiment_names(), *sorted(map(_name_at, in_folders))]


def _name_at(path: Path) -> str:
    """What the experiment in a file is called."""
    path, folder = path.resolve(), experiments_folder().resolve()
    name = path.relative_to(folder) if path.is_relative_to(folder) else Path(path.name)
    return name.with_suffix("").as_posix()


# For brokers in pods, which the suite's stacks have none of: Chaos Toolkit plays them, see docs/kubernetes.md.
_KUBERNETES = "k8s"
# Kafka cannot take partitions away again: what runs after this runs on a stack with more of them.
_LEAVE_A_TRACE = ("scale-partitions",)


def load_experiment(path_or_name: str | Path) -> Experiment:
    """Read and check an experiment.

    Args:
        path_or_name: a JSON file, or the name of an experiment that comes with the suite.

    Raises:
        UsageError: no such file, or a mistake in it; the message names file and place (a JSON pointer).
    """
    path = Path(path_or_name)
    if path.suffix != ".json" and not path.is_absolute():
        known = all_experiment_names()
        if str(path) not in known:
            guess = did_you_mean(path, known)
            lead = f'did you mean "{guess}"? ' if guess else ""
            hint = f"{lead}experiments that come with the suite: {', '.join(known)}; or give a .json file"
            raise UsageError(f'no experiment is called "{path}"', hint=hint)
        path = experiments_folder() / f"{path}.json"
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"the experiment {path} cannot be read: {error}",
            hint=f"experiments that come with the suite: {', '.join(all_experiment_names())}",
        ) from error
    except json.JSONDecodeError as error:
        raise UsageError(f"{path}:{error.lineno}:{error.colno}: not valid JSON: {error.msg}") from error
    return checked(document, name=_name_at(path), source=str(path_or_name))


def checked(document: Any, *, name: str, source: str) -> Experiment:
    """Check a document that has been read already.

    Args:
        document: the JSON document.
        name: what the experiment is called.
        source: what errors call it.

    Raises:
        UsageError: a mistake in it; the message names the place.
    """
    from necp_validate.chaos.validation import check_document

    settings, needs, players = check_document(document, source)
    return Experiment(name=name, document=document, settings=settings, needs=needs, players=players)


def name_of(document: Mapping[str, Any]) -> str:
    """What a document without a file is called: the file of the suite with the same title, else its title."""
    title = str(document.get("title", "experiment"))
    for name in all_experiment_names():
        text = (experiments_folder() / f"{name}.json").read_text(encoding="utf-8")
        if json.loads(text).get("title") == title:
            return name
    return "-".join("".join(c if c.isalnum() else " " for c in title.lower()).split())[:40] or "experiment"
