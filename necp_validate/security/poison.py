"""One producer whose events no schema allows: a closed loop, so that no more of them wait than were just sent."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial
from typing import Final

from confluent_kafka import KafkaError, Message, Producer

from necp_validate.core import StackError
from necp_validate.events.topics import Domain
from necp_validate.ledger.client_errors import Fate, SendErrors, fate_of
from necp_validate.ledger.delivery_reports import place_of
from necp_validate.ledger.stream_account import AckedOffsets
from necp_validate.record import LoadRecord
from necp_validate.security.sending import GUARANTEES, DrillStream, drill_record, drill_stream_id

BURST: Final = 200
_ANSWER_S: Final = 30.0


class PoisonProducer:
    """Sends bursts of poison to a domain, all of one key.

    Args:
        client: librdkafka properties of the domain's service.
        domain: the domain.
        run_id: makes the stream's id unique to the run.
        name: of this drill, unique in the run.
    """

    def __init__(self, client: Mapping[str, str], domain: Domain, run_id: str, name: str) -> None:
        self._name = name
        self._offsets = AckedOffsets()
        self._stream = DrillStream(
            domain,
            drill_stream_id(run_id, name, 0),
            name,
            kind="poison",
            batch=BURST,
            seed=f"{run_id}/{name}",
            offsets=self._offsets,
        )
        self._errors = SendErrors(domain.value)
        self._producer = Producer({**client, **GUARANTEES, "linger.ms": "5", "message.timeout.ms": "20000"})

    @property
    def sent(self) -> int:
        """Events sent so far."""
        return self._stream.account.sent

    def send(self) -> None:
        """Send a burst; come back when all of it is acknowledged.

        Raises:
            StackError: some of it was not.
        """
        places: dict[int, tuple[int, int]] = {}
        failed: list[tuple[int, int]] = []
        stream = self._stream

        def delivered(number: int, error: KafkaError | None, message: Message) -> None:
            if error is None:
                places[number] = place_of(message)
                return
            fate = fate_of(error.name())
            self._errors.add(error.name(), fate, 1, time.time_ns() // 1000)
            if fate is Fate.FAILED:
                failed.append((number, 1))

        values = stream.batch(time.time_ns() // 1000)
        topic, key = stream.domain.topic, stream.account.key
        for number, value in enumerate(values):
            self._producer.produce(topic, value, key, on_delivery=partial(delivered, number))
        self._producer.flush(_ANSWER_S)
        runs = [(number, *place, 1) for number, place in sorted(places.items())]
        stream.sent(len(values), runs, failed=failed)
        if missing := len(values) - len(places):
            raise StackError(f"{missing} events of the poison were not acknowledged in {_ANSWER_S:g} s")

    def record(self) -> LoadRecord:
        """What was sent, as the history keeps it."""
        return drill_record(
            self._name,
            self._stream.domain,
            [self._stream],
            self._offsets,
            planted={"poison": self.sent},
            errors=self._errors.records(),
        )
