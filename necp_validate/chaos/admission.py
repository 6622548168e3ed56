"""Whether a client's certificate is accepted, for real."""

from __future__ import annotations

import ssl
from pathlib import Path

from necp_validate.clients.connection import Connection

_API_VERSIONS = 18
_ANSWER_S = 3.0


def admitted(address: str, ca: Path, certificate: Path, key: Path) -> bool:
    """Tell whether a listener with mutual TLS answers who shows a certificate.

    Args:
        address: host and port.
        ca: the authorities that the broker's own certificate may be from.
        certificate: the client's.
        key: its private key.
    """
    context = ssl.create_default_context(cafile=str(ca))
    context.load_cert_chain(certificate, key)
    try:
        with Connection(address, timeout_s=_ANSWER_S) as connection:
            connection.secure(context)
            connection.ask(_API_VERSIONS, 0, b"")
    except OSError:
        return False
    return True
