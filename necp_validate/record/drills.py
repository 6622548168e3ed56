"""What was changed under load, and what came of it: passwords, certificates, allowances; a row for each change."""

from __future__ import annotations

from dataclasses import dataclass

from necp_validate.record.values import EpochUs


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordTaken:
    """A client of the load has a new password: from now on it logs in with that.

    Args:
        principal: whose password.
        taken_us: when (epoch).
    """

    principal: str
    taken_us: EpochUs


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordChange:
    """A password that was changed under load; times are epoch microseconds.

    Args:
        fault: id of the fault record.
        principal: whose.
        domains: whose events its clients send or handle.
        asked_us: when the change was asked for.
        refused_us: when every broker refused the old one; None if one never did.
        accepted_us: when every broker accepted the new one; None if one never did.
        taken_us: by client, when it knew the new one; None if it never did.
        session_ms: how long brokers let a login hold until it must be renewed; 0: for as long as the connection.
        watched_us: until when the clients were watched; None as long as they are, as of what follows.
        tried_later: logins with the old one that were made when the watching ended.
        let_in_later: how many of these were let in.
    """

    fault: str
    principal: str
    domains: tuple[str, ...]
    asked_us: EpochUs
    refused_us: EpochUs | None
    accepted_us: EpochUs | None
    taken_us: dict[str, EpochUs | None]
    session_ms: int
    watched_us: EpochUs | None
    tried_later: int | None
    let_in_later: int | None

    @property
    def known_us(self) -> int | None:
        """When the last client knew the new one; None if one never did, or there is none."""
        times = [at for at in self.taken_us.values() if at is not None]
        return max(times) if times and len(times) == len(self.taken_us) else None

    @property
    def gap_ms(self) -> float | None:
        """For how long at most a client that connected anew could be refused; None if one never knew better."""
        return None if self.known_us is None else max(self.known_us - self.asked_us, 0) / 1000

    @property
    def renewed_us(self) -> int | None:
        """From when on no connection was open that had logged in before all clients knew; None if that never came."""
        if not self.session_ms or self.known_us is None:
            return None
        at = self.known_us + self.session_ms * 1000
        return at if self.watched_us is not None and at < self.watched_us else None


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateSwap:
    """A certificate that one listener of a running broker serves in the place of another; times are epoch microseconds.

    Args:
        fault: id of the fault record.
        how: ``reload``, ``rollover`` or ``renewal``: asked for, with its authority, or by itself when it was due.
        broker: node id.
        listener: ``internal``, ``external`` ...
        before, issued, served: serial numbers in hex: of what was served before, of what should be, and of what is;
            empty for none.
        valid_until_us: when what is served ends; 0 if nothing is.
        pid_before, pid_after: the broker's process; 0 where it cannot be seen.
        asked_us: when it was asked for, or became due.
        served_us: when it was seen; None if it never was.
    """

    fault: str
    how: str
    broker: int
    listener: str
    before: str
    issued: str
    served: str
    valid_until_us: int
    pid_before: int
    pid_after: int
    asked_us: EpochUs
    served_us: EpochUs | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CoreStop:
    """An instance of the event core that was asked to end while events came.

    Args:
        fault: id of the fault record.
        instance: its name.
        clean: whether it ended by itself, in time, with exit code 0.
        seconds: how long that took.
        lag_after: records sent and not committed when its end had been seen; those that came meanwhile are among them.
    """

    fault: str
    instance: str
    clean: bool
    seconds: float
    lag_after: int
