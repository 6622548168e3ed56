"""A consumer as somebody else would have it: reads a topic, answers in another, and copies the header ``necp-event``.

    python examples/external/service.py --bootstrap 127.0.0.1:19092 --topic orders --output orders.done

The header is all that a service has to do so that end-to-end latency can be judged. Ends with Ctrl-C or SIGTERM.
"""

from __future__ import annotations

import argparse
import os
import signal

from confluent_kafka import Consumer, Producer

GROUP = "orders-service"


def main() -> None:
    """Answer until told to end."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--output", required=True)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    servers = {"bootstrap.servers": options.bootstrap}
    consumer = Consumer({**servers, "group.id": GROUP, "auto.offset.reset": "earliest", "auto.commit.interval.ms": 500})
    producer = Producer({**servers, "linger.ms": 1})
    consumer.subscribe([options.topic])
    try:
        while True:
            for message in consumer.consume(100, 0.05):
                if message.error() is None:
                    headers = [one for one in message.headers() or () if one[0] == "necp-event"]
                    producer.produce(options.output, b'{"done":true}', message.key(), headers=headers)
            producer.poll(0)
    except KeyboardInterrupt:
        pass
    finally:
        producer.flush(5)
        os._exit(0)  # closing the consumer would wait for its broker, and without end where that has gone


if __name__ == "__main__":
    main()
