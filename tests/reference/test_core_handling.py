"""A batch through decoder and handler: every record ends in one outcome, and nothing stops the batch."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable

import pytest
from audit_keys import system_handler
from confluent_kafka import Message

from necp_validate.events.envelope import Decoder, event_id, head, seal
from necp_validate.events.registry import event_types
from necp_validate.events.samples import SampleKind, sample_event
from necp_validate.events.topics import Domain
from necp_validate.reference.eventcore.combat import CombatHandler
from necp_validate.reference.eventcore.economy import EconomyHandler
from necp_validate.reference.eventcore.handling import (
    CUT_BYTES,
    WHOLE_BYTES,
    BatchResult,
    Handler,
    dead_letter_outputs,
    handle_batch,
)
from necp_validate.reference.eventcore.social import SocialHandler

KEY = "server-1"
OUTCOME = {"valid": 0, "cheat": 1, "poison": 2}
HANDLERS: dict[Domain, Callable[[], Handler]] = {
    Domain.COMBAT: CombatHandler,
    Domain.ECONOMY: EconomyHandler,
    Domain.SOCIAL: SocialHandler,
    Domain.SYSTEM: system_handler,
}


def record(
    value: bytes | None,
    offset: int,
    *,
    key: bytes | None = KEY.encode(),
    headers: list[tuple[str, bytes | None]] | None = None,
) -> Message:
    """A record as a consumer would give it."""
    return Message(topic="t", partition=3, offset=offset, key=key, value=value, headers=headers)


def sample(domain: Domain, kind: SampleKind, rng: random.Random, seq: int) -> bytes:
    """A sample as the value of a record."""
    type_name, version, data = sample_event(domain, rng, kind=kind)
    return seal(head(type_name, version, key=KEY, data=data), 10**15 + seq, event_id("00000001", seq))


def handled(domain: Domain, records: list[Message]) -> BatchResult:
    """Handle records with a fresh handler at a fixed time."""
    handle = HANDLERS[domain]().open(3)
    return handle_batch(3, records, Decoder(event_types(domain)).decode, handle, now_us=lambda: 77)


@pytest.mark.parametrize("domain", Domain)
def test_every_sample_ends_as_its_kind_says(domain: Domain) -> None:
    """Valid events are processed, cheats rejected, poison dead-lettered, in whatever mix they come."""
    rng = random.Random(11)
    kinds: list[SampleKind] = [rng.choice(("valid", "valid", "cheat", "poison")) for _ in range(6_000)]
    records = [record(sample(domain, kind, rng, seq), 100 + seq) for seq, kind in enumerate(kinds)]
    result = handled(domain, records)
    outcomes = [int(run[3]) for run in result.runs for _ in range(run[1], run[2] + 1)]
    assert outcomes == [OUTCOME[kind] for kind in kinds]
    assert len(result.dead_letters) == kinds.count("poison")
    assert sum(result.rejected.values()) == kinds.count("cheat")
    assert len(result.sent_us) == len(kinds) - kinds.count("poison")


def test_runs_are_merged_and_offsets_may_have_gaps() -> None:
    """A run goes from the first to the last record of the same outcome; markers take offsets, too."""
    rng = random.Random(1)
    good = [sample(Domain.SYSTEM, "valid", rng, seq) for seq in range(4)]
    records = [record(good[0], 5), record(good[1], 6), record(b"?", 8), record(good[2], 9), record(good[3], 12)]
    assert handled(Domain.SYSTEM, records).runs == [(3, 5, 6, 0, 77), (3, 8, 8, 2, 77), (3, 9, 12, 0, 77)]


@pytest.mark.parametrize(
    ("value", "key", "reason"),
    [
        (None, KEY.encode(), "malformed"),
        (b"", KEY.encode(), "malformed"),
        (sample(Domain.SYSTEM, "valid", random.Random(1), 0), b"other", "malformed"),
        (sample(Domain.SYSTEM, "valid", random.Random(1), 0), None, "malformed"),
        (sample(Domain.COMBAT, "valid", random.Random(1), 0), KEY.encode(), "unknown-type"),
    ],
)
def test_odd_records_are_dead_lettered(value: bytes | None, key: bytes | None, reason: str) -> None:
    """A tombstone, another key than the event's, an event of another domain."""
    (letter,) = handled(Domain.SYSTEM, [record(value, 5, key=key)]).dead_letters
    assert letter.reason == reason


def test_a_handler_that_fails_loses_no_event() -> None:
    """Even a fault of our own ends in a dead letter, and the next event is handled."""
    rng = random.Random(1)
    records = [record(sample(Domain.SYSTEM, "valid", rng, seq), seq) for seq in range(2)]
    calls = iter([ZeroDivisionError("oh"), None])

    def handle(_: object) -> str | None:
        call = next(calls)
        if call is not None:
            raise call
        return None

    result = handle_batch(3, records, Decoder().decode, handle, now_us=lambda: 77)
    assert [run[1:4] for run in result.runs] == [(0, 0, 2), (1, 1, 0)]
    assert result.dead_letters[0].reason == "handler-failed"


def test_dead_letters_say_what_and_where_from() -> None:
    """Value and key as they came; reason and origin in the headers."""
    result = handled(Domain.SYSTEM, [record(b"rubbish", 41, key=b"k")])
    (output,) = dead_letter_outputs(result, source_topic="src", topic="src.dlt", partition=2)
    assert (output.topic, output.partition, output.key, output.value) == ("src.dlt", 2, b"k", b"rubbish")
    headers = dict(output.headers)
    assert headers.pop("detail")
    assert headers == {
        "reason": "malformed",
        "source-topic": "src",
        "source-partition": "3",
        "source-offset": "41",
    }


def test_a_dead_letter_keeps_headers_and_a_missing_value_and_key() -> None:
    """A tombstone stays one; headers of the same name as ours come first, so that the last of a name is ours."""
    own: list[tuple[str, bytes | None]] = [("reason", b"mine"), ("trace", None), ("trace", b"\x00\xff")]
    result = handled(Domain.SYSTEM, [record(None, 5, key=None, headers=own)])
    (output,) = dead_letter_outputs(result, source_topic="s", topic="s.dlt", partition=0)
    assert (output.key, output.value, output.headers[:3]) == (None, None, own)
    assert dict(output.headers)["reason"] == "malformed"


def test_what_producers_may_send_is_dead_lettered_whole() -> None:
    """librdkafka's limit for producers is the size up to which nothing is cut."""
    whole = record(b"x" * (WHOLE_BYTES - 12), 0, key=b"k" * 4, headers=[("name", b"text")])
    (output,) = dead_letter_outputs(handled(Domain.SYSTEM, [whole]), source_topic="s", topic="s.dlt", partition=0)
    assert (output.key, output.value, output.headers[0]) == (b"k" * 4, whole.value(), ("name", b"text"))
    assert "cut-from-bytes" not in dict(output.headers)


def test_a_huge_dead_letter_still_fits_a_record() -> None:
    """What cannot be kept whole is cut, not lost, and what it was can be told."""
    result = handled(Domain.SYSTEM, [record(b"x" * 2_000_000, 0, key=b"k" * 2_000_000, headers=[("h", b"y" * 10)])])
    (output,) = dead_letter_outputs(result, source_topic="s", topic="s.dlt", partition=0)
    assert output.value == b"x" * CUT_BYTES
    said = dict(output.headers)
    assert "h" not in said
    assert said["cut-from-bytes"] == "4000011"
    assert said["cut-from-sha256"] == hashlib.sha256(b"x" * 2_000_000).hexdigest()
    assert sum(map(len, (output.key or b"", output.value or b"", str(said)))) < 1_000_000
