"""A machine without Prometheus: the run goes on, and its record says what is missing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from neutral import neutral

from necp_validate.monitoring import binary, run
from necp_validate.monitoring.binary import PrometheusMissing, ensure
from necp_validate.monitoring.run import MonitoringRun
from necp_validate.record import MonitoringRecord, parts
from necp_validate.record.codec import from_plain
from necp_validate.record.files import whole_lines


def test_without_the_program_and_the_means_to_fetch_it_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binary, "find", lambda program="prometheus": None)
    monkeypatch.setattr(binary, "can_fetch", lambda: False)
    with pytest.raises(PrometheusMissing, match="needs prometheus"):
        ensure()


def test_a_package_that_cannot_be_fetched_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch() -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(binary, "find", lambda program="prometheus": None)
    monkeypatch.setattr(binary, "can_fetch", lambda: True)
    monkeypatch.setattr(binary, "_fetch", fetch)
    with pytest.raises(PrometheusMissing, match="needs prometheus: Debian's package cannot be fetched: no route"):
        ensure()


def test_the_run_goes_on_and_says_what_it_needs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def missing() -> Path:
        raise PrometheusMissing("needs prometheus: there is none")

    monkeypatch.setattr(run, "ensure", missing)
    nothing: Any = None
    monitoring = MonitoringRun(nothing, tmp_path, interval_s=2.0, services=lambda: [])
    monitoring.start()
    monitoring.finish()
    monitoring.stop()
    (line,) = whole_lines(parts.MONITORING.file(tmp_path))
    assert from_plain(MonitoringRecord, json.loads(line)) == neutral(
        MonitoringRecord, needs="needs prometheus: there is none"
    )
    assert monitoring.watch is None
