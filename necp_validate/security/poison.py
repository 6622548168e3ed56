"""One producer whose events no schema allows: a closed loop, so that no more of them wait than were just sent."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial
from typing import Final

from confluent_kafka import KafkaError, Message, Producer

from necp_validate.core import StackError
from necp_validate.events.topics import Domain
from necp_validate.ledger.delivery_reports import place_of
from necp_validate.record import LoadRecord
from necp_validate.security.sending import GUARANTEES, DrillStream, drill_stream_id

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
        self._stream = DrillStream(
            domain, drill_stream_id(run_id, name, 0), name, kind="poison", batch=BURST, seed=f"{run_id}/{name}"
        )
        self._producer = Producer({**client, **GUARANTEES, "linger.ms": "5", "message.timeout.ms": "20000"})

    @property
    def sent(self) -> int:
        """Events sent so far."""
        return self._stream.next_seq

    def send(self) -> None:
        """Send a burst; come back when all of it is acknowledged.

        Raises:
            StackError: some of it was not.
        """
        places: dict[int, tuple[int, int]] = {}
        stream = self._stream

        def delivered(number: int, error: KafkaError | None, message: Message) -> None:
            if error is None:
                places[number] = place_of(message)

        values = stream.batch(time.time_ns() // 1000)
        for number, value in enumerate(values):
            self._producer.produce(stream.domain.topic, value, stream.key, on_delivery=partial(delivered, number))
        self._producer.flush(_ANSWER_S)
        runs = [(number, *place, 1) for number, place in sorted(places.items())]
        missing = [(number, 1) for number in range(len(values)) if number not in places]
        stream.sent(len(values), runs, unknown=missing)
        if missing:
            raise StackError(f"{len(missing)} events of the poison were not acknowledged in {_ANSWER_S:g} s")

    def record(self) -> LoadRecord:
        """What was sent, as the history keeps it."""
        domain = self._stream.domain.value
        return LoadRecord(
            worker=self._name,
            streams=(self._stream.record(),),
            guarantees={domain: GUARANTEES},
            planted={domain: {"poison": self.sent}},
            stakes={domain: {}},
        )
