"""The tier that runs anywhere: a real control plane, hollow nodes, experiments with the least rights they need.

Real: API server, etcd, scheduler, controllers, admission, authorization, Chaos Toolkit. Not real: nodes are kubemark's
hollow ones, so that pods run nothing and are ready at once; the times are those of the control plane alone.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from kubernetes import client

from necp_validate.kubernetes import brokers
from necp_validate.kubernetes.account_checks import (
    NAMESPACE,
    apply_manifests,
    check_attempts,
    check_rights,
    refuse_defects,
)
from necp_validate.kubernetes.control_plane import ControlPlane
from necp_validate.kubernetes.hollow_nodes import hollow_names, start_hollow_nodes
from necp_validate.kubernetes.manifests import Applier
from necp_validate.kubernetes.nodes import is_ready
from necp_validate.kubernetes.outcome import Killed
from necp_validate.kubernetes.play import Played, play
from necp_validate.kubernetes.replacements import PodWatch, Replacement, fewest_ready, replacements
from necp_validate.results.verdict import Finding, Verdict
from necp_validate.stack.protocol import Progress
from necp_validate.stack.waiting import wait_until

TIER = "API server"
_NODES = 4
_RUNNING_TIMEOUT_S = 120.0
_ORPHAN = "orphan"


@dataclass(slots=True)
class Proof:
    """What a tier has found so far.

    Args:
        out: folder for journals.
        progress: receives a sentence for each stage.
        findings: one for each check.
        killed: the table.
        versions: of what it ran on.
    """

    out: Path
    progress: Progress
    findings: list[Finding] = field(default_factory=list)
    killed: list[Killed] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)


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
        proof.findings += check_rights(api)
        proof.findings.append(check_attempts(api, plane.api_with(account_token(api, "necp-chaos"))))
        proof.findings.append(_check_jobs(api))
        _Experiments(plane, proof).play_all(applier)


def _start_brokers(applier: Applier, api: client.ApiClient) -> None:
    objects = [brokers.headless_service(), brokers.disruption_budget(), brokers.stateful_set(brokers.hollow_pod())]
    applier.apply_all(objects)
    wait_brokers(api, brokers.BROKERS)


def wait_brokers(api: client.ApiClient, count: int, *, timeout_s: float = _RUNNING_TIMEOUT_S) -> None:
    """Wait until so many brokers are ready.

    Args:
        api: a client that may list pods.
        count: how many.
        timeout_s: give up after this long.

    Raises:
        StackError: they are not.
    """
    core = client.CoreV1Api(api)

    def ready() -> bool:
        pods = core.list_namespaced_pod(brokers.NAMESPACE, label_selector=brokers.selector()).items
        return sum(map(is_ready, pods)) == len(pods) == count

    wait_until(ready, timeout_s=timeout_s, message=f"not every one of {count} brokers became ready")


def account_token(api: client.ApiClient, account: str) -> str:
    """Return a token of one of the suite's service accounts, valid for an hour."""
    spec = client.V1TokenRequestSpec(audiences=[], expiration_seconds=3600)
    request = client.AuthenticationV1TokenRequest(spec=spec)
    core = client.CoreV1Api(api)
    return str(core.create_namespaced_service_account_token(account, NAMESPACE, request).status.token)


def _check_jobs(api: client.ApiClient) -> Finding:
    """See that the suite's Jobs come to their pods: admitted, placed, one worker a node."""
    core = client.CoreV1Api(api)
    for name, keys in {"necp-join-key": ("key",), "necp-kafka": ("ca.crt", "password")}.items():
        body = client.V1Secret(metadata=client.V1ObjectMeta(name=name), string_data=dict.fromkeys(keys, "x"))
        core.create_namespaced_secret(NAMESPACE, body)
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
    except Exception as error:
        return Finding(name="jobs-run", verdict=Verdict.FAIL, count=1, summary=f"{error}; running: {seen}")
    summary = f"one master, four workers on {len(nodes)} nodes and an experiment: admitted and placed in {waited:.1f} s (hollow)"
    return Finding(name="jobs-run", verdict=Verdict.PASS, count=0, summary=summary)


class _Experiments:
    """Plays the experiments one after the other.

    Args:
        plane: the control plane.
        proof: takes what is found.
    """

    def __init__(self, plane: ControlPlane, proof: Proof) -> None:
        self._plane = plane
        self._proof = proof
        self._api = plane.api()
        self._core = client.CoreV1Api(self._api)

    def play_all(self, applier: Applier) -> None:
        pod = f"{brokers.CLUSTER}-{brokers.POOL}-0"
        self._one("broker-pod-kill", "necp-chaos", {"BROKER_POD": pod}, killed={pod})
        self._one("network-policy", "necp-chaos", {"BROKER_POD": pod, "HOLD_S": "2"}, killed=set())
        everyone = {f"{brokers.CLUSTER}-{brokers.POOL}-{number}" for number in range(brokers.BROKERS)}
        self._one("rolling-update", "necp-chaos", {}, killed=everyone)
        node = self._core.read_namespaced_pod(pod, brokers.NAMESPACE).spec.node_name
        on_node = {name for name in everyone if self._node(name) == node}
        self._refused({"DRAINED_NODE": node})
        self._one("node-drain", "necp-drain", {"DRAINED_NODE": node}, killed=on_node)
        self._unreplaced(applier)

    def _node(self, pod: str) -> str:
        return str(self._core.read_namespaced_pod(pod, brokers.NAMESPACE).spec.node_name)

    def _play(self, name: str, account: str, settings: Mapping[str, str], journal: str = "") -> Played:
        token = account_token(self._api, account)
        kubeconfig = self._plane.access.kubeconfig(account, self._plane.server, token=token)
        base = {"STRIMZI_CLUSTER": brokers.CLUSTER, "KAFKA_NAMESPACE": brokers.NAMESPACE}
        return play(name, kubeconfig, self._proof.out, {**base, **settings}, journal=journal)

    def _one(self, name: str, account: str, settings: Mapping[str, str], *, killed: set[str]) -> None:
        """Play an experiment, and see by other means what it did: which pods went, and that each came back."""
        self._proof.progress(f"experiment {name}, as {account}")
        with PodWatch(self._api, brokers.NAMESPACE, brokers.selector()) as pods:
            wait_until(lambda: len(pods.seen()) >= brokers.BROKERS, timeout_s=30.0, message="no pods are seen")
            begun = time.monotonic()
            played = self._play(name, account, settings)
            seen = pods.seen()
        rows = [row for row in replacements(seen) if row.killed_at_s >= begun]
        self._proof.killed += [Killed(tier=TIER, by=name, replacement=row) for row in rows]
        self._proof.findings.append(judge(name, played, rows, killed, fewest_ready(seen, since_s=begun)))

    def _refused(self, settings: Mapping[str, str]) -> None:
        """See that draining is refused to the account that may only touch Kafka's namespace, and that nothing is done."""
        played = self._play("node-drain", "necp-chaos", settings, journal="node-drain-refused")
        cordoned = [node.metadata.name for node in self._core.list_node().items if node.spec.unschedulable]
        refused = not played.passed and "Forbidden" in str(played.journal) and not cordoned
        self._proof.findings.append(
            Finding(
                name="drain-refused-without-its-role",
                verdict=Verdict.PASS if refused else Verdict.FAIL,
                count=0 if refused else 1,
                summary=f"as necp-chaos: {played.why_not or 'it was carried out'}; cordoned: {', '.join(cordoned) or 'none'}",
            )
        )

    def _unreplaced(self, applier: Applier) -> None:
        """See that an experiment fails when nobody makes the killed broker again: pods that no set owns."""
        made = brokers.stateful_set(brokers.hollow_pod(_ORPHAN), _ORPHAN)
        names = [f"{_ORPHAN}-{number}" for number in range(brokers.BROKERS)]
        for name in names:
            metadata = {"name": name, "namespace": brokers.NAMESPACE, "labels": brokers.labels(_ORPHAN)}
            applier.apply(
                {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": made["spec"]["template"]["spec"]}
            )
        settings = {"STRIMZI_CLUSTER": _ORPHAN, "BROKER_POD": names[0], "WITHIN_S": "20"}
        played = self._play("broker-pod-kill", "necp-chaos", settings, journal="broker-pod-kill-unreplaced")
        before, after = played.outcome.steady_before, played.outcome.steady_after
        noticed = bool(before) and not after and not played.passed
        self._proof.findings.append(
            Finding(
                name="unreplaced-broker-noticed",
                verdict=Verdict.PASS if noticed else Verdict.FAIL,
                count=0 if noticed else 1,
                summary=f"seeded, pods that nobody makes again: steady before {before}, afterwards {after}: {played.why_not}",
            )
        )


def judge(name: str, played: Played, rows: list[Replacement], killed: set[str], fewest: int | None) -> Finding:
    """Judge an experiment by its journal, and by what the API server said of pods meanwhile.

    Args:
        name: of the experiment.
        played: its journal.
        rows: pods that were killed while it was played.
        killed: those that should have been.
        fewest: brokers that were ready at the worst moment.
    """
    problems = [played.why_not] if played.why_not else []
    if {row.pod for row in rows} != killed:
        problems.append(f"killed were {sorted(row.pod for row in rows)}, not {sorted(killed)}")
    problems += [f"{row.pod} did not come back" for row in rows if row.ready_s is None]
    if fewest is None or (killed and fewest < brokers.BROKERS - 1):
        problems.append(f"only {fewest} of {brokers.BROKERS} brokers were ready at one time")
    times = ", ".join(f"{row.pod} in {row.ready_s:.1f} s" for row in rows if row.ready_s is not None)
    summary = "; ".join(problems) or (f"killed and ready again: {times}" if times else "undone; no pod was touched")
    verdict = Verdict.FAIL if problems else Verdict.PASS
    return Finding(name=f"experiment-{name}", verdict=verdict, count=len(problems), summary=summary)
