"""WebSocket messages and actions."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from necp_validate.realtime import messages as m

TS = 1_764_000_000_000_000


@pytest.mark.parametrize("udp", [False, True])
def test_an_action_comes_back_over_both_transports(udp: bool) -> None:
    """The same message in JSON and in msgpack."""
    hit = m.Hit(target=9, weapon="katana", damage=12)
    action = (
        m.decode_udp_action(m.udp_action(3, TS, "hit", hit))
        if udp
        else m.decode_client(m.json_action(3, TS, "hit", hit))
    )
    assert isinstance(action, m.Action)
    assert (action.n, action.ts_us, action.kind) == (3, TS, "hit")
    assert m.action_data(action, udp=udp) == hit


def test_messages_are_tagged_by_t() -> None:
    """As the protocol's reference says."""
    text = m.encode(m.Accepted(n=1, event="0011aabb-000000000001", topic="t", partition=2, offset=3))
    assert json.loads(text) == {
        "t": "accepted",
        "n": 1,
        "event": "0011aabb-000000000001",
        "topic": "t",
        "partition": 2,
        "offset": 3,
    }
    assert m.decode_gateway(text) == m.Accepted(n=1, event="0011aabb-000000000001", topic="t", partition=2, offset=3)
    assert m.decode_client('{"t":"bye"}') == m.Leave()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "[]",
        "{}",
        '{"t":"welcome"}',
        '{"t":"login","player":"","match":"m","region":"r","build":"1"}',
        '{"t":"login","player":"' + "p" * 41 + '","match":"m","region":"r","build":"1"}',
        '{"t":"login","player":"p","match":"m","region":"r","build":"1","admin":true}',
        '{"t":"action","n":0,"ts_us":1764000000000000,"kind":"hit","data":{}}',
        '{"t":"action","n":-1,"ts_us":1764000000000000,"kind":"hit","data":{}}',
        '{"t":"action","n":1,"ts_us":5,"kind":"hit","data":{}}',
        '{"t":"ping"}',
        '{"t":"ping","n":1}' + " " * 4_096,
        "[" * 4_000,
        '{"t":"ping","n":1e400}',
    ],
)
def test_wrong_messages_are_refused(text: str) -> None:
    """Each with a reason."""
    with pytest.raises(m.BadMessage):
        m.decode_client(text)


@given(st.one_of(st.text(max_size=300), st.binary(max_size=300)))
def test_rubbish_never_fails_otherwise(text: str | bytes) -> None:
    """A message or a BadMessage, over both transports."""
    for decode in (m.decode_client, m.decode_gateway):
        with suppress(m.BadMessage):
            assert isinstance(decode(text), m.Message)
    if isinstance(text, bytes):
        with pytest.raises(m.BadMessage):
            m.decode_udp_action(text)


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("steal", {}),
        ("hit", {"target": 1}),
        ("hit", {"target": 1, "weapon": "spoon", "damage": 1}),
        ("hit", {"target": 1, "weapon": "katana", "damage": 0}),
        ("hit", {"target": 1, "weapon": "katana", "damage": 1, "attacker": "somebody-else"}),
        ("trade", {"order": "o", "seller": "s", "item": "ammo", "quantity": -5, "unit_price": 1}),
        ("transfer", {"credit": "c", "amount": 0}),
        ("chat", {"channel": "c", "text": "", "sent_last_minute": 1}),
        ("guild", {"do": "burn", "guild": "g"}),
        ("hit", []),
        ("hit", None),
    ],
)
def test_wrong_data_of_an_action_is_refused(kind: str, data: object) -> None:
    """The message is one, but its data is not."""
    text = json.dumps({"t": "action", "n": 1, "ts_us": TS, "kind": kind, "data": data})
    action = m.decode_client(text)
    assert isinstance(action, m.Action)
    with pytest.raises(m.BadMessage):
        m.action_data(action, udp=False)
