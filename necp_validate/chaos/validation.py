"""Mistakes in an experiment file, found before anything is broken: each names file and place (a JSON pointer)."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any, NoReturn, get_type_hints

import msgspec

from necp_validate.chaos import actions, probes, tolerances
from necp_validate.chaos.experiment import EXTENSION, PhasePlan, Settings
from necp_validate.chaos.registry import FAULTS
from necp_validate.chaos.roles import parse_role
from necp_validate.claims.catalogue import CLAIMS
from necp_validate.core import UsageError
from necp_validate.core.suggestions import did_you_mean
from necp_validate.events.topics import PRINCIPALS, TOPICS, Domain

CONTROLS = "necp_validate.chaos.controls"
_OURS: Mapping[str, ModuleType] = {module.__name__: module for module in (actions, probes, tolerances)}
_KIND = {actions.__name__: "action", probes.__name__: "probe", tolerances.__name__: "probe"}
_PARTS = (
    "title", "description", "method", "steady-state-hypothesis", "rollbacks", "extensions", "controls", "tags",
    "configuration", "secrets", "runtime", "contributions", "version",
)  # fmt: skip
_ACTIVITY = (
    "type", "name", "provider", "tolerance", "pauses", "background", "controls", "configuration", "secrets", "ref",
)  # fmt: skip
_CHOICES = {"domain": tuple(Domain), "principal": PRINCIPALS, "topic": tuple(TOPICS), "peers": ("brokers", "clients"),
            "direction": ("both", "in", "out")}  # fmt: skip
_VARIABLE = re.compile(r"\$\{([^}]+)\}")
_LISTED_AT_MOST = 24

Pointer = tuple[str | int, ...]


class _Checker:
    """Checks one document.

    Args:
        document: as read.
        source: what errors call it.
    """

    def __init__(self, document: Any, source: str) -> None:
        self._document = document
        self._source = source
        self._needs: list[str] = []
        self._players = False
        self._faults: dict[str, Pointer] = {}
        self._rollbacks: set[str] = set()

    def wrong(self, at: Pointer, problem: str, hint: str | None = None) -> NoReturn:
        """Raise the error for a mistake at a place."""
        pointer = "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in at)
        raise UsageError(f"{self._source}#{pointer}: {problem}", hint=hint)

    def unknown(self, at: Pointer, given: object, valid: Sequence[str], what: str) -> NoReturn:
        """Raise the error for a name that is not valid."""
        guess = did_you_mean(given, valid)
        listed = f"{what}: {', '.join(valid)}" if len(valid) <= _LISTED_AT_MOST else ""
        hint = " ".join(part for part in (f'did you mean "{guess}"?' if guess else "", listed) if part)
        self.wrong(at, f'"{given}" is not known', hint or None)

    def check(self) -> tuple[Settings, tuple[str, ...], bool]:
        """Check everything."""
        document = self.table(self._document, (), _PARTS)
        for part in ("title", "description"):
            if not isinstance(document.get(part), str) or not document[part]:
                self.wrong((part,), "an experiment needs one, as text")
        settings = self.settings(document)
        self.hypothesis(document)
        if not self.activities(document, "method"):
            self.wrong(("method",), "an experiment needs a method with at least one activity")
        self.activities(document, "rollbacks")
        self.controls(document)
        for action, at in self._faults.items():
            rollback = FAULTS[action].rollback
            if rollback is not None and rollback not in self._rollbacks:
                self.wrong(at, f"{action} is not undone", f'add "{rollback}" to the rollbacks')
        return settings, tuple(dict.fromkeys(self._needs)), self._players

    def table(self, given: Any, at: Pointer, valid: Sequence[str] | None = None) -> Mapping[str, Any]:
        """A JSON object with no unknown keys."""
        if not isinstance(given, Mapping):
            self.wrong(at, f"must be an object, is {_kind(given)}")
        for key in given:
            if valid is not None and key not in valid and not key.startswith("x-"):
                self.unknown((*at, key), key, valid, "valid keys")
        return given

    def rows(self, given: Any, at: Pointer) -> Iterator[tuple[Pointer, Any]]:
        """The entries of a JSON array, each with its place."""
        if not isinstance(given, list):
            self.wrong(at, f"must be an array, is {_kind(given)}")
        return (((*at, number), entry) for number, entry in enumerate(given))

    def settings(self, document: Mapping[str, Any]) -> Settings:
        """The suite's block among the extensions."""
        blocks = [
            (at, entry)
            for at, entry in self.rows(document.get("extensions", []), ("extensions",))
            if self.table(entry, at).get("name") == EXTENSION
        ]
        if not blocks:
            example = '{"name": "necp-validate", "claims": ["DUR-ACKED"]}'
            self.wrong(("extensions",), "the suite's block is missing", f"add {example}")
        at, entry = blocks[0]
        self.table(entry, at, Settings.__struct_fields__)
        for phase in ("before", "fault", "recovery"):
            self.table(entry.get(phase, {}), (*at, phase), PhasePlan.__struct_fields__)
        try:
            found = msgspec.convert(entry, Settings)
        except msgspec.ValidationError as error:
            problem, _, place = str(error).partition(" - at `$")
            inside = tuple(int(i) if i else name for name, i in re.findall(r"([A-Za-z_]\w*)|\[(\d+)\]", place))
            self.wrong((*at, *inside), problem[0].lower() + problem[1:])
        for number, claim in enumerate(found.claims):
            if claim not in CLAIMS:
                self.unknown((*at, "claims", number), claim, tuple(CLAIMS), "claims")
        return found

    def hypothesis(self, document: Mapping[str, Any]) -> None:
        """The steady state: probes, each with a tolerance that Chaos Toolkit can apply."""
        at: Pointer = ("steady-state-hypothesis",)
        hypothesis = self.table(document.get("steady-state-hypothesis", {}), at, ("title", "probes", "controls"))
        if not hypothesis.get("title") or not hypothesis.get("probes"):
            self.wrong(at, "an experiment needs a steady state: a title and at least one probe")
        for place, probe in self.rows(hypothesis["probes"], (*at, "probes")):
            if "tolerance" not in self.activity(probe, place):
                self.wrong(place, "a probe of the steady state needs a tolerance")
            self.tolerance(probe["tolerance"], (*place, "tolerance"))

    def tolerance(self, given: Any, at: Pointer) -> None:
        """A tolerance that Chaos Toolkit can apply."""
        if isinstance(given, float):
            self.wrong(at, "a fraction is no tolerance", f'write {{"type": "range", "range": [{given}, {given}]}}')
        if isinstance(given, (bool, int, str, list)):
            return
        kind = self.table(given, at).get("type")
        if kind == "probe":
            self.activity(given, at, given_by_toolkit=("value",))
        elif kind == "range":
            limits = given.get("range")
            if not isinstance(limits, list) or [isinstance(x, (int, float)) for x in limits] != [True, True]:
                self.wrong((*at, "range"), "must be two numbers")
        elif kind not in ("regex", "jsonpath"):
            self.unknown((*at, "type"), kind, ("probe", "range", "regex", "jsonpath"), "kinds of tolerance")

    def activities(self, document: Mapping[str, Any], part: str) -> int:
        """The activities of the method or of the rollbacks; returns how many."""
        count = 0
        for at, activity in self.rows(document.get(part, []), (part,)):
            self.activity(activity, at)
            count += 1
            function = activity.get("provider", {}).get("func")
            if part == "rollbacks":
                self._rollbacks.add(function)
            elif function in FAULTS and activity["provider"].get("module") == actions.__name__:
                self._faults.setdefault(function, at)
                self._needs += FAULTS[function].needs
                self._players |= FAULTS[function].players
        return count

    def activity(self, given: Any, at: Pointer, given_by_toolkit: Sequence[str] = ()) -> Mapping[str, Any]:
        """An action or a probe, down to the types of its arguments."""
        activity = self.table(given, at, _ACTIVITY)
        if "ref" in activity:
            return activity
        if activity.get("type") not in ("action", "probe"):
            self.unknown((*at, "type"), activity.get("type"), ("action", "probe"), "kinds of activity")
        if not isinstance(activity.get("name"), str):
            self.wrong((*at, "name"), "an activity needs a name")
        provider = self.table(activity.get("provider", {}), (*at, "provider"))
        if provider.get("type") not in ("python", "process", "http"):
            kinds = ("python", "process", "http")
            self.unknown((*at, "provider", "type"), provider.get("type"), kinds, "kinds of provider")
        if provider["type"] == "python":
            self.function(activity, (*at, "provider"), given_by_toolkit)
        return activity

    def function(self, activity: Mapping[str, Any], at: Pointer, given_by_toolkit: Sequence[str]) -> None:
        """The function that a Python provider names, and its arguments."""
        provider = activity["provider"]
        name, wanted = str(provider.get("module")), provider.get("func")
        module = _OURS.get(name)
        if module is None and name.startswith("necp_validate"):
            self.unknown((*at, "module"), name, tuple(_OURS), "modules of the suite")
        try:
            module = module or importlib.import_module(name)
        except ImportError as error:
            self.wrong((*at, "module"), f'the module "{name}" cannot be imported: {error}')
        valid = tuple(getattr(module, "__all__", dir(module)))
        if wanted not in valid:
            known = {function: owner for owner in _OURS for function in _OURS[owner].__all__}
            if wanted in known:
                self.wrong((*at, "module"), f'"{wanted}" is in {known[wanted]}, not in {name}')
            self.unknown((*at, "func"), wanted, valid, f"{_KIND.get(name, 'function')}s")
        if name in _KIND and activity["type"] != _KIND[name]:
            self.wrong((*at[:-1], "type"), f'"{wanted}" is a {_KIND[name]}, not a {activity["type"]}')
        self.arguments(getattr(module, wanted), provider, at, given_by_toolkit)

    def arguments(
        self, function: Any, provider: Mapping[str, Any], at: Pointer, given_by_toolkit: Sequence[str]
    ) -> None:
        """Names and types of a function's arguments."""
        at = (*at, "arguments")
        given = self.table(provider.get("arguments", {}), at)
        signature = inspect.signature(function).parameters
        hints = get_type_hints(inspect.unwrap(function))
        for name, value in given.items():
            if name not in signature:
                self.unknown((*at, name), name, tuple(signature) or ("(none)",), "arguments")
            self.argument(name, value, hints.get(name), (*at, name))
        for name, parameter in signature.items():
            toolkit = name in ("configuration", "secrets", *given_by_toolkit)
            if parameter.default is parameter.empty and name not in given and not toolkit:
                self.wrong(at, f'the argument "{name}" is missing')

    def argument(self, name: str, value: Any, hint: Any, at: Pointer) -> None:
        """One argument: its type, and its value where there is a closed list."""
        if isinstance(value, str) and (variables := _VARIABLE.findall(value)):
            configured = self.table(self._document.get("configuration", {}), ("configuration",))
            for variable in variables:
                if variable not in configured:
                    self.unknown(at, variable, tuple(configured), "configuration")
            return
        if hint is not None:
            try:
                msgspec.convert(value, hint)
            except msgspec.ValidationError as error:
                problem = str(error).replace("`", "")
                self.wrong(at, f"{problem[0].lower()}{problem[1:]}; it is {value!r}")
        if name == "role":
            try:
                parse_role(value)
            except UsageError as error:
                self.wrong(at, error.message, error.hint)
        elif name in _CHOICES and value not in _CHOICES[name]:
            self.unknown(at, value, _CHOICES[name], f"valid for {name}")

    def controls(self, document: Mapping[str, Any]) -> None:
        """Without the suite's control there would be nothing to break."""
        modules = []
        for at, control in self.rows(document.get("controls", []), ("controls",)):
            provider = self.table(self.table(control, at).get("provider", {}), (*at, "provider"))
            module = str(provider.get("module"))
            if module.startswith("necp_validate") and module != CONTROLS:
                self.unknown((*at, "provider", "module"), module, (CONTROLS,), "controls of the suite")
            modules.append(module)
        if CONTROLS not in modules:
            example = f'{{"name": "necp-validate", "provider": {{"type": "python", "module": "{CONTROLS}"}}}}'
            self.wrong(("controls",), "the suite's control is missing", f"add {example}")


def _kind(value: Any) -> str:
    return {dict: "an object", list: "an array", str: "a text", bool: "a truth value", type(None): "nothing"}.get(
        type(value), "a number"
    )


def check_document(document: Any, source: str) -> tuple[Settings, tuple[str, ...], bool]:
    """Check an experiment.

    Args:
        document: the JSON document.
        source: what errors call it.

    Returns:
        The suite's block in it, the kinds of fault that a stack must be able to do, and whether the gateway is broken.

    Raises:
        UsageError: the first mistake; the message names the place.
    """
    return _Checker(document, source).check()
