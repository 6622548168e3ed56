"""The node's own files and control groups, without a node."""

import json
import tarfile
import tomllib
from pathlib import Path

import pytest

from necp_validate.kubernetes import node
from necp_validate.kubernetes.image import write_archive
from necp_validate.kubernetes.pods import pod_name


def test_without_root_there_is_no_node(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(node.os, "geteuid", lambda: 1000)
    assert node.why_not().startswith("needs root")


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(node.os, "geteuid", lambda: 0)
    monkeypatch.setenv("PATH", "/nowhere")
    assert "containerd" in node.why_not()
    assert node.why_not().startswith("needs ")


def test_a_nodes_address_is_never_loopback():
    address = node.node_address()
    assert address is None or not address.startswith("127.")


def test_containerd_is_told_what_it_can_read(tmp_path: Path):
    told = tomllib.loads(node._containerd(tmp_path, tmp_path / "containerd.sock"))
    plugin = told["plugins"]["io.containerd.grpc.v1.cri"]
    assert plugin["sandbox_image"] == node.PAUSE
    assert plugin["restrict_oom_score_adj"]
    assert told["grpc"]["address"] == str(tmp_path / "containerd.sock")


def test_a_new_group_takes_what_its_parent_has(tmp_path: Path):
    for name, content in {"cpuset.cpus": "0-1\n", "cpuset.mems": "0\n"}.items():
        (tmp_path / name).write_text(content)
    group = tmp_path / "necp-node-x"
    group.mkdir()
    (group / "cpuset.cpus").write_text("\n")
    node._make_group(group)
    assert (group / "cpuset.cpus").read_text() == "0-1\n"


def test_groups_are_removed_from_the_inside_and_what_is_in_use_stays(tmp_path: Path):
    (tmp_path / "empty" / "inner" / "innermost").mkdir(parents=True)
    busy = tmp_path / "busy" / "inner"
    busy.mkdir(parents=True)
    (busy / "file").touch()  # a directory that rmdir refuses, as the kernel refuses a group with processes in it
    assert node._remove_group(tmp_path / "empty")
    assert not node._remove_group(tmp_path / "busy")
    assert busy.is_dir()
    assert node._remove_group(tmp_path / "never-there")


def test_an_archive_has_every_layer_once_and_names_it_by_its_content(tmp_path: Path):
    base, more = tmp_path / "base.tar", tmp_path / "more.tar"
    for layer in (base, more):
        with tarfile.open(layer, "w") as tar:
            tar.add(__file__, layer.stem)
    write_archive(tmp_path / "images.tar", {"a:1": ([base, more], ["sh"]), "b:1": ([base], ["sleep", "9"])})
    with tarfile.open(tmp_path / "images.tar") as tar:
        names = tar.getnames()
        manifest = json.loads(tar.extractfile("manifest.json").read())  # type: ignore[union-attr]
        configs = [json.loads(tar.extractfile(one["Config"]).read()) for one in manifest]  # type: ignore[union-attr]
    assert names.count("base.tar") == 1
    assert [one["RepoTags"] for one in manifest] == [["a:1"], ["b:1"]]
    assert [len(one["rootfs"]["diff_ids"]) for one in configs] == [2, 1]
    assert configs[1]["config"]["Cmd"] == ["sleep", "9"]


def test_a_brokers_pod_has_the_brokers_number():
    assert pod_name(1) == "my-cluster-kafka-1"
