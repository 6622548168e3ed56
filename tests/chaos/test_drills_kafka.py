"""Secrets and rights that change under load, for real: the drills of the security scenario, in one run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from necp_validate.record import read_history

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(480)]

DRILLS = ("rotate-password", "reload-certificates", "revoke-access", "ca-rollover")


def test_secrets_and_rights_change_under_load_and_nothing_is_lost(tmp_path: Path) -> None:
    experiments = json.dumps([f"security/{name}" for name in DRILLS])
    command = [sys.executable, "-m", "necp_validate", "run", "security", "--stack", "local"]
    result = subprocess.run(
        [*command, "--set", f"experiments={experiments}", "--set", "security.at=[]", "--out", str(tmp_path / "runs")],
        capture_output=True,
        text=True,
        timeout=450,
        check=False,
    )
    output = result.stdout + result.stderr
    (run_dir,) = (path.parent for path in (tmp_path / "runs").glob("*/run.json"))
    history = read_history(run_dir)
    kinds = {fault.kind for fault in history.faults}
    assert kinds == {
        "password-rotation",
        "certificate-reload",
        "certificate-expiring",
        "access-revoked",
        "ca-rollover",
    }, output
    assert [f.id for f in history.faults if f.effective_us is None or f.end_us is None] == [], output
    claims = {c["id"]: c for c in json.loads((run_dir / "verdict.json").read_text(encoding="utf-8"))["claims"]}
    assert claims["DUR-ACKED"]["verdict"] == "pass", (claims["DUR-ACKED"], output)
    # How long it took is the verdict's business, not this test's: the machine may be busy.
    assert {swap.served == swap.issued != swap.before for swap in history.drills.certificates} == {True}, output
    assert {swap.pid_before == swap.pid_after for swap in history.drills.certificates} == {True}, output
    assert [(c.let_in_later, c.tried_later > 0) for c in history.drills.passwords] == [(0, True)] * 2, output
    assert {swap.how for swap in history.drills.certificates} == {"reload", "renewal", "rollover"}
    assert {change.principal for change in history.drills.passwords} == {"combat-service", "event-core"}
    denied = sum(stream.failed.count for load in history.loads for stream in load.streams if stream.domain == "social")
    assert denied > 0, output
