"""The events that the simulated run sends: of the load by its own schedule, of two drills, and of the gateway."""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import lru_cache

from necp_validate.events.envelope import event_id, head, seal
from necp_validate.events.samples import SampleKind, sample_event
from necp_validate.events.topics import Domain
from necp_validate.ledger.stream_account import AckedOffsets
from necp_validate.load.traffic import key_of, stream_id
from necp_validate.security.sending import DrillStream, drill_stream_id
from necp_validate.selftest.simulated.faults import FLOOD, POISON
from necp_validate.selftest.simulated.log import Sent
from necp_validate.selftest.simulated.scenario import CHEAT_SHARE, POISON_SHARE, RUN_ID, TRAFFIC, at, schedule_of

WORKER_OF = {domain: "w1" if domain is Domain.SYSTEM else "w0" for domain in Domain}
"""Which load worker plays the servers of a domain."""

WORKERS = tuple(dict.fromkeys(WORKER_OF.values()))
GATEWAY = "gateway-0"
GATEWAY_STREAM = "9a7e0000"
FLOOD_BATCH, POISON_BATCH = 5, 20


@lru_cache(maxsize=1)
def plan() -> tuple[Sent, ...]:
    """All events, encoded once: of the load, of two drills, and of the gateway."""
    events = [one for domain in TRAFFIC for one in _of_load(domain)]
    for streams_of, fault in ((flood_streams, FLOOD.id), (poison_streams, POISON.id)):
        for stream in streams_of(AckedOffsets()):
            events += _of_drill(stream, fault)
    events += _of_gateway()
    return tuple(sorted(events, key=lambda event: event.ts_us))


def _of_load(domain: Domain) -> Iterator[Sent]:
    traffic, schedule = TRAFFIC[domain], schedule_of(domain)
    rng = random.Random(f"selftest/{domain}")
    due = [(at(due_s), server) for server in range(schedule.most_servers) for due_s in schedule.flushes(server)]
    sequence: dict[int, int] = {}
    number = 0
    for ts_us, server in sorted(due):
        stream, key = stream_id(RUN_ID, domain, server), key_of(domain, server)
        for _ in range(traffic.run_length):
            number += 1
            seq = sequence[server] = sequence.get(server, -1) + 1
            kind = _kind(domain, number)
            name, version, data = sample_event(domain, rng, kind=kind)
            value = seal(head(name, version, key=key, data=data), ts_us, event_id(stream, seq))
            yield Sent(
                sender=WORKER_OF[domain],
                domain=domain,
                stream=stream,
                key=key,
                seq=seq,
                kind=kind,
                ts_us=ts_us,
                value=value,
            )


def _kind(domain: Domain, number: int) -> SampleKind:
    every = round(1 / CHEAT_SHARE)
    if domain is Domain.COMBAT and number % every == every // 2:
        return "cheat"
    every = round(1 / POISON_SHARE)
    return "poison" if number % every == every // 2 else "valid"


def flood_streams(offsets: AckedOffsets) -> list[DrillStream]:
    """The eight polite senders of the flood; nothing sent yet."""
    return [_drill_stream(Domain.SOCIAL, FLOOD.id, number, "valid", FLOOD_BATCH, offsets) for number in range(8)]


def poison_streams(offsets: AckedOffsets) -> list[DrillStream]:
    """The one producer of poison."""
    return [_drill_stream(Domain.SYSTEM, POISON.id, 0, "poison", POISON_BATCH, offsets)]


def _drill_stream(
    domain: Domain, drill: str, number: int, kind: SampleKind, batch: int, offsets: AckedOffsets
) -> DrillStream:
    key = f"{drill}-{number:03d}"
    return DrillStream(
        domain, drill_stream_id(RUN_ID, drill, number), key, kind=kind, batch=batch, seed=key, offsets=offsets
    )


def _of_drill(stream: DrillStream, fault: str) -> Iterator[Sent]:
    """The batches of one of a drill's senders: five in 8 s of the flood, three of poison before the breaker opens."""
    kind: SampleKind = "valid" if fault == FLOOD.id else "poison"
    times = [FLOOD.begin_us + round((0.2 + 1.6 * n) * 1e6) for n in range(5)]
    if fault == POISON.id:
        times = [POISON.begin_us + round((0.2 + 0.2 * n) * 1e6) for n in range(3)]
    account = stream.account
    for ts_us in times:
        values = stream.batch(ts_us)
        for seq, value in enumerate(values, start=account.sent):
            yield Sent(
                sender=fault,
                domain=stream.domain,
                stream=account.id,
                key=account.key,
                seq=seq,
                kind=kind,
                ts_us=ts_us,
                value=value,
            )
        stream.sent(len(values), ())


def _of_gateway() -> Iterator[Sent]:
    """What the gateway says of one who asks too often."""
    rng = random.Random("selftest/gateway")
    samples = (sample_event(Domain.SYSTEM, rng) for _ in range(1_000))
    entries = [sample for sample in samples if sample[0] == "system.audit"]
    for seq, (name, version, data) in enumerate(entries[:3]):
        ts_us = at(30 + seq)
        value = seal(head(name, version, key=GATEWAY, data=data), ts_us, event_id(GATEWAY_STREAM, seq))
        yield Sent(
            sender=GATEWAY,
            domain=Domain.SYSTEM,
            stream=GATEWAY_STREAM,
            key=GATEWAY,
            seq=seq,
            kind="valid",
            ts_us=ts_us,
            value=value,
        )
