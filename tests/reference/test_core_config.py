"""Configuration by the environment alone, with errors that name the variable."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from necp_validate.events.topics import Domain
from necp_validate.reference.eventcore.config import ConfigError, load_config

PLAIN = {"KAFKA_BOOTSTRAP_SERVERS": "b:1", "KAFKA_SECURITY_PROTOCOL": "PLAINTEXT", "AUDIT_KEYRING": __file__}
SECURE = {
    "KAFKA_BOOTSTRAP_SERVERS": "b:1",
    "KAFKA_SASL_USERNAME": "event-core",
    "KAFKA_SASL_PASSWORD": "secret",
    "CORE_INSTANCE": "core-7",
    "AUDIT_KEYRING": __file__,
}


def test_defaults_are_the_claimed_ones() -> None:
    """Ports, workers, time for shutdown, and security on."""
    config = load_config(SECURE)
    assert (config.http_port, config.metrics_port, config.shutdown_timeout_s) == (8080, 9090, 30.0)
    assert [config.workers[domain] for domain in Domain] == [10, 5, 3, 2]
    assert config.domains == tuple(Domain)
    assert config.instance == "core-7"
    assert config.kafka == {
        "bootstrap.servers": "b:1",
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "event-core",
        "sasl.password": "secret",
    }


def test_everything_can_be_set() -> None:
    """Each variable does what its name says."""
    env = {"CORE_DOMAINS": "system, combat", "COMBAT_CONSUMER_WORKERS": "3", "GRACEFUL_SHUTDOWN_TIMEOUT": "1500ms"}
    config = load_config({**PLAIN, **env, "HTTP_PORT": "0", "METRICS_PORT": "1"})
    assert config.domains == (Domain.COMBAT, Domain.SYSTEM)
    assert config.workers[Domain.COMBAT] == 3
    assert config.shutdown_timeout_s == 1.5
    assert (config.http_port, config.metrics_port) == (0, 1)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"KAFKA_BOOTSTRAP_SERVERS": ""}, "KAFKA_BOOTSTRAP_SERVERS is not set"),
        ({"KAFKA_SECURITY_PROTOCOL": "SASL_SLL"}, "Did you mean 'SASL_SSL'"),
        ({"KAFKA_SECURITY_PROTOCOL": "SASL_SSL"}, "KAFKA_SASL_USERNAME is not set"),
        ({"KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA_SSL_CA_LOCATION": "/no/such"}, "no file '/no/such'"),
        ({"CORE_DOMAINS": "combat,econmy"}, "Did you mean 'economy'"),
        ({"CORE_DOMAINS": ","}, "names no domain"),
        ({"AUDIT_KEYRING": ""}, "AUDIT_KEYRING is not set"),
        ({"AUDIT_KEYRING": "/no/such"}, "AUDIT_KEYRING: there is no file '/no/such'"),
        ({"HTTP_PORT": "http"}, "HTTP_PORT: 'http' is not a whole number"),
        ({"METRICS_PORT": "70000"}, "METRICS_PORT: 70000 is not between"),
        ({"SOCIAL_CONSUMER_WORKERS": "0"}, "SOCIAL_CONSUMER_WORKERS: 0 is not between"),
        ({"GRACEFUL_SHUTDOWN_TIMEOUT": "soon"}, "GRACEFUL_SHUTDOWN_TIMEOUT: 'soon' is not a duration"),
    ],
)
def test_errors_name_the_variable(changes: dict[str, str], words: str) -> None:
    """And say what it may be."""
    with pytest.raises(ConfigError) as caught:
        load_config({**PLAIN, **changes})
    assert words in str(caught.value)


def test_a_wrong_configuration_is_one_line_and_exit_code_2() -> None:
    """No traceback: the reader is to change one variable."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("KAFKA_")}
    done = subprocess.run(
        [sys.executable, "-m", "necp_validate.reference.eventcore"],
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == ("event core: KAFKA_BOOTSTRAP_SERVERS is not set; give host:port of one or more brokers\n")
