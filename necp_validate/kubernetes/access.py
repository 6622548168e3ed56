"""Who may log in to a control plane that this suite starts: certificates, tokens, kubeconfig files."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from necp_validate.stack.pki import Authority, KeyPair
from necp_validate.stack.private import write_private

ADMIN = "kubernetes-admin"
CONTROLLER_MANAGER = "system:kube-controller-manager"
SCHEDULER = "system:kube-scheduler"


@dataclass(frozen=True, kw_only=True)
class Access:
    """Files of one control plane.

    Args:
        directory: where they are.
        server: the API server's certificate, which etcd's is too.
        service_accounts: the key that service accounts' tokens are signed with.
        tokens: of the users that come with the control plane, by name.
    """

    directory: Path
    authority: Path
    server: KeyPair
    service_accounts: KeyPair
    tokens: dict[str, str]

    @classmethod
    def create(cls, directory: Path, nodes: Sequence[str]) -> Access:
        """Write certificates and tokens.

        Args:
            directory: where; made if it is not there.
            nodes: names of the nodes that will log in.
        """
        authority = Authority(directory, name="necp-validate Kubernetes CA")
        groups = {ADMIN: "system:masters", CONTROLLER_MANAGER: "", SCHEDULER: ""}
        groups |= {node_user(node): "system:nodes" for node in nodes}
        access = cls(
            directory=directory,
            authority=authority.ca_path,
            server=authority.issue_server("kube-apiserver", ["127.0.0.1", "localhost", "kubernetes.default.svc"]),
            service_accounts=authority.issue_client("service-accounts"),
            tokens={user: secrets.token_urlsafe(24) for user in groups},
        )
        rows = [f'{access.tokens[user]},{user},{user},"{group}"' for user, group in groups.items()]
        write_private(access.token_file, ("\n".join(rows) + "\n").encode())
        return access

    @property
    def token_file(self) -> Path:
        """What the API server reads users and tokens from."""
        return self.directory / "tokens.csv"

    def kubeconfig(self, user: str, server: str, *, token: str | None = None, namespace: str = "default") -> Path:
        """Write the kubeconfig file of a user.

        Args:
            user: what it is called.
            server: address of the API server.
            token: what it logs in with; that of the token file by default.
            namespace: the one that commands are about by default.
        """
        path = self.directory / f"{user.replace(':', '-')}.kubeconfig"
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "here", "cluster": {"server": server, "certificate-authority": str(self.authority)}}],
            "users": [{"name": user, "user": {"token": token or self.tokens[user]}}],
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": user, "namespace": namespace}}],
            "current-context": "here",
        }
        write_private(path, json.dumps(document).encode())
        return path


def node_user(node: str) -> str:
    """Return the user that a node's kubelet is."""
    return f"system:node:{node}"
