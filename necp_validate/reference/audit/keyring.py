"""The keys of the audit trail, in a small store that the event cores of one host share.

- **Key-encryption keys** have numbers; the newest is the active one. Rotation adds one, and the old ones stay.
- **Data keys**, random, one for each person and key-encryption key, are stored wrapped (RFC 3394). After a rotation
  a person's next record gets a new data key under the new key-encryption key.
- **Persons** are found by a keyed hash of their name and have a random pseudonym. Erasing a person deletes hash, data
  keys and with them every way from the name to the pseudonym; only the pseudonym is kept, as erased. If the person
  does something again, it is a new one.
- **Chains** are noted with the last record that the brokers have acknowledged: what is gone from the end of one shows.

Whoever reads the file can read the trail: it is open to its owner alone, and a production system would hold the
key-encryption keys in a key management service. A copy of the file made before an erasure brings the person back.
"""

from __future__ import annotations

import hmac
import os
import secrets
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from threading import RLock
from typing import Final, NamedTuple

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap, aes_key_wrap

from necp_validate.reference.audit.record import KEY_BYTES, PSEUDONYM_BYTES

FORMAT: Final = "1"
BUSY_S: Final = 45.0
"""How long one instance waits for another's transaction: one that was frozen in the midst of it may be woken again.

It must be less than the time after which a consumer group gives a member up that does not poll.
"""

_SCHEMA: Final = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE keys (id INTEGER PRIMARY KEY, key BLOB NOT NULL, made_us INTEGER NOT NULL);
CREATE TABLE persons (tag BLOB PRIMARY KEY, pseudonym BLOB NOT NULL UNIQUE) WITHOUT ROWID;
CREATE TABLE data_keys (pseudonym BLOB NOT NULL, key_id INTEGER NOT NULL, wrapped BLOB NOT NULL,
    PRIMARY KEY (pseudonym, key_id)) WITHOUT ROWID;
CREATE TABLE erased (pseudonym BLOB PRIMARY KEY, at_us INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE chains (writer BLOB NOT NULL, partition INTEGER NOT NULL, instance TEXT NOT NULL, seq INTEGER NOT NULL,
    tag BLOB NOT NULL, closed INTEGER NOT NULL, PRIMARY KEY (writer, partition)) WITHOUT ROWID;
"""


class KeyringError(Exception):
    """The keyring cannot be used; the message says why, and what to do."""


class DataKey(NamedTuple):
    """The key of one person.

    Args:
        pseudonym: the person.
        key_id: of the key-encryption key that it is wrapped with.
        key: 32 bytes.
    """

    pseudonym: bytes
    key_id: int
    key: bytes


class Anchor(NamedTuple):
    """How far a chain is acknowledged.

    Args:
        partition: of the chain.
        seq: last record that is acknowledged, as are all before it.
        tag: that record's.
    """

    partition: int
    seq: int
    tag: bytes


class Keyring:
    """An open keyring; may be used from several threads.

    Args:
        path: the file.

    Raises:
        KeyringError: there is none, it is open to others, or it is of another format.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise KeyringError(
                f"there is no keyring {path}; make one: python -m necp_validate.reference.audit init {path}"
            )
        if path.stat().st_mode & 0o077:
            raise KeyringError(f"the keyring {path} is open to others; close it: chmod 600 {path}")
        self.path = path
        self._lock = RLock()
        try:
            self._database = _connect(path)
            said = self._meta("format")
            self._pepper, self._chain_secret = self._meta("pepper"), self._meta("chain")
        except sqlite3.Error as error:
            raise KeyringError(f"{path} is no keyring: {error}") from error
        if said != FORMAT.encode():
            raise KeyringError(f"the keyring {path} is not of format {FORMAT}")

    @classmethod
    def create(cls, path: Path) -> Keyring:
        """Make a new keyring with one key; only its owner may read it.

        Raises:
            KeyringError: there is something at this path, or it cannot be written.
        """
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            database = _connect(path)
            with database:
                database.executescript(_SCHEMA)
                rows = {"format": FORMAT.encode(), "changes": b"0", **_secrets()}
                database.executemany("INSERT INTO meta VALUES (?, ?)", rows.items())
                database.execute("INSERT INTO keys VALUES (1, ?, ?)", (secrets.token_bytes(KEY_BYTES), _now_us()))
            database.close()
        except (OSError, sqlite3.Error) as error:
            raise KeyringError(f"the keyring {path} cannot be made: {error}") from error
        return cls(path)

    def close(self) -> None:
        """Close it."""
        with self._lock:
            self._database.close()

    def changes(self) -> int:
        """How often keys were rotated or persons erased: what was learned at another number may hold no more."""
        with self._lock:
            return int(self._meta("changes"))

    def active_key(self) -> int:
        """Id of the key-encryption key that new data keys are wrapped with."""
        with self._lock:
            return int(self._database.execute("SELECT max(id) FROM keys").fetchone()[0])

    def key_ids(self) -> list[int]:
        """Ids of all key-encryption keys."""
        with self._lock:
            return [int(row[0]) for row in self._database.execute("SELECT id FROM keys ORDER BY id")]

    def data_keys(self, persons: Iterable[str]) -> dict[str, DataKey]:
        """Give the present data key of each person; whoever has none gets one, which is on disk when this returns."""
        found: dict[str, DataKey] = {}
        with self._write() as database:
            key_id, key = database.execute("SELECT id, key FROM keys ORDER BY id DESC LIMIT 1").fetchone()
            for person in persons:
                found[person] = self._data_key(database, self._tag(person), key_id, key)
        return found

    def _data_key(self, database: sqlite3.Connection, tag: bytes, key_id: int, key: bytes) -> DataKey:
        row = database.execute("SELECT pseudonym FROM persons WHERE tag = ?", (tag,)).fetchone()
        if row is None:
            row = (secrets.token_bytes(PSEUDONYM_BYTES),)
            database.execute("INSERT INTO persons VALUES (?, ?)", (tag, row[0]))
        pseudonym = bytes(row[0])
        wrapped = database.execute(
            "SELECT wrapped FROM data_keys WHERE pseudonym = ? AND key_id = ?", (pseudonym, key_id)
        ).fetchone()
        if wrapped is not None:
            return DataKey(pseudonym, key_id, aes_key_unwrap(key, wrapped[0]))
        made = secrets.token_bytes(KEY_BYTES)
        database.execute("INSERT INTO data_keys VALUES (?, ?, ?)", (pseudonym, key_id, aes_key_wrap(key, made)))
        return DataKey(pseudonym, key_id, made)

    def find_data_key(self, pseudonym: bytes, key_id: int) -> bytes | None:
        """Give the data key that a record's header names; None if it was destroyed, or never was."""
        with self._lock:
            row = self._database.execute(
                "SELECT wrapped, key FROM data_keys JOIN keys ON id = key_id WHERE pseudonym = ? AND key_id = ?",
                (pseudonym, key_id),
            ).fetchone()
        return None if row is None else aes_key_unwrap(row[1], row[0])

    def rotate(self) -> int:
        """Add a key-encryption key, which is the active one from now on; give its id."""
        with self._write() as database:
            database.execute("INSERT INTO keys (key, made_us) VALUES (?, ?)", (secrets.token_bytes(32), _now_us()))
            self._changed(database)
            return int(database.execute("SELECT max(id) FROM keys").fetchone()[0])

    def erase(self, person: str) -> int:
        """Destroy every data key of a person, for good; give how many there were."""
        with self._write() as database:
            tag = self._tag(person)
            row = database.execute("SELECT pseudonym FROM persons WHERE tag = ?", (tag,)).fetchone()
            if row is None:
                return 0
            destroyed = database.execute("DELETE FROM data_keys WHERE pseudonym = ?", row).rowcount
            database.execute("DELETE FROM persons WHERE tag = ?", (tag,))
            database.execute("INSERT INTO erased VALUES (?, ?)", (row[0], _now_us()))
            self._changed(database)
            return int(destroyed)

    def is_erased(self, pseudonym: bytes) -> bool:
        """Tell whether the keys of this pseudonym were destroyed."""
        with self._lock:
            row = self._database.execute("SELECT 1 FROM erased WHERE pseudonym = ?", (pseudonym,)).fetchone()
        return row is not None

    def chain_key(self, writer: bytes) -> bytes:
        """Derive the key of a writer's tags."""
        return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=writer, info=b"necp audit chain 1").derive(
            self._chain_secret
        )

    def anchor(self, writer: bytes, instance: str, anchors: Sequence[Anchor], *, closed: bool = False) -> None:
        """Note how far a writer's chains are acknowledged; nothing may follow in those that are closed."""
        with self._write() as database:
            database.executemany(
                "INSERT OR REPLACE INTO chains VALUES (?, ?, ?, ?, ?, ?)",
                [(writer, one.partition, instance, one.seq, one.tag, closed) for one in anchors],
            )

    def counts(self) -> dict[str, int]:
        """Count persons, data keys, erased persons and chains."""
        with self._lock:
            return {
                table: int(self._database.execute(f"SELECT count(*) FROM {table}").fetchone()[0])
                for table in ("persons", "data_keys", "erased", "chains")
            }

    def _tag(self, person: str) -> bytes:
        return hmac.digest(self._pepper, person.encode(), sha256)

    def _meta(self, name: str) -> bytes:
        row = self._database.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return b"" if row is None else bytes(row[0])

    def _changed(self, database: sqlite3.Connection) -> None:
        value = str(int(self._meta("changes")) + 1).encode()
        database.execute("UPDATE meta SET value = ? WHERE name = 'changes'", (value,))

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        """One transaction that no other process writes beside."""
        with self._lock:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
            except BaseException:
                self._database.execute("ROLLBACK")
                raise
            self._database.execute("COMMIT")


def _connect(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    # A record must not outlive its key in a crash, and a destroyed key must not stay in a free page.
    database.execute("PRAGMA synchronous = FULL")
    database.execute("PRAGMA secure_delete = ON")
    return database


def _secrets() -> dict[str, bytes]:
    return {name: secrets.token_bytes(KEY_BYTES) for name in ("pepper", "chain")}


def _now_us() -> int:
    return time.time_ns() // 1_000
