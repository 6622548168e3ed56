"""Which fault explains that a player was cut off."""

from __future__ import annotations

import pytest
from histories import ack, history_of, read

from necp_validate.claims.checks.players.players import fault_behind
from necp_validate.record import FaultRecord, Interruption

PAUSE = FaultRecord(
    id="gateway-pause-1",
    experiment="gateway-pause",
    kind="gateway-pause",
    target="gateway-0",
    begin_us=10_000_000,
    effective_us=11_000_000,
    evidence="no answer",
    end_us=19_000_000,
)


@pytest.mark.parametrize(
    ("how", "lost_us", "explained"),
    [
        ("silent", 9_955_000, True),  # the last state came in the tick before the gateway stopped
        ("broken", 9_955_000, False),  # a session that breaks before the fault breaks without it
        ("silent", 8_000_000, False),
        ("broken", 12_000_000, True),
        ("silent", 60_000_000, False),
    ],
)
def test_a_silence_begins_up_to_a_tick_before_its_fault(how: str, lost_us: int, explained: bool) -> None:
    history = history_of(ack(0), read(0), faults=(PAUSE,))
    one = Interruption(how=how, lost_us=lost_us, login_us=lost_us, converged_us=lost_us)
    assert (fault_behind(history, one) is PAUSE) == explained
