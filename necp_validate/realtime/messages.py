"""WebSocket messages (JSON, tagged by ``t``), and the action that also travels in a datagram (msgpack)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec
from msgspec import Meta

from necp_validate.events.base import EntityId, Key
from necp_validate.events.combat import Armour, DistanceCm, HitPoints, WeaponName, ZoneName
from necp_validate.events.economy import Amount, ItemName, Price, Quantity
from necp_validate.events.social import Channel, GuildName, GuildTag, Rank
from necp_validate.realtime.constants import MAX_MESSAGE_BYTES

Number = Annotated[int, Meta(ge=1, lt=2**53, description="number of an action in its session, from 1 without holes")]
Micros = Annotated[int, Meta(ge=10**15, lt=10**16, description="microseconds since the epoch")]
Refusal = Literal["rate-limited", "invalid", "unavailable", "duplicate"]
ResultName = Literal["processed", "rejected", "dead-lettered"]
Ranges = list[tuple[int, int]]
"""Numbers as ``(first, last)``, both included."""


class Message(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="t"):
    """What every message is."""


class Login(Message, frozen=True, kw_only=True, tag="login"):
    """First message of a client.

    Args:
        player: who it is; becomes the actor of its events.
        match: the match, key of its combat events.
        region: the region, key of its social events, and whose chat it gets.
        build: version of the client.
    """

    player: EntityId
    match: Key
    region: Annotated[str, Meta(min_length=1, max_length=40)]
    build: Annotated[str, Meta(min_length=1, max_length=40)]


class Action(Message, frozen=True, kw_only=True, tag="action"):
    """Something a player does that becomes an event.

    Args:
        n: its number in the session, over both transports together.
        ts_us: when it was meant to be sent.
        kind: which of :data:`ACTIONS`.
        data: an object of the kind's class, in the encoding of the message.
    """

    n: Number
    ts_us: Micros
    kind: Annotated[str, Meta(max_length=20)]
    data: msgspec.Raw


class Ping(Message, frozen=True, kw_only=True, tag="ping"):
    """Asks for a pong; counts as a request."""

    n: Number


class Leave(Message, frozen=True, kw_only=True, tag="bye"):
    """The client is about to end its session; the gateway answers with a :class:`Goodbye`."""


class Streams(msgspec.Struct, frozen=True, kw_only=True):
    """The session's stream of events in each domain, 8 hex digits."""

    combat: str
    economy: str
    social: str


class Welcome(Message, frozen=True, kw_only=True, tag="welcome"):
    """Answer to a login.

    Args:
        session: id for datagrams, 16 hex digits.
        key: secret for datagrams, 64 hex digits.
        udp_port: where datagrams go.
        entity: number of the player's entity.
        tick_hz: ticks a second at present.
        grid: width of a cell, in world units.
        cells: number of cells in a row, and of rows.
        streams: names of the streams that the session's events will have.
    """

    session: str
    key: str
    udp_port: int
    entity: int
    tick_hz: float
    grid: int
    cells: int
    streams: Streams


class Accepted(Message, frozen=True, kw_only=True, tag="accepted"):
    """Kafka has acknowledged the event of an action.

    Args:
        n: the action.
        event: id of the event, ``<stream>-<sequence>``.
        topic: where it is.
        partition: where it is.
        offset: where it is; -1 if Kafka did not say.
    """

    n: int
    event: str
    topic: str
    partition: int
    offset: int


class Result(Message, frozen=True, kw_only=True, tag="result"):
    """What the event core made of an accepted action."""

    n: int
    outcome: ResultName


class Refused(Message, frozen=True, kw_only=True, tag="refused"):
    """An action that became no event; ``n`` is 0 for a ping over the limit."""

    n: int
    reason: Refusal
    retry_after_ms: int = 0


class Chat(Message, frozen=True, kw_only=True, tag="chat"):
    """A chat message of the player's region, as the event core put it out.

    ``partition`` and ``offset`` say where; the messages of one record come in the record's order.
    """

    channel: str
    sender: str
    text: str
    partition: int
    offset: int


class Pong(Message, frozen=True, kw_only=True, tag="pong"):
    """Answer to a ping."""

    n: int


class Error(Message, frozen=True, kw_only=True, tag="error"):
    """Why the gateway is about to close the connection."""

    code: str
    message: str


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What the gateway got in a session.

    Args:
        udp_actions: numbers of the actions that came as datagrams.
        ws_actions: numbers of the actions that came as messages.
        datagrams_in: valid datagrams.
        dropped: what was dropped, by reason.
    """

    udp_actions: Ranges
    ws_actions: Ranges
    datagrams_in: int
    dropped: dict[str, int]


class Goodbye(Message, frozen=True, kw_only=True, tag="bye"):
    """The session ends: ``logout``, ``replaced`` or ``shutdown``."""

    reason: str
    summary: Summary


ClientMessage = Login | Action | Ping | Leave
GatewayMessage = Welcome | Accepted | Result | Refused | Chat | Pong | Error | Goodbye


class ActionData(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Data of an action; what the gateway knows better (who, in which match) is not in it."""


class Hit(ActionData, frozen=True, kw_only=True):
    """A hit on the entity ``target``; becomes ``combat.damage``."""

    target: Annotated[int, Meta(ge=1, lt=2**32)]
    weapon: WeaponName
    damage: HitPoints
    armour: Armour = 0
    critical: bool = False
    zone: ZoneName = "torso"
    distance_cm: DistanceCm = 0
    shots: Annotated[int, Meta(ge=1, le=1_000)] = 1
    window_ms: Annotated[int, Meta(ge=1, le=60_000)] = 1_000


class Trade(ActionData, frozen=True, kw_only=True):
    """A purchase by the player; becomes ``economy.trade``."""

    order: EntityId
    seller: EntityId
    item: ItemName
    quantity: Quantity
    unit_price: Price


class Transfer(ActionData, frozen=True, kw_only=True):
    """A payment by the player; becomes ``economy.transfer``."""

    credit: EntityId
    amount: Amount


class Say(ActionData, frozen=True, kw_only=True):
    """A chat message; becomes ``social.chat_message``.

    ``sent_last_minute`` says how many messages the player has sent within the minute, this one included.
    """

    channel: Channel
    text: Annotated[str, Meta(min_length=1, max_length=500)]
    sent_last_minute: Annotated[int, Meta(ge=1, le=100_000)]
    language: Annotated[str, Meta(min_length=2, max_length=8)] = "und"


class Guild(ActionData, frozen=True, kw_only=True):
    """Founding, joining or leaving a guild; becomes ``social.guild_create``, ``_join`` or ``_leave``.

    ``name`` and ``tag`` are for founding, ``invited_by`` and ``rank`` (of that player) for joining, ``rank`` (of
    the player) and ``successor`` for leaving.
    """

    do: Literal["create", "join", "leave"]
    guild: EntityId
    name: GuildName = "a guild"
    tag: GuildTag = "GG"
    invited_by: EntityId = "nobody"
    rank: Rank = "member"
    successor: EntityId | None = None


ACTIONS: Final[dict[str, type[ActionData]]] = {
    "hit": Hit,
    "trade": Trade,
    "transfer": Transfer,
    "chat": Say,
    "guild": Guild,
}

_JSON: Final = msgspec.json.Encoder()
_MSGPACK: Final = msgspec.msgpack.Encoder()
_CLIENT: Final[msgspec.json.Decoder[ClientMessage]] = msgspec.json.Decoder(ClientMessage)
_GATEWAY: Final[msgspec.json.Decoder[GatewayMessage]] = msgspec.json.Decoder(GatewayMessage)
_UDP_ACTION: Final[msgspec.msgpack.Decoder[Action]] = msgspec.msgpack.Decoder(Action)
_DATA_JSON: Final[dict[str, msgspec.json.Decoder[ActionData]]] = {
    kind: msgspec.json.Decoder(data) for kind, data in ACTIONS.items()
}
_DATA_MSGPACK: Final[dict[str, msgspec.msgpack.Decoder[ActionData]]] = {
    kind: msgspec.msgpack.Decoder(data) for kind, data in ACTIONS.items()
}


T = TypeVar("T")


class BadMessage(Exception):
    """A message is not to be understood; the text says what is wrong with it."""


def encode(message: Message) -> bytes:
    """Encode a message of either side for a text frame."""
    return _JSON.encode(message)


def decode_client(text: str | bytes) -> ClientMessage:
    """Decode what a client sent.

    Raises:
        BadMessage: it is too long, not JSON, or not a message.
    """
    return _decode(_CLIENT.decode, text)


def decode_gateway(text: str | bytes) -> GatewayMessage:
    """Decode what a gateway sent.

    Raises:
        BadMessage: it is not JSON, or not a message.
    """
    return _decode(_GATEWAY.decode, text, limit=1 << 20)  # a summary may list many ranges


def json_action(n: int, ts_us: int, kind: str, data: ActionData) -> bytes:
    """Encode an action for a text frame."""
    return _JSON.encode(Action(n=n, ts_us=ts_us, kind=kind, data=msgspec.Raw(_JSON.encode(data))))


def udp_action(n: int, ts_us: int, kind: str, data: ActionData) -> bytes:
    """Encode an action for the body of an ACTION datagram, behind its ack block."""
    return _MSGPACK.encode(Action(n=n, ts_us=ts_us, kind=kind, data=msgspec.Raw(_MSGPACK.encode(data))))


def decode_udp_action(body: bytes) -> Action:
    """Decode the action in a datagram.

    Raises:
        BadMessage: it is not one.
    """
    return _decode(_UDP_ACTION.decode, body)


def action_data(action: Action, *, udp: bool) -> ActionData:
    """Decode and validate the data of an action.

    Args:
        action: the action.
        udp: whether it came in a datagram, and so in msgpack.

    Raises:
        BadMessage: the kind is unknown, or the data is not valid.
    """
    if action.kind not in ACTIONS:
        raise BadMessage(f"unknown action {action.kind!r}; known: {', '.join(ACTIONS)}")
    if udp:
        return _decode(_DATA_MSGPACK[action.kind].decode, action.data)
    return _decode(_DATA_JSON[action.kind].decode, action.data)


def _decode(decode: Callable[[Any], T], data: str | bytes | msgspec.Raw, limit: int = MAX_MESSAGE_BYTES) -> T:
    if len(data if isinstance(data, str) else memoryview(data)) > limit:
        raise BadMessage(f"longer than {limit} bytes")
    try:
        return decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadMessage(str(error)) from None
