"""The machines on the real event core over real brokers: a few stories each, and a core that is killed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from necp_validate.events.topics import Domain
from necp_validate.fuzz.machines import MACHINES, Crash, EconomyMachine
from necp_validate.fuzz.machines.over_kafka import KafkaCore, OverKafka, kafka_core
from necp_validate.fuzz.machines.play import play
from necp_validate.stack import LocalStack

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

PAYS_TWICE = """
from necp_validate.reference.eventcore import ledger
ledger.SeenSequences.add = lambda self, stream, seq: True
"""


@pytest.fixture
def core(brokers: LocalStack) -> Iterator[KafkaCore]:
    """An event core of all domains."""
    with kafka_core(brokers) as core:
        yield core
        if core._handle is not None:
            core._handle.stop(30)  # in order: the next one need not wait until a dead member's session is over


def test_stories_of_all_domains(core: KafkaCore) -> None:
    """Every outcome, every booking, all chat and the audit trail are the models'."""
    for name, machine in MACHINES.items():
        domain = Domain(name)
        found = play(
            machine,
            lambda domain=domain: OverKafka(core, domain, most_crashes=0),  # type: ignore[misc]
            seed=11,
            examples=2,
            steps=30,
            shrink=False,
        )
        assert found is None, f"{found.example}\n{found.error}"


def test_no_crash_tears_a_transaction_or_pays_twice(core: KafkaCore) -> None:
    """Killed as soon as a record of a transaction is there, and when all is done; then everything is sent again."""
    machine = EconomyMachine(OverKafka(core, Domain.ECONOMY, most_crashes=2))
    for when in (Crash.BEFORE_COMMIT, Crash.AFTER_COMMIT):
        paid = [machine.transfer("one", "alice", "bob", 7, None) for _ in range(40)]
        sold = [machine.trade("two", "alice", "bob", "ammo", 3, 5) for _ in range(40)]
        back = [machine.refund(trade) for trade in sold]
        machine.crash(when)
        for event in (*paid, *back):
            machine.retry(event)
        for trade in sold:
            machine.retry_trade(trade)
        machine.commit()
    machine.teardown()
    assert [when for when, _ in core.killed] == [Crash.BEFORE_COMMIT, Crash.AFTER_COMMIT]
    print(f"killed: {core.killed}")


def test_guilds_are_forgotten_and_chat_is_kept(core: KafkaCore) -> None:
    """A core that is killed between two batches: its successor knows no guild, and loses no message."""
    machine = MACHINES["social"](OverKafka(core, Domain.SOCIAL))
    machine.join("one", "mox", "judy", "officer")  # type: ignore[attr-defined]
    machine.say("one", "general", "judy", "first", 1)  # type: ignore[attr-defined]
    machine.crash(Crash.AFTER_COMMIT)
    machine.join("one", "aldecaldos", "judy", "officer")  # type: ignore[attr-defined]
    machine.say("one", "general", "judy", "second", 1)  # type: ignore[attr-defined]
    machine.teardown()


def test_a_core_that_pays_twice_is_found(brokers: LocalStack, tmp_path: Path) -> None:
    """The same defect as in one of the broken handlers, in the real process."""
    (tmp_path / "sitecustomize.py").write_text(PAYS_TWICE, encoding="utf-8")
    with kafka_core(brokers, {"PYTHONPATH": str(tmp_path), "CORE_DOMAINS": "economy"}) as core:
        machine = EconomyMachine(OverKafka(core, Domain.ECONOMY))
        paid = machine.transfer("one", "alice", "bob", 7, None)
        machine.retry(paid)
        with pytest.raises(AssertionError, match="ended as processed, expected rejected"):
            machine.commit()
        machine.driver.close()
