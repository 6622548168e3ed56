"""The parts of a run's record, one line each: which file of the run directory holds what."""

from __future__ import annotations

from necp_validate.record.alerts import AlertTransition, MonitoringRecord
from necp_validate.record.audit import AuditRecord, CollectorRecord
from necp_validate.record.drills import CertificateSwap, CoreStop, PasswordChange, PasswordTaken
from necp_validate.record.due import Due
from necp_validate.record.experiments import ExperimentOutcome
from necp_validate.record.faults import FaultRecord
from necp_validate.record.fuzz import FuzzRecord
from necp_validate.record.gateway import GatewayRecord
from necp_validate.record.limits import BreakerSample, FloodRecord
from necp_validate.record.manifest import Manifest
from necp_validate.record.model import (
    BrokerSample,
    Drain,
    GatewaySample,
    GroupSample,
    HostSample,
    IsrSample,
    LagSample,
    LeaderSample,
    LoadRecord,
    Phase,
    RunInfo,
    ServiceShutdown,
    TimelineRow,
    in_order,
)
from necp_validate.record.players import PlayersRecord, PlayersRow
from necp_validate.record.readback import Readback
from necp_validate.record.security import SecurityRound
from necp_validate.record.store import Document, Histograms, Listing, PerWorker, Rows
from necp_validate.record.suite_failures import SuiteFailure
from necp_validate.record.topics import TopicConfiguration
from necp_validate.record.workers import WorkerRecord

RUN = Document("run.json", RunInfo)
MANIFEST = Document("manifest.json", Manifest)
DUE = Document("history/due.json", Due)
SUITE_FAILURES = Rows("history/suite-failures.jsonl", SuiteFailure, order=lambda failure: failure.t_us)
PHASES = Listing("history/phases.json", Phase, check=in_order)
WORKERS = Listing("history/workers.json", WorkerRecord)
LOADS = PerWorker("history/load-{worker}.json", LoadRecord)
LATENCY = Histograms("history/latency-{worker}.npz")
TIMELINE = Rows("history/timeline-{worker}.jsonl", TimelineRow, order=lambda row: (row.t, row.domain))
DRAIN = Document("history/drain.json", Drain)
READBACK = Document("history/readback.json", Readback)
FAULTS = Rows("history/faults.jsonl", FaultRecord, order=lambda fault: (fault.begin_us, fault.id))
EXPERIMENTS = Rows("history/experiments.jsonl", ExperimentOutcome)
SECURITY = Rows("history/security.jsonl", SecurityRound)
ALERTS = Rows("history/alerts.jsonl", AlertTransition)
MONITORING = Document("history/monitoring.json", MonitoringRecord)
HOST = Rows("metrics/host.csv", HostSample)
BROKERS = Rows("metrics/brokers.csv", BrokerSample)
LAG = Rows("metrics/lag.csv", LagSample)
ISR = Rows("metrics/isr.csv", IsrSample)
GROUPS = Rows("metrics/groups.csv", GroupSample)
LEADERS = Rows("metrics/leaders.csv", LeaderSample)
TOPIC_CONFIGURATIONS = Rows("history/topics.jsonl", TopicConfiguration, order=lambda row: row.t)

DRILL_LOADS = PerWorker("history/drill-{worker}.json", LoadRecord)
PASSWORDS_TAKEN = Rows("history/passwords-taken-{worker}.jsonl", PasswordTaken)
PASSWORD_CHANGES = Rows("history/password-changes.jsonl", PasswordChange)
CERTIFICATE_SWAPS = Rows("history/certificate-swaps.jsonl", CertificateSwap)
CORE_STOPS = Rows("history/core-stops.jsonl", CoreStop)
FLOODS = Rows("history/limits.jsonl", FloodRecord)
BREAKERS = Rows("history/breakers.jsonl", BreakerSample, order=lambda sample: sample.t_us)

CORE_SHUTDOWN = Document("history/core-shutdown.json", ServiceShutdown)
GATEWAY_SHUTDOWN = Document("history/gateway-shutdown.json", ServiceShutdown)
GATEWAY_RECORD = Document("history/gateway.json", GatewayRecord)
GATEWAY = Rows("metrics/gateway.csv", GatewaySample)
PLAYERS = PerWorker("history/players-{worker}.json", PlayersRecord)
PLAYERS_LATENCY = Histograms("history/players-latency-{worker}.npz")
PLAYERS_TIMELINE = Rows("history/players-timeline-{worker}.csv", PlayersRow, order=lambda row: row.t)
COLLECTOR_RECORD = Document("history/collector.json", CollectorRecord)
AUDIT = Document("history/audit.json", AuditRecord)
FUZZ = Document("history/fuzz.json", FuzzRecord)
