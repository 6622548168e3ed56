"""Secrets and rights that change under load, for real: the drills of the security scenario, in one run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from shortened import short

from necp_validate.record import read_record

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(480)]

# Seconds for each, and what is to be quicker in it.
DRILLS: dict[str, tuple[float, dict[str, dict[str, float]]]] = {
    "rotate-password": (16, {}),
    "reload-certificates": (26, {"expiring_certificate": {"valid_s": 15}}),
    "revoke-access": (12, {"hold": {"seconds": 2}}),
    "ca-rollover": (22, {}),
}


def test_secrets_and_rights_change_under_load_and_nothing_is_lost(tmp_path: Path) -> None:
    experiments = [
        str(short(tmp_path, f"security/{name}", fault_s=fault_s, recovery_s=3, **quicker))
        for name, (fault_s, quicker) in DRILLS.items()
    ]
    settings = [f"experiments={json.dumps(experiments)}", "security.at=[]", "broker.login_holds_s=5"]
    command = [sys.executable, "-m", "necp_validate", "run", "security", "--stack", "local"]
    result = subprocess.run(
        [*command, *(f"--set={setting}" for setting in settings), "--out", str(tmp_path / "runs")],
        capture_output=True,
        text=True,
        timeout=450,
        check=False,
    )
    output = result.stdout + result.stderr
    (run_dir,) = (path.parent for path in (tmp_path / "runs").glob("*/run.json"))
    history = read_record(run_dir)
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
    assert {swap.served == swap.issued != swap.before for swap in history.certificate_swaps} == {True}, output
    assert {swap.pid_before == swap.pid_after for swap in history.certificate_swaps} == {True}, output
    assert [(c.let_in_later, c.tried_later > 0) for c in history.password_changes] == [(0, True)] * 2, output
    assert {swap.how for swap in history.certificate_swaps} == {"reload", "renewal", "rollover"}
    assert {change.principal for change in history.password_changes} == {"combat-service", "event-core"}
    denied = sum(stream.failed.count for load in history.loads for stream in load.streams if stream.domain == "social")
    assert denied > 0, output
