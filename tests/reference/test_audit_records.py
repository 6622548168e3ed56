"""The audit trail's records, chains and keyring: sealed here, opened here and by the suite's own reader."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from necp_validate.reference.audit import AuditEntry, Keyring, KeyringError, NotOpened, Trail, open_record, split
from necp_validate.reference.audit import trail as trail_module
from necp_validate.reference.audit.trail import Sealed
from necp_validate.security.keys import KeyFile
from necp_validate.security.trail import StoredRecord, read_trail, tamperings


def entry(number: int, actor: str = "ann") -> AuditEntry:
    return AuditEntry(
        id=f"00000001-{number:012d}",
        server="node-1",
        at_us=1_790_000_000_000_000 + number,
        actor=actor,
        action="ban",
        resource="shard-1",
        decision="denied",
        severity="warning",
        source="10.0.0.1",
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    Keyring.create(tmp_path / "keyring").close()
    return tmp_path / "keyring"


@pytest.fixture
def trail(path: Path) -> Iterator[Trail]:
    """Tells the keyring when a test says so: a thread that does by the clock would decide tests."""
    trail = Trail(Keyring(path), "core-0", anchor_s=86_400)
    yield trail
    trail.close()


def stored(sealed: list[Sealed], partition: int = 0, first: int = 0) -> list[StoredRecord]:
    """As they lie in one partition, acknowledged."""
    for one in sealed:
        one.acknowledged()
    return [StoredRecord(partition, first + at, b"node-1", one.value) for at, one in enumerate(sealed)]


def opened(keyring: Keyring, value: bytes) -> AuditEntry:
    header, _, _ = split(value)
    data_key = keyring.find_data_key(header.pseudonym, header.key_id)
    if data_key is None:
        raise NotOpened("no key")
    return open_record(value, data_key, keyring.chain_key(header.writer))


def test_a_record_opens_with_its_key_and_hides_what_it_says(path: Path, trail: Trail) -> None:
    (sealed,) = trail.seal([(3, entry(7, "ann"))])
    header, ciphertext, _ = split(sealed.value)
    assert (header.key_id, header.writer, header.partition, header.seq) == (1, trail.writer, 3, 0)
    assert not any(word in sealed.value for word in (b"ann", b"ban", b"shard", b"10.0.0.1", b"denied"))
    assert len(ciphertext) > 100
    assert opened(Keyring(path), sealed.value) == entry(7, "ann")


@pytest.mark.parametrize("at", [0, 4, 8, 10, 30, 44, 50, 60, 70, 100, -40, -1])
def test_a_record_that_was_altered_does_not_open(path: Path, trail: Trail, at: int) -> None:
    """Wherever: header, ciphertext, tags."""
    (sealed,) = trail.seal([(0, entry(0))])
    value = bytearray(sealed.value)
    value[at] ^= 1
    with pytest.raises(NotOpened):
        opened(Keyring(path), bytes(value))


def test_nonces_do_not_come_back(path: Path) -> None:
    """Of one writer each is used once; a writer that starts again encrypts with other keys."""
    used = set()
    for _ in range(3):
        trail = Trail(Keyring(path), "core-0")
        for sealed in trail.seal([(number % 2, entry(number)) for number in range(50)]):
            header, _, _ = split(sealed.value)
            used.add((header.writer, header.nonce))
        trail.close()
    assert len(used) == 150
    assert len({writer for writer, _ in used}) == 3


def test_the_suite_reads_what_the_event_core_seals(path: Path, trail: Trail) -> None:
    """Two programs from one description of the format."""
    records = stored(trail.seal([(0, entry(number, f"player-{number % 3}")) for number in range(9)]))
    trail.anchor()
    found = read_trail(records, KeyFile(path))
    assert [one.id for one, _, _ in found.entries] == [entry(number).id for number in range(9)]
    assert (found.tampered, found.repeated, found.erased, found.chains) == (0, 0, 0, 1)
    assert found.by_key() == {"1": 9}


def test_whatever_is_tampered_with_is_found(path: Path, trail: Trail) -> None:
    records = stored(trail.seal([(0, entry(number)) for number in range(6)]))
    trail.anchor()
    keys = KeyFile(path)
    copies = tamperings(records, keys)
    assert len(copies) == 7
    assert {name: bool(read_trail(copy, keys).tampered) for name, copy in copies.items()} == dict.fromkeys(copies, True)


def test_a_record_that_somebody_else_made_is_found(path: Path, tmp_path: Path, trail: Trail) -> None:
    """With a keyring of their own, and the true chain's place."""
    records = stored(trail.seal([(0, entry(number)) for number in range(3)]))
    stranger = Trail(Keyring.create(tmp_path / "other"), "core-0")
    records += stored(stranger.seal([(0, entry(3))]), first=3)
    stranger.close()
    assert read_trail(records, KeyFile(path)).faults == {"chain": 1}


def test_the_same_record_again_is_no_tampering_and_nor_is_its_event_in_a_new_link(path: Path, trail: Trail) -> None:
    """Both happen when an acknowledgement is lost."""
    records = stored(trail.seal([(0, entry(0)), (0, entry(1)), (0, entry(1))]))
    again = [*records, records[2]._replace(offset=3)]
    found = read_trail(again, KeyFile(path))
    assert (found.tampered, found.repeated, len(found.entries)) == (0, 1, 3)


def test_records_in_clear_are_found_and_not_quoted(path: Path) -> None:
    clear = b'{"id":"x","actor":"ann","action":"ban","decision":"denied"}'
    found = read_trail([StoredRecord(0, 0, b"", clear), StoredRecord(0, 1, b"", b"\0" * 300)], KeyFile(path))
    assert found.faults == {"clear": 2}
    assert "action, actor, decision" in found.examples[0].detail
    assert "ann" not in found.examples[0].detail


def test_the_end_of_a_chain_is_missed_as_soon_as_it_was_noted(path: Path, trail: Trail) -> None:
    """What the brokers have acknowledged since the last note is not: that is said, and it is a second's worth."""
    records = stored(trail.seal([(0, entry(0)), (0, entry(1))]))
    trail.anchor()
    later = stored(trail.seal([(0, entry(2))]), first=2)
    keys = KeyFile(path)
    whole = read_trail([*records, *later], keys)
    assert (whole.tampered, whole.unnoted) == (0, 1)
    assert read_trail(records, keys).tampered == 0
    assert read_trail(records[:1], keys).faults == {"chain": 1}
    assert read_trail([], keys).faults == {"chain": 2}


def test_nothing_is_noted_that_is_not_acknowledged(path: Path, trail: Trail) -> None:
    """Records are acknowledged in any order; what follows a hole does not count."""
    sealed = trail.seal([(0, entry(number)) for number in range(3)])
    sealed[2].acknowledged()
    sealed[0].acknowledged()
    trail.anchor()
    assert [(end.seq, end.closed) for end in KeyFile(path).chain_ends()] == [(0, False)]
    sealed[1].acknowledged()
    trail.anchor()
    assert [end.seq for end in KeyFile(path).chain_ends()] == [2]


def test_nothing_may_follow_the_end_of_a_chain(path: Path) -> None:
    trail = Trail(Keyring(path), "core-0")
    records = stored(trail.seal([(0, entry(0)), (0, entry(1))]))
    late = trail.seal([(0, entry(2))])
    trail.close()  # with one outstanding: it may still come
    assert [end.closed for end in KeyFile(path).chain_ends()] == [False]
    assert read_trail([*records, *stored(late, first=2)], KeyFile(path)).tampered == 0

    trail = Trail(Keyring(path), "core-1")
    records = stored(trail.seal([(1, entry(0)), (1, entry(1))]), partition=1)
    after = trail.seal([(1, entry(2))])[0].value
    trail._chains[1].seq -= 1  # as if it had not been sealed: somebody else does so later, with all keys
    trail.close()
    keys = KeyFile(path)
    assert [end.closed for end in keys.chain_ends() if end.instance == "core-1"] == [True]
    found = read_trail([*records, StoredRecord(1, 2, b"", after)], keys)
    assert [one.detail for one in found.examples if "core-1" in one.where] == ["1 records follow its end"]


def test_a_rotation_is_taken_up_at_once_and_both_open(path: Path, trail: Trail) -> None:
    records = stored(trail.seal([(0, entry(0))]))
    with_other = Keyring(path)
    assert with_other.rotate() == 2
    records += stored(trail.seal([(0, entry(1)), (0, entry(2, "bob"))]), first=1)
    found = read_trail(records, KeyFile(path))
    assert (found.by_key(), found.tampered) == ({"1": 1, "2": 2}, 0)
    assert (with_other.active_key(), with_other.key_ids()) == (2, [1, 2])


def test_an_erased_persons_records_stay_shut_and_the_chain_holds(path: Path, trail: Trail) -> None:
    """Also those from before a rotation; what they do later is somebody new's."""
    other = Keyring(path)
    records = stored(trail.seal([(0, entry(0, "ann")), (0, entry(1, "bob"))]))
    other.rotate()
    records += stored(trail.seal([(0, entry(2, "ann")), (0, entry(3, "bob"))]), first=2)
    pseudonyms = {split(record.value)[0].pseudonym for record in records}
    assert other.erase("ann") == 2
    assert other.erase("ann") == 0
    records += stored(trail.seal([(0, entry(4, "ann"))]), first=4)
    found = read_trail(records, KeyFile(path))
    assert [one.id[-1] for one, _, _ in found.entries] == ["1", "3", "4"]
    assert (found.erased, found.tampered) == (2, 0)
    assert split(records[-1].value)[0].pseudonym not in pseudonyms
    with pytest.raises(NotOpened):
        opened(other, records[0].value)


def test_a_destroyed_key_is_not_left_in_the_file(path: Path, trail: Trail) -> None:
    """Nor is the person's name ever in it."""
    trail.seal([(0, entry(0, "somebody-to-forget"))])
    with sqlite3.connect(path) as database:
        ((wrapped,),) = database.execute("SELECT wrapped FROM data_keys").fetchall()
    assert wrapped in path.read_bytes()
    Keyring(path).erase("somebody-to-forget")
    assert wrapped not in path.read_bytes()
    assert b"somebody-to-forget" not in path.read_bytes()


def test_the_keyring_is_its_owners_alone(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o640)
    with pytest.raises(KeyringError, match="open to others"):
        Keyring(path)


def test_a_keyring_that_is_none_is_named(tmp_path: Path, path: Path) -> None:
    with pytest.raises(KeyringError, match="there is no keyring"):
        Keyring(tmp_path / "none")
    with pytest.raises(KeyringError, match="cannot be made"):
        Keyring.create(path)
    noise = tmp_path / "noise"
    noise.write_bytes(b"no database" * 100)
    noise.chmod(0o600)
    with pytest.raises(KeyringError, match="is no keyring"):
        Keyring(noise)


_SHARED = """
import sys
from pathlib import Path
from necp_validate.reference.audit import Keyring
keyring = Keyring(Path(sys.argv[1]))
for number in range(60):
    for person, key in sorted(keyring.data_keys([f"player-{number:02d}", f"player-{number + 1:02d}"]).items()):
        print(person, key.key.hex())
"""


def test_several_processes_agree_on_every_key(path: Path) -> None:
    """All of them ask for the same persons at the same time; each person gets one key."""
    running = [
        subprocess.Popen([sys.executable, "-c", _SHARED, str(path)], stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    lines = {line for one in running for line in one.communicate(timeout=120)[0].splitlines()}
    assert [one.returncode for one in running] == [0, 0, 0, 0]
    assert len(lines) == 61
    assert Keyring(path).counts()["data_keys"] == 61


def test_derived_keys_are_forgotten_before_they_are_too_many(trail: Trail, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trail_module, "MAX_KEYS", 10)
    for number in range(30):
        trail.seal([(0, entry(number, f"player-{number}"))])
        assert len(trail._keys) <= 10


def command(*words: str, given: str = "") -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-m", "necp_validate.reference.audit", *words]
    return subprocess.run(program, input=given, capture_output=True, text=True, timeout=60, check=False)


def test_the_command_makes_rotates_erases_and_shows(tmp_path: Path) -> None:
    path = str(tmp_path / "keyring")
    before = os.umask(0)
    try:
        assert command("init", path).returncode == 0
    finally:
        os.umask(before)
    assert stat.S_IMODE(Path(path).stat().st_mode) == 0o600
    Keyring(Path(path)).data_keys(["ann"])
    assert json.loads(command("rotate", path).stdout) == {"active_key": 2}
    assert command("erase", path, given="nobody\n").returncode == 1
    assert json.loads(command("erase", path, given="ann\n").stdout) == {"destroyed_keys": 1}
    shown = json.loads(command("show", path).stdout)
    assert shown == {"active_key": 2, "keys": [1, 2], "persons": 0, "data_keys": 0, "erased": 1, "chains": 0}
    failed = command("show", str(tmp_path / "none"))
    assert (failed.returncode, failed.stdout) == (2, "")
    assert failed.stderr.startswith("audit: there is no keyring")
    assert command("rotat", path).returncode == 2


def test_a_keyring_whose_writer_died_in_the_midst_of_writing_can_be_read(tmp_path: Path) -> None:
    """What was half done is rolled back, as SQLite has it."""
    living, dead = tmp_path / "living", tmp_path / "dead"
    Keyring.create(living)
    with closing(sqlite3.connect(living, isolation_level=None)) as writer:
        writer.execute("PRAGMA synchronous = OFF")  # its journal is complete at once
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("DELETE FROM keys")
        shutil.copy(f"{living}-journal", f"{dead}-journal")
        shutil.copy(living, dead)
    with (
        closing(sqlite3.connect(f"{dead.as_uri()}?mode=ro", uri=True)) as reader,
        pytest.raises(sqlite3.OperationalError),
    ):
        reader.execute("SELECT * FROM keys").fetchall()
    assert KeyFile(dead).active_key == 1
