"""Decoding: what comes out of valid values, and how invalid ones are refused."""

from __future__ import annotations

import random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from necp_validate.events.combat import DamageV1, DamageV2
from necp_validate.events.envelope import Decoder, InvalidEvent, decode, encode, event_id, head, seal
from necp_validate.events.registry import event_types
from necp_validate.events.samples import sample_event
from necp_validate.events.topics import Domain

TS_US = 1_700_000_000_000_000
STREAM = "0a1b2c3d"
HIT = DamageV2(
    attacker="player-1",
    target="player-2",
    weapon="rifle",
    damage=34,
    armour=120,
    critical=False,
    zone="torso",
    distance_cm=4_200,
    shots=3,
    window_ms=400,
)


def _value(front: bytes) -> bytes:
    return seal(front, TS_US, event_id(STREAM, 7))


def test_round_trip() -> None:
    """What was encoded is decoded, with its place in the stream."""
    event = decode(encode(HIT, key="match-0001", ts_us=TS_US, stream=STREAM, seq=7))
    assert event.data == HIT
    assert (event.type, event.v, event.key, event.ts) == ("combat.damage", 2, "match-0001", TS_US)
    assert (event.stream, event.seq) == (STREAM, 7)


def test_an_older_version_is_read_as_the_newest() -> None:
    """Handlers see one version only; the envelope still says what was sent."""
    old = DamageV1(attacker="a", target="b", weapon="katana", damage=10, armour=0, critical=True)
    event = decode(encode(old, key="k", ts_us=TS_US, stream=STREAM, seq=0))
    assert event.v == 1
    assert event.data == DamageV2(
        attacker="a",
        target="b",
        weapon="katana",
        damage=10,
        armour=0,
        critical=True,
        zone="torso",
        distance_cm=0,
        shots=1,
        window_ms=1_000,
    )


def test_a_key_that_needs_escaping_survives() -> None:
    """The key is a JSON string like any other."""
    assert decode(encode(HIT, key='a"b\\ü', ts_us=TS_US, stream=STREAM, seq=0)).key == 'a"b\\ü'


GOOD = encode(HIT, key="match-0001", ts_us=TS_US, stream=STREAM, seq=7)
FRONT = GOOD[:-69]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"", "malformed"),
        (b"x", "malformed"),
        (GOOD[:-1], "malformed"),
        (GOOD[1:], "bad-crc"),
        (GOOD.replace(b"rifle", b"rofle"), "bad-crc"),
        (_value(FRONT.replace(b"rifle", b"rofle")), "invalid-data"),
        (_value(FRONT.replace(b'"damage":34', b'"damage":0')), "invalid-data"),
        (_value(FRONT.replace(b'"damage":34', b'"damage":"34"')), "invalid-data"),
        (_value(FRONT.replace(b'"damage":34,', b"")), "invalid-data"),
        (_value(FRONT.replace(b'"damage":34', b'"damage":34,"more":1')), "invalid-data"),
        (_value(FRONT.replace(b'"v":2', b'"v":9')), "unknown-type"),
        (_value(FRONT.replace(b"combat.damage", b"combat.dance")), "unknown-type"),
        (_value(FRONT.replace(b'"v":2', b'"v": 2')), "malformed"),
        (_value(b'{"v":2,"type":"combat.damage","key":"k","data":{}'), "malformed"),
        (_value(b'{"type":"combat.damage","v":2,"key":"","data":{}'), "malformed"),
        (_value(b'{"type":"combat.damage","v":2,"key":"k","data":{'), "malformed"),
        (_value(b'{"type":"combat.damage","v":2,"key":"k","data":' + b"[" * 9_999 + b"]" * 9_999), "malformed"),
        (_value(FRONT.replace(b"player-1", b"player-\xff")), "malformed"),
    ],
)
def test_invalid_values_are_refused_with_their_reason(value: bytes, reason: str) -> None:
    """Each kind of defect has one reason, whichever check meets it first."""
    with pytest.raises(InvalidEvent) as caught:
        decode(value)
    assert caught.value.reason == reason


@given(st.binary(max_size=200))
@example(b'","crc":"00000000"}')
def test_no_bytes_do_anything_but_be_refused(value: bytes) -> None:
    """Whatever arrives, the only error is a refusal."""
    with pytest.raises(InvalidEvent):
        decode(value)


@given(st.binary(max_size=200))
def test_no_sealed_bytes_do_anything_but_be_refused(front: bytes) -> None:
    """The same with a tail that is right."""
    with pytest.raises(InvalidEvent):
        decode(_value(front))


def test_a_decoder_of_one_domain_refuses_another_domains_events() -> None:
    """An event in the wrong topic is of an unknown type there."""
    combat = Decoder(event_types(Domain.COMBAT))
    type_name, version, data = sample_event(Domain.ECONOMY, random.Random(1))
    with pytest.raises(InvalidEvent) as caught:
        combat.decode(_value(head(type_name, version, key="k", data=data)))
    assert caught.value.reason == "unknown-type"


@pytest.mark.parametrize("twice", [b'"zone":"head"', b'"zone" : "torso"', b'"\\u007aone":"head"', b'"weapon":"a:b"'])
def test_a_field_that_is_there_twice_is_refused(twice: bytes) -> None:
    """Readers differ in which of the two they take, however it is written."""
    data = b'{"attacker":"a:b","target":"t","weapon":"smg","damage":1,"armour":0,"critical":false,"zone":"torso",'
    rest = b'"distance_cm":1,"shots":1,"window_ms":1000}'
    whole = seal(head("combat.damage", 2, key="m:1", data=data + rest), 10**15, event_id("0000000a", 0))
    assert decode(whole).key == "m:1"
    repeated = seal(
        head("combat.damage", 2, key="m:1", data=data + twice + b"," + rest), 10**15, event_id("0000000a", 0)
    )
    with pytest.raises(InvalidEvent) as refused:
        decode(repeated)
    assert refused.value.reason in ("malformed", "invalid-data")


def test_an_envelope_s_field_that_is_there_twice_is_refused() -> None:
    """The same holds outside of the data."""
    front = head("system.session_end", 1, key="n", data=b'{"session":"s","player":"p","duration_s":1,"cause":"kick"}')
    repeated = seal(front + b',"ts":1000000000000001', 10**15, event_id("0000000a", 0))
    with pytest.raises(InvalidEvent, match="'ts' is there twice"):
        decode(repeated)
