"""Delivery reports of the Python client."""

from __future__ import annotations

from confluent_kafka import Message


def place_of(message: Message) -> tuple[int, int]:
    """Return the partition and the offset of a record that was acknowledged.

    The offset is -1 if the client does not know it: so it is when the record was sent again, and its partition had it
    already. It must not be taken for the partition's first.
    """
    offset = message.offset()
    return message.partition() or 0, -1 if offset is None or offset < 0 else offset
