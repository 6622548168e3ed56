"""What became of records that were sent: one verdict for each thing that can be asked of a consumer."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from necp_validate.core import Verdict
from necp_validate.fuzz.cases import Case
from necp_validate.fuzz.check import Failure
from necp_validate.fuzz.live_topic import ID_HEADER, Found, LiveTopic, Place, Sent

READ_BACK: Final = "read-back"
ADVANCES: Final = "group-advances"
ONE_PLACE: Final = "one-place"
ORIGINAL: Final = "dead-letter-original"
REASON: Final = "dead-letter-reason"
_REASONS: Final = ("reason", "exception", "error", "cause", "detail")
_POLL_S: Final = 0.5
_SETTLE_S: Final = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """The verdict of one check.

    Args:
        check: its name.
        verdict: pass, fail or unknown.
        summary: what the verdict rests on, or what is missing.
        failures: with the records to blame.
    """

    check: str
    verdict: Verdict
    summary: str
    failures: tuple[Failure, ...] = ()


@dataclass(slots=True)
class Outcome:
    """Everything that was seen of a batch of records.

    Args:
        sent: what was sent.
        back: as it was read from the topic, by identity.
        places: where a record's traces were found, by identity.
        strangers: records in those topics that belong to none that was sent.
        committed: what the group had committed in the end, by partition; None if no group is named.
        waited_s: how long the group was waited for.
    """

    sent: Sequence[Sent]
    back: Mapping[str, Found] = field(default_factory=dict)
    places: Mapping[str, Sequence[Found]] = field(default_factory=dict)
    strangers: Sequence[Found] = ()
    committed: Mapping[int, int] | None = None
    waited_s: float = 0.0

    @property
    def written(self) -> list[Sent]:
        """Those that the brokers took."""
        return [one for one in self.sent if not one.refused]


def try_cases(live: LiveTopic, cases: Sequence[Case], *, now_s: Callable[[], float] = time.monotonic) -> Outcome:
    """Send cases, wait until the consumer has had them, and gather every trace of them."""
    target = live.target
    outputs = [*([target.dead_letter_topic] if target.dead_letter_topic else []), *target.output_topics]
    begin = live.ends(outputs)
    outcome = Outcome(live.send(cases))
    outcome.back = live.read_back(outcome.sent)
    started = now_s()
    if target.group:
        outcome.committed = _wait_for_group(live, outcome.written, started + target.timeout_s, now_s)
        outcome.waited_s = now_s() - started
    if outputs:
        found = _read_outputs(live, outputs, begin, outcome.written, started + target.timeout_s, now_s)
        outcome.places, outcome.strangers = match(outcome.written, found, live.topic)
    return outcome


def _wait_for_group(
    live: LiveTopic, written: Sequence[Sent], deadline: float, now_s: Callable[[], float]
) -> dict[int, int]:
    ends = _ends(written)
    while True:
        committed = live.committed(ends)
        if all(committed.get(partition, 0) >= end for partition, end in ends.items()) or now_s() >= deadline:
            return committed
        time.sleep(_POLL_S)


def _read_outputs(
    live: LiveTopic,
    topics: Sequence[str],
    begin: Mapping[Place, int],
    written: Sequence[Sent],
    deadline: float,
    now_s: Callable[[], float],
) -> list[Found]:
    """Read until every record has left a trace, or nothing has come for a while; a group has committed before."""
    found: list[Found] = []
    at, quiet_since = dict(begin), now_s()
    while True:
        ends = live.ends(topics)
        more = list(live.read(at, ends))
        found, at = found + more, ends
        quiet_since = now_s() if more else quiet_since
        enough = bool(live.target.group) or len(found) >= len(written)
        if now_s() - quiet_since >= _SETTLE_S and (enough or now_s() >= deadline):
            return found
        time.sleep(_POLL_S)


def match(written: Sequence[Sent], found: Iterable[Found], topic: str) -> tuple[dict[str, list[Found]], list[Found]]:
    """Find which record each trace belongs to: by the identity that it carries, by the place it names, by its bytes."""
    known = {one.id for one in written}
    by_place = {f"{topic}/{one.partition}/{one.offset}": one.id for one in written}
    by_value: dict[bytes | None, list[str]] = defaultdict(list)
    for one in written:
        by_value[one.case.value].append(one.id)
    places: dict[str, list[Found]] = defaultdict(list)
    strangers = []
    for record in found:
        headers = {name: (text or b"").decode(errors="replace") for name, text in record.headers}
        alike = by_value.get(record.value, [])
        identity = headers.get(ID_HEADER, "")
        if identity not in known:
            identity = by_place.get(_named_place(headers), "")
        if not identity and alike:
            identity = next((one for one in alike if one not in places), alike[0])
        if identity:
            places[identity].append(record)
        else:
            strangers.append(record)
    return dict(places), strangers


def _named_place(headers: Mapping[str, str]) -> str:
    """``topic/partition/offset`` as dead letters name it: in words of their own, so the last of a name counts."""
    parts = {}
    for name, text in headers.items():
        for part in ("topic", "partition", "offset"):
            if name.lower().endswith(part):
                parts[part] = text
    return f"{parts.get('topic')}/{parts.get('partition')}/{parts.get('offset')}"


def judge(outcome: Outcome, live: LiveTopic, schema: str) -> list[Checked]:
    """Judge everything that can be asked; what cannot be seen is unknown, and says what would show it."""
    target = live.target

    def blame(check: str, one: Sent, message: str) -> Failure:
        where = f"{live.topic}[{one.partition}]@{one.offset}" if one.offset >= 0 else ""
        return Failure(schema=schema, check=check, message=message, case=one.case, where=where)

    written = outcome.written
    checks = [_checked(READ_BACK, [blame(READ_BACK, *bad) for bad in _changed(outcome)], f"{len(written)} records")]
    if outcome.committed is None:
        checks.append(_unknown(ADVANCES, "the target names no group"))
    else:
        stalled = [blame(ADVANCES, *bad) for bad in _stalled(outcome)]
        checks.append(_checked(ADVANCES, stalled, f"{target.group} committed {len(written)} records"))
    if target.dead_letter_topic is None:
        checks += [_unknown(name, "the target names no dead_letter_topic") for name in (ONE_PLACE, ORIGINAL, REASON)]
        return checks
    dead = {
        identity: [one for one in found if one.topic == target.dead_letter_topic]
        for identity, found in outcome.places.items()
    }
    if outcome.strangers:
        foreign = (
            f"{len(outcome.strangers)} records there belong to none that was sent, e.g. {outcome.strangers[0].where}"
        )
        checks.append(_unknown(ONE_PLACE, foreign))
    else:
        lost = [blame(ONE_PLACE, *bad) for bad in _misplaced(outcome, target.dead_letter_topic, target.output_topics)]
        seen = "dead letters and outputs" if target.output_topics else "dead letters; outputs are not named"
        checks.append(_checked(ONE_PLACE, lost, f"{len(written)} records, looked for in {seen}"))
    letters = [(one, letter) for one in written for letter in dead.get(one.id, ())]
    if not letters:
        return checks + [_unknown(name, "there was no dead letter") for name in (ORIGINAL, REASON)]
    altered = [
        blame(ORIGINAL, one, f"the dead letter {letter.where} has other bytes")
        for one, letter in letters
        if (letter.value or b"") != (one.case.value or b"") or letter.key != one.case.key
    ]
    silent = [
        blame(REASON, one, f"the dead letter {letter.where} gives no reason")
        for one, letter in letters
        if not _reason(letter)
    ]
    checks.append(_checked(ORIGINAL, altered, f"{len(letters)} dead letters"))
    checks.append(_checked(REASON, silent, f"{len(letters)} dead letters"))
    return checks


def _changed(outcome: Outcome) -> list[tuple[Sent, str]]:
    bad = []
    for one in outcome.written:
        back = outcome.back.get(one.id)
        if back is None:
            bad.append((one, "it was acknowledged and cannot be read"))
        elif (back.key, back.value, back.headers) != (one.case.key, one.case.value, one.headers):
            bad.append((one, "it was read with other bytes than it was sent with"))
    return bad


def _stalled(outcome: Outcome) -> list[tuple[Sent, str]]:
    """For each partition that the group does not get through: the record that it stands before."""
    committed = outcome.committed or {}
    bad = []
    for partition, end in sorted(_ends(outcome.written).items()):
        at = committed.get(partition, 0)
        if at < end:
            ahead = [one for one in outcome.written if one.partition == partition and one.offset >= at]
            first = min(ahead, key=lambda one: one.offset)
            message = f"the group has stood at {at} for {outcome.waited_s:.0f} s; {len(ahead)} records wait behind"
            bad.append((first, message))
    return bad


def _misplaced(outcome: Outcome, dead_letter_topic: str, outputs: Sequence[str]) -> list[tuple[Sent, str]]:
    bad = []
    for one in outcome.written:
        found = outcome.places.get(one.id, ())
        dead = [record for record in found if record.topic == dead_letter_topic]
        names = ", ".join(record.where for record in found) or "nowhere"
        if len(found) > 1:
            bad.append((one, f"it went to {len(found)} places: {names}"))
        elif not one.case.valid and not dead:
            bad.append((one, f"invalid ({one.case.problem}), and not dead-lettered: found {names}"))
        elif one.case.valid and dead:
            bad.append((one, f"valid, and dead-lettered: {names}"))
        elif one.case.valid and outputs and not found:
            bad.append((one, "valid, and in no output"))
    return bad


def _reason(letter: Found) -> str:
    texts = (text for name, text in letter.headers if any(word in name.lower() for word in _REASONS))
    return next((text.decode(errors="replace") for text in texts if text), "")


def _ends(written: Iterable[Sent]) -> dict[int, int]:
    ends: dict[int, int] = {}
    for one in written:
        ends[one.partition] = max(ends.get(one.partition, 0), one.offset + 1)
    return ends


def _checked(check: str, failures: Sequence[Failure], summary: str) -> Checked:
    if failures:
        return Checked(check=check, verdict=Verdict.FAIL, summary=failures[0].message, failures=tuple(failures))
    return Checked(check=check, verdict=Verdict.PASS, summary=summary)


def _unknown(check: str, why: str) -> Checked:
    return Checked(check=check, verdict=Verdict.UNKNOWN, summary=why)
