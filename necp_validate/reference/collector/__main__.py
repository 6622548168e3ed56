"""``python -m necp_validate.reference.collector``: run one collector, configured by the environment.

SIGTERM ends it gracefully. Exit codes: 0 after a graceful shutdown, 1 if events are left, 2 for a wrong configuration.
"""

from __future__ import annotations

import logging
import os
import signal
import sys

from confluent_kafka import KafkaException

from necp_validate.reference.collector.service import Collector, load_config
from necp_validate.reference.environment import ConfigError


def main() -> int:
    """Run the service; give its exit code."""
    logging.basicConfig(
        level=os.environ.get("LOG_LEVEL", "INFO").upper(),
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(threadName)s %(message)s",
    )
    try:
        config = load_config()
        collector = Collector(config)
    except ConfigError as error:
        print(f"collector: {error}", file=sys.stderr)
        return 2
    except KafkaException as error:
        print(f"collector: the Kafka client refuses its configuration: {error}", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: collector.stop())
    signal.signal(signal.SIGINT, lambda *_: collector.stop())
    try:
        return collector.run()
    except OSError as error:
        print(f"collector: HTTP_PORT {config.http_port}, METRICS_PORT {config.metrics_port}: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Threads of the Kafka client may still wait for brokers that are gone; they must not keep the process.
    os._exit(code)
