"""Java's AOT cache is used only when it is whole and for the same runtime and options."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from necp_validate.stack.aot import AotCache
from necp_validate.stack.runtime import KafkaRuntime


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KafkaRuntime:
    monkeypatch.setenv("NECP_CACHE_DIR", str(tmp_path / "cache"))
    jar = tmp_path / "kafka.jar"
    jar.write_bytes(b"jar")
    return KafkaRuntime(java=tmp_path / "jre" / "bin" / "java", jars=(jar,), kafka_version="4.4.0")


def _recorded(cache: AotCache, content: bytes = b"aot" * 1000) -> AotCache:
    output = cache.new_output()
    output.write_bytes(content)
    assert cache.install(output)
    return cache


def test_a_recorded_cache_is_used(runtime: KafkaRuntime) -> None:
    cache = AotCache.for_runtime(runtime, ["-Xmx1g"])
    assert cache.use_options() == []
    _recorded(cache)
    assert cache.use_options()[0] == f"-XX:AOTCache={cache.path}"


def test_nothing_recorded_installs_nothing(runtime: KafkaRuntime) -> None:
    cache = AotCache.for_runtime(runtime, ["-Xmx1g"])
    assert not cache.install(cache.new_output())
    assert not cache.usable()


@pytest.mark.parametrize("damage", ["flip", "truncate", "unseal"])
def test_a_damaged_cache_is_removed_and_not_used(runtime: KafkaRuntime, damage: str) -> None:
    cache = _recorded(AotCache.for_runtime(runtime, ["-Xmx1g"]))
    if damage == "flip":
        cache.path.write_bytes(b"x" + cache.path.read_bytes()[1:])
    elif damage == "truncate":
        cache.path.write_bytes(cache.path.read_bytes()[:-1])
    else:
        cache.path.with_suffix(".json").write_text("{")
    assert cache.use_options() == []
    assert not cache.path.exists()


def test_other_options_or_jars_have_another_cache(runtime: KafkaRuntime) -> None:
    paths = {AotCache.for_runtime(runtime, options).path for options in (["-Xmx1g"], ["-Xmx2g"])}
    runtime.jars[0].write_bytes(b"other jar")
    paths.add(AotCache.for_runtime(runtime, ["-Xmx1g"]).path)
    assert len(paths) == 3


def test_only_the_newest_caches_are_kept(runtime: KafkaRuntime) -> None:
    for number in range(8):
        cache = _recorded(AotCache.for_runtime(runtime, [f"-Xmx{number}g"]))
        os.utime(cache.path, (number, number))
    newest = _recorded(AotCache.for_runtime(runtime, ["-Xmx9g"]))
    assert newest.usable()
    assert len(list(newest.path.parent.glob("*.aot"))) == len(list(newest.path.parent.glob("*.json"))) == 6
