"""What the players saw of the gateway: ``history/players-<worker>.json``, its timeline and its histograms.

A player's *action* has a number in its session and exactly one end: what the event core made of it, a refusal by the
gateway, or, if it went by datagram, the loss of that datagram on its way, by the gateway's own list of what it got.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from necp_validate.record.model import LoadRecord, StreamRecord
from necp_validate.record.values import EpochS, EpochUs

ENDS = (
    "processed",
    "rejected",
    "dead_lettered",
    "rate_limited",
    "invalid",
    "unavailable",
    "lost_in_transit",
    "cut_off",
    "unexplained",
)
"""How an action can end. ``cut_off``: its connection broke before the answer, so that nobody could tell."""

PLAYER_LATENCY_KINDS = ("result", "accepted", "late", "age", "login")
"""From an action's intended time to: its result, its acknowledgement, its sending. From a tick to its arrival; the
time a login took."""

ActionCounts: TypeAlias = dict[str, dict[str, int]]
"""Actions by kind and end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StateSeen:
    """The state that came in datagrams, over all players.

    Args:
        datagrams: that held state.
        bytes: of all datagrams that came, as payload.
        full_bytes: what the same ticks would have taken as full snapshots of every neighbourhood.
        changes: changes and removals of entities in them.
        checks: cells put together whose checksum was compared with the gateway's.
        divergences: of these, those that were not what the gateway had.
        missing_base: deltas of the newest tick to a state that the player was never given.
        stale: the same in overtaken datagrams, which is the network's doing.
        lost: datagrams that never came, by their numbers.
        bad: datagrams with a wrong tag, form or number, by reason.
        largest_batch: most changes and removals in one datagram.
        examples: the first divergences, in words.
    """

    datagrams: int
    bytes: int
    full_bytes: int
    changes: int
    checks: int
    divergences: int
    missing_base: int
    stale: int
    lost: int
    bad: dict[str, int]
    largest_batch: int
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class InterestSeen:
    """Views at the same tick, held against where the players knew themselves to be.

    Args:
        views: views of one player at one tick that were compared.
        skipped: views that could not be, since datagrams before them were lost or the session was new.
        expected: players that had to be in those views, summed up.
        missing: of these, those that were not.
        different: of these, those whose state was not that of the tick.
        outside: entities shown where they were not, or in cells beyond the neighbourhood.
        others: players of the process that were rightly in no such view, summed up.
        examples: the first violations, in words.
    """

    views: int
    skipped: int
    expected: int
    missing: int
    different: int
    outside: int
    others: int
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatSeen:
    """Chat as it was delivered, over all players.

    Args:
        messages: delivered.
        disordered: after a later one of the same channel.
        repeated: delivered to the same session again.
        undelivered: processed for a player, and never shown to that player.
        examples: the first of these, in words.
    """

    messages: int
    disordered: int
    repeated: int
    undelivered: int
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateProbe:
    """An attempt to log in with a certificate that must be refused, or with the right one.

    Args:
        when: ``start`` or ``end`` of the run.
        certificate: ``none``, ``expired``, ``wrong-ca`` or ``valid``.
        refused: whether it was refused; ``None`` if the gateway could not be reached at all.
        how: in words, what came of it.
    """

    when: str
    certificate: str
    refused: bool | None
    how: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GreedySession:
    """A session that made more requests than it may.

    Args:
        seconds: how long it went on.
        requests: made, the login included.
        answered: not refused for their rate.
        limited: refused for their rate.
        until_limited_s: from the first request to the first refusal; ``None`` if there was none.
        answered_after: of the requests after that, those not refused.
        most_in_a_minute: most requests not refused within any 60 seconds.
    """

    seconds: float
    requests: int
    answered: int
    limited: int
    until_limited_s: float | None
    answered_after: int
    most_in_a_minute: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Interruption:
    """A player's session that broke, or went silent.

    Args:
        how: ``broken`` (its connection ended) or ``silent`` (no state for over two seconds).
        lost_us: when it was noticed to have ended; for a silence, when the last state came.
        login_us: when the player was logged in again; for a silence, the same as ``converged_us``.
        converged_us: when it had its own entity in its view again; ``None`` if never.
        attempts: logins tried until one succeeded.
        leaving: whether the player was about to leave anyway.
    """

    how: str
    lost_us: EpochUs
    login_us: EpochUs | None = None
    converged_us: EpochUs | None = None
    attempts: int | None = None
    leaving: bool


LAYOUTS = ("state", "event")
"""Records whose layout in memory each process of players reports."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Bytes of a record as a C struct, by the order of its fields (see ``realtime.state.layout_savings``)."""

    record: str
    naive: int
    aligned: int
    mean: float
    worst: int
    packed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionCounts:
    """Sessions and logins; ``None``: not recorded.

    Args:
        logins: that succeeded.
        refused_logins: that the gateway refused.
        failed_logins: that broke, or were answered with nonsense.
        broken: sessions that ended without the gateway's own list of what it got.
        without_state: ended in order, longer than two seconds, and got no state.
        limited_unduly: requests that were refused of players who made few.
    """

    logins: int | None = None
    refused_logins: int | None = None
    failed_logins: int | None = None
    broken: int | None = None
    without_state: int | None = None
    limited_unduly: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayersRecord:
    """``history/players-<worker>.json``: what one process of players did and saw.

    Args:
        worker: name of the process, ``p0`` and so on.
        players: most that were online at once.
        udp_group: players that shared a socket.
        sessions: sessions and logins.
        actions: by kind and end.
        answered_twice: answers to actions that had theirs.
        actions_by_datagram: actions that were sent by UDP.
        actions_by_message: actions that were sent by WebSocket.
        messages: that came by WebSocket.
        streams: the events that came of actions, one per session and domain.
        expected_totals: what the acknowledged ones deal and move if they are processed, per domain.
        inconsistent_offsets: events acknowledged at an offset that another of these players' events had.
        offset_not_monotonic: acks that have two events of a session in another order than they were sent in.
        state: the state seen.
        interest: whether each saw its neighbourhood and nothing else.
        chat: the chat seen.
        certificates: attempts with and without the right certificate.
        greedy: sessions over the limit.
        interruptions: sessions that broke or went silent.
        layouts: bytes of the records in memory.
        limits: what the gateway was said to have: ``batch``, ``tick_min_hz``, ``tick_max_hz``, ``per_minute``,
            ``grid``; and ``grid_told``, by the gateway itself.
        cpu_s: CPU time of the process.
        errors: what else went wrong, the first few.
    """

    worker: str
    players: int
    udp_group: int
    sessions: SessionCounts
    actions: ActionCounts
    answered_twice: int
    actions_by_datagram: int | None = None
    actions_by_message: int | None = None
    messages: int | None = None
    streams: tuple[StreamRecord, ...]
    expected_totals: dict[str, dict[str, int]] | None = None
    inconsistent_offsets: int | None = None
    offset_not_monotonic: int | None = None
    state: StateSeen
    interest: InterestSeen
    chat: ChatSeen
    certificates: tuple[CertificateProbe, ...]
    greedy: tuple[GreedySession, ...]
    interruptions: tuple[Interruption, ...]
    layouts: tuple[Layout, ...]
    limits: dict[str, float]
    cpu_s: float
    errors: tuple[str, ...]

    def as_load(self) -> LoadRecord:
        """The events that came of the players' actions, as the checks of delivery want to have them."""
        return LoadRecord(
            worker=self.worker,
            streams=self.streams,
            guarantees={},
            planted={},
            expected_totals=self.expected_totals,
            inconsistent_offsets=self.inconsistent_offsets,
            offset_not_monotonic=self.offset_not_monotonic,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayersRow:
    """A row of ``history/players-timeline-<worker>.csv``: what a process of players saw since the row before.

    Args:
        t: end of the time that the row covers, epoch seconds.
        online: players with state.
        tick_hz: ticks of the gateway per second, by the numbers in the state that came.
        bytes_in: payload of the datagrams that came.
        full_bytes: what full snapshots would have taken.
        changes: changes of entities in them.
        actions: sent.
        ended: of all actions, those whose result came.
        refused: of all actions, those that were refused.
        result_p50_ms: from intended time to result, of those that came.
        result_p99_ms: likewise.
        age_p99_ms: from a tick to the arrival of its state.
        late_p99_ms: how late actions and moves left, against their intended time.
    """

    t: EpochS
    worker: str = ""
    phase: str
    online: int
    tick_hz: float | None
    datagrams: int
    bytes_in: int
    full_bytes: int
    changes: int
    checks: int
    divergences: int
    actions: int
    ended: int
    refused: int
    logins: int
    broken: int
    result_p50_ms: float | None
    result_p99_ms: float | None
    age_p99_ms: float | None
    late_p99_ms: float | None


def merged_actions(counts: Iterable[Mapping[str, Mapping[str, int]]]) -> ActionCounts:
    """Sum up actions by kind and end."""
    total: ActionCounts = {}
    for one in counts:
        for kind, ends in one.items():
            into = total.setdefault(kind, {})
            for end, count in ends.items():
                into[end] = into.get(end, 0) + count
    return total
