"""Certificates that brokers serve, as any client sees them."""

from __future__ import annotations

import socket
import ssl

from cryptography import x509

from necp_validate.stack.protocol import BrokerInfo, ListenerInfo

_ANSWER_S = 5.0


def served_at(address: str) -> x509.Certificate | None:
    """The certificate that a listener shows to whoever connects; None if it does not answer by TLS.

    Args:
        address: host and port.
    """
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # it is looked at, not trusted
    host, _, port = address.rpartition(":")
    try:
        with (
            socket.create_connection((host, int(port)), timeout=_ANSWER_S) as plain,
            context.wrap_socket(plain, server_hostname=host) as secured,
        ):
            content = secured.getpeercert(binary_form=True)
    except OSError:
        return None
    return x509.load_der_x509_certificate(content) if content else None


def served_by(listeners: tuple[ListenerInfo, ...], broker: int) -> dict[str, x509.Certificate | None]:
    """The certificates that a broker shows, by the name of its listener."""
    return {one.name: served_at(one.address) for one in listeners if one.broker == broker}


def serial_served(broker: BrokerInfo) -> int | None:
    """Serial number of the certificate that a broker shows to clients; None if it does not answer by TLS."""
    found = served_at(f"{broker.host}:{broker.external_port}")
    return None if found is None else found.serial_number
