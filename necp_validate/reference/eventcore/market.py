"""Market data: what is known of each item of each shard, as it follows from trades, listings and price ticks."""

from __future__ import annotations

from typing import Final

import msgspec

from necp_validate.events.ledger import Listing, Tick

LINES_PER_RECORD: Final = 1_000
"""So many lines, every character escaped, stay far below Kafka's limit of 1 MB for a batch."""

_ENCODE: Final = msgspec.json.Encoder().encode


class Line(msgspec.Struct, array_like=True):
    """One item on the market of one shard.

    Args:
        shard: the shard.
        item: the item.
        bid: best bid of the last tick.
        ask: best ask of the last tick.
        volume: sum of the ticks' volumes.
        last_price: price of one in the last trade, rounded down.
        traded: how many have been traded, ever.
        turnover: what has been paid for them, ever.
        offered: how many have been offered, less those withdrawn.
    """

    shard: str
    item: str
    bid: int = 0
    ask: int = 0
    volume: int = 0
    last_price: int = 0
    traded: int = 0
    turnover: int = 0
    offered: int = 0


class Market:
    """The lines of one partition, and which of them have changed since they were last published."""

    def __init__(self) -> None:
        self._lines: dict[tuple[str, str], Line] = {}
        self._changed: dict[tuple[str, str], Line] = {}

    def line(self, shard: str, item: str) -> Line:
        """Give the line of an item, to be changed."""
        key = (shard, item)
        line = self._changed.get(key)
        if line is None:
            line = self._lines.get(key)
            if line is None:
                line = self._lines[key] = Line(shard, item)
            self._changed[key] = line
        return line

    def trade(self, shard: str, item: str, quantity: int, paid: int) -> None:
        """Take a trade into account."""
        line = self.line(shard, item)
        line.last_price = paid // quantity
        line.traded += quantity
        line.turnover += paid

    def tick(self, tick: Tick) -> None:
        """Take a tick into account."""
        line = self.line(tick.shard, tick.item)
        line.bid, line.ask = tick.bid, tick.ask
        line.volume += tick.volume

    def offer(self, listing: Listing) -> None:
        """Take an offer into account."""
        line = self.line(listing.shard, listing.item)
        line.offered += listing.quantity if listing.action == "open" else -listing.quantity

    def lines(self) -> list[Line]:
        """Give all lines, by shard and item."""
        return [self._lines[key] for key in sorted(self._lines)]

    @property
    def changed(self) -> bool:
        """Whether there is anything to publish."""
        return bool(self._changed)

    def publish(self, partition: int) -> list[bytes]:
        """Give the changed lines as the values of market records."""
        lines, self._changed = list(self._changed.values()), {}
        return [
            _ENCODE({"partition": partition, "lines": lines[start : start + LINES_PER_RECORD]})
            for start in range(0, len(lines), LINES_PER_RECORD)
        ]
