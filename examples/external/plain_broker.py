"""A plain Kafka broker as somebody else would run it: one process, defaults, no TLS, no ACLs, replication 1.

    python examples/external/plain_broker.py --version 3.9.1 --port 19092 --topic orders:3

It stands for a cluster that this suite did not configure. Java and Kafka's jars come from packages; everything else is
what Kafka's own ``config/kraft/server.properties`` says. Ends with Ctrl-C, and leaves nothing behind.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

from necp_validate.stack.provision import SILENT
from necp_validate.stack.runtime import KafkaRuntime, load_runtime

CLUSTER_ID = "QUJDREVGR0hJSktMTU5PUA"
READY_S = 60.0
CONFIG = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs={data}
num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
"""


def start(runtime: KafkaRuntime, folder: Path, port: int, controller: int) -> subprocess.Popen[bytes]:
    """Format a data directory and start the broker on it.

    Args:
        runtime: which Kafka.
        folder: its files go here.
        port: where it listens.
        controller: where its controller listens.
    """
    properties = folder / "server.properties"
    properties.write_text(CONFIG.format(port=port, controller=controller, data=folder / "data"))
    quiet = ["-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-Xmx512m"]
    format_ = ["format", "-t", CLUSTER_ID, "-c", str(properties)]
    with (folder / "broker.log").open("ab") as log:
        storage = runtime.command("kafka.tools.StorageTool", options=quiet, arguments=format_)
        subprocess.run(storage, check=True, stdout=log, stderr=log)
        return subprocess.Popen(
            runtime.command("kafka.Kafka", options=quiet, arguments=[str(properties)]), stdout=log, stderr=log
        )


def wait_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Wait until the broker answers.

    Raises:
        SystemExit: it died, or does not answer in time.
    """
    admin = AdminClient({"bootstrap.servers": f"127.0.0.1:{port}", "log_level": 2}, logger=SILENT)
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if admin.list_topics(timeout=1.0).brokers:
                return
        except KafkaException:
            continue
    sys.exit(f"the broker did not become ready: {log.read_text(errors='replace')[-2000:]}")


def make_topics(port: int, topics: Sequence[str]) -> None:
    """Make topics, each given as name and partitions."""
    admin = AdminClient({"bootstrap.servers": f"127.0.0.1:{port}"}, logger=SILENT)
    wanted = [NewTopic(name, int(partitions), 1) for name, _, partitions in (one.partition(":") for one in topics)]
    for future in admin.create_topics(wanted).values() if wanted else ():
        future.result(30)


def main() -> int:
    """Run the broker until it is told to end."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--version", default="3.9.1", help="of Kafka")
    parser.add_argument("--port", type=int, default=19092)
    parser.add_argument("--topic", action="append", default=[], metavar="NAME:PARTITIONS", help="is made")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    runtime = load_runtime(options.version)
    with tempfile.TemporaryDirectory(prefix="plain-broker-") as name:
        folder, begun = Path(name), time.monotonic()
        process = start(runtime, folder, options.port, options.port + 1)
        try:
            wait_ready(process, options.port, folder / "broker.log")
            make_topics(options.port, options.topic)
            took = time.monotonic() - begun
            print(f"Kafka {options.version} answers at 127.0.0.1:{options.port} after {took:.1f} s", flush=True)
            process.wait()
        except KeyboardInterrupt:
            print("ending", flush=True)
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
    return 0


if __name__ == "__main__":
    sys.exit(main())
