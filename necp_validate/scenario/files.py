"""Reading scenario files: defaults, overrides, and errors that name the place."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from necp_validate.claims.catalogue import CLAIMS
from necp_validate.claims.limits import LIMITS
from necp_validate.claims.model import UNDER_FAULTS
from necp_validate.core.errors import UsageError
from necp_validate.core.suggestions import did_you_mean
from necp_validate.core.toml_errors import (
    Key,
    Source,
    invalid_choice,
    invalid_value,
    refuse_uncountable,
    syntax_error,
    unknown_key,
)
from necp_validate.scenario.model import (
    DOMAINS,
    Broker,
    Core,
    Gateway,
    Load,
    Phase,
    PhaseKind,
    Players,
    Scenario,
    Table,
    Traffic,
)

DOMAIN_DEFAULTS: Mapping[str, Mapping[str, float]] = {
    "combat": {"rate_eps": 20_000, "run_length": 50, "tick_hz": 20, "cheat_share": 0.01},
    "economy": {"rate_eps": 5_000, "run_length": 50, "tick_hz": 20},
    "social": {"rate_eps": 1_000, "run_length": 20, "tick_hz": 10},
    "system": {"rate_eps": 500, "run_length": 25, "tick_hz": 10},
}


def scenario_folder() -> Path:
    """The folder of the scenarios that come with the suite, in a source tree or an installed wheel."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "scenarios"
    return installed if installed.is_dir() else package.parent / "scenarios"


def scenario_names() -> list[str]:
    """Names of the scenarios that come with the suite, sorted."""
    return sorted(path.stem for path in scenario_folder().glob("*.toml"))


def load_scenario(
    path_or_name: str | Path, *, scale: float = 1.0, overrides: Sequence[str] = (), seed: int | None = None
) -> Scenario:
    """Read a scenario file, apply overrides and scale, and check all of it.

    Args:
        path_or_name: a TOML file, or the name of a scenario that comes with the suite.
        scale: factor for every rate, on top of the file's own.
        overrides: ``key=value`` with a dotted key (``traffic.combat.rate_eps=100``); a phase is addressed by
            its name or its place (``phases.steady.duration_s=30``). The value is read as TOML, else as text.
        seed: replaces the file's seed.

    Raises:
        UsageError: no such file, or an error in it; the message names file, line, key and valid values.
    """
    source = _read(path_or_name)
    try:
        data = tomllib.loads(source.text)
    except ValueError as error:  # of a number with more digits than Python reads, too
        raise syntax_error(source, str(error)) from error
    data.setdefault("name", Path(source.name).stem)
    scenario = _build(data, source)
    for override in overrides:
        scenario = _override(data, override)
    _check_whole(scenario, Source(name="with --set", text="") if overrides else source)
    if seed is not None:
        scenario = msgspec.structs.replace(scenario, seed=seed)
    return scenario.scaled(scale)


def _read(path_or_name: str | Path) -> Source:
    path = Path(path_or_name)
    if path.suffix != ".toml" and path.parent == Path():
        known = scenario_names()
        if str(path) not in known:
            guess = did_you_mean(path, known)
            lead = f'did you mean "{guess}"? ' if guess else ""
            hint = f"{lead}scenarios that come with the suite: {', '.join(known)}; or give a .toml file"
            raise UsageError(f'no scenario is called "{path}"', hint=hint)
        path = scenario_folder() / f"{path}.toml"
    try:
        return Source(name=str(path_or_name) if path == Path(path_or_name) else path.name, text=path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        hint = f"scenarios that come with the suite: {', '.join(scenario_names())}"
        raise UsageError(f"the scenario file {path} cannot be read: {error}", hint=hint) from error


def _build(data: Mapping[str, Any], source: Source) -> Scenario:
    """Check every key, fill in the domains' defaults, convert, apply the file's own scale."""
    _check_keys(data, source)
    traffic = {
        domain: _convert({**DOMAIN_DEFAULTS[domain], **given}, Traffic, ("traffic", domain), source)
        for domain, given in data.get("traffic", {} if data.get("topics") else {name: {} for name in DOMAINS}).items()
    }
    scenario = _convert({"phases": [], **data, "traffic": traffic}, Scenario, (), source)
    return msgspec.structs.replace(scenario, scale=1.0).scaled(scenario.scale)


_TABLES: Mapping[str, type[Table]] = {
    "core": Core,
    "load": Load,
    "broker": Broker,
    "players": Players,
    "gateway": Gateway,
}


def _check_keys(data: Mapping[str, Any], source: Source) -> None:
    _check_table(data, Scenario.__struct_fields__, (), source)
    for name, struct in _TABLES.items():
        _check_table(data.get(name, {}), struct.__struct_fields__, (name,), source)
    _check_thresholds(data.get("thresholds", {}), source)
    _check_table(data.get("traffic", {}), DOMAINS, ("traffic",), source)
    for domain, given in data.get("traffic", {}).items():
        _check_table(given, Traffic.__struct_fields__, ("traffic", domain), source)
    phases = data.get("phases", [])
    if not isinstance(phases, list):
        raise invalid_value(source, ("phases",), "must be an array of tables", "write [[phases]], in double brackets")
    for index, given in enumerate(phases):
        _check_table(given, Phase.__struct_fields__, ("phases", index), source)
    refuse_uncountable(data, source)


def _check_thresholds(given: object, source: Source) -> None:
    for key in given if isinstance(given, Mapping) else ():
        if key in Scenario.__struct_fields__:
            problem = f"{key} is no limit, but a setting of the scenario"
            raise invalid_value(source, ("thresholds", key), problem, "write it above the first table of the file")
    for key, value in _check_table(given, tuple(LIMITS), ("thresholds",), source).items():
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not is_number or not 0 <= value < math.inf:
            limit = LIMITS[key]
            hint = f"{limit.about}{f', in {limit.unit}' if limit.unit else ''}; {limit.claimed():g} is claimed"
            problem = f"must be a finite number from 0 on; it is {value!r}"
            raise invalid_value(source, ("thresholds", key), problem, hint)


def _check_table(given: object, valid: Sequence[str], path: tuple[Key, ...], source: Source) -> Mapping[str, Any]:
    if not isinstance(given, Mapping):
        raise invalid_value(source, path, "must be a table", f"valid keys: {', '.join(valid)}")
    for key in given:
        if key not in valid:
            raise unknown_key(source, (*path, key), valid)
    return given


_CHOICES: Mapping[str, tuple[str, ...]] = {
    "stack": ("auto", "local", "docker", "external"),
    "kind": tuple(PhaseKind),
    "compression": ("none", "lz4", "zstd", "snappy", "gzip"),
    "acks": ("all", "1", "0"),
}
T = TypeVar("T", bound=Table)


def _convert(data: Mapping[str, Any], struct: type[T], prefix: tuple[Key, ...], source: Source) -> T:
    try:
        return msgspec.convert(data, struct)
    except msgspec.ValidationError as error:
        raise _explain(error, source, prefix, data) from error


def _explain(
    error: msgspec.ValidationError, source: Source, prefix: tuple[Key, ...], data: Mapping[str, Any]
) -> UsageError:
    """Turn msgspec's "... - at `$.phases[0].kind`" into a place, a value and what is valid there."""
    problem, _, place = str(error).partition(" - at `$")
    path = tuple(int(index) if index else name for name, index in _STEP.findall(place))
    given: Any = data
    for part in path:
        given = given[part] if isinstance(given, list) or part in given else None
    key = str(path[-1]) if path else ""
    if key in _CHOICES and isinstance(given, str):
        return invalid_choice(source, (*prefix, *path), given, _CHOICES[key])
    suffix = f"; it is {given!r}" if given is not None else ""
    return invalid_value(source, (*prefix, *path), problem[0].lower() + problem[1:] + suffix, _range_hint(key))


_STEP = re.compile(r"([A-Za-z_]\w*)|\[(\d+)\]")


def _range_hint(key: str) -> str | None:
    if key.endswith("_share"):
        return "a share lies between 0 and 1: 0.01 is one in a hundred"
    if key.endswith("_per_s"):
        return "how many times a second"
    if key.endswith("_s"):
        return "a time in seconds"
    return None


def _check_whole(scenario: Scenario, source: Source) -> None:
    if not scenario.phases:
        raise invalid_value(source, ("phases",), "a scenario needs at least one phase", "add a [[phases]] table")
    if (scenario.stack == "external") != (scenario.target is not None):
        problem = "an external target is described by a TOML file, and only an external one"
        hint = 'set stack = "external" and target = "<file>.toml", or neither'
        raise invalid_value(source, ("target",) if scenario.target else ("stack",), problem, hint)
    if scenario.topics:
        _check_topics(scenario, source)
    names = [phase.name for phase in scenario.phases]
    kinds = {str(phase.kind) for phase in scenario.phases}
    for index, phase in enumerate(scenario.phases):
        if phase.name in names[:index]:
            raise invalid_value(source, ("phases", index, "name"), f'two phases are called "{phase.name}"')
        for key in ("players", "hot_share"):
            if getattr(phase, key) is not None and scenario.players is None:
                hint = "add a [players] table with their count"
                raise invalid_value(source, ("phases", index, key), "the scenario has no players", hint)
        if phase.ramp_s > phase.duration_s:
            problem = f"{phase.ramp_s:g} s is longer than the phase itself ({phase.duration_s:g} s)"
            raise invalid_value(source, ("phases", index, "ramp_s"), problem)
    if scenario.highest_eps <= 0:
        raise invalid_value(source, ("traffic",), "every rate is 0: there would be nothing to judge")
    for domain, traffic in scenario.traffic.items():
        if traffic.cheat_share + traffic.poison_share + traffic.fuzz > 1:
            raise invalid_value(source, ("traffic", domain), "cheat_share, poison_share and fuzz together exceed 1")
    if scenario.load.idempotence and scenario.load.acks != "all":
        problem = f'"{scenario.load.acks}" contradicts idempotence'
        raise invalid_value(source, ("load", "acks"), problem, 'set idempotence = false, or acks = "all"')
    if scenario.experiments and sum(phase.kind is PhaseKind.FAULT for phase in scenario.phases) != 1:
        problem = "experiments need exactly one phase of the kind fault: it is repeated for each of them"
        raise invalid_value(source, ("experiments",), problem)
    if scenario.gateway.tick_min_hz > scenario.gateway.tick_max_hz:
        problem = f"{scenario.gateway.tick_min_hz} Hz is more than tick_max_hz ({scenario.gateway.tick_max_hz} Hz)"
        raise invalid_value(source, ("gateway", "tick_min_hz"), problem)
    if scenario.players is not None:
        _check_players(scenario, source)
    for id_ in scenario.judge:
        if id_ not in CLAIMS:
            raise invalid_choice(source, ("judge",), id_, tuple(CLAIMS))
        for one in CLAIMS[id_].conditions:
            if one.phases and UNDER_FAULTS not in one.phases and not kinds & set(one.phases):
                problem = f"{id_} is judged in a {' or '.join(one.phases)} phase, and there is none"
                raise invalid_value(source, ("judge",), problem)


def _check_topics(scenario: Scenario, source: Source) -> None:
    if scenario.stack != "external":
        hint = 'set stack = "external" and target = "<file>.toml"'
        raise invalid_value(source, ("topics",), "topics of your own are those of an external target", hint)
    for key in ("traffic", "players", "security", "monitoring", "judge"):
        if getattr(scenario, key):
            problem = "is about the game's own topics, and this scenario has [topics] of your own"
            raise invalid_value(source, (key,), problem, "claims about your topics go into a claims file")


def _check_players(scenario: Scenario, source: Source) -> None:
    players = scenario.players
    assert players is not None
    most = max(scenario.players_in(phase) for phase in scenario.phases)
    if most == 0:
        raise invalid_value(source, ("players", "count"), "no player is ever online: every phase has players = 0")
    if players.processes > most:
        problem = f"{players.processes} processes for {most} players: some would have nobody"
        raise invalid_value(source, ("players", "processes"), problem)
    if not (players.move_hz or players.hit_per_s or players.trade_per_s or players.chat_per_s):
        raise invalid_value(source, ("players",), "the players do nothing: every rate is 0")


def _override(data: dict[str, Any], override: str) -> Scenario:
    """Write one ``key=value`` into the parsed file and check it."""
    name, equals, text = (part.strip() for part in override.partition("="))
    source = Source(name=f"--set {override}", text="")
    if not equals or not name:
        raise UsageError(
            f'--set "{override}": not of the form key=value', hint="e.g. --set traffic.combat.rate_eps=100"
        )
    table, key = _table_of(data, name.split("."), source)
    table[key] = _value(text)
    try:
        return _build(data, source)
    except UsageError:
        if isinstance(table[key], str):
            raise
        table[key] = text  # acks=1 is a number to TOML and a word to Kafka
        try:
            return _build(data, source)
        except UsageError:
            table[key] = _value(text)
        raise


def _table_of(data: dict[str, Any], parts: list[str], source: Source) -> tuple[dict[str, Any], str]:
    *tables, last = parts
    here: Any = data
    for depth, part in enumerate(tables):
        if isinstance(here, list):
            here = _phase(here, part, source)
        elif isinstance(here, dict):
            here = here.setdefault(part, {})
        else:
            raise invalid_value(source, tables[:depth], "is not a table")
    if not isinstance(here, dict):
        hint = "a phase is addressed as phases.<name>.<key>" if isinstance(here, list) else None
        raise invalid_value(source, tables, "is not a table", hint)
    return here, last


def _phase(phases: list[Any], part: str, source: Source) -> dict[str, Any]:
    for index, phase in enumerate(phases):
        if part in (str(index), phase.get("name")):
            found: dict[str, Any] = phase
            return found
    raise invalid_choice(source, ("phases",), part, [str(phase.get("name")) for phase in phases])


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
