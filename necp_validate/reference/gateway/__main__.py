"""``python -m necp_validate.reference.gateway``: run one gateway, configured by the environment.

Exit codes: 0 after a graceful shutdown, 1 after a failure or a shutdown that took too long, 2 for a wrong
configuration.
"""

from __future__ import annotations

import asyncio
import signal
import sys

import uvloop

from necp_validate.reference.clients import Clients
from necp_validate.reference.gateway.config import GatewayConfig, load_config
from necp_validate.reference.gateway.kafka import KafkaBackbone
from necp_validate.reference.gateway.service import Service
from necp_validate.reference.process import WRONG_CONFIGURATION, configured, leave, start_log


def main() -> int:
    """Run the service; give its exit code."""
    start_log()
    made = configured("gateway", _make)
    if made is None:
        return WRONG_CONFIGURATION
    config, backbone = made
    try:
        return uvloop.run(_serve(config, backbone))
    except OSError as error:
        print(
            f"gateway: UDP_LISTEN_ADDR {config.udp}, WEBSOCKET_ADDR {config.websocket}, HTTP_PORT {config.http_port}, "
            f"METRICS_PORT {config.metrics_port}, TLS_* {config.tls.cert}, {config.tls.key}: {error}",
            file=sys.stderr,
        )
        return WRONG_CONFIGURATION


def _make() -> tuple[GatewayConfig, KafkaBackbone]:
    config = load_config()
    clients = Clients(config.kafka, config.password_file)
    backbone = KafkaBackbone(clients, config.kafka, config.instance)
    clients.start()
    return config, backbone


async def _serve(config: GatewayConfig, backbone: KafkaBackbone) -> int:
    service = Service(config, backbone)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, service.stop)
    return await service.run()


if __name__ == "__main__":
    leave(main())
