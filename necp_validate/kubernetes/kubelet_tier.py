"""The tier with a real node: Kafka in pods under load, one broker's pod killed by the experiment, everything read back.

Real: kubelet, containerd, Kafka, event core, load, the suite's own judgement. Not there: a network plugin, so that
network policies are not enforced, and a second node, so that a drained one has nowhere to go.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

from kubernetes import client

from necp_validate.chaos.experiment import Experiment, PhasePlan, Settings
from necp_validate.chaos.play import keep
from necp_validate.chaos.session import Session
from necp_validate.core import SuiteError
from necp_validate.core.verdict import Example, Finding, Verdict
from necp_validate.kubernetes import brokers, image, node
from necp_validate.kubernetes.account_checks import apply_accounts
from necp_validate.kubernetes.apply import Applier
from necp_validate.kubernetes.control_plane import ControlPlane
from necp_validate.kubernetes.experiment_checks import Experiments
from necp_validate.kubernetes.node import Node
from necp_validate.kubernetes.outcome import Proof, finding, unknown
from necp_validate.kubernetes.play import Played, experiment_document
from necp_validate.kubernetes.pods import PodStack, pod_name
from necp_validate.report.pipeline import judge_and_report
from necp_validate.report.verdict import sentence
from necp_validate.scenario.events import STAGES, StageStarted
from necp_validate.scenario.files import load_scenario
from necp_validate.scenario.runner import run_scenario
from necp_validate.stack.runtime import load_runtime

TIER = "kubelet"
_EXPERIMENT = "broker-pod-kill"
_KILLED = 1
_CLAIMS = ("DUR-ACKED", "FT-BROKER")
_FAULT_S, _RECOVERY_S = 60.0, 20.0
_SEEN_WITHIN_S = 45.0
# Beside Kubernetes itself, and with brokers whose Java has just started without its start-up cache, two processors do
# not carry the scenario's own rate: the backlog of the first seconds would be what is measured.
_SCALE = 0.3
_WARMED = ("phases.warmup.duration_s=40", "phases.warmup.ramp_s=25", "phases.before.duration_s=10")


def prove(proof: Proof) -> None:
    """Bring a node up, run Kafka on it, kill a broker's pod under load and judge the run; everything is ended again.

    Args:
        proof: takes what is found.

    Raises:
        SuiteError: something that should work here does not.
    """
    if reason := node.why_not() or image.why_not_image():
        proof.findings.append(unknown("kafka-in-pods", reason))
        return
    archive = image.ensure_archive(load_runtime(), node.PAUSE, proof.progress)
    with ControlPlane([node.NAME], proof.progress) as plane:
        proof.progress("a real node joins")
        with Node(plane) as real:
            try:
                real.join()
                real.import_images(archive)
                _prove_on(plane, proof)
            except SuiteError:
                real.check_alive()
                raise


def _prove_on(plane: ControlPlane, proof: Proof) -> None:
    api = plane.api()
    info = client.CoreV1Api(api).read_node(node.NAME).status.node_info
    proof.versions |= {"kubelet": info.kubelet_version, "container runtime": info.container_runtime_version}
    applier = Applier(api)
    applier.apply_all([brokers.namespace(brokers.NAMESPACE, level="privileged")])
    apply_accounts(applier)
    stack = PodStack(api, plane.logs)
    try:
        stack.start(proof.progress)
        proof.findings.append(_run(stack, Experiments(plane, proof, TIER), proof))
    finally:
        stack.stop()


@dataclass(slots=True)
class _Killing:
    """Plays the experiment while the load goes on, as a fault of the suite's own kind.

    Args:
        stack: its brokers.
        experiments: plays it.
        played: how it ended.
        error: why it could not be played.
    """

    stack: PodStack
    experiments: Experiments
    played: Played | None = None
    error: BaseException | None = None

    def during(self, session: Session) -> None:
        """Kill the pod, wait until it is back; called when the fault phase begins."""
        uid = self.experiments.uid(pod_name(_KILLED))
        player = threading.Thread(target=self._play, name="necp-experiment")

        def seen() -> str:
            now = self.experiments.uid(pod_name(_KILLED))
            return "" if now == uid else f"pod {uid} gone"

        def back() -> None:
            player.join()
            self.stack.start_again(_KILLED)

        target = f"broker {_KILLED} (pod {pod_name(_KILLED)})"
        session.inject("broker-kill", target, do=player.start, seen=seen, undo=back, within_s=_SEEN_WITHIN_S)
        session.undo()
        if self.error is not None:
            raise self.error
        if self.played is not None:
            faults = session.injected(session.experiment)
            keep(session.run_dir, f"k8s/{_EXPERIMENT}", self.played.journal, faults)

    def _play(self) -> None:
        pod = pod_name(_KILLED)
        try:
            self.played = self.experiments.play(_EXPERIMENT, "necp-chaos", {"BROKER_POD": pod}, killed={pod})
        except BaseException as error:  # noqa: BLE001  # raised by who waits for it
            self.error = error


def _run(stack: PodStack, experiments: Experiments, proof: Proof) -> Finding:
    """Run the chaos scenario on the pods, judge it as any other run."""
    killing = _Killing(stack, experiments)
    fault, recovery = PhasePlan(duration_s=_FAULT_S), PhasePlan(duration_s=_RECOVERY_S)
    experiment = Experiment(
        name=f"k8s/{_EXPERIMENT}",
        document=experiment_document(_EXPERIMENT),
        settings=Settings(name="necp-validate", claims=_CLAIMS, fault=fault, recovery=recovery),
        needs=(),
    )
    proof.progress("load on Kafka in pods; a broker's pod is killed in the midst of it")

    def tell(event: object) -> None:
        if isinstance(event, StageStarted):
            proof.progress(f"{STAGES.get(event.stage, event.stage)} {event.detail}".rstrip())

    run_dir = run_scenario(
        load_scenario("chaos", scale=_SCALE, overrides=_WARMED),
        stack=stack,
        out=proof.out,
        experiments=[experiment],
        during=killing.during,
        on_event=tell,
    )
    return judged(run_dir)


def judged(run_dir: Path) -> Finding:
    """Judge the run, and make one finding of its verdict.

    Args:
        run_dir: where its history is.
    """
    verdict = judge_and_report(run_dir)
    wanted = {claim.id: claim for claim in verdict.claims if claim.id in _CLAIMS}
    said = "; ".join(f"{id_} {claim.verdict}: {claim.measured or claim.evidence}" for id_, claim in wanted.items())
    name = "kafka-in-pods"
    if verdict.verdict is Verdict.FAIL:
        return finding(name, [Example(where=run_dir.name, detail=f"{sentence(verdict)}; {said}")], "")
    if len(wanted) < len(_CLAIMS) or any(claim.verdict is Verdict.UNKNOWN for claim in wanted.values()):
        return unknown(name, said or "the run has no verdict on what it was for")
    return finding(name, [], said)
