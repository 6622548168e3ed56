"""Kafka in pods on one node: the brokers of the other stacks, with their certificates, users and rules.

Every broker uses the node's own network, on ports of its own at the loopback interface: there is no network plugin
here, and no DNS. Event core and load run beside them, as they do on the local stack.
"""

from __future__ import annotations

import shlex
import signal
from pathlib import Path
from typing import Any

from kubernetes import client
from urllib3.exceptions import HTTPError

from necp_validate.core import StackError
from necp_validate.kubernetes import brokers
from necp_validate.kubernetes.apply import Applier
from necp_validate.kubernetes.image import image_name
from necp_validate.kubernetes.nodes import describe_pods, is_ready
from necp_validate.stack.config import LOGGING_OPTIONS, compiler_options
from necp_validate.stack.death import last_words
from necp_validate.stack.docker_image import JAVA, class_path
from necp_validate.stack.local import HOST, LocalStack
from necp_validate.stack.process import ManagedProcess
from necp_validate.stack.protocol import BrokerSample
from necp_validate.stack.runtime import KafkaRuntime
from necp_validate.stack.waiting import wait_until

_HOME, _PKI = "/stack/broker", "/stack/pki"
_PROBE = {"exec": {"command": ["bash", f"{_HOME}/ready.sh"]}, "timeoutSeconds": 5}
_GONE_TIMEOUT_S = 60.0
_NEEDS = "needs the local or the docker stack"


def pod_name(broker: int) -> str:
    """Return the name of a broker's pod; the set counts them from 1, as brokers are."""
    return f"{brokers.CLUSTER}-{brokers.POOL}-{broker}"


class PodBroker(ManagedProcess):
    """A broker's pod, in the place of a process: it can be deleted, and somebody makes it again.

    Args:
        core: a client that may touch pods.
        broker: its id.
        log: what it says.
    """

    def __init__(self, core: client.CoreV1Api, broker: int, log: Path) -> None:
        super().__init__(0, -1.0, log)
        self._core = core
        self._name = pod_name(broker)

    def alive(self) -> bool:
        """Return True: a pod that is gone is made again, and no death of a broker."""
        return True

    def ready(self) -> bool:
        """Tell whether it is there, and ready."""
        try:
            pod = self._core.read_namespaced_pod(self._name, brokers.NAMESPACE)
        except client.ApiException:
            return False
        return is_ready(pod) and pod.metadata.deletion_timestamp is None

    def signal(self, number: signal.Signals) -> None:
        """Do nothing: a pod takes no signals."""

    def wait(self, timeout_s: float) -> bool:  # noqa: ARG002 - as for a process
        """Return True: there is no process to wait for."""
        return True

    def kill(self) -> None:
        """Delete the pod, with no time to shut down."""
        self._core.delete_namespaced_pod(self._name, brokers.NAMESPACE, grace_period_seconds=1)


class PodStack(LocalStack):
    """Three brokers in pods of a StatefulSet, on a node that is ready.

    Args:
        api: a client that may do everything.
        logs: where logs go.
    """

    backend = "kubernetes"

    def __init__(self, api: client.ApiClient, logs: Path) -> None:
        super().__init__(log_dir=logs, use_aot=False)
        self._api = api
        self._core = client.CoreV1Api(api)

    def ready_again(self, broker: int) -> bool:
        """Tell whether a broker's pod is ready.

        Args:
            broker: its id.
        """
        pod = self._brokers[broker]
        return isinstance(pod, PodBroker) and pod.ready()

    def _home_seen(self, directory: Path, broker: int) -> str:  # noqa: ARG002 - the same in every pod
        return _HOME

    def _pki_seen(self, directory: Path) -> str:  # noqa: ARG002 - likewise
        return _PKI

    def _launch_all(self, runtime: KafkaRuntime) -> None:
        for broker, settings in self.layout.settings.items():
            home = self.layout.home(broker)
            options = [*self._jvm.arguments(), *compiler_options(f"{_HOME}/{self.layout.directives_file(broker).name}")]
            words = [
                JAVA,
                *options,
                *LOGGING_OPTIONS,
                "-cp",
                class_path(runtime),
                "kafka.Kafka",
                f"{_HOME}/server.properties",
            ]
            (home / "run.sh").write_text(f"exec {shlex.join(words)} >> {_HOME}/broker.log 2>&1\n", encoding="utf-8")
            probe = f"exec 3<>/dev/tcp/{HOST}/{settings.external_port}\n"
            (home / "ready.sh").write_text(probe, encoding="utf-8")
            self._brokers[broker] = PodBroker(self._core, broker, self._broker_log(broker))
        applier = Applier(self._api)
        applier.apply_all([brokers.headless_service(), brokers.disruption_budget(), self._set(runtime)])

    def start_again(self, broker: int) -> None:
        """Wait until a broker is back: the set makes its pod again.

        Args:
            broker: its id.

        Raises:
            StackError: it did not come back.
        """
        wait_until(
            lambda: self.ready_again(broker),
            timeout_s=_GONE_TIMEOUT_S,
            message=f"{pod_name(broker)} did not become ready",
        )

    def _launch_again(self, broker: int) -> None:
        self.start_again(broker)

    def _broker_log(self, broker: int) -> Path:
        return self.layout.home(broker) / "broker.log"

    def _set(self, runtime: KafkaRuntime) -> brokers.Object:
        made = dict(brokers.stateful_set(_pod(image_name(runtime), self.layout.directory)))
        made["spec"] = {**made["spec"], "ordinals": {"start": 1}}
        return made

    def _explain(self, error: BaseException) -> StackError | None:
        """Say what became of the pods, and what brokers said last."""
        if not isinstance(error, Exception):
            return None
        said = [describe_pods(self._core, brokers.NAMESPACE, brokers.selector())]
        said += [f"broker {broker}: {last_words(pod.log, 5)}" for broker, pod in self._brokers.items()]
        return StackError(f"Kafka did not come up in pods: {error}", detail="\n".join(said))

    def _end(self) -> None:
        """Delete the set and wait until its pods are gone: they write into the folder that is removed next."""
        try:
            client.AppsV1Api(self._api).delete_namespaced_stateful_set(
                f"{brokers.CLUSTER}-{brokers.POOL}", brokers.NAMESPACE
            )
            self._core.delete_collection_namespaced_pod(
                brokers.NAMESPACE, label_selector=brokers.selector(), grace_period_seconds=1
            )
        except client.ApiException as error:
            if error.status != 404:
                raise StackError(f"the brokers' pods cannot be deleted: {error.reason}") from error
        except HTTPError:
            return  # the API server is gone; what is left ends with the node

        def gone() -> bool:
            return not self._core.list_namespaced_pod(brokers.NAMESPACE, label_selector=brokers.selector()).items

        wait_until(gone, timeout_s=_GONE_TIMEOUT_S, message="the brokers' pods did not go")

    def _why_no_links(self) -> str:
        return _NEEDS

    def _why_no_delay(self) -> str:
        return _NEEDS

    def _why_no_disks(self) -> str:
        return _NEEDS

    def sample(self) -> list[BrokerSample]:
        """Return nothing: what pods use is not measured here."""
        return []


def _pod(image: str, directory: Path) -> dict[str, Any]:
    """Return the spec of a broker's pod.

    Args:
        image: with Java and Kafka in it.
        directory: the stack's working directory on the node.
    """
    return {
        "hostNetwork": True,
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 30,
        "containers": [
            {
                "name": "kafka",
                "image": image,
                "imagePullPolicy": "Never",
                "command": ["sh", f"{_HOME}/run.sh"],
                "env": [
                    {
                        "name": "BROKER",
                        "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['apps.kubernetes.io/pod-index']"}},
                    }
                ],
                "resources": {"requests": {"memory": "1Gi"}, "limits": {"memory": "4Gi"}},
                # Often until it is up, seldom afterwards: every probe is a process in the container.
                "startupProbe": {**_PROBE, "periodSeconds": 2, "failureThreshold": 60},
                "readinessProbe": {**_PROBE, "periodSeconds": 10},
                "volumeMounts": [
                    {"name": "stack", "mountPath": _HOME, "subPathExpr": "broker-$(BROKER)"},
                    {"name": "stack", "mountPath": _PKI, "subPath": "pki", "readOnly": True},
                ],
            }
        ],
        "volumes": [{"name": "stack", "hostPath": {"path": str(directory), "type": "Directory"}}],
    }
