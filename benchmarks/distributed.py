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
from necp_validate.claims import run_checks
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
    RunInfo,
    StreamRead,
    StreamRecord,
    TimelineRow,
    WorkerRecord,
    layout,
    write_json,
)
from necp_validate.record.reader import read_history, read_workers
from necp_validate.record.writer import HistoryWriter
from necp_validate.scenario.files import load_scenario
from necp_validate.scenario.loading import load_plan, run_load
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
    HistoryWriter(run_dir).save_run(RunInfo(id=run_dir.name, scenario=scenario.name, scale=scale, seed=scenario.seed))
    with _MasterWatch() as watch:
        run_load(load_plan(scenario, stack, run_dir, receipts=False), scenario)
    history = read_history(run_dir)
    return _Cost(
        events=history.counts("steady").acked,
        master_cpu_share=watch.cpu_share,
        master_mib=watch.rss_bytes / 2**20,
        received_bytes=sum(worker.received_bytes for worker in read_workers(run_dir)),
        worker_cpu_s=sum(load.cpu_s for load in history.loads),
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
    """Read a history and run every check; returns CPU seconds and the process's largest memory, MiB."""
    begun = time.process_time()
    run_checks(read_history(run_dir))
    return time.process_time() - begun, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def write_simulated(run_dir: Path, events: int, workers: int) -> None:
    """Write the history of a run of so many events at 53,000 a second, as so many workers leave it.

    All is there in the size of a real one: a stream per server with a failed event now and then, histograms per
    phase, domain and worker, a timeline row per second, domain and worker, and what the reader and receipts say.
    """
    total = sum(_RATES.values())
    seconds = max(events // total, 1)
    writer = HistoryWriter(run_dir)
    writer.save_run(RunInfo(id=run_dir.name, scenario="simulated", scale=1.0, seed=1, status="finished",
                            config={"load": {"processes": workers}}))  # fmt: skip
    end_us = _START_US + seconds * 1_000_000
    target_eps = {name: float(rate) for name, rate in _RATES.items()}
    writer.save_phases([Phase(name="steady", kind="steady", start_us=_START_US, end_us=end_us, target_eps=target_eps)])
    streams = list(_streams(events))
    for worker in range(workers):
        _write_worker(writer, f"w{worker}", streams[worker::workers], seconds, workers)
    clock = ClockEstimate(at_us=_START_US, offset_us=10.0, uncertainty_us=200.0, samples=24)
    records = [WorkerRecord(worker=f"w{n}", host="h", state="finished", clocks=(clock,)) for n in range(workers)]
    write_json(run_dir / layout.WORKERS, records if workers > 1 else [])
    write_json(run_dir / layout.READBACK, _readback(streams))


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
            )


def _write_worker(writer: HistoryWriter, name: str, streams: list[StreamRecord], seconds: int, workers: int) -> None:
    counts = {}
    for domain in _RATES:
        mine = [stream for stream in streams if stream.domain == domain]
        sent, acked = sum(stream.sent for stream in mine), sum(stream.acked.count for stream in mine)
        counts[domain] = PhaseCounts(scheduled=sent, sent=sent, acked=acked, failed=sent - acked)
    writer.save_load(
        LoadRecord(
            worker=name,
            streams=tuple(streams),
            guarantees=dict.fromkeys(_RATES, _GUARANTEES),
            phases={"steady": counts},
            gaps=(),
        )
    )
    histogram = HdrHistogram()
    for value_us in range(2_000, 60_000, 250):
        histogram.record(value_us, 1_000)
    kinds = ("e2e", "ack", "late")
    writer.save_latency(name, {("steady", domain, kind): histogram for domain in _RATES for kind in kinds})
    with writer.timeline(name) as timeline:
        for second in range(1, seconds + 1):
            timeline.write(
                *(
                    TimelineRow(
                        t=_START_US / 1e6 + second, domain=domain, phase="steady", scheduled=rate // workers,
                        sent=rate // workers, acked=rate // workers, processed=rate // workers, rejected=0,
                        dead_lettered=0, e2e_p50_ms=12.0, e2e_p99_ms=40.0, ack_p50_ms=5.0, ack_p99_ms=20.0,
                        late_p99_ms=1.0, late_max_ms=2.0,
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
            partitions.append(PartitionRead(**place, low=0, high=read, read=read, offsets=offsets))
            receipts.append(ReceiptsRecord(**place, accounted=offsets, processed=read))
    return Readback(
        events_read=sum(part.read for part in partitions),
        partitions=tuple(partitions),
        streams={stream.stream: StreamRead(read=stream.acked) for stream in streams},
        receipts=tuple(receipts),
    )
