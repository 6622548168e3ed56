"""From nothing to a report on a broker that somebody else configured, and what is refused on the way."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from plain_cluster import (
    SHORT,
    last_run,
    make_topics,
    plain_broker,
    service,
    start,
    topics_of,
    typed,
    verdict_of,
    wait_for,
)

from necp_validate.core import Verdict
from necp_validate.external.cluster import describe
from necp_validate.external.groups import groups_of
from necp_validate.record import read_record
from necp_validate.report.pipeline import judge_and_report

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

ORDER = '{"type": "record", "name": "Order", "fields": [{"name": "id", "type": "int"}]}'
ANSWERS = 'group = "orders-service"\noutput = "orders.done"\n'
CLAIM = """
[[claims]]
id = "answered"
metric = "e2e_p95"
phase = "steady"
topic = "orders"
comparison = "<"
threshold = "10 s"

[[claims]]
id = "all-answered"
metric = "e2e_p95"
phase = "steady"
comparison = "<"
threshold = "10 s"
"""


@pytest.fixture(scope="module")
def bootstrap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with plain_broker(tmp_path_factory.mktemp("broker")) as address:
        yield address


def test_from_nothing_to_a_report(bootstrap: str, tmp_path: Path) -> None:
    make_topics(bootstrap, "orders:3", "orders.done:1")
    there = topics_of(bootstrap)  # with those of the tests before, which share this broker
    (tmp_path / "order.avsc").write_text(ORDER)
    schema = ["--schema", "orders=order.avsc", "--topic", "trial"]
    code, out = typed(tmp_path, "init", "--bootstrap", bootstrap, *schema)
    assert code == 0, out
    assert "orders: 3 partitions, replication 1, 0 records; cleanup.policy=delete" in out, out
    assert out.endswith("next: necp-validate run scenario.toml --allow create-topics")
    assert topics_of(bootstrap) == there

    target, claims = tmp_path / "target.toml", tmp_path / "claims.toml"
    target.write_text(target.read_text().replace('name = "orders"\n', f'name = "orders"\n{ANSWERS}'))
    claims.write_text(claims.read_text().replace('"500 ms"', '"10 s"') + CLAIM)
    code, out = typed(tmp_path, "run", "scenario.toml")
    assert (code, "the target has no topic trial; nothing was created" in out) == (2, True), out
    assert topics_of(bootstrap) == there

    with service(bootstrap, "orders", "orders.done"):
        code, out = typed(tmp_path, "run", "scenario.toml", "--allow", "create-topics", *SHORT)
    run_dir = last_run(tmp_path)
    assert code == 3, out  # trial has no service: what rests on its answers is unknown, all else holds
    judged = {claim["id"]: claim for claim in verdict_of(run_dir)["claims"]}
    unknown = {id_: claim["evidence"] for id_, claim in judged.items() if claim["verdict"] != "pass"}
    assert list(unknown) == ["all-answered"], unknown
    assert "let it copy the header necp-event" in unknown["all-answered"]

    history = read_record(run_dir)
    assert history.readback is not None
    sent = {stream.topic: stream.sent for load in history.loads for stream in load.streams}
    assert sent == {"orders": 350, "trial": 350}
    assert history.readback.events_read == 700
    assert history.drain is not None
    assert not list(run_dir.glob("*-task.json"))
    assert "How" in (run_dir / "report.html").read_text()

    config = {"bootstrap.servers": bootstrap, "security.protocol": "PLAINTEXT"}
    assert groups_of(config, describe(config), ["orders", "trial"]) == {"orders": ["orders-service"]}

    code, out = typed(tmp_path, "run", "scenario.toml")
    assert (code, "in use already: orders (350 records), trial (350 records)" in out) == (2, True), out


def test_an_interrupted_run_leaves_nothing_but_a_readable_record(bootstrap: str, tmp_path: Path) -> None:
    assert typed(tmp_path, "init", "--bootstrap", bootstrap, "--topic", "interrupted")[0] == 0
    process = start(tmp_path, "run", "scenario.toml", "--allow", "create-topics", "--set=phases.steady.duration_s=60")
    run_dir = wait_for(tmp_path / "reports" / "runs", "*/history/timeline-0.jsonl").parents[1]
    children = psutil.Process(process.pid).children(recursive=True)
    assert children
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 4, out
    assert "interrupted, everything stopped" in out
    assert not psutil.wait_procs(children, timeout=10)[1]
    assert not list(run_dir.glob("*-task.json"))
    assert read_record(run_dir).run.status == "interrupted"
    assert judge_and_report(run_dir).verdict in (Verdict.FAIL, Verdict.UNKNOWN)


def test_what_cannot_be_read_back_leaves_a_verdict_on_the_rest(bootstrap: str, tmp_path: Path) -> None:
    """The load was measured: that is not thrown away when the cluster does not give its events back."""
    assert typed(tmp_path, "init", "--bootstrap", bootstrap, "--topic", "unread")[0] == 0
    too_short = "--set=readback_timeout_s=0.001"
    code, out = typed(tmp_path, "run", "scenario.toml", "--allow", "create-topics", *SHORT, too_short)
    assert code == 3, out
    run_dir = last_run(tmp_path)
    run = read_record(run_dir).run
    assert run.status == "unread"
    assert "could not be read to the end in time" in str(run.error)
    judged = {claim["id"]: (claim["verdict"], claim["evidence"]) for claim in verdict_of(run_dir)["claims"]}
    assert judged["no-failed-sends"][0] == "pass", judged
    assert judged["nothing-lost"][0] == "unknown", judged
    assert "could not be read to the end in time" in judged["nothing-lost"][1]
    assert "The run is unread" in (run_dir / "summary.md").read_text()
