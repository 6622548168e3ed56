"""The account of one session's actions: each has a number and comes to exactly one end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from necp_validate.events.base import EventData
from necp_validate.events.expected_totals import expected_of
from necp_validate.ledger.stream_account import StreamAccount
from necp_validate.players.account import Account
from necp_validate.realtime.messages import Accepted, Refused, Result, Summary
from necp_validate.record import IntervalSet

_REFUSED: Final = {
    "rate-limited": "rate_limited",
    "invalid": "invalid",
    "unavailable": "unavailable",
    "duplicate": "unexplained",  # the session uses no number twice
}


@dataclass(slots=True)
class Pending:
    """An action that has not come to its end."""

    kind: str
    domain: str
    by_udp: bool
    intended_us: int
    event: EventData
    accepted: bool = False


class SessionActions:
    """The actions of one session.

    Args:
        account: of the process.
        streams: by domain, the stream's name, its topic and the key of its events.
    """

    def __init__(self, account: Account, streams: dict[str, tuple[str, str, str]]) -> None:
        self._account = account
        self._streams = {
            domain: StreamAccount(name, domain=domain, topic=topic, key=key)
            for domain, (name, topic, key) in streams.items()
        }
        self._asked = dict.fromkeys(streams, 0)
        self.sent = 0
        self.pending: dict[int, Pending] = {}

    @property
    def waiting(self) -> bool:
        """Whether the gateway still owes an answer, as far as the player can tell."""
        return any(action.accepted or not action.by_udp for action in self.pending.values())

    def begin(self, kind: str, domain: str, intended_us: int, event: EventData, *, by_udp: bool) -> int:
        """Number an action that is about to be sent."""
        self.sent += 1
        self.pending[self.sent] = Pending(kind, domain, by_udp, intended_us, event)
        self._asked[domain] += 1
        return self.sent

    def accepted(self, message: Accepted, now_us: int) -> None:
        """Kafka has an action's event."""
        action = self.pending.get(message.n)
        if action is None or action.accepted:
            self._account.answered_twice += 1
            return
        stream = self._streams[action.domain]
        name, _, number = message.event.partition("-")
        if name != stream.id or message.topic != stream.topic or not number.isdigit():
            self._account.error(f"action {action.kind} was accepted as {message.event} in {message.topic}")
            self._account.ended(action.kind, "unexplained")
            del self.pending[message.n]
            return
        action.accepted = True
        if not stream.ack(int(number), 1, message.partition, message.offset):
            self._account.answered_twice += 1
            return
        self._account.offsets.add(stream.topic, message.partition, message.offset)
        self._account.expected(action.domain, expected_of(action.event))
        self._account.latency("accepted", action.kind, action.intended_us, now_us - action.intended_us)

    def result(self, message: Result, now_us: int) -> Pending | None:
        """The event core has dealt with an action; returns it, if it was waiting for this."""
        action = self.pending.pop(message.n, None)
        if action is None:
            self._account.answered_twice += 1
            return None
        self._account.ended(action.kind, message.outcome.replace("-", "_"))
        self._account.latency("result", action.kind, action.intended_us, now_us - action.intended_us)
        return action

    def refused(self, message: Refused) -> str | None:
        """The gateway has refused an action; returns its kind, if it was waiting."""
        action = self.pending.get(message.n)
        # At the end of a session, what was accepted and has no result yet is given up as unavailable.
        if action is None or (action.accepted and message.reason != "unavailable"):
            self._account.answered_twice += 1
            return None
        del self.pending[message.n]
        if message.reason != "unavailable":
            self._asked[action.domain] -= 1  # certainly no event came of it
        self._account.ended(action.kind, _REFUSED[message.reason])
        return action.kind

    def close(self, summary: Summary | None) -> None:
        """The session is over: what has no end by now gets one.

        Args:
            summary: the gateway's own list of what it got; ``None`` if the connection broke before.
        """
        got = IntervalSet(summary.udp_actions) if summary is not None else IntervalSet()
        for number, action in self.pending.items():
            if summary is None:
                end = "cut_off"
            elif action.by_udp and not action.accepted and number not in got:
                end = "lost_in_transit"
                self._asked[action.domain] -= 1
            else:
                end = "unexplained"
                self._account.error(f"{action.kind} number {number} came to no end ({action.accepted=})")
            self._account.ended(action.kind, end)
        self.pending.clear()
        for domain, stream in self._streams.items():
            # Numbers are given in the order of producing: no more of them can exist than were asked for.
            stream.begin(max(self._asked[domain] - stream.sent, 0))
        self._account.streams += [stream for stream in self._streams.values() if stream.sent]
