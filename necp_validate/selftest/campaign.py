"""A simulated campaign of fuzzed events, held against the oracle by the code for real ones."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import msgspec

from necp_validate.events.base import InvalidEvent
from necp_validate.events.envelope import decode, event_id, head, seal
from necp_validate.events.expected_totals import expected_of
from necp_validate.events.ledger import LedgerRecord, encode_ledger_record
from necp_validate.events.receipts import Outcome, encode_receipt
from necp_validate.events.samples import SampleKind, sample_event
from necp_validate.events.social import ChatMessageV2
from necp_validate.events.system import AuditV2
from necp_validate.events.topics import CHAT_TOPIC, LEDGER_TOPIC, RECEIPTS_TOPIC, TOPICS, Domain
from necp_validate.fuzz.cases import Case
from necp_validate.fuzz.judging import Sent, judge
from necp_validate.fuzz.observed import Observed, Place, RawHeaders
from necp_validate.load.traffic import key_of, stream_id
from necp_validate.record import CoreShutdown, FuzzConsumer, FuzzRecord, Phase, TopicSettings, parts
from necp_validate.scenario.fuzzing import CLAIMS, CORE_ENVIRONMENT, FuzzPlan
from necp_validate.selftest.contents import Contents
from necp_validate.selftest.simulated.ledger import book
from necp_validate.selftest.simulated.log import decoded
from necp_validate.selftest.simulated.reading import receipt_of
from necp_validate.selftest.simulated.scenario import at, finished_run

JUDGED = CLAIMS
_KINDS: tuple[SampleKind, ...] = (*("valid",) * 6, "cheat", *("poison",) * 3)
_OF_DOMAIN = 60


@dataclass(slots=True)
class Letter:
    """A record of a dead-letter topic, and of which event it is."""

    of: Place
    key: bytes | None
    value: bytes | None
    headers: RawHeaders


@dataclass(slots=True)
class CampaignRun:
    """A sound campaign, until a defect is seeded.

    Args:
        sent: every event, and where it lies.
        outcomes: by place.
        letters: the dead letters.
        ledger: what was booked.
        chat: messages by region and channel, by their events' ids.
        audit: ids of the entries of the audit trail.
        damage: dealt.
        committed: by domain, how many events the consumers have committed.
        settings: of the topics, as a broker says.
        shutdown: of the event core.
    """

    sent: list[Sent]
    outcomes: dict[Place, Outcome] = field(default_factory=dict)
    letters: list[Letter] = field(default_factory=list)
    ledger: list[LedgerRecord] = field(default_factory=list)
    chat: list[tuple[str, str, str]] = field(default_factory=list)
    audit: list[str] = field(default_factory=list)
    damage: int = 0
    committed: dict[str, int] = field(default_factory=dict)
    settings: dict[str, dict[str, str]] = field(default_factory=dict)
    shutdown: CoreShutdown = field(default_factory=lambda: CoreShutdown(exit_code=0, seconds=1.5, healthy_before=True))

    def of(self, domain: Domain, outcome: Outcome) -> Sent:
        """An event from the middle of a domain that ended so."""
        found = [one for one in self.sent if one.topic == domain.topic and self.outcomes[one.place] is outcome]
        return found[len(found) // 2]

    def contents(self) -> Contents:
        """Compare what was sent with the outputs: the parts of the record."""
        observed = Observed()
        for topic, key, value, headers in self._outputs():
            observed.take(topic, 0, 0, key, value, headers)
        observed.audit.update(self.audit)
        judged = judge(self.sent, observed)
        ends = Counter(one.topic for one in self.sent)
        plan = FuzzPlan(events=len(self.sent))
        config = {"fuzz": msgspec.to_builtins(plan), "judge": list(JUDGED), "core": dict(CORE_ENVIRONMENT)}
        return {
            parts.RUN: finished_run("selftest-fuzz", "fuzz", config),
            parts.PHASES: [Phase(name="fuzz", kind="steady", start_us=at(0), end_us=at(20), target_eps={})],
            parts.CORE_SHUTDOWN: self.shutdown,
            parts.FUZZ: FuzzRecord(
                seed=plan.seed,
                asked=len(self.sent),
                sent=len(self.sent),
                distinct=len(self.sent),
                seconds=20.0,
                groups=judged.groups,
                flaws=tuple(flaw.plain() for flaw in judged.flaws),
                flaw_counts=dict(judged.flaw_counts),
                effects=judged.effects,
                ledger=observed.ledger.records(),
                consumers=tuple(
                    FuzzConsumer(domain=d.value, end=ends[d.topic], committed=self.committed[d.value]) for d in Domain
                ),
                crashes=(),
                settings=tuple(
                    TopicSettings(topic=name, found=self.settings[name], claimed=spec.config)
                    for name, spec in TOPICS.items()
                ),
            ),
        }

    def _outputs(self) -> Iterator[tuple[str, bytes | None, bytes | None, RawHeaders]]:
        """The records of the output topics, those of a topic in their order."""
        for domain in Domain:
            mine = [(place, outcome) for place, outcome in self.outcomes.items() if place[0] == domain.topic]
            runs: list[Any] = [(0, place[2], place[2], outcome, at(1)) for place, outcome in mine]
            results = {"damage": {"match": self.damage}} if domain is Domain.COMBAT else {}
            yield RECEIPTS_TOPIC, None, encode_receipt(receipt_of(domain, "core-0", at(1), runs, results)), ()
        for record in self.ledger:
            yield LEDGER_TOPIC, None, encode_ledger_record(record), ()
        for region, channel, message in self.chat:
            content = {"region": region, "channel": channel, "messages": [[message]]}
            yield CHAT_TOPIC, None, json.dumps(content).encode(), ()
        for letter in self.letters:
            yield f"{letter.of[0]}.dlt", letter.key, letter.value, letter.headers


def new_campaign() -> CampaignRun:
    """A sound campaign: every event ended and changed what it must."""
    run = CampaignRun(sent=list(_sent()))
    for domain in Domain:
        mine = [one for one in run.sent if one.topic == domain.topic]
        run.committed[domain.value] = len(mine)
        for one in mine:
            _handle(run, domain, one)
        if domain is Domain.ECONOMY:
            batch = [(one.offset, run.outcomes[one.place], decoded(one.case.value or b"")) for one in mine]
            run.ledger.append(book(0, batch))
    run.settings = {name: dict(spec.config) for name, spec in TOPICS.items()}
    return run


@lru_cache(maxsize=1)
def _sent() -> tuple[Sent, ...]:
    """Events of every domain, each kind in turn, all of one key."""
    found = []
    for domain in Domain:
        rng = random.Random(f"selftest/fuzz/{domain}")
        key, stream = key_of(domain, 0), stream_id("selftest-fuzz", domain, 0)
        for seq in range(_OF_DOMAIN):
            kind = _KINDS[seq % len(_KINDS)]
            name, version, data = sample_event(domain, rng, kind=kind)
            case = Case(
                type_name=name,
                version=version,
                operator="poison" if kind == "poison" else "",
                key=key.encode(),
                value=seal(head(name, version, key=key, data=data), at(seq / 10), event_id(stream, seq)),
                valid=kind != "poison",
                problem="made so" if kind == "poison" else "",
            )
            found.append(Sent(case=case, topic=domain.topic, partition=0, offset=seq))
    return tuple(found)


def _handle(run: CampaignRun, domain: Domain, one: Sent) -> None:
    """What a sound event core makes of an event."""
    value = one.case.value or b""
    try:
        event = decode(value)
    except InvalidEvent as invalid:
        run.outcomes[one.place] = Outcome.DEAD_LETTERED
        said = {"reason": invalid.reason, "detail": invalid.detail, "source-topic": one.topic}
        said |= {"source-partition": f"{one.partition}", "source-offset": f"{one.offset}"}
        run.letters.append(Letter(one.place, one.case.key, value, tuple(said.items())))
        return
    if _KINDS[one.offset % len(_KINDS)] == "cheat":
        run.outcomes[one.place] = Outcome.REJECTED
        return
    run.outcomes[one.place] = Outcome.PROCESSED
    if domain is Domain.COMBAT:
        run.damage += expected_of(event.data).get("damage", 0)
    if isinstance(event.data, ChatMessageV2):
        run.chat.append((event.key, event.data.channel, event.id))
    if isinstance(event.data, AuditV2):
        run.audit.append(event.id)
