"""Plays experiments on a control plane, and sees by other means what they did to brokers' pods."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace

from kubernetes import client

from necp_validate.core import StackError
from necp_validate.core.verdict import Example, Finding
from necp_validate.kubernetes import brokers
from necp_validate.kubernetes.account_checks import NAMESPACE
from necp_validate.kubernetes.control_plane import ControlPlane
from necp_validate.kubernetes.nodes import describe_pods, is_ready
from necp_validate.kubernetes.outcome import Killed, Proof, finding
from necp_validate.kubernetes.play import Played, play
from necp_validate.kubernetes.replacements import PodWatch, Replacement, fewest_ready, replacements
from necp_validate.stack.waiting import wait_until

_READY_TIMEOUT_S = 120.0


class Experiments:
    """Plays the experiments one after the other.

    Args:
        plane: the control plane.
        proof: takes what is found.
        tier: what its rows of the table are called.
    """

    def __init__(self, plane: ControlPlane, proof: Proof, tier: str) -> None:
        self._plane = plane
        self._proof = proof
        self._tier = tier
        self._api = plane.api()
        self._core = client.CoreV1Api(self._api)

    def pods(self) -> dict[str, str]:
        """Return the brokers' pods, and where they are."""
        found = self._core.list_namespaced_pod(brokers.NAMESPACE, label_selector=brokers.selector()).items
        return {pod.metadata.name: pod.spec.node_name for pod in found}

    def uid(self, pod: str) -> str:
        """Return what tells a pod from the one before it; nothing if there is none."""
        try:
            return str(self._core.read_namespaced_pod(pod, brokers.NAMESPACE).metadata.uid)
        except client.ApiException:
            return ""

    def play(self, name: str, account: str, settings: Mapping[str, str], *, killed: set[str]) -> Played:
        """Play an experiment, and see which pods went, and that each came back.

        Args:
            name: of the experiment.
            account: the service account that it logs in as.
            settings: of its configuration.
            killed: the pods that should go.

        Returns:
            How it ended; the finding is in the proof.
        """
        self._proof.progress(f"experiment {name}, as {account}")
        with PodWatch(self._api, brokers.NAMESPACE, brokers.selector()) as pods:
            wait_until(lambda: len(pods.seen()) >= brokers.BROKERS, timeout_s=30.0, message="no pods are seen")
            begun = time.monotonic()
            played = self._played(name, account, settings)
            seen = pods.seen()
        rows = [row for row in replacements(seen) if row.killed_at_s >= begun]
        self._proof.killed += [Killed(tier=self._tier, by=name, replacement=row) for row in rows]
        found = judge(name, played, rows, killed, fewest_ready(seen, since_s=begun))
        self._proof.findings.append(replace(found, name=f"{found.name} ({self._tier})"))
        return played

    def see_drain_refused(self, node: str) -> None:
        """See that draining a node is refused to the account that may touch Kafka's namespace alone."""
        played = self._played("node-drain", "necp-chaos", {"DRAINED_NODE": node}, journal="node-drain-refused")
        cordoned = [one.metadata.name for one in self._core.list_node().items if one.spec.unschedulable]
        said = played.why_not or "it was carried out"
        refused = not played.passed and "Forbidden" in str(played.journal) and not cordoned
        wrong = [] if refused else [Example(where="necp-chaos", detail=f"{said}; cordoned: {cordoned}")]
        summary = "as necp-chaos the node was not even cordoned: the server answered Forbidden"
        self._proof.findings.append(finding("drain-refused-without-its-role", wrong, summary))

    def see_unreplaced(self, settings: Mapping[str, str]) -> None:
        """See that an experiment fails when nobody makes the killed broker again.

        Args:
            settings: they name pods that no set owns.
        """
        played = self._played("broker-pod-kill", "necp-chaos", settings, journal="broker-pod-kill-unreplaced")
        before, after = played.outcome.steady_before, played.outcome.steady_after
        noticed = bool(before) and not after and not played.passed
        said = f"steady before {before}, afterwards {after}"
        wrong = [] if noticed else [Example(where="broker-pod-kill", detail=said)]
        summary = f"seeded, a pod that nobody makes again: {played.why_not}"
        self._proof.findings.append(finding("unreplaced-broker-noticed", wrong, summary))

    def see_pod_set_asked(self, settings: Mapping[str, str], pod_set: str) -> None:
        """See that Strimzi's pod set gets the annotation; nobody here is there to act on it, and that is noticed too.

        Args:
            settings: they name a cluster whose pod belongs to the pod set.
            pod_set: its name.
        """
        played = self._played("rolling-update", "necp-chaos", settings, journal="rolling-update-pod-set")
        read = client.CustomObjectsApi(self._api).get_namespaced_custom_object
        found = read("core.strimzi.io", "v1beta2", brokers.NAMESPACE, "strimzipodsets", pod_set)
        annotations = found["metadata"].get("annotations", {})
        asked = annotations.get("strimzi.io/manual-rolling-update") == "true" and not played.passed
        wrong = [] if asked else [Example(where=pod_set, detail=f"{annotations}; {played.why_not or 'it passed'}")]
        summary = f"annotated as Strimzi's operator reads it; without one: {played.why_not}"
        self._proof.findings.append(finding("pod-set-asked-to-roll", wrong, summary))

    def _played(self, name: str, account: str, settings: Mapping[str, str], *, journal: str = "") -> Played:
        token = account_token(self._api, account)
        kubeconfig = self._plane.access.kubeconfig(account, self._plane.server, token=token)
        base = {"STRIMZI_CLUSTER": brokers.CLUSTER, "KAFKA_NAMESPACE": brokers.NAMESPACE}
        return play(name, kubeconfig, self._proof.out, {**base, **settings}, journal=journal)


def judge(name: str, played: Played, rows: list[Replacement], killed: set[str], fewest: int | None) -> Finding:
    """Judge an experiment by its journal, and by what the API server said of pods meanwhile.

    Args:
        name: of the experiment.
        played: its journal.
        rows: pods that were killed while it was played.
        killed: those that should have been.
        fewest: brokers that were ready at the worst moment.
    """
    wrong = [Example(where="journal", detail=played.why_not)] if played.why_not else []
    if {row.pod for row in rows} != killed:
        wrong.append(Example(where="killed", detail=f"{sorted(row.pod for row in rows)}, not {sorted(killed)}"))
    wrong += [Example(where=row.pod, detail="it did not come back") for row in rows if row.ready_s is None]
    least = brokers.BROKERS - 1 if killed else brokers.BROKERS
    if fewest is None or fewest < least:
        wrong.append(Example(where="ready at one time", detail=f"{fewest} of {brokers.BROKERS} brokers"))
    times = ", ".join(f"{row.pod} in {row.ready_s:.1f} s" for row in rows if row.ready_s is not None)
    return finding(f"experiment-{name}", wrong, f"killed and ready again: {times}" if times else "no pod went away")


def account_token(api: client.ApiClient, account: str) -> str:
    """Return a token of one of the suite's service accounts, valid for an hour."""
    spec = client.V1TokenRequestSpec(audiences=[], expiration_seconds=3600)
    request = client.AuthenticationV1TokenRequest(spec=spec)
    core = client.CoreV1Api(api)
    return str(core.create_namespaced_service_account_token(account, NAMESPACE, request).status.token)


def wait_brokers(api: client.ApiClient, count: int, *, timeout_s: float = _READY_TIMEOUT_S) -> None:
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

    try:
        wait_until(ready, timeout_s=timeout_s, message=f"not every one of {count} brokers became ready")
    except StackError as error:
        raise StackError(error.message, detail=describe_pods(core, brokers.NAMESPACE, brokers.selector())) from error
