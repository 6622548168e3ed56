"""Java's AOT cache for the brokers: classes loaded and linked, methods profiled, in an earlier training run."""

from __future__ import annotations

import contextlib
import hashlib
import json
import secrets
import time
import zlib
from collections.abc import Sequence
from pathlib import Path

from necp_validate.stack.runtime import KafkaRuntime, cache_dir

_CHUNK = 1 << 22
_STALE_S = 24 * 3600.0
_KEPT = 6
# Java's remarks on what it could not keep would be taken for the broker's own errors.
_QUIET = ("-Xlog:aot*=off", "-Xlog:cds*=off")


class AotCache:
    """One cache file, valid for one Java runtime, one set of jars and one set of options.

    A file that is missing, of another version or damaged is never used, and never stops a broker from starting.

    Args:
        name: beginning of the file's name.
        parts: everything that the file depends on.
    """

    def __init__(self, name: str, parts: Sequence[str]) -> None:
        digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
        self.path = cache_dir() / "aot" / f"{name}-{digest}.aot"
        self._seal = self.path.with_suffix(".json")

    @classmethod
    def for_runtime(cls, runtime: KafkaRuntime, options: Sequence[str]) -> AotCache:
        """Return the cache for brokers that run on this host.

        Args:
            runtime: Java and Kafka.
            options: the brokers' Java options.
        """
        stats = [(jar, jar.stat()) for jar in runtime.jars]
        jars = [f"{jar}:{stat.st_size}:{stat.st_mtime_ns}" for jar, stat in stats]
        parts = [runtime.java_version, str(runtime.java), *options, *jars]
        return cls(f"kafka-{runtime.kafka_version}", parts)

    def usable(self) -> bool:
        """Tell whether the file is there and undamaged; remove it if it is damaged."""
        try:
            seal = json.loads(self._seal.read_text(encoding="utf-8"))
            if self.path.stat().st_size == seal["size"] and _crc32(self.path) == seal["crc32"]:
                return True
        except FileNotFoundError:
            return False
        except (OSError, ValueError, KeyError, TypeError):
            pass
        self.discard()
        return False

    def use_options(self) -> list[str]:
        """Return the Java options for a start with the cache; nothing if it cannot be used."""
        return self.options_at(str(self.path)) if self.usable() else []

    @staticmethod
    def options_at(path: str) -> list[str]:
        """Return the Java options for a start with the cache, where Java finds it elsewhere (in a container)."""
        return [f"-XX:AOTCache={path}", *_QUIET]

    def new_output(self) -> Path:
        """Return a new file name for a training run to write to; remove what killed runs have left."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        for left in self.path.parent.glob("*.new*"):
            with contextlib.suppress(FileNotFoundError):
                if time.time() - left.stat().st_mtime > _STALE_S:
                    left.unlink()
        return self.path.with_name(f"{self.path.stem}.{secrets.token_hex(4)}.new")

    def record_options(self, output: Path) -> list[str]:
        """Return the Java options for a training run, which writes the cache when the broker ends."""
        return [f"-XX:AOTCacheOutput={output}", *_QUIET]

    def install(self, output: Path) -> bool:
        """Take over what a training run has written; tell whether there was anything.

        Args:
            output: the file, in the same folder as the cache.
        """
        if not output.is_file() or output.stat().st_size == 0:
            return False
        seal = json.dumps({"size": output.stat().st_size, "crc32": _crc32(output)})
        temporary = output.with_suffix(".seal")
        temporary.write_text(seal, encoding="utf-8")
        self._seal.unlink(missing_ok=True)
        output.replace(self.path)
        temporary.replace(self._seal)
        self._prune()
        return True

    def _prune(self) -> None:
        """Remove the oldest caches: each is some 80 MB, and every change of version or options makes a new one."""
        with contextlib.suppress(FileNotFoundError):
            caches = sorted(self.path.parent.glob("*.aot"), key=lambda path: path.stat().st_mtime, reverse=True)
            for old in caches[_KEPT:]:
                old.with_suffix(".json").unlink(missing_ok=True)
                old.unlink(missing_ok=True)

    def discard(self) -> None:
        """Remove the cache."""
        self._seal.unlink(missing_ok=True)
        self.path.unlink(missing_ok=True)


def _crc32(path: Path) -> int:
    value = 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            value = zlib.crc32(chunk, value)
    return value
