"""Which alert each cause must raise, and what else explains one that fires."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatch

_BROKER_FAULTS = ("broker-*", "double-kill", "disk-full", "read-only", "certificate-renewal", "ca-*")
_LINK_FAULTS = ("cut", "slow", "loss")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """What is known of one alert.

    Args:
        claims: ids of the claims that name it.
        raised_by: kinds of fault that must raise it, where the fault is made for the sake of an alert.
        explained_by: further kinds of fault (patterns) under which it may fire.
        rounds: whether attempts that must be refused raise it: they are many, and in a short time.
    """

    claims: tuple[str, ...]
    raised_by: tuple[str, ...]
    explained_by: tuple[str, ...] = ()
    rounds: bool = False

    def explains(self, kind: str) -> bool:
        """Whether the alert may fire under a kind of fault."""
        return kind in self.raised_by or any(fnmatch(kind, pattern) for pattern in self.explained_by)


OBS, SEC = "OBS-ALERTS", "SEC-ALERTS"

CAUSES: Mapping[str, Cause] = {
    "KafkaClusterDown": Cause(claims=(OBS,), raised_by=("broker-kill",), explained_by=(*_BROKER_FAULTS, *_LINK_FAULTS)),
    "KafkaUnencryptedConnections": Cause(claims=(OBS, SEC), raised_by=("plaintext-listener",)),
    "KafkaHighConsumerLag": Cause(claims=(OBS,), raised_by=("consumers-paused",), explained_by=("*",)),
    "KafkaRateLimitExceeded": Cause(claims=(OBS,), raised_by=("publisher-flood",)),
    "KafkaDiskUsageHigh": Cause(claims=(OBS,), raised_by=("disk-usage",), explained_by=("disk-full", "read-only")),
    "KafkaSaslAuthenticationFailures": Cause(
        claims=(SEC,),
        raised_by=("failed-logins",),
        # Handshakes that are broken off, and logins of those who have not heard of a new password.
        explained_by=("password-*", "certificate-*", *_BROKER_FAULTS, *_LINK_FAULTS),
        rounds=True,
    ),
    "KafkaAclDenials": Cause(
        claims=(SEC,), raised_by=("denied-requests",), explained_by=("access-*", "acl-*"), rounds=True
    ),
    "KafkaRateLimitViolations": Cause(claims=(SEC,), raised_by=("publisher-flood",)),
    "KafkaCertificateExpiry": Cause(claims=(SEC,), raised_by=("certificate-ending",), explained_by=("certificate-*",)),
}
"""By the alert's name."""

ALERT_CLAIMS = frozenset({OBS, SEC, "MTTR"})
"""A fault that is evidence for one of these is made for the sake of an alert."""
