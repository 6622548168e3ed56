"""The plugin: ten lines fuzz a team's own handler; a failure comes with its smallest event; others notice nothing."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

# Each run is a process of its own, as a team's is: what one run has imported or drawn must not decide the next.
pytest_plugins = ["pytester"]

DOCUMENT = Path(__file__).parents[2] / "docs" / "fuzzing.md"
ORDERS = {
    "title": "order",
    "type": "object",
    "properties": {
        "id": {"type": "string", "minLength": 1},
        "quantity": {"type": "integer", "minimum": 1, "maximum": 99},
    },
    "required": ["id", "quantity"],
    "additionalProperties": False,
}
HANDLER = '''
import json

def unique(pairs):
    if len(dict(pairs)) < len(pairs):
        raise ValueError("twice")
    return dict(pairs)

def refuse(text):
    raise ValueError(text)

def handle(key, value):
    """A handler by somebody else; LIMIT is its own idea of the schema's bound."""
    try:
        order = json.loads((value or b"").decode(), object_pairs_hook=unique, parse_constant=refuse)
        fields = order if isinstance(order, dict) else {}
        size, name = fields["quantity"], fields["id"]
        whole = type(size) is int or (type(size) is float and size.is_integer())
        sound = set(fields) == {"id", "quantity"} and isinstance(name, str) and name and whole and 1 <= size <= LIMIT
    except (ValueError, KeyError, RecursionError):
        return "dead-lettered"
    return "processed" if sound and len(value) <= 1_000_000 - len(key or b"") else "dead-lettered"
'''


def _example() -> str:
    (code,) = re.findall(
        r"<!-- .*test_pytest_plugin.py runs this -->\n```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL
    )
    return code


@pytest.fixture
def team(pytester: pytest.Pytester) -> pytest.Pytester:
    """A team's folder with its schema and the example of the documentation as its test."""
    (pytester.path / "orders.json").write_text(json.dumps(ORDERS))
    pytester.makepyfile(test_orders=_example().replace("max_examples=200", "max_examples=60"))
    return pytester


def test_the_documented_example_is_ten_lines() -> None:
    assert len([line for line in _example().splitlines() if line.strip()]) <= 10


def test_a_sound_handler_passes(team: pytest.Pytester) -> None:
    team.makepyfile(orders=HANDLER.replace("LIMIT", "99"))
    team.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)


def test_a_handler_that_forgets_a_bound_fails_with_the_smallest_event(team: pytest.Pytester) -> None:
    """The seeded defect: its bound is one too high. Exactly the event at 100 shows it."""
    team.makepyfile(orders=HANDLER.replace("LIMIT", "100"))
    result = team.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*fuzzed event*", "event     constraint-negated order, *100 is greater than the maximum of 99*"]
    )
    (kept,) = (team.path / ".necp" / "fuzz" / "cases").glob("*.json")
    assert '\\"quantity\\":100' in json.loads(kept.read_text())["text"].replace('"', '\\"')


def test_every_bound_is_tried_whatever_chance_draws(team: pytest.Pytester) -> None:
    """One example is drawn; the defect shows all the same, since bounds are no matter of chance."""
    team.makepyfile(orders=HANDLER.replace("LIMIT", "100"))
    (team.path / "test_orders.py").write_text(_example().replace("max_examples=200", "max_examples=20"))
    for seed in range(3):
        team.runpytest_subprocess("-p", "no:cacheprovider", f"--hypothesis-seed={seed}").assert_outcomes(failed=1)


def test_without_a_target_topics_are_skipped(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_topic(fuzz_topic):\n    fuzz_topic('orders.json')\n")
    pytester.runpytest_subprocess("-p", "no:cacheprovider", "-rs").stdout.fnmatch_lines(["*needs --fuzz-target FILE*"])


def test_a_run_that_does_not_use_it_loads_nothing() -> None:
    heavy = ("hypothesis", "fastavro", "jsonschema", "yaml", "confluent_kafka", "msgspec")
    code = f"import sys, necp_validate.fuzz.pytest_plugin; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
