"""Sessions: one player logged in, with everything that belongs to it and ends with it."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Iterator
from typing import Final, Protocol

from necp_validate.events.topics import Domain
from necp_validate.realtime.frames import KEY_BYTES, Direction, Opener, Sealer
from necp_validate.realtime.messages import Message, Summary
from necp_validate.reference.gateway.interest import View
from necp_validate.reference.gateway.limits import Numbers, RequestLimit
from necp_validate.reference.token_bucket import TokenBucket

Address = tuple[str, int]
MAX_SESSIONS: Final = 10_000
MAX_IN_FLIGHT: Final = 512
"""Actions of one session that wait for their result; more are refused as ``unavailable``."""

STREAM_DOMAINS: Final = (Domain.COMBAT, Domain.ECONOMY, Domain.SOCIAL)


class Outlet(Protocol):
    """Where messages to a client go."""

    def send(self, message: Message) -> None:
        """Send a message, some time; never waits."""

    def send_encoded(self, text: bytes) -> None:
        """Send a message that is encoded already."""

    def finish(self, message: Message) -> None:
        """Send a last message and close."""


class Stream:
    """A stream of events of one session: a random name, numbers without holes."""

    __slots__ = ("name", "seq")

    def __init__(self) -> None:
        self.name = secrets.token_hex(4)
        self.seq = 0


class Session:
    """One player logged in.

    Args:
        session: its id.
        player: who it is.
        match: key of its combat events.
        region: key of its social events.
        outlet: where its messages go.
        limit: its player's request limit.
        states: how many datagrams that are not actions it may send.
        view: what it knows of the world.
    """

    __slots__ = (
        "address",
        "closed",
        "datagrams_in",
        "dropped",
        "entity",
        "id",
        "in_flight",
        "last_sent_s",
        "limit",
        "match",
        "opener",
        "outlet",
        "player",
        "region",
        "sealer",
        "secret",
        "slot",
        "states",
        "streams",
        "udp_numbers",
        "view",
        "wished",
        "ws_numbers",
    )

    def __init__(
        self,
        session: int,
        *,
        player: str,
        match: str,
        region: str,
        outlet: Outlet,
        limit: RequestLimit,
        states: TokenBucket,
        view: View,
    ) -> None:
        self.id = session
        self.secret = secrets.token_bytes(KEY_BYTES)
        self.player = player
        self.match = match
        self.region = region
        self.outlet = outlet
        self.limit = limit
        self.states = states
        self.view = view
        self.opener = Opener(self.secret, Direction.TO_GATEWAY)
        self.sealer = Sealer(session, self.secret, Direction.TO_CLIENT)
        self.streams = {domain: Stream() for domain in STREAM_DOMAINS}
        self.address: Address | None = None
        self.entity = 0
        self.slot = 0
        self.wished = 0
        """Number of the newest input taken."""
        self.last_sent_s = 0.0
        self.in_flight: set[int] = set()
        """Actions that wait for their acknowledgement or result."""
        self.udp_numbers = Numbers()
        self.ws_numbers = Numbers()
        self.datagrams_in = 0
        self.dropped: Counter[str] = Counter()
        self.closed = False

    def summary(self) -> Summary:
        """What the gateway got in this session."""
        return Summary(
            udp_actions=self.udp_numbers.ranges(),
            ws_actions=self.ws_numbers.ranges(),
            datagrams_in=self.datagrams_in,
            dropped=dict(self.dropped),
        )


class Sessions:
    """All sessions, by id, by player and by region."""

    def __init__(self) -> None:
        self._by_id: dict[int, Session] = {}
        self._by_player: dict[str, Session] = {}
        self._by_region: dict[str, dict[int, Session]] = {}

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[Session]:
        return iter(list(self._by_id.values()))

    @property
    def full(self) -> bool:
        """Whether no more players can be taken."""
        return len(self._by_id) >= MAX_SESSIONS

    def new_id(self) -> int:
        """A session id that nobody has and nobody can guess."""
        while True:
            session = secrets.randbits(64)
            if session and session not in self._by_id:
                return session

    def add(self, session: Session) -> None:
        """Add a session, whose player must have no other one."""
        self._by_id[session.id] = session
        self._by_player[session.player] = session
        self._by_region.setdefault(session.region, {})[session.id] = session

    def remove(self, session: Session) -> bool:
        """Remove a session; tell whether it was there."""
        if self._by_id.pop(session.id, None) is None:
            return False
        session.closed = True
        del self._by_player[session.player]
        members = self._by_region[session.region]
        del members[session.id]
        if not members:
            del self._by_region[session.region]
        return True

    def get(self, session: int) -> Session | None:
        """The session with an id."""
        return self._by_id.get(session)

    def of(self, player: str) -> Session | None:
        """The session of a player."""
        return self._by_player.get(player)

    def in_region(self, region: str) -> list[Session]:
        """The sessions of the players of a region."""
        return list(self._by_region.get(region, {}).values())
