"""Datagrams that come in: checked, counted, applied. Nothing is ever answered from here."""

from __future__ import annotations

from math import sqrt
from typing import Final

from necp_validate.realtime.constants import TOP_SPEED
from necp_validate.realtime.frames import (
    BadFrame,
    Input,
    Kind,
    decode_ack,
    decode_input,
    read_header,
    split_action,
)
from necp_validate.realtime.messages import BadMessage, decode_udp_action
from necp_validate.reference.gateway.gateway import Gateway
from necp_validate.reference.gateway.sessions import Address, Session

_HELLO: Final = int(Kind.HELLO)
_INPUT: Final = int(Kind.INPUT)
_ACK: Final = int(Kind.ACK)
_ACTION: Final = int(Kind.ACTION)


class Datagrams:
    """Takes datagrams.

    Args:
        gateway: the gateway.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._tally = gateway.tally

    def receive(self, datagram: bytes, address: Address) -> None:
        """Take a datagram, whatever it is."""
        tally = self._tally
        tally.datagrams_in += 1
        tally.bytes_in += len(datagram)
        session = None
        try:
            kind, number, seq = read_header(datagram)
            session = self._gateway.sessions.get(number)
            if session is None:
                raise BadFrame("session")
            body, newest = session.opener.open(datagram, seq)
            self._take(session, kind, body, address, newest=newest)
            session.datagrams_in += 1
        except BadFrame as bad:
            tally.dropped[bad.reason] += 1
            # What anybody can send in a session's name is not the session's: only who has the key is counted there.
            if session is not None and bad.reason != "tag":
                session.dropped[bad.reason] += 1

    def _take(self, session: Session, kind: int, body: bytes, address: Address, *, newest: bool) -> None:
        gateway = self._gateway
        if session.address is None:
            if kind != _HELLO:
                raise BadFrame("unbound")
            session.address = address
        elif newest and address != session.address:
            session.address = address
        if kind != _ACTION and session.states.take(gateway.clock()):
            raise BadFrame("rate")
        if kind == _INPUT:
            ack, wish = decode_input(body)
            session.view.acknowledge(ack)
            self._wish(session, wish)
        elif kind == _ACK:
            session.view.acknowledge(decode_ack(body))
        elif kind == _ACTION:
            if session.limit.flooding and session.limit.take(gateway.clock()):
                raise BadFrame("flood")  # not even worth a refusal
            ack, message = split_action(body)
            try:
                action = decode_udp_action(message)
            except BadMessage:
                raise BadFrame("body") from None
            session.view.acknowledge(ack)
            gateway.act(session, action, udp=True)
        elif kind != _HELLO:
            raise BadFrame("kind")
        elif body:
            raise BadFrame("body")

    def _wish(self, session: Session, wish: Input) -> None:
        number, mode, vx, vy, yaw = wish
        if mode >= len(TOP_SPEED):
            raise BadFrame("body")
        if number <= session.wished:
            return  # overtaken by a newer one
        session.wished = number
        top = TOP_SPEED[mode]
        squared = vx * vx + vy * vy
        # A client rounds each part of its velocity, which makes it longer by less than one.
        if squared > (top + 1) * (top + 1):
            session.dropped["speed"] += 1
            self._tally.dropped["speed"] += 1
            share = top / sqrt(squared)
            vx, vy = int(vx * share), int(vy * share)
        self._gateway.world.wish(session.slot, number, mode, vx, vy, yaw)
