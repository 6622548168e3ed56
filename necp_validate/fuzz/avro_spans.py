"""Avro's binary encoding read place by place, as strictly as the specification has it; own code, to judge readers by.

See Avro 1.11, "Binary Encoding". Readers differ in what they let pass: a boolean of 2, an ``int`` beyond 32 bits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

MAX_DEPTH: Final = 200
_INT_MAX: Final = 2**31 - 1
_SIZES: Final = {"float": 4, "double": 8}


class NotAvro(ValueError):
    """The bytes are not an encoding of the schema."""


@dataclass(frozen=True, slots=True)
class Span:
    """Where one part of a datum is encoded.

    Args:
        path: names of fields, numbers of items, keys of maps.
        schema: of the part, named types looked up; a branch of a union has a span of its own within the union's.
        start: first byte.
        end: the byte after its last.
        branch: of a union, the number taken; -1 elsewhere.
    """

    path: tuple[str | int, ...]
    schema: Any
    start: int
    end: int
    branch: int = -1

    @property
    def type(self) -> str:
        """Its type's name; ``union`` for a union."""
        return type_of(self.schema)

    @property
    def logical(self) -> str:
        """Its logical type; "" if it has none."""
        return str(self.schema.get("logicalType", "")) if isinstance(self.schema, Mapping) else ""


def type_of(schema: Any) -> str:
    """Name of a schema's type; ``union`` for a union."""
    if isinstance(schema, list):
        return "union"
    return str(schema["type"] if isinstance(schema, Mapping) else schema)


def write_long(number: int) -> bytes:
    """Encode a number of any size as Avro's variable-length zig-zag."""
    left = number << 1 if number >= 0 else ((-number) << 1) - 1
    text = bytearray()
    while left > 0x7F:
        text.append(left & 0x7F | 0x80)
        left >>= 7
    text.append(left)
    return bytes(text)


def spans(schema: Any, names: Mapping[str, Any], value: bytes) -> list[Span]:
    """Read a whole value and say where each part of it is, the whole first.

    Args:
        schema: parsed.
        names: named types by full name.
        value: one datum, without a header.

    Raises:
        NotAvro: it is not exactly one datum of the schema.
    """
    reader = _Reader(names, value)
    reader.read(schema, ())
    if reader.at < len(value):
        raise NotAvro(f"{len(value) - reader.at} bytes are left at the end")
    return sorted(reader.found, key=lambda span: (span.start, -span.end, len(span.path)))


class _Reader:
    def __init__(self, names: Mapping[str, Any], value: bytes) -> None:
        self.names, self.value = names, value
        self.at = 0
        self.depth = 0
        self.found: list[Span] = []

    def read(self, schema: Any, path: tuple[str | int, ...]) -> None:
        schema = self.names.get(schema, schema) if isinstance(schema, str) else schema
        start, branch = self.at, -1
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise NotAvro(f"nested deeper than {MAX_DEPTH} levels")
        kind = type_of(schema)
        if kind == "union":
            branch = self._index(len(schema), "branches of the union", path)
            self.read(schema[branch], path)
        elif kind in ("record", "error"):
            for field in schema["fields"]:
                self.read(field["type"], (*path, field["name"]))
        elif kind in ("array", "map"):
            self._blocks(schema, kind, path)
        elif kind in self.names:
            self.read(kind, path)
        else:
            self._primitive(schema, kind, path)
        self.depth -= 1
        self.found.append(Span(path, schema, start, self.at, branch))

    def _primitive(self, schema: Any, kind: str, path: tuple[str | int, ...]) -> None:
        if kind == "boolean":
            if self._take(1, path) not in (b"\x00", b"\x01"):
                self._refuse(path, "a boolean is one byte, 0 or 1")
        elif kind == "int":
            if not -_INT_MAX - 1 <= self._long(path) <= _INT_MAX:
                self._refuse(path, "an int has 32 bits")
        elif kind == "long":
            self._long(path)
        elif kind in _SIZES:
            self._take(_SIZES[kind], path)
        elif kind == "enum":
            self._index(len(schema["symbols"]), "symbols of the enumeration", path)
        elif kind == "fixed":
            self._take(schema["size"], path)
        elif kind in ("bytes", "string"):
            text = self._take(self._long(path), path)
            if kind == "string":
                try:
                    text.decode()
                except UnicodeDecodeError as error:
                    self._refuse(path, f"a string is UTF-8: {error.reason}")
        elif kind != "null":
            self._refuse(path, f"there is no type {kind!r}")

    def _blocks(self, schema: Any, kind: str, path: tuple[str | int, ...]) -> None:
        number = 0
        while count := self._long(path):
            if count < 0:
                count = -count
                self._long(path)
            if count > len(self.value) * 8 + 1024:
                self._refuse(path, f"a block of {count} items in {len(self.value)} bytes")
            for _ in range(count):
                key: str | int = number
                if kind == "map":
                    before = self.at
                    self._primitive("string", "string", path)
                    key = str(self.value[before : self.at], errors="replace")
                self.read(schema["values" if kind == "map" else "items"], (*path, key))
                number += 1

    def _index(self, count: int, what: str, path: tuple[str | int, ...]) -> int:
        index = self._long(path)
        if not 0 <= index < count:
            self._refuse(path, f"number {index} of {count} {what}")
        return index

    def _long(self, path: tuple[str | int, ...]) -> int:
        number, shift = 0, 0
        while True:
            (byte,) = self._take(1, path)
            number |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                break
            if shift > 63:
                self._refuse(path, "a long has 64 bits")
        if number >= 1 << 64:
            self._refuse(path, "a long has 64 bits")
        return (number >> 1) ^ -(number & 1)

    def _take(self, count: int, path: tuple[str | int, ...]) -> bytes:
        if count < 0 or self.at + count > len(self.value):
            self._refuse(path, f"{count} bytes wanted where {len(self.value) - self.at} are left")
        self.at += count
        return self.value[self.at - count : self.at]

    def _refuse(self, path: tuple[str | int, ...], why: str) -> None:
        raise NotAvro(f"{'.'.join(map(str, path)) or 'the whole'}: {why}")
