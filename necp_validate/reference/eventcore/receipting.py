"""Receipts in the making: outcomes gathered until the next one is due."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from necp_validate.events.receipts import Receipt, Run, encode_receipt
from necp_validate.events.topics import RECEIPTS_TOPIC, Domain
from necp_validate.reference.eventcore.handling import Output

RUNS_PER_RECEIPT: Final = 5_000
"""A run is at most some 60 bytes, so a receipt stays well below Kafka's limit of 1 MB."""


class ReceiptBook:
    """Gathers the runs of one domain.

    Args:
        domain: the domain.
        instance: who accounts.
        transactional: whether the receipts are written inside transactions.
        now_us: clock.
    """

    def __init__(
        self,
        domain: Domain,
        instance: str,
        *,
        transactional: bool = False,
        now_us: Callable[[], int] = lambda: time.time_ns() // 1_000,
    ) -> None:
        self._domain = domain
        self._instance = instance
        self._transactional = transactional
        self._now_us = now_us
        self._runs: list[Run] = []

    def add(self, runs: list[Run]) -> None:
        """Take the runs of a batch."""
        self._runs.extend(runs)

    def discard(self) -> None:
        """Forget what has not been written."""
        self._runs = []

    def write(self, results: Mapping[str, Any]) -> list[Output]:
        """Make the receipts that are due; none if nothing happened.

        Args:
            results: the domain's totals since the last time; they go with the first receipt.
        """
        runs, self._runs = self._runs, []
        if not runs:
            return []
        return [
            self._output(runs[start : start + RUNS_PER_RECEIPT], dict(results) if start == 0 else {})
            for start in range(0, len(runs), RUNS_PER_RECEIPT)
        ]

    def _output(self, runs: list[Run], results: dict[str, Any]) -> Output:
        receipt = Receipt(
            instance=self._instance,
            domain=self._domain.value,
            topic=self._domain.topic,
            sent_us=self._now_us(),
            transactional=self._transactional,
            runs=runs,
            results=results,
        )
        return Output(
            topic=RECEIPTS_TOPIC,
            partition=self._domain.number,
            key=self._domain.value.encode(),
            value=encode_receipt(receipt),
        )
