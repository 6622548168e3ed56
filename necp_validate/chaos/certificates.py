"""Certificates that brokers serve, as any client sees them."""

from __future__ import annotations

import ssl

from cryptography import x509

from necp_validate.stack.protocol import BrokerInfo

_ANSWER_S = 5.0


def serial_served(broker: BrokerInfo) -> int | None:
    """Serial number of the certificate that a broker shows to clients; None if it does not answer by TLS."""
    try:
        pem = ssl.get_server_certificate((broker.host, broker.external_port), timeout=_ANSWER_S)
    except OSError:
        return None
    return x509.load_pem_x509_certificate(pem.encode()).serial_number
