"""``nox -s bench [-- PART ...]``: what the suite and its reference cost, side by side with peers, as ratios."""

from __future__ import annotations

import argparse
import math
import random
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.distributed import measure_judging, measure_master
from benchmarks.figures import say, target
from benchmarks.kafka_tools import producer_performance
from benchmarks.peers import compare as compare_peers
from benchmarks.players import compare
from benchmarks.time_by_part import time_by_part
from necp_validate.clients.readback import ReadTask
from necp_validate.clients.reader import end_offsets
from necp_validate.events.envelope import event_id, head, seal
from necp_validate.events.samples import sample_event
from necp_validate.events.topics import VERIFIER_PRINCIPAL, Domain
from necp_validate.record import Readback, parts
from necp_validate.record.codec import from_json
from necp_validate.record.reader import read_record
from necp_validate.report.capacity import Capacity, Probe, find_capacity
from necp_validate.scenario.files import load_scenario
from necp_validate.scenario.loading import load_plan, run_load
from necp_validate.scenario.model import Scenario
from necp_validate.scenario.reading import read_back
from necp_validate.scenario.runner import run_scenario
from necp_validate.selftest.simulated.scenario import finished_run
from necp_validate.stack import LocalStack, Stack

_JAVA_PROPERTIES = {"acks": "all", "enable.idempotence": "true", "compression.type": "lz4", "linger.ms": "5"}
_BUT_HEADLINE = "judge=['LAT-COMBAT', 'LAT-ECONOMY', 'LAT-SOCIAL', 'DUR-ACKED']"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the parts asked for; returns 0, or 1 when a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], help="which parts; all of them by default")
    parts = parser.parse_args(argv).parts or list(PARTS)
    met = [PARTS[part]() for part in parts]
    return 0 if all(met) else 1


def stack_ready() -> bool:
    """Time to a ready local stack, caches warm, the median of three."""
    seconds = []
    for _ in range(3):
        stack = LocalStack()
        begun = time.monotonic()
        try:
            stack.start(lambda _: None)
            seconds.append(time.monotonic() - begun)
        finally:
            stack.stop()
        say("stack ready, local", seconds=seconds[-1])
    return target("stack ready, local (median)", sorted(seconds)[1], 20.0)


def generator() -> bool:
    """The generator's CPU per acked event beside that of ProducerPerformance, same brokers, both without start-up."""
    with _stack() as stack, tempfile.TemporaryDirectory(prefix="necp-bench-") as folder:
        ours = []
        for repeat in range(3):
            ours.append(_generate(stack, Path(folder, f"gen-{repeat}"), duration_s=15))
            say("generator, 53,000 EPS", cpu_us_per_event=ours[-1])
        topic = Domain.COMBAT.topic
        client = stack.client_config(Domain.COMBAT.service)
        payloads = _payloads(4000)
        theirs = {}
        for name, rate in (("at 53,000 EPS", 53_000.0), ("as fast as it can", -1.0)):
            few, many = 400_000, 1_200_000
            one = producer_performance(client, topic, payloads, few, rate, _JAVA_PROPERTIES)
            two = producer_performance(client, topic, payloads, many, rate, _JAVA_PROPERTIES)
            theirs[name] = 1e6 * (two.cpu_s - one.cpu_s) / (many - few)
            say(
                f"ProducerPerformance, {name}",
                cpu_us_per_event=theirs[name],
                with_start_us=1e6 * two.cpu_s / many,
                records_per_s=two.records_per_s,
            )
    ours_us = sorted(ours)[1]
    for name, us in theirs.items():
        say(f"ratio to ProducerPerformance {name}", ratio=ours_us / us)
    return target("generator / ProducerPerformance, CPU per event", ours_us / theirs["at 53,000 EPS"], 0.5)


def reader() -> bool:
    """How fast the fresh reader reads and checks, per core, and that its memory does not follow the events."""
    with _stack() as stack, tempfile.TemporaryDirectory(prefix="necp-bench-") as folder:
        begin = end_offsets(stack.client_config(VERIFIER_PRINCIPAL), [domain.topic for domain in Domain])
        known: dict[str, tuple[str, str]] = {}
        rss, rate, read = [], 0.0, 0
        for number, duration_s in enumerate((20.0, 180.0)):
            run_dir = Path(folder, f"read-{number}")
            _generate(stack, run_dir, duration_s=duration_s)
            for load in read_record(run_dir).loads:
                known |= {stream.stream: (stream.topic, stream.key) for stream in load.streams}
            task = ReadTask(
                client=stack.client_config(VERIFIER_PRINCIPAL),
                begin=begin,
                known=known,
                dead_letter_topics=[],
                timeout_s=600,
                out=str(run_dir / "readback.json"),
            )
            read_back(task, run_dir, lambda _: None)
            result = from_json(Readback, Path(task.out).read_bytes())
            read, rate = result.events_read, result.events_read / (result.cpu_s or math.nan)
            rss.append((result.max_rss_bytes or math.nan) / 2**20)
            say("reader", events=read, events_per_cpu_s=rate, events_per_s=result.events_per_s, rss_mib=rss[-1])
    return all(
        [
            target("reader, events per CPU second", rate, 300_000, at_most=False),
            target(f"reader, memory at {read:,} over that at a tenth", rss[1] / rss[0], 1.1),
        ]
    )


def latency() -> bool:
    """The largest scale at which the claims of the scenario `capacity` hold, and where a median's time goes there.

    Of all claims, and of all but LAT-HEADLINE: a transaction takes longer than that claim allows.
    """
    held = []
    with tempfile.TemporaryDirectory(prefix="necp-bench-") as folder:
        for claims, judged in (("all claims", []), ("all claims but LAT-HEADLINE", [_BUT_HEADLINE])):
            found = find_capacity(
                load_scenario("capacity", overrides=["stack=local", *judged]),
                low=0.05,
                high=1.28,
                precision=0.04,
                repeats=1,
                out=Path(folder),
                on_probe=_say_probe,
            )
            say(f"largest scale at which {claims} hold", **_scale(found))
            held.append(found.held is not None)
        if found.held:
            whole = run_scenario(_at(found.held.scale), out=Path(folder))
            leader_only = run_scenario(
                _at(found.held.scale, "load.acks='1'", "load.idempotence=false"),
                out=Path(folder),
            )
            for domain in Domain:
                parts = time_by_part(read_record(whole), read_record(leader_only), domain)
                say(f"median, ms, {domain}", **parts)
    return all(held)


def _say_probe(probe: Probe) -> None:
    figures = {f"p99_{name}": f"{value:.1f} ms" for name, value in probe.runs[-1].p99_ms.items()}
    say(f"scale {probe.scale:g}: {'holds' if probe.holds else 'does not hold'}", **figures)


def _scale(found: Capacity) -> dict[str, float]:
    return {"scale": found.held.scale, "eps": found.held.eps} if found.held else {"scale": 0.0}


def players() -> bool:
    """Players per core, and bytes per player and second, beside a plain WebSocket broadcast of full snapshots."""
    with _stack() as stack, tempfile.TemporaryDirectory(prefix="necp-bench-") as folder:
        return compare(stack, Path(folder))


def peers() -> bool:
    """Rate, CPU, memory and start-up of the generator and of other programs that load Kafka, on the same brokers."""
    with _stack() as stack:
        return compare_peers(stack, _payloads(4000))


def distributed() -> bool:
    """What the master costs with 1 to 8 load workers, and at four times the rate."""
    with _stack() as stack, tempfile.TemporaryDirectory(prefix="necp-bench-") as folder:
        return measure_master(stack, Path(folder))


def judging() -> bool:
    """What it costs to judge a run of 1, 10 and 100 million events, and one of 1 to 8 load workers; simulated."""
    with tempfile.TemporaryDirectory(prefix="necp-bench-") as folder:
        return measure_judging(Path(folder))


def _at(scale: float, *overrides: str) -> Scenario:
    return load_scenario("capacity", scale=scale, overrides=["stack=local", *overrides])


def _generate(stack: Stack, run_dir: Path, *, duration_s: float) -> float:
    """Send 53,000 EPS without an event core; returns CPU microseconds per acked event, without start-up."""
    scenario = load_scenario(
        "peak-200",
        overrides=[
            "phases.warmup.duration_s=3", "phases.warmup.ramp_s=1", "phases.warmup.load=2.0",
            f"phases.steady.duration_s={duration_s:g}", "phases.steady.load=2.0",
            "phases.surge.duration_s=0.1", "phases.surge.ramp_s=0",
            "phases.recovery.duration_s=0.1", "phases.recovery.ramp_s=0",
        ],
    )  # fmt: skip
    parts.RUN.write(run_dir, finished_run(run_dir.name, scenario.name, {}))
    run_load(load_plan(scenario, stack, run_dir, receipts=False), scenario)
    loads = read_record(run_dir).loads
    acked = sum(stream.acked.count for load in loads for stream in load.streams)
    return 1e6 * sum(load.cpu_s or 0.0 for load in loads) / acked


def _payloads(count: int) -> list[bytes]:
    """Real events as record values, for ProducerPerformance to draw from."""
    rng = random.Random(1)
    values = []
    for number in range(count):
        name, version, data = sample_event(Domain.COMBAT, rng)
        front = head(name, version, key="match-0001", data=data)
        values.append(seal(front, 1_790_000_000_000_000 + number, event_id("0a1b2c3d", number)))
    return values


class _stack:
    """A local stack for the length of a ``with`` block."""

    def __enter__(self) -> LocalStack:
        self._local = LocalStack()
        self._local.start(lambda _: None)
        return self._local

    def __exit__(self, *_: object) -> None:
        self._local.stop()


PARTS: dict[str, Callable[[], bool]] = {
    "stack": stack_ready,
    "generator": generator,
    "reader": reader,
    "latency": latency,
    "players": players,
    "peers": peers,
    "distributed": distributed,
    "judging": judging,
}

if __name__ == "__main__":
    sys.exit(main())
