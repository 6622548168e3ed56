"""What an error of a send says of its event: one table, of names that the client really has."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError

from necp_validate.clients.rdkafka import error_name
from necp_validate.ledger.client_errors import CLIENT_ERRORS, Fate, SendErrors, fate_of
from necp_validate.record import SendError


@pytest.mark.parametrize("name", sorted(CLIENT_ERRORS))
def test_every_name_is_the_clients_own(name: str) -> None:
    code = getattr(KafkaError, name)
    assert KafkaError(code).name() == name == error_name(code)


def test_every_error_has_its_reason() -> None:
    assert all(len(one.reason) > 20 for one in CLIENT_ERRORS.values())


def test_what_is_not_in_the_table_is_unknown() -> None:
    assert fate_of("_SOMETHING_NEW") is Fate.UNKNOWN


def test_a_refusal_is_certain_unless_an_earlier_attempt_may_have_been_written() -> None:
    assert fate_of("TOPIC_AUTHORIZATION_FAILED", maybe_written=False) is Fate.FAILED
    assert fate_of("TOPIC_AUTHORIZATION_FAILED", maybe_written=True) is Fate.UNKNOWN
    assert fate_of("_MSG_TIMED_OUT", maybe_written=False) is Fate.UNKNOWN


def test_of_a_client_that_knows_of_no_attempts_only_what_each_would_have_met_is_certain() -> None:
    """The right to write may have been taken away after an attempt that was never answered."""
    assert fate_of("TOPIC_AUTHORIZATION_FAILED") is Fate.UNKNOWN
    assert fate_of("MSG_SIZE_TOO_LARGE") is Fate.FAILED
    assert all(one.fate is Fate.FAILED for one in CLIENT_ERRORS.values() if one.lasting)


def test_errors_are_counted_by_name_and_fate_with_their_first_and_last_report() -> None:
    errors = SendErrors("combat")
    errors.add("_MSG_TIMED_OUT", Fate.UNKNOWN, 3, 10)
    errors.add("_QUEUE_FULL", Fate.FAILED, 1, 11)
    errors.add("_MSG_TIMED_OUT", Fate.UNKNOWN, 4, 12)
    assert list(errors.records()) == [
        SendError(domain="combat", error="_MSG_TIMED_OUT", fate="unknown", count=7, first_us=10, last_us=12),
        SendError(domain="combat", error="_QUEUE_FULL", fate="failed", count=1, first_us=11, last_us=11),
    ]
