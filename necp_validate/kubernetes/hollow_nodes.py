"""Nodes without a machine: kubemark's hollow kubelets, which register, take pods and report, and run nothing."""

from __future__ import annotations

from kubernetes import client

from necp_validate.kubernetes.access import node_user
from necp_validate.kubernetes.build import HOLLOW, binaries
from necp_validate.kubernetes.control_plane import HOST, ControlPlane
from necp_validate.kubernetes.nodes import wait_ready_nodes
from necp_validate.stack.ports import free_ports

_ZONES = 3


def hollow_names(count: int) -> list[str]:
    """Return the names of so many hollow nodes."""
    return [f"hollow-{number}" for number in range(count)]


def start_hollow_nodes(plane: ControlPlane, names: list[str]) -> None:
    """Let hollow nodes join a control plane; come back when every one is ready.

    Args:
        plane: the control plane; it ends them.
        names: as they were given to it.

    Raises:
        SuiteError: one of them did not become ready.
    """
    ports = free_ports(2 * len(names), HOST)
    for number, name in enumerate(names):
        plane.spawn(
            name,
            [
                str(binaries() / HOLLOW),
                "--morph=kubelet",
                f"--name={name}",
                f"--kubeconfig={plane.access.kubeconfig(node_user(name), plane.server)}",
                f"--kubelet-port={ports[2 * number]}",
                f"--kubelet-read-only-port={ports[2 * number + 1]}",
                "--use-host-image-service=false",
                f"--node-labels=topology.kubernetes.io/zone=zone-{number % _ZONES}",
            ],
        )
    wait_ready_nodes(client.CoreV1Api(plane.api()), names, check=plane.check_alive)
