"""What `init` writes can be run as it is: each file is read by whoever will read it, and says what was found."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from necp_validate.claims.files import load_claims, places_in
from necp_validate.core import UsageError
from necp_validate.external.cluster import ClusterFacts, TopicFacts
from necp_validate.external.first_files import CLAIMS, SCENARIO, TARGET, Found, Login, chosen_topics, write_files
from necp_validate.record import Plan
from necp_validate.scenario.files import load_scenario
from necp_validate.stack.external_config import load_external
from necp_validate.stack.external_topics import RegistryAddress

ORDERS = TopicFacts(
    name="orders",
    begin=(0, 0),
    end=(0, 0),
    replication_factor=1,
    settings={"cleanup.policy": "delete", "retention.ms": "604800000", "min.insync.replicas": "1"},
)
PAYMENTS = TopicFacts(name="payments", begin=(5,), end=(905,), replication_factor=3)
STATE = TopicFacts(name="state", begin=(0,), end=(0,), replication_factor=3, settings={"cleanup.policy": "compact"})
CLUSTER = ClusterFacts(
    id="c1", brokers={1: "kafka:9092"}, version="3.9", topics={one.name: one for one in (ORDERS, PAYMENTS, STATE)}
)
LOGIN = Login(bootstrap="kafka:9092")


def _write(folder: Path, topics: list[str], found: Found | None = None, login: Login = LOGIN) -> dict[str, str]:
    write_files(folder, CLUSTER, login, topics, found or Found())
    return {name: (folder / name).read_text() for name in (TARGET, CLAIMS, SCENARIO)}


def test_the_three_files_fit_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _write(tmp_path, ["orders", "payments"])
    monkeypatch.chdir(tmp_path)
    scenario = load_scenario(SCENARIO)
    assert (scenario.stack, scenario.target, scenario.claims) == ("external", TARGET, CLAIMS)
    assert scenario.topics == {"orders": 50.0, "payments": 50.0}
    settings = load_external(Path(TARGET))
    assert list(settings.topics) == ["orders", "payments"]
    claims = load_claims(Path(CLAIMS), places_in(Plan.of(scenario.to_config())))
    assert [claim.id for claim in claims] == [
        "nothing-lost",
        "no-duplicates",
        "no-failed-sends",
        "acked-quickly",
        "all-in-sync",
    ]


def test_what_was_found_is_said_beside_what_was_written(tmp_path: Path) -> None:
    texts = _write(tmp_path, ["orders", "payments", "new"])
    assert "Kafka 3.9, cluster c1" in texts[TARGET]
    assert "kept for 7 days, cleanup.policy delete; 0 records now\n" in texts[TARGET]
    assert "900 records now: `run` needs --allow write" in texts[TARGET]
    assert "`run` makes it if it is told --allow create-topics" in texts[TARGET]
    assert "# orders: one replica only." in texts[CLAIMS]


def test_a_compacted_topic_gets_keys_of_its_own(tmp_path: Path) -> None:
    _write(tmp_path, ["state", "orders"])
    topics = load_external(tmp_path / TARGET).topics
    assert (topics["state"].key, topics["orders"].key) == ("unique", "random")


def test_schemas_groups_and_registry_are_entered(tmp_path: Path) -> None:
    (tmp_path / "order.avsc").write_text("{}")
    found = Found(
        registry=RegistryAddress(url="http://registry:8081"),
        subjects={"payments": "payments-value"},
        files={"orders": "order.avsc"},
        groups={"orders": ["billing", "shipping"], "payments": ["billing"]},
    )
    texts = _write(tmp_path, ["orders", "payments"], found)
    settings = load_external(tmp_path / TARGET)
    assert settings.topics["orders"].schema == tmp_path / "order.avsc"
    assert settings.topics["orders"].group == "billing"
    assert "# Others that read it: shipping." in texts[TARGET]
    assert settings.topics["payments"].subject == "payments-value"
    assert settings.registry == found.registry
    claims = load_claims(tmp_path / CLAIMS)
    assert (claims[-1].id, claims[-1].conditions[0].metric) == ("backlog-drained", "drain_time")


def test_a_backlog_is_claimed_only_where_all_of_it_can_be_seen(tmp_path: Path) -> None:
    texts = _write(tmp_path, ["orders", "payments"], Found(groups={"orders": ["billing"]}))
    assert "drain_time" not in texts[CLAIMS]


def test_the_password_is_in_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_PASSWORD", "s3cret")
    login = Login(
        bootstrap="kafka:9094",
        protocol="SASL_PLAINTEXT",
        mechanism="SCRAM-SHA-512",
        username='me "quoted"',
        password_env="KAFKA_PASSWORD",
    )
    texts = _write(tmp_path, ["orders"], login=login)
    assert not any("s3cret" in text for text in texts.values())
    assert load_external(tmp_path / TARGET).login == ('me "quoted"', "s3cret")


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / CLAIMS).write_text("mine")
    with pytest.raises(UsageError, match="would be overwritten; nothing was written"):
        _write(tmp_path, ["orders"])
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {CLAIMS: "mine"}


def test_odd_names_make_sound_toml(tmp_path: Path) -> None:
    facts = ClusterFacts(id='a"b', brokers={}, version="", topics={})
    write_files(tmp_path, facts, LOGIN, ["a.b-c_d"], Found(groups={"a.b-c_d": ['g "1"']}))
    for name in (TARGET, CLAIMS, SCENARIO):
        tomllib.loads((tmp_path / name).read_text())


def test_topics_are_the_named_ones_else_unused_ones_else_one_to_be_made() -> None:
    assert chosen_topics(CLUSTER, ["payments", "refunds"]) == ["payments", "refunds"]
    assert chosen_topics(CLUSTER, []) == ["orders"]
    assert chosen_topics(ClusterFacts(id="", brokers={}, version="", topics={}), []) == ["necp-validate-trial"]
    with pytest.raises(UsageError, match="the cluster has no topic order") as caught:
        chosen_topics(CLUSTER, ["order"])
    assert caught.value.hint == "did you mean orders?"
