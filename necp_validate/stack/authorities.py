"""The authorities of a stack: the one that issues, and the next one, which everybody trusts beforehand.

Kafka clients read whom they trust when they are made. Had they to trust a new authority only when it begins to issue,
none of those that run could connect again. So the next authority is published long before it is used, and taking it
into use needs no client to be restarted.
"""

from __future__ import annotations

from pathlib import Path

from necp_validate.stack.pki import AdminPki, Authority, KeyPair

TRUSTED = "ca.pem"
"""File of the authorities that clients, and brokers but for their controllers, trust."""
TRUSTED_BY_CONTROLLERS = "controllers-ca.pem"
"""File of those that controllers trust: for longer, as what they show each other changes with their next start only."""


class Authorities:
    """Issues certificates into one folder, by an authority that can be rolled over to the next one.

    Keys of authorities are in memory only.

    Args:
        home: folder of the authorities' own certificates.
        folder: where certificates go, and the files that say whom to trust.
    """

    def __init__(self, home: Path, folder: Path) -> None:
        self._home = home
        self._folder = folder
        self._count = 0
        self.active = self._found()
        self.following = self._found()
        self.replaced: Authority | None = None
        """The one before, as long as controllers trust it."""
        self.trust(self.active, self.following)

    def _found(self) -> Authority:
        self._count += 1
        return Authority(self._home / str(self._count), name=f"necp-validate CA {self._count}")

    def trust(self, *authorities: Authority) -> None:
        """Write the authorities to be trusted, in the place of those before."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._folder.chmod(0o700)
        longer = () if self.replaced is None or self.replaced in authorities else (self.replaced,)
        for name, trusted in ((TRUSTED, authorities), (TRUSTED_BY_CONTROLLERS, (*authorities, *longer))):
            (self._folder / name).write_bytes(b"".join(authority.pem for authority in trusted))

    def advance(self) -> None:
        """Let the next authority issue from now on, and found the one after it; all three are trusted for the time."""
        self.replaced, self.active, self.following = self.active, self.following, self._found()
        self.trust(self.replaced, self.active, self.following)

    def drop_replaced(self) -> None:
        """Let nobody but the controllers trust the authority before."""
        self.trust(self.active, self.following)

    def forget_replaced(self) -> None:
        """Let the controllers trust it no more, either."""
        self.replaced = None
        self.trust(self.active, self.following)

    def issue_server(self, name: str, hosts: list[str], validity_days: float | None = None) -> KeyPair:
        """Issue a broker's certificate; see `Authority.issue_server`."""
        return self.active.issue_server(name, hosts, validity_days=validity_days, directory=self._folder)

    def issue_client(self, name: str) -> KeyPair:
        """Issue a client's certificate; see `Authority.issue_client`."""
        return self.active.issue_client(name, directory=self._folder)

    def issue_admin(self, admin: AdminPki) -> None:
        """Issue the super user's certificates, those to be refused along with the valid one."""
        admin.issue(self.active)
