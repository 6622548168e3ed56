"""Scenario files: what ships is sound, and what is wrong is named with its place."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from necp_validate.chaos.experiment import all_experiment_names, load_experiment
from necp_validate.claims.catalogue import CLAIMS
from necp_validate.claims.limits import LIMITS
from necp_validate.core import UsageError
from necp_validate.core.toml_errors import find_line
from necp_validate.scenario import DOMAINS, PhaseKind, Scenario, load_scenario, scenario_names
from necp_validate.scenario.files import scenario_folder
from necp_validate.scenario.fuzzing import CLAIMS as CLAIMS_OF_CAMPAIGN

SMOKE = (scenario_folder() / "smoke.toml").read_text(encoding="utf-8")


@pytest.fixture
def written(tmp_path: Path):
    """Writes a scenario file and gives its path."""

    def write(text: str) -> Path:
        path = tmp_path / "mine.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.mark.parametrize("name", scenario_names())
class TestEveryScenarioOfTheSuite:
    def test_survives_the_way_through_run_json(self, name: str) -> None:
        """What a run stores is what it ran."""
        scenario = load_scenario(name)
        assert Scenario.from_config(json.loads(json.dumps(scenario.to_config()))) == scenario

    def test_has_its_file_name_and_says_what_it_is_for(self, name: str) -> None:
        scenario = load_scenario(name)
        assert scenario.name == name
        assert scenario.description

    def test_judges_only_claims_that_can_be_judged(self, name: str) -> None:
        """A claim without a condition would leave every run of the scenario unknown."""
        judge = load_scenario(name).judge
        assert judge
        assert [id_ for id_ in judge if CLAIMS[id_].not_judged or not CLAIMS[id_].conditions] == []

    def test_loosens_no_limit(self, name: str) -> None:
        """It would leave unknown what it limits."""
        scenario = load_scenario(name)
        kinds = {str(phase.kind) for phase in scenario.phases}
        loose = {
            limit: value
            for limit, value in scenario.thresholds.items()
            for kind in kinds
            if LIMITS[limit].looser(value, kind)
        }
        assert loose == {}

    def test_has_the_mix_of_the_claimed_peak(self, name: str) -> None:
        traffic = load_scenario(name).traffic
        social = traffic["social"].rate_eps
        mix = [round(traffic[domain].rate_eps / social, 2) for domain in DOMAINS]
        assert mix == [20, 5, 1, 0.5]


def test_peak_200_loads_the_claimed_peak_and_twice_that() -> None:
    scenario = load_scenario("peak-200")
    rates = {phase.kind: sum(scenario.target_eps(phase).values()) for phase in scenario.phases}
    assert rates[PhaseKind.STEADY] == 26_500
    assert rates[PhaseKind.SURGE] == scenario.highest_eps == 53_000


def test_headline_loads_100_000_events_per_second() -> None:
    assert load_scenario("headline-100k").peak_eps == 100_000


def test_smoke_leaves_half_of_its_90_seconds_to_the_stack_and_the_reader() -> None:
    assert load_scenario("smoke").duration_s <= 45


def test_scale_multiplies_every_rate_and_nothing_else() -> None:
    whole, half = load_scenario("peak-200"), load_scenario("peak-200", scale=0.5)
    assert [half.traffic[d].rate_eps * 2 for d in DOMAINS] == [whole.traffic[d].rate_eps for d in DOMAINS]
    assert half.scale == 0.5
    unscaled = half.scaled(2)
    assert unscaled == whole


def test_scale_comes_on_top_of_the_files_own() -> None:
    assert load_scenario("smoke").scale == pytest.approx(0.1)
    assert load_scenario("smoke", scale=0.5).scale == pytest.approx(0.05)


@pytest.mark.parametrize("scale", [0, -1, float("nan"), float("inf")])
def test_a_scale_that_is_no_positive_number_is_refused(scale: float) -> None:
    with pytest.raises(UsageError, match="--scale"):
        load_scenario("smoke", scale=scale)


def test_scheduled_events_are_the_area_under_the_load(written) -> None:
    """A ramp of 4 s from 0 to 1, then 6 s at 1, then 10 s at 3 with a ramp of 2 s: 2 + 6 + 4 + 24."""
    text = """
    [traffic.combat]
    rate_eps = 100
    [[phases]]
    name = "a"
    kind = "warmup"
    duration_s = 10
    ramp_s = 4
    [[phases]]
    name = "b"
    kind = "surge"
    duration_s = 10
    load = 3
    ramp_s = 2
    """
    assert load_scenario(written(text)).scheduled_events() == {"combat": pytest.approx(3600)}


def test_domains_have_the_defaults_of_the_claimed_peak(written) -> None:
    phase = '[[phases]]\nname = "steady"\nkind = "steady"\nduration_s = 10\n'
    scenario = load_scenario(written(phase))
    assert scenario.peak_eps == 26_500
    assert [scenario.traffic[domain].servers for domain in DOMAINS] == [20, 5, 5, 2]


@pytest.mark.parametrize(
    ("old", "new", "place", "says"),
    [
        ("cheat_share", "cheet_share", 19, 'did you mean "cheat_share"'),
        ("[traffic.social]", "[traffic.socail]", 28, 'did you mean "social"'),
        ('kind = "surge"', 'kind = "urge"', 53, 'did you mean "surge"'),
        ('"EVT-COMBAT"', '"EVT-COMBATS"', 9, 'did you mean "EVT-COMBAT"'),
        ("duration_s = 20", "duration_s = -1", 49, "phases[1].duration_s"),
        ("cheat_share = 0.01", "cheat_share = 2", 19, "a share lies between 0 and 1"),
        ("rate_eps = 5000\n", 'rate_eps = "many"\n', 23, "traffic.economy.rate_eps"),
        ("load = 2.0", "ramp_s = 20", 55, "longer than the phase"),
        ('name = "surge"', 'name = "steady"', 52, "two phases"),
        ("rate_eps = 5000\n", "rate_eps = 5000 eps\n", 23, "not valid TOML"),
        ("scale = 0.1", "scale = 0.1\nsede = 1", 5, 'did you mean "seed"'),
        ("[traffic.combat]", "[thresholds]\ndrian_s = 5\n[traffic.combat]", 16, 'did you mean "drain_s"'),
        ("[traffic.combat]", "[thresholds]\nLAT-COMBAT = 5\n[traffic.combat]", 16, "unknown key"),
        (
            "[traffic.combat]",
            "[thresholds]\ndrain_s = nan\n[traffic.combat]",
            16,
            "must be a finite number from 0 on; it is nan",
        ),
        (
            "[traffic.combat]",
            "[thresholds]\ndrain_s = inf\n[traffic.combat]",
            16,
            "must be a finite number from 0 on; it is inf",
        ),
        ("[traffic.combat]", "[thresholds]\ndrain_s = -1\n[traffic.combat]", 16, "from 0 on; it is -1"),
        ("[traffic.combat]", '[thresholds]\ndrain_s = "5 s"\n[traffic.combat]', 16, "in s; 10 is claimed"),
        (
            "[traffic.combat]",
            "[thresholds]\nreadback_timeout_s = 60\n[traffic.combat]",
            16,
            "readback_timeout_s is no limit, but a setting of the scenario",
        ),
        ("scale = 0.1", "scale = 0.1\nreadback_timeout_s = 0", 5, "readback_timeout_s"),
    ],
)
def test_an_error_names_file_line_and_remedy(written, old: str, new: str, place: int, says: str) -> None:
    path = written(SMOKE.replace(old, new, 1))
    with pytest.raises(UsageError) as caught:
        load_scenario(path)
    assert str(caught.value).startswith(f"{path}:{place}: ")
    assert says in str(caught.value)


def test_a_claim_without_its_phase_is_refused(written) -> None:
    """LAT-COMBAT is judged in a steady phase: without one it could only ever be unknown."""
    text = 'judge = ["LAT-COMBAT"]\n[[phases]]\nname = "surge"\nkind = "surge"\nduration_s = 10\n'
    with pytest.raises(UsageError, match="LAT-COMBAT is judged in a steady phase"):
        load_scenario(written(text))


def test_any_limit_of_the_catalogue_can_be_set_and_reaches_the_stored_scenario(written) -> None:
    limits = "\n".join(f"{name} = {limit.value}" for name, limit in LIMITS.items())
    scenario = load_scenario(written(f"{SMOKE}\n[thresholds]\n{limits}\n"))
    assert scenario.thresholds == {name: limit.value for name, limit in LIMITS.items()}
    assert scenario.to_config()["thresholds"] == scenario.thresholds


def test_how_long_reading_may_take_is_a_setting_of_the_scenario(written) -> None:
    scenario = load_scenario(written(f"readback_timeout_s = 42\n{SMOKE}"))
    assert (scenario.readback_timeout_s, load_scenario("smoke").readback_timeout_s) == (42, 600)


@pytest.mark.parametrize("limit", ["drain_s=3600", "rate_tolerance=0.6", "soak_s=1", "producer_rate_eps=19999"])
def test_a_looser_limit_is_accepted(limit: str) -> None:
    """Its run can be made and looked at; what it limits is unknown then."""
    name, _, value = limit.partition("=")
    scenario = load_scenario("smoke", overrides=[f"thresholds.{limit}"])
    assert scenario.thresholds == {name: float(value)}
    assert LIMITS[name].looser(float(value))


@pytest.mark.parametrize("name", ["smok", "nothing/there.toml"])
def test_an_unknown_scenario_lists_those_that_exist(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_scenario(name)
    assert caught.value.hint is not None
    assert "headline-100k, peak-200, players, security, smoke, soak" in caught.value.hint


def test_overrides_reach_every_table_and_phases_by_name_or_place() -> None:
    scenario = load_scenario(
        "smoke",
        overrides=[
            "traffic.combat.rate_eps=100",
            "phases.steady.duration_s=7",
            "phases.0.load=0.5",
            "core.instances=3",
            "load.acks=1",
            "load.idempotence=false",
            "judge=[]",
            "stack=local",
        ],
        seed=99,
    )
    assert scenario.traffic["combat"].rate_eps == pytest.approx(10)
    assert [phase.duration_s for phase in scenario.phases] == [10, 7, 10, 5]
    assert scenario.phases[0].load == 0.5
    assert scenario.core.instances == 3
    assert (scenario.load.acks, scenario.load.idempotence) == ("1", False)
    assert scenario.judge == ()
    assert (scenario.stack, scenario.seed) == ("local", 99)


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("core.instances", "key=value"),
        ("cor.instances=2", 'did you mean "core"'),
        ("phases.steedy.load=1", 'did you mean "steady"'),
        ("phases.steady.load=x", "phases[1].load"),
        ("name.x=1", "name: is not a table"),
        ("load.acks=1", "contradicts idempotence"),
        ("stack=external", "described by a TOML file"),
        ("target=mine.toml", "only an external one"),
        ("stack=cloud", "auto, local, docker, external"),
        ("thresholds.rebalence_s=5", 'did you mean "rebalance_s"'),
        ("thresholds.rebalance_s=inf", "must be a finite number"),
    ],
)
def test_a_wrong_override_is_named(override: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_scenario("smoke", overrides=[override])
    assert says in str(caught.value)


def test_lines_of_keys_are_found_in_nested_tables() -> None:
    text = 'a = 1\n[t.u]\nkey = 2\n[[list]]\nkey = 3\n[[list]]\n"key" = 4\n[list.sub]\nkey = 5\n'
    assert find_line(text, ["a"]) == 1
    assert find_line(text, ["t", "u", "key"]) == 3
    assert find_line(text, ["list", 1, "key"]) == 7
    assert find_line(text, ["list", 1, "sub", "key"]) == 9
    assert find_line(text, ["nowhere"]) is None


def test_every_judged_claim_exists() -> None:
    assert {id_ for name in scenario_names() for id_ in load_scenario(name).judge} <= set(CLAIMS)


ON_DEMAND = {
    "AVAIL": "300 s with faults, more than any scenario that ships has",
    "LAT-SCALING": "a P99 while consumers rebalance, which brokers and load on shared cores do not keep",
}
"""Claims that are judged by whoever names them, and what they take."""


def test_every_claim_that_can_be_judged_is_judged_by_a_scenario_or_an_experiment() -> None:
    judged = {id_ for name in scenario_names() for id_ in load_scenario(name).judge}
    documents = [load_experiment(name).document for name in all_experiment_names()]
    judged |= {id_ for one in documents for more in one.get("extensions", ()) for id_ in more.get("claims", ())}
    judged |= set(CLAIMS_OF_CAMPAIGN)
    assert {id_ for id_, claim in CLAIMS.items() if claim.conditions and not claim.not_judged} - judged == set(
        ON_DEMAND
    )


@pytest.mark.parametrize(
    "setting",
    [
        "phases.steady.duration_s=inf",
        "phases.steady.load=1e400",
        "traffic.combat.tick_hz=inf",
        "traffic.combat.run_length=1" + "0" * 400,
        "readback_timeout_s=nan",
        "thresholds.combat_p99_ms=1" + "0" * 400,
    ],
)
def test_what_no_clock_and_no_counter_can_hold_is_refused(setting: str) -> None:
    key = setting.partition("=")[0].rpartition(".")[2]
    with pytest.raises(UsageError, match="must be a finite number") as caught:
        load_scenario("peak-200", overrides=[setting])
    assert key in caught.value.message
