"""What the machines of all domains share: events are sent, sent again, and handed over in batches, with crashes."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

import msgspec
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, precondition, rule

from necp_validate.events.base import EventData
from necp_validate.events.envelope import encode, event_id
from necp_validate.events.receipts import Outcome
from necp_validate.events.topics import Domain
from necp_validate.fuzz.machines.driver import Crash, Driver, Sent

TS_US: Final = 1_700_000_000_000_000
"""The machines' time of sending: a time of their own would make no two runs alike."""

KEYS: Final = ("one", "two")


class DomainMachine(RuleBasedStateMachine):
    """Sends events of one domain and compares what becomes of them with a model.

    Rules only note events as sent; `commit` and `crash` hand them over together and check. A machine of a domain adds
    its rules, `predict` and `check`.

    Args:
        driver: what it drives; nobody else may have it.
    """

    domain: ClassVar[Domain]
    events = Bundle("events")

    def __init__(self, driver: Driver) -> None:
        super().__init__()
        assert driver.domain is self.domain, f"{type(self).__name__} drives {self.domain}, not {driver.domain}"
        self.driver = driver
        self._waiting: list[Sent] = []
        self._next_seq: dict[str, int] = {}

    def predict(self, batch: Sequence[Sent], crash: Crash | None) -> list[tuple[Outcome, ...]]:
        """Say by the model what becomes of each event of a batch; the model takes them in."""
        raise NotImplementedError

    def check(self) -> None:
        """Compare what the event core has written so far with the model."""
        raise NotImplementedError

    def name(self, key: str) -> str:
        """Give the key that the driver's own records have."""
        return f"{key}-{self.driver.number:04x}"

    def make(self, key: str, data: EventData) -> Sent:
        """Make the next event of a key without sending it."""
        seq = self._next_seq.get(key, 0)
        self._next_seq[key] = seq + 1
        stream = f"{self.driver.number:06x}{KEYS.index(key):02x}"
        name = self.name(key)
        value = encode(data, key=name, ts_us=TS_US, stream=stream, seq=seq)
        return Sent(key=name, value=value, id=event_id(stream, seq), data=data)

    def send(self, sent: Sent) -> Sent:
        """Send an event with the next batch."""
        self._waiting.append(sent)
        return sent

    @rule(event=events)
    def retry(self, event: Sent) -> None:
        """The sender did not hear of the acknowledgement and sends the same record again."""
        self.send(event)

    @rule()
    def commit(self) -> None:
        """The event core handles all that was sent."""
        self._hand_over(None)

    @precondition(lambda self: self.driver.crashes)
    @rule(when=st.runner().flatmap(lambda self: st.sampled_from(self.driver.crashes)))
    def crash(self, when: Crash) -> None:
        """The event core ends while it handles what was sent; its successor goes on."""
        self._hand_over(when)

    def teardown(self) -> None:
        """Hand over what is left, check for the last time, and let go of the driver."""
        try:
            if sys.exc_info()[0] is None:  # the first thing found is the one to be told
                self._hand_over(None)
        finally:
            self.driver.close()

    def _hand_over(self, crash: Crash | None) -> None:
        batch, self._waiting = self._waiting, []
        if not batch and crash is None:
            return
        expected = self.predict(batch, crash)
        outcomes = self.driver.deliver(batch, crash)
        wrong = [
            f"{sent!r} ended as {_names(found)}, expected {_names(right)}"
            for sent, found, right in zip(batch, outcomes, expected, strict=True)
            if found != right
        ]
        assert not wrong, "\n".join(wrong)
        self.driver.settle(self.check)


def _names(outcomes: tuple[Outcome, ...]) -> str:
    return " and ".join(outcome.name.lower() for outcome in outcomes) or "nothing at all"


def at_least_once(batch: Sequence[Sent], crash: Crash | None, model: Any) -> list[tuple[Outcome, ...]]:
    """Predict a batch of a domain whose events are handled at least once.

    Args:
        batch: the events.
        crash: where the event core dies over them.
        model: its ``apply`` takes an event and says whether it is accepted, ``forget`` is the loss of memory.
    """
    first: list[tuple[Outcome, ...]] = [() for _ in batch]
    if crash is not Crash.BEFORE_OUTPUT:
        first = [(outcome_of(model.apply(sent)),) for sent in batch]
    if crash is not None:
        model.forget()
    if crash in (Crash.BEFORE_OUTPUT, Crash.BEFORE_COMMIT):
        return [(*before, outcome_of(model.apply(sent))) for before, sent in zip(first, batch, strict=True)]
    return first


def outcome_of(accepted: bool) -> Outcome:
    """The outcome of an event that is valid."""
    return Outcome.PROCESSED if accepted else Outcome.REJECTED


def parsed(value: bytes) -> Any:
    """Read a record of the event core without any of its own code."""
    return msgspec.json.decode(value)


def assert_same(what: str, found: Mapping[Any, Any], right: Mapping[Any, Any]) -> None:
    """Say where two mappings differ.

    Raises:
        AssertionError: they do.
    """
    wrong = [
        f"{what}, {place}: {found.get(place)}, expected {right.get(place)}"
        for place in {**found, **right}
        if found.get(place) != right.get(place)
    ]
    assert not wrong, "\n".join(wrong)
