"""The modules that Kubernetes is built from, and which Go will do."""

import os

import pytest

from necp_validate.core import SuiteError
from necp_validate.kubernetes import build


def test_every_part_of_kubernetes_is_at_the_same_release():
    text = build.kubernetes_module("1.34.2")
    assert "require k8s.io/kubernetes v1.34.2\n" in text
    replaced = [line for line in text.splitlines() if line.startswith("replace ")]
    assert len(replaced) == 31
    assert all(line.endswith(" v0.34.2") for line in replaced)


def test_programs_are_told_their_release():
    assert "-X k8s.io/component-base/version.gitVersion=v1.34.2" in build.linker_flags("1.34.2")


@pytest.mark.parametrize(
    ("said", "toolchain"),
    [
        ("go version go1.24.0 linux/amd64", "local"),
        ("go version go1.26.8 linux/amd64", "auto"),
        ("go version go1.21.3 linux/amd64", "auto"),
        ("go version go2.0 linux/amd64", "local"),
    ],
)
def test_a_go_that_will_do(said: str, toolchain: str):
    assert build.go_problem(said, toolchain) == ""


@pytest.mark.parametrize(
    ("said", "toolchain", "word"),
    [
        ("go version go1.19.8 linux/amd64", "auto", "this one is 1.19"),
        ("go version go1.23.0 linux/amd64", "local", "this one is 1.23"),
        ("", "auto", "does not say its version"),
    ],
)
def test_a_go_that_will_not_do_is_told_why(said: str, toolchain: str, word: str):
    assert word in build.go_problem(said, toolchain)


def test_without_go_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(build, "_USUAL_PLACES", ())
    with pytest.raises(SuiteError, match=r"needs Go .*\n?.*1\.21") as caught:
        build.find_go()
    assert caught.value.exit_code == 4


def test_what_was_built_before_is_not_built_again(monkeypatch: pytest.MonkeyPatch, tmp_path):
    monkeypatch.setenv("NECP_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("PATH", "/nowhere")  # so that any attempt to build would fail
    monkeypatch.setattr(build, "_USUAL_PLACES", ())
    build.binaries().mkdir(parents=True)
    program = build.binaries() / "etcd"
    program.touch()
    program.chmod(0o755)
    assert os.access(program, os.X_OK)
    assert build.missing(["etcd", "kubelet"]) == ["kubelet"]
    made = build.ensure(["etcd"], lambda _: None)
    assert (made["etcd"].path, made["etcd"].seconds) == (program, 0.0)
