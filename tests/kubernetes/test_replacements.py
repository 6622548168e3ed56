"""Pods that were killed are paired with those that took their place."""

import pytest
from kubernetes import client

from necp_validate.core import SuiteError
from necp_validate.kubernetes.replacements import PodSeen, PodWatch, Replacement, fewest_ready, replacements
from necp_validate.stack import wait_until


def seen(at_s: float, uid: str, **more: object) -> PodSeen:
    return PodSeen(at_s=at_s, name="kafka-0", uid=uid, **more)  # type: ignore[arg-type]


def test_a_pod_that_was_killed_and_made_again():
    rows = [
        seen(0.0, "a", node="n1", ready=True),
        seen(10.0, "a", node="n1", ready=True, deleting=True),
        seen(11.0, "a", node="n1", deleting=True),
        seen(11.5, "a", node="n1", deleting=True, gone=True),
        seen(11.6, "b"),
        seen(11.8, "b", node="n2"),
        seen(14.0, "b", node="n2", ready=True),
    ]
    assert replacements(rows) == [
        Replacement(
            pod="kafka-0", node="n1", killed_at_s=10.0, gone_s=1.5, made_s=1.6, placed_s=1.8, ready_s=4.0, new_node="n2"
        )
    ]


def test_a_pod_that_nobody_makes_again_has_no_times():
    rows = [seen(0.0, "a", node="n1", ready=True), seen(5.0, "a", node="n1", gone=True)]
    assert replacements(rows) == [Replacement(pod="kafka-0", node="n1", killed_at_s=5.0, gone_s=0.0)]


def test_a_replacement_that_is_killed_as_well_is_a_row_of_its_own():
    rows = [
        seen(0.0, "a", ready=True),
        seen(1.0, "a", gone=True),
        seen(2.0, "b"),
        seen(3.0, "b", gone=True),
        seen(4.0, "c", ready=True),
    ]
    first, second = replacements(rows)
    assert (first.made_s, first.ready_s) == (1.0, None)
    assert (second.made_s, second.ready_s) == (1.0, 1.0)


def test_pods_of_other_names_do_not_take_its_place():
    other = PodSeen(at_s=6.0, name="kafka-1", uid="x", node="n1", ready=True)
    (row,) = replacements([seen(0.0, "a", ready=True), seen(5.0, "a", gone=True), other])
    assert row.made_s is None


def test_nothing_is_killed_where_nothing_is_deleted():
    assert replacements([seen(0.0, "a", ready=True), seen(1.0, "a"), seen(2.0, "a", ready=True)]) == []


def test_fewest_ready_counts_from_a_time_on_and_knows_what_was_before():
    def pod(at_s: float, name: str, ready: bool = True, gone: bool = False) -> PodSeen:
        return PodSeen(at_s=at_s, name=name, uid=name, ready=ready, gone=gone)

    rows = [pod(0, "a"), pod(0, "b"), pod(0, "c"), pod(5, "b", ready=False), pod(6, "b", gone=True), pod(7, "d")]
    assert fewest_ready(rows, since_s=1) == 2
    assert fewest_ready(rows[:3], since_s=1) == 3
    assert fewest_ready([], since_s=1) is None


def test_two_that_are_away_at_one_time_are_counted():
    rows = [PodSeen(at_s=0, name=n, uid=n, ready=True) for n in "abc"]
    rows += [PodSeen(at_s=2, name="a", uid="a"), PodSeen(at_s=3, name="b", uid="b", ready=True, gone=True)]
    assert fewest_ready(rows, since_s=1) == 1


def test_a_watch_that_died_does_not_say_that_nothing_happened(capfd):
    watch = PodWatch(client.ApiClient(), "kafka", "app=kafka")
    watch._core = None  # it cannot be asked
    with watch, pytest.raises(SuiteError, match="the watch over pods ended early: AttributeError: 'NoneType'"):
        wait_until(lambda: len(watch.seen()) > 0, timeout_s=10, message="nothing was seen")
    assert capfd.readouterr() == ("", "")
