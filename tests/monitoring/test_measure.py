from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from necp_validate.clients.broker_state import protocols_of, read_disks
from necp_validate.clients.connection import Fields
from necp_validate.monitoring.measure import LogCount, increase, log_growth, sockets_of, values_over_the_run, window_s

DISKS = bytes.fromhex("00000000" "0000" "02" "0000" "06") + b"/data" + bytes.fromhex(
    "01" "00000000000003e8" "0000000000000096" "00" "00"
)  # fmt: skip


def test_a_counter_grows_from_its_first_sample_on() -> None:
    assert increase([(0, 5), (2, 5), (4, 9)], from_zero=False) == (4, 0)
    assert increase([(0, 5), (2, 5), (4, 9)], from_zero=True) == (9, 0)
    assert increase([], from_zero=True) == (0, 0)


def test_a_counter_that_began_anew_keeps_what_it_had() -> None:
    assert increase([(0, 5), (2, 9), (4, 1), (6, 3)], from_zero=False) == (7, 1)


@pytest.mark.parametrize(
    ("expression", "seconds"),
    [("up == 0", 0), ("rate(x[5m]) > 100", 300), ("increase(x[1m]) / rate(y[30s])", 60)],
)
def test_how_far_an_expression_looks_back(expression: str, seconds: float) -> None:
    assert window_s(expression) == seconds


def test_lines_of_the_logs_count_from_the_beginning_of_the_watch(tmp_path: Path) -> None:
    log = tmp_path / "broker-1.log"
    failed = "[x] INFO Selector - [SocketServer nodeId=1] Failed authentication with channelId=1:2-3:4 (no)\n"
    denied = "[x] INFO kafka.authorizer.logger - Principal = User:a is Denied operation = WRITE from host = 1\n"
    log.write_text(failed + denied)
    count = LogCount({1: log})
    with log.open("a") as file:
        file.write(failed + failed + denied + "Principal = User:a is Allowed operation = WRITE\n")
    assert {one.what: one.value for one in count.counted()} == {"failed-authentications": 2, "acl-denials": 1}
    assert LogCount({}).counted() == []


def test_a_log_that_got_more_partitions_grew_by_all_of_them() -> None:
    (one,) = log_growth({"t": [5, 5]}, {"t": [7, 5, 3]})
    assert (dict(one.labels), one.value) == ({"topic": "t"}, 5)


def test_disks_are_read_from_the_answer() -> None:
    (disk,) = read_disks(Fields(DISKS))
    assert (disk.path, disk.total_bytes, disk.usable_bytes) == ("/data", 1000, 150)
    assert disk.used_percent == pytest.approx(85.0)


def test_a_refusal_to_describe_disks_is_an_error() -> None:
    with pytest.raises(ConnectionError, match="error 31"):
        read_disks(Fields(bytes.fromhex("00000000001f0100")))


def test_each_listener_has_its_protocol() -> None:
    listeners = "INTERNAL://0.0.0.0:9093,EXTERNAL://0.0.0.0:9094,OPEN://:1,PLAINTEXT://:2"
    protocols = "INTERNAL:SSL, EXTERNAL:SASL_SSL,OPEN:PLAINTEXT,OTHER:SSL"
    assert protocols_of(listeners, protocols) == {
        "INTERNAL": "SSL",
        "EXTERNAL": "SASL_SSL",
        "OPEN": "PLAINTEXT",
        "PLAINTEXT": "PLAINTEXT",
    }


Series = tuple[dict[str, str], list[tuple[float, float]]]


class Scraped:
    """A Prometheus that has these samples of one counter, and of when processes were started."""

    def __init__(self, *series: Series, starts: Sequence[Series] = ()) -> None:
        self._of = {"kafka_server_messages_in_total": list(series), "process_start_time_seconds": list(starts)}

    def samples(self, selector: str) -> list[Series]:
        return self._of.get(selector.partition("[")[0].partition("{")[0], [])


def test_a_counter_that_appears_under_way_counts_from_nothing() -> None:
    """Brokers have no counter of a topic, or of an error, before the first of its kind."""
    old = {"topic": "t", "instance": "a"}, [(1.0, 50.0), (3.0, 60.0)]
    new = {"topic": "t", "instance": "b"}, [(9.0, 7.0), (11.0, 8.0), (13.0, 2.0)]
    found = {(one.query, *one.labels.values()): one.value for one in _over(Scraped(old, new), since_s=5.0)}
    assert found["messages-in", "t"] == 10 + 8 + 2
    assert found["resets", "messages-in"] == 1


def test_a_counter_that_comes_back_with_as_much_as_it_had_began_anew() -> None:
    """Its process was started again meanwhile: the time of its start tells."""
    assert increase([(1, 105), (9, 105), (11, 106)], from_zero=True, anew={5.0}) == (105 + 105 + 1, 1)
    assert increase([(1, 105), (9, 105)], from_zero=True, anew={1.0, 10.0}) == (105, 0)
    silent = {"topic": "s", "instance": "a"}, [(1.0, 105.0), (9.0, 105.0)]
    other = {"topic": "s", "instance": "b"}, [(1.0, 7.0), (9.0, 9.0)]
    starts = {"instance": "a"}, [(1.0, 1000.5), (5.0, 2000.5), (9.0, 2000.5)]
    found = {
        (one.query, *one.labels.values()): one.value
        for one in _over(Scraped(silent, other, starts=[starts]), since_s=1.0)
    }
    assert found["messages-in", "s"] == 105 + 2
    assert found["resets", "messages-in"] == 1


def test_a_counter_of_a_listener_that_is_opened_again_says_nothing_of_the_others() -> None:
    listener = {"topic": "l", "instance": "a"}, [(1.0, 50.0), (5.0, 3.0), (9.0, 4.0)]
    other = {"topic": "s", "instance": "a"}, [(1.0, 105.0), (5.0, 106.0), (9.0, 107.0)]
    starts = {"instance": "a"}, [(1.0, 1000.5), (5.0, 1000.5), (9.0, 1000.5)]
    found = {
        (one.query, *one.labels.values()): one.value
        for one in _over(Scraped(listener, other, starts=[starts]), since_s=1.0)
    }
    assert (found["messages-in", "l"], found["messages-in", "s"]) == (4, 2)


def _over(prometheus: Any, *, since_s: float) -> list[Any]:
    return list(values_over_the_run(prometheus, 60.0, since_s))


def test_sockets_are_those_of_the_process() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)), server.accept()[0]:
            found = [state for local, state in sockets_of(os.getpid()) if local == port]
    assert sorted(found) == ["01", "0A"]
    with pytest.raises(OSError, match="No such file"):
        sockets_of(2**22 + 1)
