"""A flood through a publisher, a process of its own: ``python -m necp_validate.security.flood`` with its plan as input.

Most senders are polite: each has a share of a rate that is beyond the limit, and sends what is due as fast as it is
answered; when it is refused it stays away for as long as it was told to, and then has all the more to send. The others
are hostile: they always have something to send, and heed nothing. Without them the limit would not be pressed all the
time, because the polite ones come back together.
"""

from __future__ import annotations

import http.client
import signal
import sys
import threading
import time
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any, Final

import msgspec
from prometheus_client.parser import text_string_to_metric_families

from necp_validate.core import SuiteError
from necp_validate.events.topics import Domain
from necp_validate.ledger.stream_account import AckedOffsets
from necp_validate.record import FloodRecord, FloodSecond, parts
from necp_validate.security.sending import DrillStream, drill_record, drill_stream_id

READY: Final = "ready"
HITS: Final = "kafka_producer_rate_limit_hits_total"
BATCH: Final = 250
_ANSWER_S: Final = 60.0
_HOSTILE_PAUSE_S: Final = 0.1
_FORMS: Final = 8  # senders with the same events, so that making them takes no longer than it must


class FloodPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What the process is told.

    Args:
        run_dir: where the history goes.
        run_id: makes the streams' ids unique to the run.
        name: of this flood, unique in the run.
        domain: whose events are sent.
        url: base address of the publisher.
        metrics_url: its metrics.
        token: what it wants to see.
        rate_eps: its limit, events a second.
        burst: its limit at once.
        factor: how many times the limit is due, to the polite senders.
        seconds: how long.
        polite: how many senders heed what they are told.
        hostile: how many do not.
    """

    run_dir: str
    run_id: str
    name: str
    domain: Domain
    url: str
    metrics_url: str
    token: str
    rate_eps: int
    burst: int
    factor: float
    seconds: float
    polite: int
    hostile: int


class _Answer(msgspec.Struct, frozen=True, kw_only=True):
    accepted: int
    refused: int
    runs: list[tuple[int, int, int, int]] = []
    failed: list[tuple[int, int]] = []
    retry_after_s: float = 0.0
    error: str = ""


_ENCODE: Final = msgspec.msgpack.Encoder().encode
_DECODE: Final = msgspec.json.Decoder(_Answer).decode
_TAKEN: Final = frozenset({200, 429, 503})


class _Sender:
    """One sender: a stream, a connection, and what it was told."""

    def __init__(self, plan: FloodPlan, number: int, offsets: AckedOffsets) -> None:
        self.polite = number < plan.polite
        self._name = f"{plan.name}-{number:03d}"
        stream = drill_stream_id(plan.run_id, plan.name, number)
        form = f"{plan.run_id}/{plan.name}/{number % _FORMS}"
        self.stream = DrillStream(
            plan.domain, stream, self._name, kind="valid", batch=BATCH, seed=form, offsets=offsets
        )
        self._key = self._name.encode()
        self._path = f"/v1/events/{plan.domain.topic}"
        self._headers = {"Authorization": f"Bearer {plan.token}", "Producer-Id": self._name}
        self._address = urllib.parse.urlsplit(plan.url)
        self._connection: http.client.HTTPConnection | None = None
        self.waits_s: list[float] = []
        self.unanswered = 0

    def offer(self) -> _Answer | None:
        """Offer the next batch; None if there was no answer, and nobody knows what became of it.

        Raises:
            SuiteError: the publisher does not want what it is sent.
        """
        values = self.stream.batch(time.time_ns() // 1000)
        body = _ENCODE([(self._key, value) for value in values])
        try:
            if self._connection is None:
                self._connection = http.client.HTTPConnection(
                    self._address.hostname or "", self._address.port, timeout=_ANSWER_S
                )
            self._connection.request("POST", self._path, body, self._headers)
            reply = self._connection.getresponse()
            content = reply.read()
        except (OSError, http.client.HTTPException):
            self.close()
            self.stream.sent(BATCH, ())
            self.unanswered += BATCH
            return None
        if reply.status not in _TAKEN:
            raise SuiteError(f"the publisher answered {reply.status}: {content[:300].decode('utf-8', 'replace')}")
        answer = _DECODE(content)
        self.stream.sent(answer.accepted, answer.runs, failed=answer.failed)
        if answer.refused:
            self.waits_s.append(answer.retry_after_s)
        return answer

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class Flood:
    """A flood.

    Args:
        plan: what it is told.
    """

    def __init__(self, plan: FloodPlan) -> None:
        self._plan = plan
        self._offsets = AckedOffsets()
        self._senders = [_Sender(plan, number, self._offsets) for number in range(plan.polite + plan.hostile)]
        self._lock = threading.Lock()
        self._seconds: list[list[int]] = []
        self._begin_s = self._last_offer_s = self._last_answer_s = 0.0
        self._passable, self._tokens = 0.0, float(plan.burst)
        self._error: BaseException | None = None
        self.stop = threading.Event()

    def run(self) -> None:
        """Flood until the time is over, or told to stop; then leave the record.

        Raises:
            SuiteError: the publisher does not want what it is sent.
        """
        begin_us = time.time_ns() // 1000
        self._begin_s = self._last_offer_s = self._last_answer_s = time.monotonic()
        threads = [threading.Thread(target=self._serve, args=(sender,), daemon=True) for sender in self._senders]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self._save(begin_us)
        if self._error is not None:
            raise self._error

    def _serve(self, sender: _Sender) -> None:
        plan, sent = self._plan, 0
        share_eps = plan.rate_eps * plan.factor / plan.polite
        try:
            while not self.stop.is_set():
                now_s = time.monotonic() - self._begin_s
                due_s = (sent + BATCH) / share_eps if sender.polite else 0.0
                if max(now_s, due_s) >= plan.seconds:
                    break
                if due_s > now_s:
                    self.stop.wait(min(due_s, plan.seconds) - now_s)
                    continue
                self._note_offer()
                answer = sender.offer()
                self._count(answer)
                sent += BATCH if answer is None else answer.accepted
                if answer is not None and answer.retry_after_s:
                    self.stop.wait(answer.retry_after_s if sender.polite else _HOSTILE_PAUSE_S)
        except BaseException as error:  # noqa: BLE001  # raised by the main thread
            self._error = error
            self.stop.set()
        finally:
            sender.close()

    def _note_offer(self) -> None:
        """Work out what an exact limit would let pass: less of a flood that pauses because its answers are late."""
        with self._lock:
            now_s = max(self._last_offer_s, time.monotonic())
            self._tokens = min(self._plan.burst, self._tokens + self._plan.rate_eps * (now_s - self._last_offer_s))
            self._last_offer_s = now_s
            taken = min(self._tokens, BATCH)
            self._tokens -= taken
            self._passable += taken

    def _count(self, answer: _Answer | None) -> None:
        with self._lock:
            self._last_answer_s = now_s = max(time.monotonic(), self._last_answer_s)
            second = int(now_s - self._begin_s)
            while len(self._seconds) <= second:
                self._seconds.append([0, 0, 0])
            if answer is not None:
                counts = (answer.accepted + answer.refused, answer.accepted, answer.refused)
                self._seconds[second] = [a + b for a, b in zip(self._seconds[second], counts, strict=True)]

    def _save(self, begin_us: int) -> None:
        plan, streams = self._plan, [sender.stream for sender in self._senders]
        run_dir = Path(plan.run_dir)
        elapsed_s = self._last_answer_s - self._begin_s
        parts.DRILL_LOADS.write(run_dir, drill_record(plan.name, plan.domain, streams, self._offsets, planted={}))
        parts.FLOODS.append(
            run_dir,
            FloodRecord(
                topic=plan.domain.topic,
                rate_eps=plan.rate_eps,
                burst=plan.burst,
                begin_us=begin_us,
                end_us=begin_us + round(elapsed_s * 1e6),
                offering_s=round(self._last_offer_s - self._begin_s, 4),
                elapsed_s=round(elapsed_s, 4),
                due=round(plan.rate_eps * plan.factor * (self._last_offer_s - self._begin_s)),
                passable=int(self._passable),
                unanswered=sum(sender.unanswered for sender in self._senders),
                seconds=tuple(FloodSecond(offered=o, accepted=a, refused=r) for o, a, r in self._seconds),
                waits_s=tuple(tuple(sender.waits_s) for sender in self._senders if sender.polite),
                streams=tuple(stream.account.id for stream in streams),
                hits=limit_hits(plan.metrics_url, plan.domain.topic),
            ),
        )


def limit_hits(metrics_url: str, topic: str) -> int | None:
    """Events that a publisher says it has refused because of the limit; None if it does not answer."""
    try:
        with urllib.request.urlopen(metrics_url, timeout=5.0) as answer:
            text = answer.read().decode()
    except (OSError, http.client.HTTPException):
        return None
    samples: list[Any] = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    found = [s.value for s in samples if s.name == HITS and s.labels["topic"] == topic]
    return round(sum(found)) if found else None


def main() -> int:
    """Read the plan from standard input, flood, and leave the record; returns the exit code."""
    flood = Flood(msgspec.json.decode(sys.stdin.readline(), type=FloodPlan))
    signal.signal(signal.SIGTERM, lambda *_: flood.stop.set())
    sys.setswitchinterval(0.002)
    print(READY, flush=True)
    try:
        flood.run()
    except SuiteError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
