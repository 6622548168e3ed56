"""``python -m necp_validate.reference.eventcore``: run one event core, configured by the environment.

SIGTERM ends it gracefully; SIGUSR1 pauses its consumers, which stay in their groups, SIGUSR2 resumes them.

Exit codes: 0 after a graceful shutdown, 1 after a failure or a shutdown that took too long, 2 for a wrong
configuration.
"""

from __future__ import annotations

import logging
import os
import signal
import sys

from confluent_kafka import KafkaException

from necp_validate.reference.audit import KeyringError
from necp_validate.reference.eventcore.config import ConfigError, load_config
from necp_validate.reference.eventcore.service import Service


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
    except (ConfigError, KeyringError) as error:
        print(f"event core: {error}", file=sys.stderr)
        return 2
    except KafkaException as error:
        print(f"event core: the Kafka client refuses its configuration: {error}", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: service.stop())
    signal.signal(signal.SIGINT, lambda *_: service.stop())
    signal.signal(signal.SIGUSR1, lambda *_: service.hold())
    signal.signal(signal.SIGUSR2, lambda *_: service.release())
    try:
        return service.run()
    except OSError as error:
        print(
            f"event core: HTTP_PORT {config.http_port}, METRICS_PORT {config.metrics_port}: {error}",
            file=sys.stderr,
        )
        return 2


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Threads of the Kafka client may still wait for brokers that are gone; they must not keep the process.
    os._exit(code)
