"""``python -m necp_validate.reference.publisher``: run one publisher, configured by the environment.

SIGTERM ends it gracefully: what it has accepted is written and answered for.

Exit codes: 0 after a graceful shutdown, 1 after one that took too long, 2 for a wrong configuration.
"""

from __future__ import annotations

import logging
import os
import signal
import sys

from confluent_kafka import KafkaException

from necp_validate.reference.publisher.config import ConfigError, load_config
from necp_validate.reference.publisher.service import Service


def main() -> int:
    """Run the service; give its exit code."""
    logging.basicConfig(
        level=os.environ.get("LOG_LEVEL", "INFO").upper(),
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(threadName)s %(message)s",
    )
    try:
        config = load_config()
        service = Service(config)
    except ConfigError as error:
        print(f"publisher: {error}", file=sys.stderr)
        return 2
    except KafkaException as error:
        print(f"publisher: the Kafka client refuses its configuration: {error}", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: service.stop())
    signal.signal(signal.SIGINT, lambda *_: service.stop())
    try:
        return service.run()
    except OSError as error:
        print(f"publisher: HTTP_PORT {config.http_port}, METRICS_PORT {config.metrics_port}: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Threads of the Kafka client may still wait for brokers that are gone; they must not keep the process.
    os._exit(code)
