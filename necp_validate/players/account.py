"""What all players of a process add up to: counters, histograms, rows of the timeline, and the record in the end."""

from __future__ import annotations

import resource
from bisect import bisect_right
from collections import Counter
from dataclasses import fields
from typing import Any, Final

from necp_validate.ledger.stream_account import AckedOffsets, StreamAccount
from necp_validate.players.interest import InterestWatch
from necp_validate.players.plan import PlayersPlan
from necp_validate.players.view import View
from necp_validate.realtime.state import layout_savings
from necp_validate.record import (
    CertificateProbe,
    ChatSeen,
    GreedySession,
    HdrHistogram,
    Interruption,
    Layout,
    PlayersRecord,
    PlayersRow,
    SessionCounts,
    StateSeen,
)

_EXAMPLES: Final = 10
_LATEST_ROWS: Final = ("result", "age", "late")


class Account:
    """The account of one process of players.

    Args:
        plan: what they were told.
        worker: name of the process.
        start_us: second 0 of the first phase (epoch).
    """

    def __init__(self, plan: PlayersPlan, worker: str, start_us: int) -> None:
        self.plan = plan
        self.worker = worker
        self.phase_names = [phase.name for phase in plan.phases]
        self._starts = [start_us]
        for phase in plan.phases[:-1]:
            self._starts.append(self._starts[-1] + round(phase.duration_s * 1e6))
        self.sessions: Counter[str] = Counter()
        self.actions: dict[str, Counter[str]] = {}
        self.answered_twice = 0
        self.udp: Counter[str] = Counter()
        self.websocket: Counter[str] = Counter()
        self.bad: Counter[str] = Counter()
        self.streams: list[StreamAccount] = []
        self.offsets = AckedOffsets()
        self.expected_totals: dict[str, Counter[str]] = {}
        self.interest = InterestWatch()
        self.chat: Counter[str] = Counter()
        self.chat_examples: list[str] = []
        self.certificates: list[CertificateProbe] = []
        self.greedy: list[GreedySession] = []
        self.interruptions: list[Interruption] = []
        self.errors: list[str] = []
        self.histograms: dict[tuple[str, str, str], HdrHistogram] = {}
        self.views: set[View] = set()
        self.most_online = 0
        self.grid = 0
        self._state: Counter[str] = Counter()
        self._largest_batch = 0
        self._divergences: list[str] = []
        self._row: dict[str, int] = {}
        self._row_histograms = {kind: HdrHistogram() for kind in _LATEST_ROWS}
        self._row_tick: tuple[int, int] | None = None
        self._cpu_before_s = _cpu_s()

    def phase_of(self, at_us: int) -> str:
        """Name of the phase that a time belongs to; times outside belong to the first or last."""
        return self.phase_names[max(bisect_right(self._starts, at_us) - 1, 0)]

    def latency(self, kind: str, action: str, intended_us: int, took_us: int) -> None:
        """Record a latency, in the phase of its intended time."""
        key = (self.phase_of(intended_us), action, kind)
        histogram = self.histograms.get(key)
        if histogram is None:
            histogram = self.histograms[key] = HdrHistogram()
        histogram.record(took_us)
        if kind in self._row_histograms:
            self._row_histograms[kind].record(took_us)

    def ended(self, kind: str, end: str, count: int = 1) -> None:
        """Count actions that have come to their end."""
        self.actions.setdefault(kind, Counter())[end] += count

    def expected(self, domain: str, totals: dict[str, int]) -> None:
        """Add what an acknowledged event is to deal and move."""
        self.expected_totals.setdefault(domain, Counter()).update(totals)

    def error(self, text: str) -> None:
        """Keep one of the first few errors."""
        if len(self.errors) < 2 * _EXAMPLES:
            self.errors.append(text)

    def chat_problem(self, what: str, text: str) -> None:
        """Count a message out of order, repeated or not delivered."""
        self.chat[what] += 1
        if len(self.chat_examples) < _EXAMPLES:
            self.chat_examples.append(f"{what}: {text}")

    def opened(self, view: View) -> None:
        """A player has begun to watch."""
        self.views.add(view)

    def closed(self, view: View) -> None:
        """A player has ceased to watch: keep what it counted."""
        self.views.discard(view)
        self._state.update(_of(view))
        self._largest_batch = max(self._largest_batch, view.counts.largest_batch)
        self._divergences += view.counts.examples[: _EXAMPLES - len(self._divergences)]
        self.interest.far += view.far

    def _state_now(self) -> Counter[str]:
        total = Counter(self._state)
        for view in self.views:
            total.update(_of(view))
        return total

    def row(self, now_us: int, online: int) -> PlayersRow:
        """What has happened since the row before."""
        self.most_online = max(self.most_online, online)
        state = self._state_now()
        ended = Counter[str]()
        for ends in self.actions.values():
            ended.update(ends)
        now = {
            "datagrams": state["datagrams"],
            "bytes_in": self.udp["bytes_received"],
            "full_bytes": state["full_bytes"],
            "changes": state["changes"],
            "checks": state["checks"],
            "divergences": state["divergences"],
            "actions": self.udp["actions"] + self.websocket["actions"],
            "ended": ended["processed"] + ended["rejected"] + ended["dead_lettered"],
            "refused": ended["rate_limited"] + ended["invalid"] + ended["unavailable"],
            "logins": self.sessions["logins"],
            "broken": self.sessions["broken"],
        }
        since: dict[str, Any] = {name: value - self._row.get(name, 0) for name, value in now.items()}
        self._row = now
        done, self._row_histograms = self._row_histograms, {kind: HdrHistogram() for kind in _LATEST_ROWS}
        return PlayersRow(
            t=now_us / 1e6,
            phase=self.phase_of(now_us),
            online=online,
            tick_hz=self._tick_hz(now_us),
            result_p50_ms=_ms(done["result"], 50),
            result_p99_ms=_ms(done["result"], 99),
            age_p99_ms=_ms(done["age"], 99),
            late_p99_ms=_ms(done["late"], 99),
            **since,
        )

    def _tick_hz(self, now_us: int) -> float | None:
        """Ticks per second by the newest number that came and when it did, on this machine's clock.

        None before there was one, and where those who had seen the newest are gone, or the gateway counts anew.
        """
        newest, minus_us = max(((view.tick, -view.tick_us) for view in self.views), default=(0, 0))
        before, self._row_tick = self._row_tick, (newest, -minus_us)
        if before is None or not newest or not before[0] or newest < before[0]:
            return None
        if newest == before[0]:
            self._row_tick = before
            return 1e6 / max(now_us - before[1], 1)  # at most: the next may come at once
        return (newest - before[0]) * 1e6 / max(-minus_us - before[1], 1)

    def record(self) -> PlayersRecord:
        """Everything, once all views are closed."""
        state = self._state_now()
        return PlayersRecord(
            worker=self.worker,
            players=self.most_online,
            udp_group=self.plan.udp_group,
            sessions=SessionCounts(**{one.name: self.sessions[one.name] for one in fields(SessionCounts)}),
            actions={kind: dict(ends) for kind, ends in self.actions.items()},
            answered_twice=self.answered_twice,
            actions_by_datagram=self.udp["actions"],
            actions_by_message=self.websocket["actions"],
            messages=self.websocket["received"],
            streams=tuple(stream.record() for stream in self.streams),
            inconsistent_offsets=self.offsets.repeated,
            offset_not_monotonic=sum(stream.not_monotonic for stream in self.streams),
            expected_totals={domain: dict(totals) for domain, totals in self.expected_totals.items()},
            state=StateSeen(
                bytes=self.udp["bytes_received"],
                lost=self.udp["lost"],
                bad=dict(self.bad),
                largest_batch=max([self._largest_batch, *(view.counts.largest_batch for view in self.views)]),
                examples=tuple(self._divergences),
                **{name: state[name] for name in _STATE},
            ),
            interest=self.interest.seen(),
            chat=ChatSeen(
                **{name: self.chat[name] for name in ("messages", "disordered", "repeated", "undelivered")},
                examples=tuple(self.chat_examples),
            ),
            certificates=tuple(self.certificates),
            greedy=tuple(self.greedy),
            interruptions=tuple(self.interruptions),
            layouts=tuple(Layout(**saving._asdict()) for saving in layout_savings()),
            limits={
                "batch": self.plan.batch,
                "tick_min_hz": self.plan.tick_min_hz,
                "tick_max_hz": self.plan.tick_max_hz,
                "per_minute": self.plan.limit_per_minute,
                "grid": self.plan.grid,
                "grid_told": self.grid,
            },
            cpu_s=_cpu_s() - self._cpu_before_s,
            errors=tuple(self.errors),
        )


_STATE: Final = ("datagrams", "full_bytes", "changes", "checks", "divergences", "missing_base", "stale")


def _of(view: View) -> dict[str, int]:
    counts = view.counts
    return {
        "datagrams": counts.datagrams,
        "full_bytes": view.full_bytes,
        "changes": view.changes,
        "checks": counts.checks,
        "divergences": counts.divergences,
        "missing_base": counts.missing_base,
        "stale": counts.stale,
    }


def _ms(histogram: HdrHistogram, q: float) -> float | None:
    return histogram.percentile(q) / 1000 if histogram.total else None


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
