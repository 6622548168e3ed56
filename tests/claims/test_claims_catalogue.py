"""The catalogue: every row can be judged, every figure stands in one place, and every figure is used."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from pkgutil import walk_packages
from types import ModuleType

import pytest

from necp_validate.claims import CHECKS, checks, metrics
from necp_validate.claims.catalogue import CLAIMS, claim, claims_of_kind, document
from necp_validate.claims.limits import LIMITS
from necp_validate.claims.metrics.measures import MEASURES
from necp_validate.claims.metrics.units import RATE, TIME, Dimension
from necp_validate.claims.model import COMPARISONS, UNDER_FAULTS, Claim, Condition
from necp_validate.claims.saturation import LIMIT_NAMES
from necp_validate.evidence.reconcile import RECONCILERS
from necp_validate.record.record import Record
from necp_validate.record.store import parts_of
from necp_validate.scenario.model import PhaseKind

PACKAGE = Path(__file__).parents[2] / "necp_validate"
ALL = [(one, condition) for one in CLAIMS.values() for condition in (*one.requires, *one.conditions)]


def test_a_claim_has_conditions_or_the_reason_why_no_run_decides_it() -> None:
    for one in CLAIMS.values():
        assert bool(one.conditions) is not bool(one.not_judged), one.id
        assert "" not in (one.title, one.area), one.id


@pytest.mark.parametrize(("of", "one"), ALL, ids=lambda value: getattr(value, "id", ""))
def test_every_condition_can_be_judged(of: Claim, one: Condition) -> None:
    assert bool(one.check) is not bool(one.metric), "one or the other"
    if one.check:
        assert one.check in CHECKS
        return
    measure = MEASURES[one.metric]
    assert one.comparison in COMPARISONS
    assert set(one.phases) <= {*PhaseKind, UNDER_FAULTS}
    assert one.window_s is None or measure.windows
    assert one.domain is None or measure.by_domain
    limit = LIMITS[one.limit]
    if one.comparison != "==":
        assert (limit.stricter == "higher") is measure.higher_is_better is (one.comparison in (">", ">="))
    if UNDER_FAULTS in one.phases:
        assert of.faults, "no fault is evidence for it"


def test_every_limit_is_used_and_declares_which_way_is_stricter() -> None:
    used = {name for _, one in ALL for name in (one.limit, one.tolerance) if name}
    used |= {name for check in CHECKS.values() for name in check.limits}
    used |= {name for measure in MEASURES.values() for name in measure.limits}
    # The slowest recovery is judged by it, and a fault that is still in force is held against it.
    assert used | set(LIMIT_NAMES) == set(LIMITS)
    assert {one.stricter for one in LIMITS.values()} == {"lower", "higher", "exact"}
    assert all(set(one.by_kind) <= set(PhaseKind) for one in LIMITS.values())


def test_evidence_lies_in_parts_of_the_record() -> None:
    known = set(parts_of(Record))
    for name, kinds in (
        *((check.name, check.evidence) for check in CHECKS.values()),
        *((measure.name, measure.evidence) for measure in MEASURES.values()),
        *((name, one.evidence) for name, one in RECONCILERS.items()),
    ):
        for kind in kinds:
            assert set(kind.parts) <= known, f"{name}: {kind.name}"


_FREE_OF_EVIDENCE = {"complete-run", "suite-failure"}
"""They read run.json and the failures of the suite, and rest on nothing else."""


def test_every_check_and_metric_declares_what_it_rests_on() -> None:
    assert {name for name, check in CHECKS.items() if not check.evidence} == _FREE_OF_EVIDENCE
    assert [name for name, measure in MEASURES.items() if not measure.evidence] == []


def figures_in(folder: str) -> Iterator[tuple[Path, str]]:
    for path in sorted((PACKAGE / folder).rglob("*.py")):
        for line in path.read_text("utf-8").splitlines():
            yield path, line.partition("#")[0]


def test_no_figure_of_the_catalogue_stands_in_the_code_again() -> None:
    """Limits with figures that nothing else is likely to have."""
    telling = {"100_000", "20_000", "53_000", "2_555", "0.999", "4_000_000_000"}
    found = [
        f"{path.name}: {line.strip()}"
        for folder in ("claims", "evidence", "report")
        for path, line in figures_in(folder)
        if telling & set(re.findall(r"\b\d[\d_.]*\d\b", line)) and '"""' not in line
    ]
    # The lag beyond which an alert fires, and quantiles of a plot, are other figures.
    assert [one for one in found if "LAG_LIMIT" not in one and "_QUANTILES" not in one] == []


def test_a_claim_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(KeyError, match=r"unknown claim 'DUR'; known: THR-HEADLINE"):
        claim("DUR")


def test_kinds_of_fault_know_their_claims() -> None:
    assert "FT-BROKER" in claims_of_kind("broker-kill")
    assert claims_of_kind("scale-consumers") == ("SCALE-CONSUMERS", "LAT-SCALING")
    assert claims_of_kind("nothing") == ()


def test_ids_are_unique() -> None:
    ids = [row["id"] for row in document()["claims"]]
    assert len(ids) == len(set(ids)) == len(CLAIMS)


@pytest.mark.parametrize(
    ("dimension", "value", "shown"),
    [
        (RATE, 999.6, "1,000 events/s"),
        (RATE, 99.97, "100 events/s"),
        (RATE, 0.123, "0.123 events/s"),
        (TIME, 1_008.2, "1.008 s"),
        (TIME, 1e7, "10,000 s"),
    ],
)
def test_a_figure_is_no_power_of_ten(dimension: Dimension, value: float, shown: str) -> None:
    assert dimension.show(value) == shown


@pytest.mark.parametrize("package", [checks, metrics], ids=["checks", "metrics"])
def test_every_module_of_checks_and_metrics_is_imported_and_so_registered(package: ModuleType) -> None:
    modules = {module.name for module in walk_packages(package.__path__, f"{package.__name__}.")}
    assert modules - sys.modules.keys() == set()
