"""What is said of links: labels that can be read back, names that must be right, rules for exactly one link."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from necp_validate.core import UsageError
from necp_validate.stack.config import BrokerSettings
from necp_validate.stack.delays import Delays
from necp_validate.stack.docker_links import DockerLinks
from necp_validate.stack.links import LinkFaults, cut_label, delay_label, loss_label, require_link, require_node
from necp_validate.stack.local_links import LocalLinks
from necp_validate.stack.protocol import CLIENTS


def _settings(broker: int) -> BrokerSettings:
    return BrokerSettings(
        id=broker,
        bind="",
        internal_host=f"10.0.0.1{broker}",
        external_host="127.0.0.1",
        internal_port=1000 * broker + 3,
        external_port=1000 * broker + 4,
        controller_port=1000 * broker + 2,
        log_dir="/data",
        store="/store.pem",
        ca="/ca.pem",
    )


SETTINGS = {broker: _settings(broker) for broker in (1, 2, 3)}


def test_labels_say_all_that_is_wanted() -> None:
    wanted = LinkFaults({("broker-1", CLIENTS), ("broker-2", "broker-3")}, {"broker-1": 0.25}, {"broker-2": 50.0})
    labels = [cut_label(*cut) for cut in wanted.cuts] + [loss_label("broker-1", 0.25), delay_label("broker-2", 50.0)]
    assert LinkFaults.from_labels(labels) == wanted
    assert not LinkFaults.from_labels(["something else"])


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        ("broker-0", CLIENTS, "there is no node 'broker-0' here; known: broker-1, broker-2, broker-3, clients"),
        (CLIENTS, "core", "there is no node 'core'"),
        ("broker-2", "broker-2", "not broker-2 to itself"),
    ],
)
def test_a_link_that_cannot_be_is_named(source: str, target: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        require_link(source, target)


def test_only_brokers_are_slow() -> None:
    with pytest.raises(UsageError, match=r"no node .clients. here; known: broker-1, broker-2, broker-3$"):
        require_node(CLIENTS, clients=False)


def test_local_rules_tell_brokers_by_group_and_connections_by_mark(tmp_path: Path) -> None:
    links = LocalLinks("id", SETTINGS, Delays("id", tmp_path))
    chains = links._chains("", LinkFaults({("broker-1", "broker-2")}))
    assert [rule.match for rule in chains["filter", "OUTPUT"]] == [
        "-o lo -p tcp -m owner --gid-owner 61001 -m multiport --dports 2002,2003,2004",
        "-o lo -p tcp -m owner --gid-owner 61001 -m multiport --sports 1002,1003,1004"
        " -m connmark --mark 0x20000/0xff0000",
    ]
    assert [rule.target for rule in chains["mangle", "OUTPUT"]] == [
        f"CONNMARK --set-xmark {mark}/0xff0000" for mark in ("0xfe0000", "0x10000", "0x20000", "0x30000")
    ]
    assert links._chains("", LinkFaults()) == {}


def test_rules_in_a_container_are_only_those_of_its_own_links(tmp_path: Path) -> None:
    containers: dict[int, Any] = {}
    links = DockerLinks("id", SETTINGS, containers, "iptables", Delays("id", tmp_path))
    faults = LinkFaults({("broker-1", "broker-2"), (CLIENTS, "broker-1")}, {"broker-3": 0.5})
    first = links._chains((1, 100), faults)
    assert [(rule.match, rule.target) for rule in first["filter", "OUTPUT"]] == [
        ("-o lo", "RETURN"),
        ("-d 10.0.0.12/32", "DROP"),
    ]
    assert [(rule.match, rule.target) for rule in first["filter", "INPUT"]] == [
        ("-i lo", "RETURN"),
        ("-s 10.0.0.12/32", "RETURN"),
        ("-s 10.0.0.13/32", "RETURN"),
        ("", "DROP"),
    ]
    assert links._chains((2, 200), faults) == {}
    assert {rule.label for rule in links._chains((3, 300), faults)["filter", "INPUT"]} == {"", "loss broker-3 0.5"}
