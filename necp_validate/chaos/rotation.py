"""The change of a password as it comes about: asked for, in force at every broker, known to every client."""

from __future__ import annotations

from dataclasses import replace

from necp_validate.chaos.logins import let_in
from necp_validate.chaos.session import Session, now_us
from necp_validate.events.topics import CORE_PRINCIPAL, Domain
from necp_validate.record import parts
from necp_validate.record.drills import PasswordChange


class Rotation:
    """One password that is changed under load.

    Args:
        session: of the run.
        principal: whose password.
    """

    def __init__(self, session: Session, principal: str) -> None:
        self._session = session
        self._principal = principal
        self._old = session.stack.client_config(principal).get("sasl.password", "")
        domains = [domain for domain in Domain if principal in (domain.service, CORE_PRINCIPAL)]
        self.found = PasswordChange(
            fault="",
            principal=principal,
            domains=tuple(str(domain) for domain in domains),
            asked_us=now_us(),
            refused_us=None,
            accepted_us=None,
            taken_us={},
            session_ms=0,
            watched_us=None,
            tried_later=None,
            let_in_later=None,
        )

    def do(self) -> None:
        """Change it."""
        self.found = replace(self.found, asked_us=now_us())
        self._session.stack.rotate_password(self._principal)

    def seen(self) -> str:
        """Say what shows that it is changed, everywhere; nothing yet if it is not."""
        found = self.found
        refused_us, accepted_us, session_ms = found.refused_us, found.accepted_us, found.session_ms
        if refused_us is None and self._old_is_refused():
            refused_us = now_us()
        if accepted_us is None:
            new = let_in(self._session.stack, self._principal, self._new)
            if new and None not in new.values():
                accepted_us, session_ms = now_us(), min(ms or 0 for ms in new.values())
        self.found = found = replace(
            found, refused_us=refused_us, accepted_us=accepted_us, session_ms=session_ms, taken_us=self._taken()
        )
        if refused_us is None or accepted_us is None or found.gap_ms is None:
            return ""
        return (
            f"every broker refuses the old password and accepts the new one; {len(found.taken_us)} clients had it "
            f"{found.gap_ms:,.0f} ms after it was asked for"
        )

    def settle(self) -> None:
        """Change it once more if the cluster does not accept what the stack has taken down."""
        new = let_in(self._session.stack, self._principal, self._new)
        if new and None in new.values():
            self._session.stack.rotate_password(self._principal)

    def watched(self) -> PasswordChange:
        """Try the old one again, everywhere; return the whole record."""
        old = let_in(self._session.stack, self._principal, self._old) or {}
        later = sum(answer is not None for answer in old.values())
        return replace(self.found, watched_us=now_us(), let_in_later=later, tried_later=len(old))

    @property
    def _new(self) -> str:
        return self._session.stack.client_config(self._principal)["sasl.password"]

    def _old_is_refused(self) -> bool:
        answers = let_in(self._session.stack, self._principal, self._old)
        return bool(answers) and set((answers or {}).values()) == {None}

    def _taken(self) -> dict[str, int | None]:
        """When each client that has to have it took it over."""
        since_us = self.found.asked_us
        found: dict[str, int | None] = {}
        run_dir = self._session.run_dir
        if any(self._principal == domain.service for domain in Domain):
            for worker in parts.TIMELINE.files(run_dir):
                taken = parts.PASSWORDS_TAKEN.read_of(run_dir, worker)
                times = [one.taken_us for one in taken if one.principal == self._principal]
                found[f"load {worker}"] = next((at for at in times if at >= since_us), None)
        if self._principal == CORE_PRINCIPAL:
            for core in self._session.fleet.running():
                at = core.health().get("password_taken_us")
                found[core.name] = at if at is not None and at >= since_us else None
        return found
