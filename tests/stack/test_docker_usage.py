"""Counters of containers, as the kernel's files have them."""

from __future__ import annotations

import os
from pathlib import Path

from necp_validate.stack.docker_usage import ContainerUsage, disk_totals, group_of


def test_disks_are_added_up() -> None:
    text = "8:0 rbytes=10 wbytes=20 rios=3 wios=4 dbytes=0 dios=0\n8:16 rbytes=1 wbytes=2 rios=1 wios=1\n"
    assert disk_totals(text) == {"rios": 4, "wios": 5, "rbytes": 11, "wbytes": 22}
    assert disk_totals("") == {"rios": 0, "wios": 0, "rbytes": 0, "wbytes": 0}


def test_the_group_is_found() -> None:
    assert group_of("0::/docker/abc\n", Path("/groups")) == Path("/groups/docker/abc")
    assert group_of("3:cpu:/x\n0::/system.slice/docker-abc.scope\n", Path("/g")) == Path(
        "/g/system.slice/docker-abc.scope"
    )


def test_with_version_1_the_whole_disk_is_counted(tmp_path: Path) -> None:
    usage = ContainerUsage(tmp_path, root=tmp_path)
    assert "upper bound" in usage.source
    sample = usage.sample(2, os.getpid())
    assert sample is not None
    assert sample.broker == 2
    assert sample.rss_bytes > 0


def test_with_version_2_the_groups_own_counters_are_taken(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("io\n")
    group = group_of(Path("/proc/self/cgroup").read_text(), tmp_path)
    group.mkdir(parents=True, exist_ok=True)
    (group / "io.stat").write_text("8:0 rbytes=10 wbytes=20 rios=3 wios=4\n")
    usage = ContainerUsage(tmp_path, root=tmp_path)
    sample = usage.sample(2, os.getpid())
    assert usage.source == "operations of the broker's container"
    assert sample is not None
    assert (sample.read_ios, sample.write_ios, sample.read_bytes, sample.write_bytes) == (3, 4, 10, 20)


def test_a_process_that_is_gone_has_no_counters(tmp_path: Path) -> None:
    assert ContainerUsage(tmp_path, root=tmp_path).sample(1, 2**22 - 1) is None
