"""What accounts may do is compared with the policy, both ways."""

from pathlib import Path

import pytest

from necp_validate.core import UsageError
from necp_validate.kubernetes.rights import (
    EVERYWHERE,
    Resource,
    Right,
    compare,
    covers,
    load_policy,
    questions,
    review,
    split_resource,
)
from necp_validate.kubernetes.rights_checks import defects

PODS = Resource(name="pods", namespaced=True, verbs=("get", "delete"))
NODES = Resource(name="nodes", namespaced=False, verbs=("list",))


def right(verb: str, resource: str = "pods", namespace: str = "kafka", name: str = "") -> Right:
    return Right(verb=verb, resource=resource, namespace=namespace, name=name)


def test_every_verb_is_asked_in_every_namespace_and_everywhere():
    asked = questions([PODS, NODES], ["kafka", "kube-system"])
    assert len(asked) == 2 * 3 + 1
    assert right("delete", namespace="kube-system") in asked
    assert right("list", "nodes", EVERYWHERE) in asked


def test_rights_that_hand_rights_on_are_asked_although_no_resource_lists_them():
    roles = Resource(name="rbac.authorization.k8s.io/roles", namespaced=True, verbs=("get",))
    users = Resource(name="users", namespaced=False, verbs=())
    verbs = {one.verb for one in questions([roles, users], ["kafka"])}
    assert {"bind", "escalate", "impersonate"} <= verbs


def test_a_right_about_one_object_is_asked_in_other_namespaces_too():
    asked = questions([], ["kafka", "default"], [right("get", name="mine")])
    assert asked == [right("get", name="mine"), right("get", namespace="default", name="mine")]


def test_a_wider_right_covers_a_narrower_question_and_not_the_other_way_round():
    assert covers([right("get", namespace=EVERYWHERE)], right("get"))
    assert covers([right("get")], right("get", name="one"))
    assert not covers([right("get")], right("get", namespace=EVERYWHERE))
    assert not covers([right("get", name="one")], right("get"))


def test_what_is_too_much_and_what_is_missing_are_told_apart():
    answers = {right("get"): True, right("delete"): False, right("get", "secrets"): True}
    surplus = compare("chaos", frozenset({right("get"), right("delete")}), answers)
    assert surplus.beyond == (right("get", "secrets"),)
    assert surplus.lacking == (right("delete"),)
    assert surplus.asked == 3


def test_as_declared_nothing_is_found():
    surplus = compare("chaos", frozenset({right("get")}), {right("get"): True, right("delete"): False})
    assert (surplus.beyond, surplus.lacking) == ((), ())


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("pods", ("", "pods", "")),
        ("pods/eviction", ("", "pods", "eviction")),
        ("apps/statefulsets", ("apps", "statefulsets", "")),
        ("apps/statefulsets/scale", ("apps", "statefulsets", "scale")),
        ("networking.k8s.io/networkpolicies", ("networking.k8s.io", "networkpolicies", "")),
    ],
)
def test_names_of_resources_are_split(name: str, parts: tuple[str, str, str]):
    assert split_resource(name) == parts


def test_the_policy_gives_the_suite_itself_nothing_but_what_everybody_has():
    policy = load_policy()
    assert policy["necp-validate"] == frozenset.intersection(*policy.values())
    assert right("delete") in policy["necp-chaos"]
    assert not any(one.resource == "secrets" for rights in policy.values() for one in rights)


def test_a_mistake_in_the_policy_names_the_file(tmp_path: Path):
    path = tmp_path / "policy.toml"
    path.write_text('[[chaos]]\nnamespace = "kafka"\nresources = ["pods"]\nverb = ["get"]\n')
    with pytest.raises(UsageError, match=r"policy\.toml"):
        load_policy(path)


def test_a_question_is_put_as_the_server_takes_it():
    asked = review("system:serviceaccount:necp-validate:chaos", right("create", "pods/eviction", EVERYWHERE))
    assert asked["spec"]["resourceAttributes"] == {"verb": "create", "resource": "pods", "subresource": "eviction"}
    assert "system:serviceaccounts:necp-validate" in asked["spec"]["groups"]
    named = review("somebody", right("get", "apps/statefulsets", name="one"))["spec"]
    assert named["groups"] == ["system:authenticated"]
    assert named["resourceAttributes"]["group"] == "apps"
    assert (named["resourceAttributes"]["namespace"], named["resourceAttributes"]["name"]) == ("kafka", "one")


def test_each_seeded_defect_is_told_from_the_role_as_it_should_be():
    allowed = load_policy()["necp-chaos"]
    harmless = compare("x", allowed, dict.fromkeys(allowed, True))
    for account, (objects, caught) in defects().items():
        assert [one["metadata"]["name"] for one in objects] == [account, account]
        assert objects[1]["roleRef"]["name"] == account
        assert not caught(harmless)
