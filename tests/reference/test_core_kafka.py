"""The event core as a process against real brokers: judged by what it commits, answers and exposes."""

from __future__ import annotations

import json
import random
import threading
import time
import urllib.error
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from kafka_bench import OUTCOME, Accounts, Tail, Traffic

from necp_validate.events.ledger import decode_ledger_record
from necp_validate.events.samples import sample_event
from necp_validate.events.topics import AUDIT_TOPIC, CHAT_TOPIC, LEDGER_TOPIC, MARKET_TOPIC, Domain
from necp_validate.reference.eventcore.ledger import Books
from necp_validate.security.keys import KeyFile
from necp_validate.security.trail import StoredRecord, read_trail
from necp_validate.stack import LocalStack

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

OUTPUTS = [AUDIT_TOPIC, CHAT_TOPIC, LEDGER_TOPIC, MARKET_TOPIC, *(domain.dead_letter_topic for domain in Domain)]


@pytest.fixture
def accounts(brokers: LocalStack) -> Iterator[Accounts]:
    """Receipts from now on."""
    accounts = Accounts(brokers)
    yield accounts
    accounts.close()


def _status(url: str) -> int:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
    except OSError:
        return 0


def _assert_each_once(accounts: Accounts, traffic: Traffic) -> None:
    expected = {place: [OUTCOME[sent.kind]] for place, sent in traffic.sent.items()}
    assert {place: accounts.outcomes.get(place) for place in expected} == expected


def test_every_event_ends_in_its_outcome_and_outputs_are_complete(brokers: LocalStack, accounts: Accounts) -> None:
    """One of each: outcomes, dead letters, audit, chat, ledger, market, health and metrics."""
    outputs = Tail(brokers, OUTPUTS)
    core = brokers.start_core("core-outcomes", {})
    try:
        core.wait_ready(60)
        traffic = Traffic(brokers, seed=1)
        for domain in Domain:
            traffic.send(domain, 600)
        bonus = sample_event(Domain.ECONOMY, random.Random(1))
        traffic.send_one(Domain.ECONOMY, bonus, "valid")
        traffic.send_one(Domain.ECONOMY, bonus, "duplicate", repeat=True)
        traffic.flush()
        accounts.wait_for(traffic.sent)
        with urllib.request.urlopen(core.metrics_url, timeout=5) as answer:
            metrics = answer.read().decode()
        assert core.stop(30), core.log_tail()
        accounts.read_to_end()
        outputs.read_to_end()
    finally:
        core.kill()
        outputs.close()

    _assert_each_once(accounts, traffic)
    _check_metrics(metrics, traffic)
    _check_dead_letters(outputs, traffic)
    _check_audit_and_chat(brokers, outputs, traffic)
    _check_ledger(outputs, traffic)
    assert outputs.of(MARKET_TOPIC)


def _check_metrics(metrics: str, traffic: Traffic) -> None:
    counts = Counter((place[0].split(".")[1], OUTCOME[sent.kind]) for place, sent in traffic.sent.items())
    for outcome, name in enumerate(("processed", "rejected", "dead_lettered")):
        line = f'necp_core_events_total{{domain="combat",outcome="{name}"}} {float(counts["combat", outcome])}'
        assert line in metrics
    assert 'kafka_consumer_lag{group="event-core-combat",partition="0",topic="game.combat.events"}' in metrics


def _check_dead_letters(outputs: Tail, traffic: Traffic) -> None:
    expected = {place: sent.value for place, sent in traffic.sent.items() if sent.kind == "poison"}
    found = {}
    for domain in Domain:
        for message in outputs.of(domain.dead_letter_topic):
            headers = {name: (value or b"").decode() for name, value in message.headers() or []}
            assert headers["reason"] in {"malformed", "unknown-type", "invalid-data"}
            place = (headers["source-topic"], int(headers["source-partition"]), int(headers["source-offset"]))
            found[place] = message.value()
    assert found == expected


def _check_audit_and_chat(brokers: LocalStack, outputs: Tail, traffic: Traffic) -> None:
    valid = [sent for sent in traffic.sent.values() if sent.kind == "valid"]
    keys = KeyFile(brokers.audit_keyring())
    records = [
        StoredRecord(message.partition() or 0, message.offset() or 0, message.key() or b"", message.value() or b"")
        for message in outputs.of(AUDIT_TOPIC)
    ]
    trail = read_trail(records, keys)
    # Chains of other tests' event cores are not among what was read.
    assert not trail.faults.keys() - {"chain"}, trail.examples
    assert {entry.id for entry, _, _ in trail.entries} == {
        sent.id for sent in valid if sent.value.startswith(b'{"type":"system.audit"')
    }
    chat: dict[bytes, list[str]] = defaultdict(list)
    for message in outputs.of(CHAT_TOPIC):
        chat[message.key() or b""] += [line[0] for line in json.loads(message.value() or b"")["messages"]]
    expected = {sent.id for sent in valid if sent.value.startswith(b'{"type":"social.chat_message"')}
    assert {identity for identities in chat.values() for identity in identities} == expected
    assert all(identities == sorted(identities) for identities in chat.values())


def _check_ledger(outputs: Tail, traffic: Traffic) -> None:
    """Every transfer, trade and reward is booked once, trades with both legs, and everything adds up to zero."""
    legs: Counter[str] = Counter()
    books: dict[int, Books] = defaultdict(Books)
    for message in outputs.of(LEDGER_TOPIC):
        record = decode_ledger_record(message.value() or b"")
        books[record.partition].apply(record)
        legs.update(posting.id for posting in record.postings)
    expected = {
        sent.id: 2 if b"economy.trade" in sent.value[:30] else 1
        for sent in traffic.sent.values()
        if sent.kind == "valid"
        and any(name in sent.value[:30] for name in (b"economy.trade", b"economy.transfer", b"economy.reward"))
    }
    assert dict(legs) == expected
    assert {total for book in books.values() for total in book.circulation().values()} == {0}


def test_a_graceful_shutdown_loses_and_repeats_nothing(brokers: LocalStack, accounts: Accounts) -> None:
    """Instances come and go under traffic; each event is still accounted for exactly once."""
    traffic = Traffic(brokers, seed=2)
    stop = threading.Event()

    def keep_sending() -> None:
        while not stop.wait(0.02):
            for domain in Domain:
                traffic.send(domain, 20)

    sender = threading.Thread(target=keep_sending)
    cores = []
    try:
        for number in range(3):
            core = brokers.start_core(f"core-graceful-{number}", {})
            cores.append(core)
            core.wait_ready(60)
            if number == 0:
                sender.start()
            accounts.settle(1.5)
            assert core.stop(30), core.log_tail()
        stop.set()
        sender.join()
        last = brokers.start_core("core-graceful-last", {})
        cores.append(last)
        accounts.wait_for(traffic.sent)
        assert last.stop(30), last.log_tail()
        accounts.read_to_end()
    finally:
        stop.set()
        for core in cores:
            core.kill()
    _assert_each_once(accounts, traffic)


def test_a_killed_instance_leaves_no_torn_transaction(brokers: LocalStack, accounts: Accounts) -> None:
    """Killed again and again under economy load, everything is still booked once, and trades with both legs."""
    outputs = Tail(brokers, OUTPUTS)
    traffic = Traffic(brokers, seed=3)
    stop = threading.Event()

    def keep_sending() -> None:
        while not stop.wait(0.01):
            traffic.send(Domain.ECONOMY, 40, poison=0.02, cheats=0.02)

    sender = threading.Thread(target=keep_sending)
    env = {"CORE_DOMAINS": "economy"}
    cores = [brokers.start_core("core-kill-0", env)]
    try:
        cores[0].wait_ready(60)
        sender.start()
        for number in range(1, 3):
            accounts.settle(0.8 + 0.13 * number)
            cores[-1].kill()
            cores.append(brokers.start_core(f"core-kill-{number}", env))
            cores[-1].wait_ready(60)
        accounts.settle(1.0)
        stop.set()
        sender.join()
        accounts.wait_for(traffic.sent)
        assert cores[-1].stop(30), cores[-1].log_tail()
        outputs.read_to_end()
    finally:
        stop.set()
        for core in cores:
            core.kill()
        outputs.close()
    _assert_each_once(accounts, traffic)
    _check_ledger(outputs, traffic)
    _check_dead_letters(outputs, traffic)


def test_a_killed_instance_loses_no_combat_event(brokers: LocalStack, accounts: Accounts) -> None:
    """At least once: what the dead one had not committed is handled again, with the same outcome."""
    traffic = Traffic(brokers, seed=4)
    env = {"CORE_DOMAINS": "combat"}
    first = brokers.start_core("core-dies", env)
    second = None
    try:
        first.wait_ready(60)
        for _ in range(20):
            traffic.send(Domain.COMBAT, 100)
        first.kill()
        traffic.send(Domain.COMBAT, 100)
        second = brokers.start_core("core-takes-over", env)
        accounts.wait_for(traffic.sent)
        assert second.stop(30), second.log_tail()
    finally:
        first.kill()
        if second is not None:
            second.kill()
    for place, sent in traffic.sent.items():
        assert set(accounts.outcomes[place]) == {OUTCOME[sent.kind]}


def test_two_instances_share_the_work(brokers: LocalStack, accounts: Accounts) -> None:
    """A second member takes over partitions under traffic; nothing is lost or done twice."""
    traffic = Traffic(brokers, seed=5)
    cores = [brokers.start_core("core-share-0", {})]
    try:
        cores[0].wait_ready(60)
        for domain in Domain:
            traffic.send(domain, 200, streams=16)
        cores.append(brokers.start_core("core-share-1", {}))
        cores[1].wait_ready(60)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and not _partitions(cores[1].http_url, "economy"):
            for domain in Domain:
                traffic.send(domain, 50, streams=16)
        for domain in Domain:
            traffic.send(domain, 400, streams=16)
        accounts.wait_for(traffic.sent)
        assert _partitions(cores[0].http_url, "economy")
        assert [core.stop(30) for core in cores] == [True, True], cores[0].log_tail() + cores[1].log_tail()
        accounts.read_to_end()
    finally:
        for core in cores:
            core.kill()
    _assert_each_once(accounts, traffic)
    assert {receipt.instance for receipt in accounts.receipts if receipt.domain == "combat"} == {
        "core-share-0",
        "core-share-1",
    }


def _partitions(url: str, domain: str) -> list[int]:
    with urllib.request.urlopen(f"{url}/health", timeout=5) as answer:
        partitions: list[int] = json.load(answer)["domains"][domain]["partitions"]
        return partitions


def test_health_is_503_until_it_takes_part(brokers: LocalStack) -> None:
    """And 200 from then on; nobody answers after the end."""
    core = brokers.start_core("core-health", {})
    seen = []
    try:
        while not seen or seen[-1] != 200:
            assert core.alive(), core.log_tail()
            status = _status(core.http_url)
            if status and (not seen or seen[-1] != status):
                seen.append(status)
            time.sleep(0.01)
        assert seen == [503, 200]
        assert core.stop(30), core.log_tail()
        assert _status(core.http_url) == 0
    finally:
        core.kill()


def test_a_shutdown_that_takes_too_long_is_cut_off(brokers: LocalStack) -> None:
    """With no time at all, the end is hard: exit code 1 and a message."""
    core = brokers.start_core("core-late", {"GRACEFUL_SHUTDOWN_TIMEOUT": "0s"})
    try:
        core.wait_ready(60)
        assert not core.stop(30)
        assert core.process.exit_code == 1
        assert "not finished within" in core.log_tail()
    finally:
        core.kill()


def test_wrong_credentials_never_become_healthy(brokers: LocalStack, tmp_path: Path) -> None:
    """The service says why it waits instead of pretending."""
    wrong = tmp_path / "password"
    wrong.write_text("wrong", encoding="utf-8")
    core = brokers.start_core("core-stranger", {"KAFKA_SASL_PASSWORD_FILE": str(wrong)})
    try:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and "uthentication" not in core.log_tail(200):
            time.sleep(0.1)
        assert "uthentication" in core.log_tail(200)
        assert _status(core.http_url) == 503
    finally:
        core.kill()
