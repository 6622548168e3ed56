"""The tier that runs anywhere: a real control plane, hollow nodes, experiments with the least rights they need.

Real: API server, etcd, scheduler, controllers, admission, authorization, Chaos Toolkit. Not real: nodes are kubemark's
hollow ones, so that pods run nothing and are ready at once; the times are those of the control plane alone.
"""

from __future__ import annotations

from kubernetes import client

from necp_validate.core import StackError
from necp_validate.core.verdict import Example, Finding
from necp_validate.kubernetes import brokers
from necp_validate.kubernetes.access import ADMIN
from necp_validate.kubernetes.account_checks import (
    NAMESPACE,
    apply_manifests,
    check_attempts,
    refuse_defects,
)
from necp_validate.kubernetes.apply import Applier
from necp_validate.kubernetes.control_plane import ControlPlane
from necp_validate.kubernetes.experiment_checks import Experiments, account_token, wait_brokers
from necp_validate.kubernetes.hollow_nodes import hollow_names, start_hollow_nodes
from necp_validate.kubernetes.nodes import is_ready
from necp_validate.kubernetes.outcome import Proof, finding
from necp_validate.kubernetes.play import experiment_folder
from necp_validate.kubernetes.rights import Reviewer
from necp_validate.kubernetes.rights_checks import RightsCheck
from necp_validate.stack.waiting import wait_until

TIER = "API server"
_NODES = 9  # of one processor each: five for the suite's Jobs, four for brokers
_RUNNING_TIMEOUT_S = 120.0
_ORPHAN, _PODSET = "orphan", "podset"


def prove(proof: Proof) -> None:
    """Bring a control plane up, check manifests and rights, play every experiment; everything is ended again.

    Args:
        proof: takes what is found.

    Raises:
        SuiteError: the control plane could not be brought up.
    """
    names = hollow_names(_NODES)
    with ControlPlane(names, proof.progress) as plane:
        api = plane.api()
        proof.versions["Kubernetes"] = client.VersionApi(api).get_code().git_version
        proof.progress(f"{_NODES} hollow nodes join")
        start_hollow_nodes(plane, names)
        proof.progress("trying and applying the manifests")
        applier = Applier(api)
        proof.findings += [apply_manifests(applier), refuse_defects(applier)]
        _start_brokers(applier, api)
        proof.progress("asking what each account may do, verb by verb")
        reviewer = Reviewer(plane.server, plane.access.authority, plane.access.tokens[ADMIN])
        proof.findings += RightsCheck(api, reviewer).all()
        proof.findings.append(check_attempts(api, plane.api_with(account_token(api, "necp-chaos"))))
        proof.findings.append(_check_jobs(api))
        _play_all(Experiments(plane, proof, TIER), applier)


def _start_brokers(applier: Applier, api: client.ApiClient) -> None:
    objects = [brokers.headless_service(), brokers.disruption_budget(), brokers.stateful_set(brokers.hollow_pod())]
    applier.apply_all(objects)
    wait_brokers(api, brokers.BROKERS)


def _check_jobs(api: client.ApiClient) -> Finding:
    """See that the suite's Jobs come to their pods: admitted, placed, one worker a node."""
    core = client.CoreV1Api(api)
    for name, keys in {"necp-join-key": ("key",), "necp-kafka": ("ca.crt", "password")}.items():
        body = client.V1Secret(metadata=client.V1ObjectMeta(name=name), string_data=dict.fromkeys(keys, "x"))
        core.create_namespaced_secret(NAMESPACE, body)
    files = {path.name: path.read_text(encoding="utf-8") for path in experiment_folder().glob("*.json")}
    experiments = client.V1ConfigMap(metadata=client.V1ObjectMeta(name="necp-experiments"), data=files)
    core.create_namespaced_config_map(NAMESPACE, experiments)
    seen: dict[str, int] = {}
    nodes: set[str] = set()

    def running() -> bool:
        pods = core.list_namespaced_pod(NAMESPACE).items
        run = [pod for pod in pods if pod.status.phase == "Running" and is_ready(pod)]
        seen.clear()
        for pod in run:
            part = pod.metadata.labels.get("app.kubernetes.io/component", pod.metadata.labels["app.kubernetes.io/name"])
            seen[part] = seen.get(part, 0) + 1
        nodes.update(
            pod.spec.node_name for pod in run if pod.metadata.labels.get("app.kubernetes.io/component") == "worker"
        )
        return seen == {"master": 1, "worker": 4, "necp-chaos": 1}

    try:
        waited = wait_until(running, timeout_s=_RUNNING_TIMEOUT_S, message="the Jobs' pods do not run")
    except StackError as error:
        return finding("jobs-run", [Example(where="running", detail=f"{seen}: {error}")], "")
    placed = f"admitted and placed in {waited:.1f} s (hollow)"
    summary = f"one master, four workers on {len(nodes)} nodes, one experiment: {placed}"
    return finding("jobs-run", [], summary)


def _play_all(experiments: Experiments, applier: Applier) -> None:
    """Play every experiment with the rights that it needs, and those that must fail."""
    everyone = experiments.pods()
    pod = min(everyone)
    experiments.play("broker-pod-kill", "necp-chaos", {"BROKER_POD": pod}, killed={pod})
    experiments.play("network-policy", "necp-chaos", {"BROKER_POD": pod, "HOLD_S": "2"}, killed=set())
    experiments.play("rolling-update", "necp-chaos", {}, killed=set(everyone))
    placed = experiments.pods()
    node = placed[pod]
    experiments.see_drain_refused(node)
    on_node = {name for name, where in placed.items() if where == node}
    experiments.play("node-drain", "necp-drain", {"DRAINED_NODE": node}, killed=on_node)
    settings = {"STRIMZI_CLUSTER": _PODSET, "KAFKA_BROKERS": "1", "WITHIN_S": "10"}
    experiments.see_pod_set_asked(settings, _start_pod_set(applier))
    names = _start_orphans(applier)
    experiments.see_unreplaced({"STRIMZI_CLUSTER": _ORPHAN, "BROKER_POD": names[0], "WITHIN_S": "20"})


def _start_pod_set(applier: Applier) -> str:
    """Start one broker's pod that belongs to a pod set of Strimzi's; return the pod set's name."""
    name = f"{_PODSET}-{brokers.POOL}"
    where = {"namespace": brokers.NAMESPACE, "labels": brokers.labels(_PODSET)}
    kind = {"apiVersion": "core.strimzi.io/v1beta2", "kind": "StrimziPodSet"}
    made = applier.apply({**kind, "metadata": {"name": name, **where}, "spec": {"pods": []}})
    owner = {**kind, "name": name, "uid": made.metadata.uid, "controller": True}
    metadata = {"name": f"{name}-0", **where, "ownerReferences": [owner]}
    applier.apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": brokers.hollow_pod(_PODSET)})
    return name


def _start_orphans(applier: Applier) -> list[str]:
    """Start brokers' pods that nobody makes again: no set owns them; return their names."""
    spec = brokers.hollow_pod(_ORPHAN)
    names = [f"{_ORPHAN}-{number}" for number in range(brokers.BROKERS)]
    for name in names:
        metadata = {"name": name, "namespace": brokers.NAMESPACE, "labels": brokers.labels(_ORPHAN)}
        applier.apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    return names
