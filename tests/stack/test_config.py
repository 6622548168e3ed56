"""The brokers' configuration is secure by default and exactly as claimed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from necp_validate.stack.config import BrokerSettings, JvmSettings, server_properties, write_properties

SETTINGS = [
    BrokerSettings(
        id=broker,
        bind="127.0.0.1",
        internal_host="127.0.0.1",
        external_host="127.0.0.1",
        internal_port=9003 + 10 * broker,
        external_port=9004 + 10 * broker,
        controller_port=9002 + 10 * broker,
        log_dir=f"/data/{broker}",
        store=f"/pki/broker-{broker}.store.pem",
        ca="/pki/ca.pem",
    )
    for broker in (1, 2, 3)
]


def test_no_listener_is_in_plain_text() -> None:
    properties = server_properties(SETTINGS[0], SETTINGS)
    assert properties["listener.security.protocol.map"] == "INTERNAL:SSL,EXTERNAL:SASL_SSL,CONTROLLER:SSL"
    assert properties["listener.name.internal.ssl.client.auth"] == "required"
    assert properties["listener.name.controller.ssl.client.auth"] == "required"
    assert properties["sasl.enabled.mechanisms"] == "SCRAM-SHA-512"


def test_everything_is_denied_but_to_brokers_and_admin() -> None:
    properties = server_properties(SETTINGS[0], SETTINGS)
    assert properties["allow.everyone.if.no.acl.found"] == "false"
    assert properties["authorizer.class.name"].endswith("StandardAuthorizer")
    assert properties["super.users"] == "User:broker-1;User:broker-2;User:broker-3;User:admin"


def test_durability_is_as_claimed() -> None:
    properties = server_properties(SETTINGS[0], SETTINGS)
    assert properties["default.replication.factor"] == "3"
    assert properties["min.insync.replicas"] == "2"
    assert properties["unclean.leader.election.enable"] == "false"
    assert properties["auto.create.topics.enable"] == "false"
    assert properties["transaction.state.log.min.isr"] == "2"


def test_quorum_names_every_controller() -> None:
    voters = server_properties(SETTINGS[2], SETTINGS)["controller.quorum.voters"]
    assert voters == "1@127.0.0.1:9012,2@127.0.0.1:9022,3@127.0.0.1:9032"


def test_published_port_is_the_advertised_one() -> None:
    settings = replace(SETTINGS[0], advertised_external_port=31000)
    properties = server_properties(settings, [settings, *SETTINGS[1:]])
    assert "EXTERNAL://127.0.0.1:9014" in properties["listeners"]
    assert "EXTERNAL://127.0.0.1:31000" in properties["advertised.listeners"]


def test_overrides_win() -> None:
    properties = server_properties(SETTINGS[0], SETTINGS, {"num.io.threads": "9"})
    assert properties["num.io.threads"] == "9"


def test_backslashes_survive_the_properties_file(tmp_path: Path) -> None:
    path = tmp_path / "server.properties"
    write_properties(path, {"rule": r"a\.b"})
    assert path.read_text(encoding="utf-8") == "rule=a\\\\.b\n"


def test_heap_is_part_of_the_java_options() -> None:
    assert JvmSettings(heap_min_mib=256, heap_max_mib=1024).arguments()[:2] == ["-Xms256m", "-Xmx1024m"]
