"""A real control plane on the loopback interface: etcd, API server, controller manager, scheduler."""

from __future__ import annotations

import shutil
import ssl
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from kubernetes import client, config

from necp_validate.core import SuiteError
from necp_validate.kubernetes.access import ADMIN, CONTROLLER_MANAGER, SCHEDULER, Access
from necp_validate.kubernetes.build import binaries
from necp_validate.kubernetes.started import Started
from necp_validate.stack.ports import free_ports
from necp_validate.stack.process import ManagedProcess
from necp_validate.stack.protocol import Progress
from necp_validate.stack.waiting import wait_until
from necp_validate.stack.workdir import new_directory, sweep

HOST = "127.0.0.1"
SERVICE_ADDRESSES = "10.96.0.0/16"
_READY_TIMEOUT_S = 120.0
_STOP_TIMEOUT_S = 10.0


class ControlPlane(Started):
    """Brings a control plane up; every process of it ends with this one, however that ends.

    Args:
        nodes: names of the nodes that will join.
        progress: receives a sentence for each stage.
    """

    def __init__(self, nodes: Sequence[str], progress: Progress) -> None:
        self._nodes = nodes
        self._progress = progress
        self._processes: dict[str, ManagedProcess] = {}
        self.directory = Path()
        self.server = ""
        self.access: Access

    @property
    def logs(self) -> Path:
        """Folder of the logs."""
        return self.directory / "logs"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig file."""
        return self.access.kubeconfig(ADMIN, self.server)

    def api(self) -> client.ApiClient:
        """Return a client that may do everything."""
        return config.new_client_from_config(config_file=str(self.kubeconfig))

    def api_with(self, token: str) -> client.ApiClient:
        """Return a client that logs in with a token.

        Args:
            token: e.g. a service account's.
        """
        settings = client.Configuration()
        settings.host, settings.ssl_ca_cert = self.server, str(self.access.authority)
        settings.api_key = {"authorization": f"Bearer {token}"}
        return client.ApiClient(settings)

    def spawn(self, name: str, command: Sequence[str]) -> ManagedProcess:
        """Start a program that ends together with the control plane.

        Args:
            name: what it and its log are called.
            command: program and arguments.
        """
        process = ManagedProcess.spawn(command, log=self.logs / f"{name}.log")
        self._processes[name] = process
        return process

    def check_alive(self) -> None:
        """Raise if a program has ended.

        Raises:
            SuiteError: which, with its last words.
        """
        for name, process in self._processes.items():
            if not process.alive():
                raise SuiteError(f"{name} has ended (exit code {process.exit_code})", detail=process.log_tail(8))

    def stop(self) -> None:
        """End everything, the last one started first; remove every file. May be called more than once."""
        try:
            for process in reversed(self._processes.values()):
                process.terminate(_STOP_TIMEOUT_S)
        finally:
            self._processes.clear()
            if self.directory != Path():
                shutil.rmtree(self.directory, ignore_errors=True)

    def _start(self) -> None:
        sweep()
        self.directory = new_directory()
        self.logs.mkdir()
        self.access = Access.create(self.directory / "pki", self._nodes)
        etcd_port, peer_port, api_port = free_ports(3, HOST)
        self.server = f"https://{HOST}:{api_port}"
        self._progress("starting etcd and the API server")
        self.spawn("etcd", self._etcd(etcd_port, peer_port))
        self.spawn("kube-apiserver", self._api_server(etcd_port, api_port))
        trust = ssl.create_default_context(cafile=str(self.access.authority))
        wait_until(
            lambda: self._answers(trust),
            timeout_s=_READY_TIMEOUT_S,
            retry_on=(OSError,),
            message="the API server did not become ready",
        )
        self._progress("starting controller manager and scheduler")
        self.spawn("kube-controller-manager", self._controller_manager())
        self.spawn("kube-scheduler", self._scheduler())

    def _answers(self, trust: ssl.SSLContext) -> bool:
        self.check_alive()
        with urllib.request.urlopen(f"{self.server}/readyz", context=trust, timeout=5.0) as answer:
            return bool(answer.status == 200)

    def _etcd(self, port: int, peer_port: int) -> list[str]:
        pair, ca = self.access.server, str(self.access.authority)
        here, peer = f"https://{HOST}:{port}", f"http://{HOST}:{peer_port}"
        return [
            str(binaries() / "etcd"),
            f"--data-dir={self.directory / 'etcd'}",
            f"--listen-client-urls={here}",
            f"--advertise-client-urls={here}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--client-cert-auth",
            f"--trusted-ca-file={ca}",
            f"--cert-file={pair.cert}",
            f"--key-file={pair.key}",
            "--unsafe-no-fsync",  # nothing in it outlives this run
            "--log-level=warn",
        ]

    def _api_server(self, etcd_port: int, port: int) -> list[str]:
        access = self.access
        pair, ca = access.server, str(access.authority)
        return [
            str(binaries() / "kube-apiserver"),
            f"--etcd-servers=https://{HOST}:{etcd_port}",
            f"--etcd-cafile={ca}",
            f"--etcd-certfile={pair.cert}",
            f"--etcd-keyfile={pair.key}",
            f"--bind-address={HOST}",
            f"--secure-port={port}",
            "--endpoint-reconciler-type=none",
            f"--tls-cert-file={pair.cert}",
            f"--tls-private-key-file={pair.key}",
            f"--client-ca-file={ca}",
            f"--token-auth-file={access.token_file}",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-signing-key-file={access.service_accounts.key}",
            f"--service-account-key-file={access.service_accounts.cert}",
            f"--service-cluster-ip-range={SERVICE_ADDRESSES}",
            "--allow-privileged=false",
        ]

    def _controller_manager(self) -> list[str]:
        access = self.access
        return [
            str(binaries() / "kube-controller-manager"),
            f"--kubeconfig={access.kubeconfig(CONTROLLER_MANAGER, self.server)}",
            f"--service-account-private-key-file={access.service_accounts.key}",
            f"--root-ca-file={access.authority}",
            "--use-service-account-credentials=true",
            "--leader-elect=false",
            "--secure-port=0",
        ]

    def _scheduler(self) -> list[str]:
        return [
            str(binaries() / "kube-scheduler"),
            f"--kubeconfig={self.access.kubeconfig(SCHEDULER, self.server)}",
            "--leader-elect=false",
            "--secure-port=0",
        ]
