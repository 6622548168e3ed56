"""The claims file: what it says, and one clear error for each thing that can be wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from necp_validate.claims.files import Places, load_claims, parse_claims, store_claims, stored_claims
from necp_validate.claims.judge import threshold_of
from necp_validate.claims.metrics.measures import MEASURES, Measure, Scope
from necp_validate.claims.model import COMPARISONS, Repeats
from necp_validate.core import UsageError
from necp_validate.core.toml_errors import Source

ROOT = Path(__file__).parents[2]
PLACES = Places(phases=("warmup", "steady", "surge"), domains=("combat", "economy"))
SOUND = """
[[claims]]
id = "quick"
description = "Hits are quick"
metric = "e2e_p99"
phase = "steady"
domain = "combat"
comparison = "<"
threshold = "40 ms"
min_samples = 10_000
window_s = 10
repeats = "2 of 3"
"""


def changed(old: str, new: str) -> Source:
    assert old in SOUND
    return Source(name="claims.toml", text=SOUND.replace(old, new))


def test_everything_that_is_written_is_read() -> None:
    (claim,) = parse_claims(Source(name="claims.toml", text=SOUND))
    (one,) = claim.conditions
    assert (claim.id, one.metric, one.phases, one.domain) == ("quick", "e2e_p99", ("steady",), "combat")
    assert (one.comparison, one.threshold, one.shown) == ("<", 40.0, "40 ms")
    assert (one.min_samples, one.window_s, claim.repeats) == (10_000, 10.0, Repeats(hold=2, of=3))
    assert threshold_of(claim) == "e2e_p99 < 40 ms, combat, in steady, in every 10 s, in 2 of 3 repeats"


@pytest.mark.parametrize(
    ("metric", "threshold", "base"),
    [
        ("e2e_p99", '"0.04 s"', 40.0),
        ("e2e_p99", '"500 us"', 0.5),
        ("throughput", '"20,000 events/s"', 20_000.0),
        ("failed_share", '"0.1%"', 0.001),
        ("failed_share", "0.001", 0.001),
        ("lost", "0", 0.0),
        ("lag_max", '"1_000 events"', 1_000.0),
        ("broker_memory_max", '"2 GiB"', 2.0**31),
        ("broker_memory_max", '"4 GB"', 4e9),
        ("broker_cpu_mean", '"1.5 cores"', 150.0),
    ],
)
def test_units_are_understood(metric: str, threshold: str, base: float) -> None:
    text = f'[[claims]]\nid = "a"\nmetric = "{metric}"\ncomparison = "<"\nthreshold = {threshold}\n'
    (claim,) = parse_claims(Source(name="c", text=text))
    assert claim.conditions[0].threshold == pytest.approx(base)


@pytest.mark.parametrize(
    ("old", "new", "line", "says", "hint"),
    [
        ('metric = "e2e_p99"', 'metric = "e2e_p90"', 5, 'claims[0].metric has "e2e_p90"', 'did you mean "e2e_p9'),
        ("metric =", "metrik =", 5, 'unknown key "metrik" in [claims[0]]', 'did you mean "metric"'),
        ('"combat"', '"combta"', 7, 'claims[0].domain has "combta"', 'did you mean "combat"'),
        ('comparison = "<"', 'comparison = "=<"', 8, 'claims[0].comparison has "=<"', "valid values: <, <=, >, >=, =="),
        ('"40 ms"', "40", 9, '"40" has no unit', "e2e_p99: a time is given in ms"),
        ('"40 ms"', '"40 MiB"', 9, 'has the unit "MiB"', "ms, us, s, min"),
        ('"40 ms"', '"quick"', 9, '"quick" is not a number with a unit', "ms"),
        ("10_000", '"many"', 10, "min_samples: must be a whole number", None),
        ("window_s = 10", "window_s = 1", 11, "window_s: must be a number of seconds from 2 on", None),
        ('"2 of 3"', '"4 of 3"', 12, "not of the form", '"2 of 3"'),
        ('id = "quick"', 'id = "DUR-ACKED"', 3, "is a claim that comes with the suite", "another id"),
        ('id = "quick"', 'id = "very quick"', 3, "letters, digits", None),
        ('phase = "steady"', 'phase = "stedy"', 6, 'claims[0].phase has "stedy"', 'did you mean "steady"'),
        ('comparison = "<"', "", 2, "comparison is missing", "id, metric, comparison, threshold"),
        ("[[claims]]", "[[claim]]", 2, 'unknown key "claim"', 'did you mean "claims"'),
        ("[[claims]]", "[claims]", 2, "there is no claim", "[[claims]]"),
        ('"40 ms"', "40 ms", 9, "not valid TOML", None),
        ('"40 ms"', "1" + "0" * 400, 9, "claims[0].threshold: must be a finite number", None),
        ("10_000", "1" + "0" * 400, 10, "min_samples: must be a finite number", None),
        ("window_s = 10", "window_s = inf", 11, "window_s: must be a finite number", None),
    ],
)
def test_a_mistake_is_named_with_its_place_and_what_is_valid(
    old: str, new: str, line: int, says: str, hint: str | None
) -> None:
    with pytest.raises(UsageError) as caught:
        parse_claims(changed(old, new), PLACES)
    assert caught.value.message.startswith(f"claims.toml:{line}: "), caught.value.message
    assert says in caught.value.message
    assert hint is None or hint in (caught.value.hint or "")
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("metric", "extra", "says"),
    [
        ("lost", 'phase = "steady"', "lost is a figure of the whole run"),
        ("drain_time", 'domain = "combat"', "drain_time is not measured by domain"),
        ("e2e_p999", "window_s = 10", "e2e_p999 cannot be judged over windows"),
    ],
)
def test_what_a_metric_cannot_say_is_wrong_usage(metric: str, extra: str, says: str) -> None:
    unit = '"1 s"' if MEASURES[metric].dimension.name == "a time" else "0"
    text = f'[[claims]]\nid = "a"\nmetric = "{metric}"\ncomparison = "<"\nthreshold = {unit}\n{extra}\n'
    with pytest.raises(UsageError, match=says):
        parse_claims(Source(name="c", text=text))


def test_two_claims_of_one_name_are_wrong_usage() -> None:
    with pytest.raises(UsageError, match='two claims are called "quick"'):
        parse_claims(Source(name="c", text=SOUND + SOUND))


def test_a_file_that_is_not_there_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        load_claims(tmp_path / "nowhere.toml")


def test_a_file_with_a_mistake_does_not_replace_the_one_that_a_run_has(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.toml", tmp_path / "bad.toml"
    good.write_text(SOUND)
    bad.write_text(SOUND.replace("40 ms", "40 parsecs"))
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    assert stored_claims(run_dir) == ()
    store_claims(run_dir, good)
    with pytest.raises(UsageError):
        store_claims(run_dir, bad)
    assert [one.id for one in stored_claims(run_dir)] == ["quick"]


def test_the_example_is_sound() -> None:
    assert (
        len(load_claims(ROOT / "examples" / "claims.toml", Places(phases=("warmup", "steady", "surge", "recovery"))))
        >= 5
    )


def _row(measure: Measure) -> str:
    units = ", ".join(measure.dimension.units) + (" or none" if measure.dimension.bare else "")
    of = {Scope.PHASE: "a phase", Scope.RUN: "the run", Scope.EITHER: "a phase, or the run"}[measure.scope]
    domain, windows = ("yes" if can else "" for can in (measure.by_domain, measure.windows))
    return f"| `{measure.name}` | {measure.about} | {units} | {of} | {domain} | {windows} |"


def test_the_page_lists_every_metric_with_what_it_can_do_and_no_other() -> None:
    text = (ROOT / "docs" / "claims.md").read_text("utf-8").partition("## Metrics")[2]
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    assert sorted(rows) == sorted(_row(measure) for measure in MEASURES.values())
    assert all(f"`{one}`" in (ROOT / "docs" / "claims.md").read_text("utf-8") for one in COMPARISONS)
