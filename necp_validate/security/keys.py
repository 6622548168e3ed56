"""The keyring of the audit trail as the suite reads it: on its own, from the file, without the event core's code."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap

from necp_validate.core import SuiteError

_KEY_BYTES = 32


class ChainEnd(NamedTuple):
    """How far the keyring knows a chain to be acknowledged.

    Args:
        writer: who wrote it.
        partition: of the audit topic.
        instance: the event core's name.
        seq: last record that is acknowledged.
        tag: that record's.
        closed: whether nothing may follow.
    """

    writer: bytes
    partition: int
    instance: str
    seq: int
    tag: bytes
    closed: bool


class Keys(Protocol):
    """What a reader of the trail needs to know."""

    def data_key(self, pseudonym: bytes, key_id: int) -> bytes | None:
        """A person's key under a key-encryption key; None if there is none (any more)."""

    def is_erased(self, pseudonym: bytes) -> bool:
        """Whether this person's keys were destroyed on demand."""

    def chain_key(self, writer: bytes) -> bytes:
        """The key of a writer's tags."""

    def chain_ends(self) -> list[ChainEnd]:
        """How far each chain is acknowledged."""


def chain_key(secret: bytes, writer: bytes) -> bytes:
    """Derive the key of a writer's tags from the keyring's secret."""
    return HKDF(algorithm=SHA256(), length=_KEY_BYTES, salt=writer, info=b"necp audit chain 1").derive(secret)


class KeyFile:
    """The keyring as it is now, read once; nothing is written to it but the end of what its writer left half done.

    Args:
        path: the file.

    Raises:
        SuiteError: it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        try:
            try:
                self._read(path, "ro")
            except sqlite3.OperationalError:
                # Who wrote there was killed in the midst of it: the rest has to be rolled back before it can be read.
                self._read(path, "rw")
        except (sqlite3.Error, TypeError) as error:
            raise SuiteError(f"the audit trail's keyring {path} cannot be read: {error}") from error
        self.mode = path.stat().st_mode & 0o777

    def _read(self, path: Path, mode: Literal["ro", "rw"]) -> None:
        database = sqlite3.connect(f"{path.absolute().as_uri()}?mode={mode}", uri=True, timeout=10.0)
        try:
            (self._secret,) = database.execute("SELECT value FROM meta WHERE name = 'chain'").fetchone()
            wrapping = dict(database.execute("SELECT id, key FROM keys"))
            wrapped = database.execute("SELECT pseudonym, key_id, wrapped FROM data_keys").fetchall()
            self._erased = {row[0] for row in database.execute("SELECT pseudonym FROM erased")}
            rows = database.execute("SELECT writer, partition, instance, seq, tag, closed FROM chains").fetchall()
        finally:
            database.close()
        self._data_keys = {(person, key_id): aes_key_unwrap(wrapping[key_id], key) for person, key_id, key in wrapped}
        self._ends = [ChainEnd._make((*row[:-1], bool(row[-1]))) for row in rows]
        self.active_key = max(wrapping)

    def data_key(self, pseudonym: bytes, key_id: int) -> bytes | None:
        """See :class:`Keys`."""
        return self._data_keys.get((pseudonym, key_id))

    def is_erased(self, pseudonym: bytes) -> bool:
        """See :class:`Keys`."""
        return pseudonym in self._erased

    def chain_key(self, writer: bytes) -> bytes:
        """See :class:`Keys`."""
        return chain_key(self._secret, writer)

    def chain_ends(self) -> list[ChainEnd]:
        """See :class:`Keys`."""
        return self._ends
