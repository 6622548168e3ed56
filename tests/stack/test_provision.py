"""Users, topics and ACLs of a new cluster: what may come back from a request that was answered late."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any, cast

import pytest
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from necp_validate.core import StackError
from necp_validate.stack.provision import provision


class Cluster:
    """An admin client whose cluster answers for topics with an error."""

    def __init__(self, code: int) -> None:
        self._code = code

    def create_topics(self, *_: Any, **__: Any) -> dict[str, Future[None]]:
        future: Future[None] = Future()
        future.set_exception(KafkaException(KafkaError(self._code)))
        return {"game.combat.events": future}

    def _taken(self, *_: Any, **__: Any) -> dict[str, Future[None]]:
        return {}

    alter_user_scram_credentials = create_acls = _taken


def test_a_topic_that_a_repeated_request_finds_is_there() -> None:
    provision(cast(AdminClient, Cluster(KafkaError.TOPIC_ALREADY_EXISTS)), {})


def test_a_topic_that_is_refused_is_an_error() -> None:
    with pytest.raises(StackError, match=r"did not take topic game\.combat\.events"):
        provision(cast(AdminClient, Cluster(KafkaError.INVALID_REPLICATION_FACTOR)), {})
