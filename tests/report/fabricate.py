"""Makes a run directory as a real run leaves it, small or large, sound or faulty, without any Kafka."""

from __future__ import annotations

import csv
import json
import math
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from necp_validate.core.histogram import HdrHistogram
from necp_validate.scenario import load_scenario

START_S = 1_790_000_000
P50_MS = {"combat": 6.0, "economy": 14.0, "social": 9.0, "system": 8.0}
LOAD_FACTOR = {"warmup": 2.2, "steady": 1.0, "surge": 2.6, "fault": 4.0, "recovery": 1.1}
SIGMA = 0.42


@dataclass
class Recipe:
    """What the fabricated run shall look like."""

    scenario: str = "smoke"
    overrides: tuple[str, ...] = ()
    scale: float = 1.0
    run_id: str = "20261123-161500-smoke"
    lost: int = 0
    slow: float = 1.0
    seed: int = 7
    faults: bool = False
    leave_out: frozenset[str] = field(default_factory=frozenset)


def fabricate(root: Path, recipe: Recipe | None = None) -> Path:
    """Write the run directory below ``root`` and return it."""
    recipe = recipe or Recipe()
    run = root / recipe.run_id
    for folder in ("history", "metrics"):
        (run / folder).mkdir(parents=True)
    writer = _Writer(run, recipe)
    writer.write()
    for name in recipe.leave_out:
        for path in run.glob(name):
            path.unlink()
    return run


class _Writer:
    def __init__(self, run: Path, recipe: Recipe) -> None:
        self.run, self.recipe = run, recipe
        self.random = random.Random(recipe.seed)
        self.np_random = np.random.default_rng(recipe.seed)
        self.scenario = load_scenario(recipe.scenario, scale=recipe.scale, overrides=recipe.overrides)
        self.phases: list[dict[str, Any]] = []
        self.planted: dict[str, dict[str, int]] = {}
        at = START_S
        for phase in self.scenario.phases:
            end = at + int(phase.duration_s)
            self.phases.append(
                {
                    "name": phase.name,
                    "kind": str(phase.kind),
                    "start_us": at * 1_000_000,
                    "end_us": end * 1_000_000,
                    "target_eps": self.scenario.target_eps(phase),
                }
            )
            at = end
        self.end_s = at

    def write(self) -> None:
        self._run_json()
        self._json("history/phases.json", self.phases)
        counts = self._timeline()
        self.faults = self._faults() if self.recipe.faults else []
        streams = self._load(counts)
        self._readback(streams)
        self._latency(counts)
        self._metrics()
        self._json("history/core-shutdown.json", {"exit_code": 0, "seconds": 2.1, "healthy_before": True})
        surge = next((p for p in self.phases if p["kind"] == "surge"), None)
        if surge:
            end = surge["end_us"]
            drain = {"phase_end_us": end, "drained_us": end + 1_420_000, "drain_s": 1.42, "lag_at_end": 8_210}
            self._json("history/drain.json", drain)

    def _json(self, name: str, value: object) -> None:
        (self.run / name).write_text(json.dumps(value))

    def _run_json(self) -> None:
        self._json(
            "run.json",
            {
                "id": self.recipe.run_id,
                "scenario": self.scenario.name,
                "scale": self.scenario.scale,
                "seed": self.scenario.seed,
                "stack": {
                    "backend": "local",
                    "brokers": 3,
                    "kafka_version": "4.4.0",
                    "java_version": "25.0.2",
                    "replication_factor": 3,
                    "min_insync_replicas": 2,
                    "security": {
                        "INTERNAL": "SSL, client certificates",
                        "EXTERNAL": "SASL_SSL, SCRAM-SHA-512",
                    },
                },
                "versions": {
                    "necp-validate": "0.1.0",
                    "kafka": "4.4.0",
                    "java": "25.0.2",
                    "python": "3.11.7",
                },
                "host": {"platform": "Linux-6.1-x86_64", "cpus": 2, "memory_bytes": 25_000_000_000},
                "config": self.scenario.to_config(),
                "started_us": (START_S - 22) * 1_000_000,
                "finished_us": (self.end_s + 31) * 1_000_000,
                "stages": {"stack_ready_s": 19.4, "load_s": self.end_s - START_S, "readback_s": 14.2},
                "status": "finished",
                "error": None,
            },
        )

    def _timeline(self) -> dict[str, dict[str, dict[str, int]]]:
        counts: dict[str, dict[str, dict[str, int]]] = {}
        before = 0.0
        with (self.run / "history/timeline-w0.jsonl").open("w") as out:
            for spec, phase in zip(self.phases, self.scenario.phases, strict=True):
                start = spec["start_us"] // 1_000_000
                for second in range(int(phase.duration_s)):
                    ramp = min(1.0, (second + 0.5) / phase.ramp_s) if phase.ramp_s else 1.0
                    load = before + (phase.load - before) * ramp
                    for domain, traffic in self.scenario.traffic.items():
                        row = self._second(domain, phase, start + second, traffic.rate_eps * load)
                        total = counts.setdefault(phase.name, {}).setdefault(
                            domain, {"scheduled": 0, "sent": 0, "acked": 0, "failed": 0}
                        )
                        for key in total:
                            total[key] += row[key]
                        out.write(json.dumps(row) + "\n")
                before = phase.load
        return counts

    def _second(self, domain: str, phase: Any, t: int, rate: float) -> dict[str, Any]:
        scheduled = round(rate)
        noise = math.exp(self.random.gauss(0, 0.1))
        p50 = P50_MS[domain] * LOAD_FACTOR[phase.kind] * noise * self.recipe.slow
        spike = 2.4 if self.random.random() < 0.03 else 1.0
        late = 0.6 * noise * (2 if phase.kind == "surge" else 1)
        acked = max(0, scheduled - round(abs(self.random.gauss(0, 0.004)) * scheduled))
        return {
            "t": t,
            "phase": phase.name,
            "domain": domain,
            "scheduled": scheduled,
            "sent": scheduled,
            "acked": acked,
            "failed": 0,
            "processed": acked - round(acked * 0.01) if domain == "combat" else acked,
            "rejected": round(acked * 0.01) if domain == "combat" else 0,
            "dead_lettered": round(acked * 0.0005),
            "e2e_p50_ms": round(p50, 3),
            "e2e_p99_ms": round(p50 * 2.66 * spike, 3),
            "ack_p50_ms": round(p50 * 0.6, 3),
            "ack_p99_ms": round(p50 * 1.4 * spike, 3),
            "late_p99_ms": round(late, 3) if t % 17 else None,
            "late_max_ms": round(late * 3, 3) if t % 17 else None,
        }

    def _load(self, counts: Mapping[str, Mapping[str, Mapping[str, int]]]) -> list[dict[str, Any]]:
        streams: list[dict[str, Any]] = []
        for domain, traffic in self.scenario.traffic.items():
            acked = sum(phase[domain]["acked"] for phase in counts.values())
            servers = max(1, traffic.servers)
            shares = [acked // servers + (1 if server < acked % servers else 0) for server in range(servers)]
            for server, sent in enumerate(shares):
                streams.append(
                    {
                        "stream": f"{self.random.getrandbits(32):08x}",
                        "domain": domain,
                        "topic": f"game.{domain}.events",
                        "key": f"match-{server:04d}",
                        "sent": sent,
                        "acked": [[0, sent - 1]],
                        "failed": [],
                        "unknown": [],
                        "digest": self.random.getrandbits(64),
                        "max_acked_offset": sent - 1,
                    }
                )
        self._json(
            "history/load-w0.json",
            {
                "worker": "w0",
                "streams": streams,
                "guarantees": {
                    domain: {"acks": "all", "enable.idempotence": "true"} for domain in self.scenario.traffic
                },
                "planted": {domain: self._planted(domain, counts) for domain in self.scenario.traffic},
                "phases": counts,
                "inconsistent_offsets": 0,
                "offset_not_monotonic": 0,
                "unmatched_receipts": 0,
                "max_gap_ms": {name: dict.fromkeys(self.scenario.traffic, 212.5) for name in counts},
                "gaps": self._gaps(),
                "outcomes_seen": [],
                "cpu_s": 61.2,
                "examples": [],
            },
        )
        return streams

    def _faults(self) -> list[dict[str, Any]]:
        """A kill, a consumer's end, a cut that was never seen, and one that this backend cannot make."""
        length = self.end_s - START_S
        kinds = (
            ("broker-kill", "broker-2 (leader of game.combat.events-3)", "pid 4711 gone", 0.30, 0.45, ""),
            ("core-kill", "core-1", "pid 4712 gone", 0.55, 0.70, ""),
            ("cut", "broker-1 from the other brokers", "", 0.80, 0.85, ""),
            ("disk-full", "broker-3", "", 0.90, 0.90, "needs a disk of its own for each broker"),
        )
        rows = []
        for kind, target, evidence, begin, end, needs in kinds:
            begin_us = (START_S + round(begin * length)) * 10**6
            rows.append(
                {
                    "id": f"{kind}-1",
                    "experiment": kind,
                    "kind": kind,
                    "target": target,
                    "begin_us": begin_us,
                    "effective_us": begin_us + 80_000 if evidence else None,
                    "evidence": evidence,
                    "end_us": None if needs else (START_S + round(end * length)) * 10**6,
                    "needs": needs,
                }
            )
        (self.run / "history/faults.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        self._groups(rows[1]["begin_us"] / 1e6)
        return rows

    def _groups(self, killed_s: float) -> None:
        rows = []
        for t in range(START_S, self.end_s):
            state, members = "STABLE", 2
            if killed_s <= t < killed_s + 4:
                state, members = "PREPARING_REBALANCING", 1
            elif killed_s + 4 <= t < killed_s + 9:
                members = 1
            rows += [[t, f"event-core-{domain}", state, members] for domain in self.scenario.traffic]
        self._csv("groups", "t,group,state,members", rows)

    def _gaps(self) -> list[dict[str, Any]]:
        if not self.faults:
            return []
        begin = self.faults[0]["effective_us"]
        return [
            {"domain": domain, "partition": 3 * i, "from_us": begin, "to_us": begin + 1_200_000 + 900_000 * i}
            for i, domain in enumerate(self.scenario.traffic)
        ]

    def _planted(self, domain: str, counts: Mapping[str, Mapping[str, Mapping[str, int]]]) -> dict[str, int]:
        acked = sum(phase[domain]["acked"] for phase in counts.values())
        traffic = self.scenario.traffic[domain]
        self.planted[domain] = {
            "cheat": int(acked * traffic.cheat_share),
            "poison": int(acked * traffic.poison_share),
        }
        return self.planted[domain]

    def _readback(self, streams: Iterable[Mapping[str, Any]]) -> None:
        read: dict[str, Any] = {}
        total: dict[str, int] = {}
        lost = self.recipe.lost
        for stream in streams:
            last = stream["sent"] - 1
            intervals = [[0, last]]
            if lost:
                intervals, lost = [[0, 99], [100 + lost, last]], 0
            events = sum(b - a + 1 for a, b in intervals)
            total[stream["topic"]] = total.get(stream["topic"], 0) + events
            read[stream["stream"]] = {
                "read": intervals,
                "duplicates": 0,
                "out_of_order": 0,
                "digest": stream["digest"],
                "partitions": [0],
            }
        self._json(
            "history/readback.json",
            {
                "events_read": sum(total.values()),
                "elapsed_s": 14.2,
                "cpu_s": 13.1,
                "events_per_s": sum(total.values()) / 14.2,
                "max_rss_bytes": 180_000_000,
                "partitions": [
                    {
                        "topic": t,
                        "partition": 0,
                        "low": 0,
                        "high": n,
                        "read": n,
                        "gaps": 0,
                        "out_of_order_offsets": 0,
                    }
                    for t, n in total.items()
                ],
                "streams": read,
                "bad_value": 0,
                "bad_key": 0,
                "unknown_records": 0,
                "examples": [],
                "receipts": [
                    {
                        "topic": t,
                        "partition": 0,
                        "accounted": [[0, n - 1]],
                        "processed": n - sum(self._planted_in(t).values()),
                        "rejected": self._planted_in(t)["cheat"],
                        "dead_lettered": self._planted_in(t)["poison"],
                        "duplicate_outcomes": 0,
                    }
                    for t, n in total.items()
                ],
                "dead_letters": {f"{t}.dlt": self._planted_in(t)["poison"] for t in total},
                "epochs": [],
                "ledger": [
                    {"partition": 0, "covered": [[0, n - 1]], "entries": n - sum(self._planted_in(t).values())}
                    for t, n in total.items()
                    if t == "game.economy.events"
                ],
            },
        )

    def _planted_in(self, topic: str) -> dict[str, int]:
        return self.planted[topic.split(".")[1]]

    def _latency(self, counts: Mapping[str, Mapping[str, Mapping[str, int]]]) -> None:
        arrays: dict[str, Any] = {}
        for spec in self.phases:
            for domain, counted in counts[spec["name"]].items():
                negative = 3 if domain == "system" else 0
                median = P50_MS[domain] * LOAD_FACTOR[spec["kind"]] * self.recipe.slow * 1000
                size = counted["acked"] - negative
                values = self.np_random.lognormal(math.log(median), SIGMA, size=size)
                for kind, factor in (("e2e", 1.0), ("ack", 0.6), ("late", 0.05)):
                    histogram = HdrHistogram()
                    histogram.record_many((values * factor).astype(np.int64))
                    name = f"{spec['name']}|{domain}|{kind}"
                    arrays[name] = histogram.counts
                    arrays[f"{name}|negative"] = np.int64(negative if kind == "e2e" else 0)
        np.savez_compressed(self.run / "history/latency-w0.npz", **arrays)

    def _metrics(self) -> None:
        host, brokers, lag, isr = [], [], [], []
        rate_at = {
            t: spec["kind"] for spec in self.phases for t in range(spec["start_us"] // 10**6, spec["end_us"] // 10**6)
        }
        for t in range(START_S, self.end_s):
            busy = {"warmup": 62, "steady": 71, "surge": 93, "fault": 80, "recovery": 70}[rate_at[t]]
            busy = min(100.0, busy + self.random.gauss(0, 3))
            host.append([t, busy, abs(self.random.gauss(1.5, 0.7)), 6.1e9, busy * 0.4, busy * 0.25])
            for broker in (1, 2, 3):
                load = busy / 100 * (1 + 0.1 * broker)
                memory = 1.15e9 + 2e5 * (t - START_S) + broker * 3e7
                ios = 140 * load
                brokers.append([t, broker, 22 * load, memory, 0.2, ios, 1e3, 9e6 * load])
            for domain, eps in next(p for p in self.phases if p["end_us"] > t * 10**6)["target_eps"].items():
                backlog = eps * (0.15 if rate_at[t] == "surge" else 0.03) * math.exp(self.random.gauss(0, 0.25))
                lag.append([t, domain, round(backlog)])
            down = self.faults and self.faults[0]["begin_us"] <= t * 10**6 < self.faults[0]["end_us"]
            isr.append([t, 60, 20 if t * 10**6 < self.faults[0]["begin_us"] + 2_000_000 else 0] if down else [t, 0, 0])
        self._csv("host", "t,cpu_busy_pct,cpu_steal_pct,mem_used_bytes,load_cpu_pct,core_cpu_pct", host)
        header = "t,broker,cpu_pct,rss_bytes,read_ios,write_ios,read_bytes,write_bytes"
        self._csv("brokers", header, brokers)
        self._csv("lag", "t,domain,lag", lag)
        self._csv("isr", "t,under_replicated,offline", isr)

    def _csv(self, name: str, header: str, rows: Iterable[Iterable[object]]) -> None:
        with (self.run / "metrics" / f"{name}.csv").open("w", newline="") as out:
            writer = csv.writer(out)
            writer.writerow(header.split(","))
            writer.writerows(rows)
