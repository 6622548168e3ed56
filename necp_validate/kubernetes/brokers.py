"""Objects of a Kafka cluster as Strimzi labels them: what experiments choose their targets by.

Strimzi's operator makes broker pods out of its own StrimziPodSet. There is no operator here: a StatefulSet stands in
for the pod set. Labels, pod names, the headless service and the disruption budget are Strimzi's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NAMESPACE = "kafka"
CLUSTER = "my-cluster"
BROKERS = 3
POOL = "kafka"
"""Name of the node pool; pods are called CLUSTER-POOL-NUMBER."""
REVISION = "strimzi.io/revision"

Object = Mapping[str, Any]


def selector(cluster: str = CLUSTER) -> str:
    """Return the label selector of a cluster's brokers."""
    return f"strimzi.io/cluster={cluster},strimzi.io/broker-role=true"


def labels(cluster: str = CLUSTER) -> dict[str, str]:
    """Return the labels that Strimzi puts on a broker's pod."""
    return {
        "strimzi.io/cluster": cluster,
        "strimzi.io/kind": "Kafka",
        "strimzi.io/name": f"{cluster}-kafka",
        "strimzi.io/component-type": "kafka",
        "strimzi.io/broker-role": "true",
        "strimzi.io/controller-role": "true",
        "strimzi.io/pool-name": POOL,
        "app.kubernetes.io/name": "kafka",
        "app.kubernetes.io/instance": cluster,
    }


def namespace(name: str, *, level: str = "restricted") -> Object:
    """Return a namespace that pods must be secure enough for.

    Args:
        name: its name.
        level: the pod security standard that is enforced.
    """
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "labels": {"pod-security.kubernetes.io/enforce": level}},
    }


def headless_service(cluster: str = CLUSTER) -> Object:
    """Return the service that gives every broker a name of its own."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": f"{cluster}-kafka-brokers", "namespace": NAMESPACE, "labels": labels(cluster)},
        "spec": {
            "clusterIP": "None",
            "publishNotReadyAddresses": True,
            "selector": {"strimzi.io/cluster": cluster, "strimzi.io/name": f"{cluster}-kafka"},
            "ports": [{"name": "tcp-replication", "port": 9091}, {"name": "tcp-tls", "port": 9093}],
        },
    }


def disruption_budget(cluster: str = CLUSTER) -> Object:
    """Return the budget that lets one broker at a time be evicted."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": f"{cluster}-kafka", "namespace": NAMESPACE},
        "spec": {
            "maxUnavailable": 1,
            "selector": {"matchLabels": {"strimzi.io/cluster": cluster, "strimzi.io/name": f"{cluster}-kafka"}},
        },
    }


def stateful_set(pod: Object, cluster: str = CLUSTER) -> Object:
    """Return the set that makes broker pods again when they are gone.

    Args:
        pod: the pod's spec.
        cluster: Strimzi's name of the cluster.
    """
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": f"{cluster}-{POOL}", "namespace": NAMESPACE, "labels": labels(cluster)},
        "spec": {
            "serviceName": f"{cluster}-kafka-brokers",
            "replicas": BROKERS,
            "podManagementPolicy": "Parallel",
            "selector": {"matchLabels": {"strimzi.io/cluster": cluster, "strimzi.io/pool-name": POOL}},
            "template": {"metadata": {"labels": labels(cluster)}, "spec": pod},
        },
    }


def hollow_pod(cluster: str = CLUSTER) -> Object:
    """Return a broker's pod as far as a node needs it that runs nothing."""
    return {
        "terminationGracePeriodSeconds": 30,
        "securityContext": {"runAsNonRoot": True, "runAsUser": 1001, "seccompProfile": {"type": "RuntimeDefault"}},
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "DoNotSchedule",
                "labelSelector": {"matchLabels": {"strimzi.io/cluster": cluster}},
            }
        ],
        "containers": [
            {
                "name": "kafka",
                "image": "kafka:hollow",
                "ports": [{"name": "tcp-replication", "containerPort": 9091}],
                "resources": {"requests": {"cpu": "200m", "memory": "512Mi"}},
                "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                "volumeMounts": [{"name": "data", "mountPath": "/var/lib/kafka"}],
            }
        ],
        "volumes": [{"name": "data", "emptyDir": {}}],
    }
