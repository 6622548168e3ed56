"""``python -m necp_validate.reference.gateway``: run one gateway, configured by the environment.

Exit codes: 0 after a graceful shutdown, 1 after a failure or a shutdown that took too long, 2 for a wrong
configuration.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys

import uvloop
from confluent_kafka import KafkaException

from necp_validate.reference.clients import Clients
from necp_validate.reference.gateway.config import ConfigError, GatewayConfig, load_config
from necp_validate.reference.gateway.kafka import KafkaBackbone
from necp_validate.reference.gateway.service import Service


def main() -> int:
    """Run the service; give its exit code."""
    logging.basicConfig(
        level=os.environ.get("LOG_LEVEL", "INFO").upper(),
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(threadName)s %(message)s",
    )
    try:
        config = load_config()
        clients = Clients(config.kafka, config.password_file)
        backbone = KafkaBackbone(clients, config.kafka, config.instance)
        clients.start()
    except ConfigError as error:
        print(f"gateway: {error}", file=sys.stderr)
        return 2
    except KafkaException as error:
        print(f"gateway: the Kafka client refuses its configuration: {error}", file=sys.stderr)
        return 2
    try:
        return uvloop.run(_serve(config, backbone))
    except OSError as error:
        print(
            f"gateway: UDP_LISTEN_ADDR {config.udp}, WEBSOCKET_ADDR {config.websocket}, HTTP_PORT {config.http_port}, "
            f"METRICS_PORT {config.metrics_port}, TLS_* {config.tls.cert}, {config.tls.key}: {error}",
            file=sys.stderr,
        )
        return 2


async def _serve(config: GatewayConfig, backbone: KafkaBackbone) -> int:
    service = Service(config, backbone)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, service.stop)
    return await service.run()


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Threads of the Kafka client may still wait for brokers that are gone; they must not keep the process.
    os._exit(code)
