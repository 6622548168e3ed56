"""How the cost of master and verifier grows with load workers, with the event rate, and with events in all."""

from __future__ import annotations

import multiprocessing
import resource
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.figures import say, target
from necp_validate.claims import judge_record
from necp_validate.events.topics import Domain
from necp_validate.record import (
    ClockEstimate,
    HdrHistogram,
    IntervalSet,
    LoadRecord,
    PartitionRead,
    Phase,
    PhaseCounts,
    Readback,
    ReceiptsRecord,
    StreamRead,
    StreamRecord,
    TimelineRow,
    WorkerRecord,
    parts,
    write_json,
)
from necp_validate.record.reader import read_record
from necp_validate.scenario.files import load_scenario
from necp_validate.scenario.loading import load_plan, run_load
from necp_validate.selftest.simulated.scenario import finished_run
from necp_validate.stack import Stack

_SECONDS = 15.0
_START_UP_S = 8.0
_RATES = {"combat": 40_000, "economy": 10_000, "social": 2_000, "system": 1_000}  # events a second at 200% of peak
_SERVERS = {"combat": 40, "economy": 10, "social": 2, "system": 1}
_PARTITIONS = 12
_FAILED_PER_MILLION = 10
_GUARANTEES = {"acks": "all", "enable.idempotence": "true"}
_START_US = 1_790_000_000_000_000


def measure_master(stack: Stack, folder: Path) -> bool:
    """Send the same load with 1 to 8 workers, and four times as much; returns whether every target is met."""
    masters = {}
    for workers, scale in ((1, 0.1), (2, 0.1), (4, 0.1), (8, 0.1), (2, 0.4)):
        cost = _send(stack, folder / f"load-{workers}-{scale}", workers, scale)
        masters[workers, scale] = cost.master_cpu_share
        say(
            f"{workers} workers, {cost.events / _SECONDS:,.0f} events/s",
            events=cost.events,
            master_cpu_share=cost.master_cpu_share,
            master_mib=cost.master_mib,
            sent_kib=cost.received_bytes / 1024,
            worker_cpu_us_per_event=1e6 * cost.worker_cpu_s / max(cost.events, 1),
        )
    return all(
        [
            target("master's CPU, 8 workers, share of a core", masters[8, 0.1], 0.25),
            target("master's CPU at four times the rate / at once", masters[2, 0.4] / masters[2, 0.1], 1.5),
        ]
    )


def measure_judging(folder: Path) -> bool:
    """Judge simulated runs of 1, 10 and 100 million events; returns whether every target is met."""
    judged = {}
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"), max_tasks_per_child=1) as pool:
        for events, workers in ((10**6, 1), (10**7, 1), (10**8, 1), (10**8, 2), (10**8, 4), (10**8, 8)):
            run_dir = folder / f"simulated-{events}-{workers}"
            write_simulated(run_dir, events, workers)
            size = sum(path.stat().st_size for path in run_dir.rglob("*") if path.is_file())
            seconds, rss_mib = pool.submit(_judge, run_dir).result()
            judged[events, workers] = seconds
            say(
                f"judging {events:,} events of {workers} workers (simulated)",
                cpu_s=seconds,
                cpu_us_per_event=1e6 * seconds / events,
                rss_mib=rss_mib,
                history_mib=size / 2**20,
            )
    return target("judging 100 million events of one worker, CPU s", judged[10**8, 1], 60.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cost:
    events: int
    master_cpu_share: float
    master_mib: float
    received_bytes: int
    worker_cpu_s: float


def _send(stack: Stack, run_dir: Path, workers: int, scale: float) -> _Cost:
    """Send a steady load without an event core, and look at the master meanwhile."""
    scenario = load_scenario(
        "peak-200",
        scale=scale,
        overrides=[
            f"load.processes={workers}",
            "phases.warmup.duration_s=3", "phases.warmup.ramp_s=1",
            f"phases.steady.duration_s={_SECONDS:g}",
            "phases.surge.duration_s=0.1", "phases.surge.ramp_s=0", "phases.surge.load=1.0",
            "phases.recovery.duration_s=0.1", "phases.recovery.ramp_s=0",
        ],
    )  # fmt: skip
    parts.RUN.write(run_dir, finished_run(run_dir.name, scenario.name, {}))
    with _MasterWatch() as watch:
        run_load(load_plan(scenario, stack, run_dir, receipts=False), scenario)
    history = read_record(run_dir)
    return _Cost(
        events=history.counts("steady").acked,
        master_cpu_share=watch.cpu_share,
        master_mib=watch.rss_bytes / 2**20,
        received_bytes=sum(worker.received_bytes or 0 for worker in history.workers),
        worker_cpu_s=sum(load.cpu_s or 0.0 for load in history.loads),
    )


class _MasterWatch:
    """CPU of the master while the load plays, as a share of a core, and its largest memory; 0 if there is none."""

    def __init__(self) -> None:
        self.rss_bytes = 0
        self._samples: list[tuple[float, float]] = []  # time and CPU time, since it plays
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> _MasterWatch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    @property
    def cpu_share(self) -> float:
        """From when its start-up was over until its end."""
        settled = [sample for sample in self._samples if sample[0] - self._samples[0][0] > _START_UP_S]
        if len(settled) < 2:
            return 0.0
        (begun, before), (ended, after) = settled[0], settled[-1]
        return (after - before) / (ended - begun)

    def _look(self) -> None:
        while not self._done.wait(0.5):
            for process in psutil.Process().children():
                try:
                    if "--master" not in process.cmdline():
                        continue
                    times, self.rss_bytes = process.cpu_times(), max(self.rss_bytes, process.memory_info().rss)
                except psutil.NoSuchProcess:
                    continue
                self._samples.append((time.monotonic(), times.user + times.system))


def _judge(run_dir: Path) -> tuple[float, float]:
    """Read a record and judge it; returns CPU seconds and the process's largest memory, MiB."""
    begun = time.process_time()
    judge_record(read_record(run_dir))
    return time.process_time() - begun, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def write_simulated(run_dir: Path, events: int, workers: int) -> None:
    """Write the history of a run of so many events at 53,000 a second, as so many workers leave it.

    All is there in the size of a real one: a stream per server with a failed event now and then, histograms per
    phase, domain and worker, a timeline row per second, domain and worker, and what the reader and receipts say.
    """
    total = sum(_RATES.values())
    seconds = max(events // total, 1)
    parts.RUN.write(run_dir, finished_run(run_dir.name, "simulated", {"load": {"processes": workers}}))
    end_us = _START_US + seconds * 1_000_000
    target_eps = {name: float(rate) for name, rate in _RATES.items()}
    phase = Phase(name="steady", kind="steady", start_us=_START_US, end_us=end_us, target_eps=target_eps)
    parts.PHASES.write(run_dir, [phase])
    streams = list(_streams(events))
    for worker in range(workers):
        _write_worker(run_dir, f"w{worker}", streams[worker::workers], seconds, workers)
    clock = ClockEstimate(at_us=_START_US, offset_us=10.0, uncertainty_us=200.0, samples=24)
    records = [
        WorkerRecord(
            worker=f"w{n}", host="h", namespace="", pid=n, cpus=1, state="finished", heard_us=end_us, silences=0,
            clocks=(clock,), received_bytes=0,
        )
        for n in range(workers)
    ]  # fmt: skip
    write_json(parts.WORKERS.file(run_dir), records if workers > 1 else [])
    write_json(parts.READBACK.file(run_dir), _readback(streams))


def _streams(events: int) -> Iterator[StreamRecord]:
    total = sum(_RATES.values())
    for number, (name, rate) in enumerate(_RATES.items()):
        for server in range(_SERVERS[name]):
            sent = events * rate // total // _SERVERS[name]
            every = 1_000_000 // _FAILED_PER_MILLION
            failed = IntervalSet([(seq, seq) for seq in range(every // 2, sent, every)])
            yield StreamRecord(
                stream=f"{number:02x}{server:06x}",
                domain=name,
                topic=Domain(name).topic,
                key=f"{name}-{server:04d}",
                sent=sent,
                acked=IntervalSet([(0, sent - 1)]).difference(failed),
                failed=failed,
                unknown=IntervalSet(),
                digest=0,
                max_acked_offset=-1,
                unplaced=0,
            )


def _write_worker(run_dir: Path, name: str, streams: list[StreamRecord], seconds: int, workers: int) -> None:
    counts = {}
    for domain in _RATES:
        mine = [stream for stream in streams if stream.domain == domain]
        sent, acked = sum(stream.sent for stream in mine), sum(stream.acked.count for stream in mine)
        counts[domain] = PhaseCounts(
            scheduled=sent, sent=sent, acked=acked, failed=sent - acked, unknown=0, refused=0, unplaced=0
        )
    parts.LOADS.write(
        run_dir,
        LoadRecord(
            worker=name,
            streams=tuple(streams),
            guarantees=dict.fromkeys(_RATES, _GUARANTEES),
            planted={domain: {} for domain in _RATES},
            expected_totals={domain: {} for domain in _RATES},
            phases={"steady": counts},
            inconsistent_offsets=0,
            offset_not_monotonic=0,
            send_errors=(),
            unmatched_receipts=0,
            max_gap_ms={"steady": dict.fromkeys(_RATES, 0.0)},
            gaps=(),
            outcome_gaps=(),
            acked_below_known=0,
            outcomes_seen=(),
            precommitted_reads=0,
            ends_from_future=0,
        ),
    )
    histogram = HdrHistogram()
    for value_us in range(2_000, 60_000, 250):
        histogram.record(value_us, 1_000)
    kinds = ("e2e", "ack", "late")
    parts.LATENCY.write(run_dir, name, {("steady", domain, kind): histogram for domain in _RATES for kind in kinds})
    with parts.TIMELINE.open(run_dir, name) as timeline:
        for second in range(1, seconds + 1):
            timeline.write(
                *(
                    TimelineRow(
                        t=_START_US / 1e6 + second, domain=domain, phase="steady", scheduled=rate // workers,
                        sent=rate // workers, acked=rate // workers, failed=0, unknown=0, refused=0,
                        processed=rate // workers, rejected=0, dead_lettered=0, e2e_p50_ms=12.0, e2e_p99_ms=40.0,
                        ack_p50_ms=5.0, ack_p99_ms=20.0, late_p99_ms=1.0, late_max_ms=2.0,
                    )
                    for domain, rate in _RATES.items()
                )
            )  # fmt: skip


def _readback(streams: list[StreamRecord]) -> Readback:
    partitions, receipts = [], []
    for domain in _RATES:
        acked = sum(stream.acked.count for stream in streams if stream.domain == domain)
        for partition in range(_PARTITIONS):
            read = acked // _PARTITIONS + (partition < acked % _PARTITIONS)
            offsets = IntervalSet([(0, read - 1)]) if read else IntervalSet()
            place = {"topic": Domain(domain).topic, "partition": partition}
            partitions.append(
                PartitionRead(
                    **place, low=0, high=read, read=read, position=read, gaps=0, out_of_order_offsets=0, offsets=offsets
                )
            )
            receipts.append(
                ReceiptsRecord(
                    **place, accounted=offsets, processed=read, rejected=0, dead_lettered=0, duplicate_outcomes=0,
                    jumps=(), jumps_left_out=0, late=IntervalSet(),
                )
            )  # fmt: skip
    return Readback(
        events_read=sum(part.read for part in partitions),
        partitions=tuple(partitions),
        streams={
            stream.stream: StreamRead(read=stream.acked, duplicates=0, out_of_order=0, digest=0, partitions=(0,))
            for stream in streams
        },
        bad_value=0,
        bad_key=0,
        unknown_records=0,
        others=0,
        examples=(),
        epochs=(),
        outputs=(),
        receipts=tuple(receipts),
        dead_letters={Domain(domain).dead_letter_topic: 0 for domain in _RATES},
        totals={domain: {} for domain in _RATES},
        ledger=None,
    )
