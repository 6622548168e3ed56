"""The record of a run: what was sent, acknowledged and seen. Clients write it, verify and report read it."""

from necp_validate.history.hdr import HdrHistogram
from necp_validate.history.history import History
from necp_validate.history.intervals import IntervalSet
from necp_validate.history.model import (
    BrokerSample,
    CoreShutdown,
    Drain,
    HostSample,
    IsrSample,
    LagSample,
    LoadRecord,
    PartitionRead,
    Phase,
    PhaseCounts,
    Readback,
    ReceiptsRecord,
    RunInfo,
    Sighting,
    StreamRead,
    StreamRecord,
    TimelineRow,
)
from necp_validate.history.reader import read_history
from necp_validate.history.writer import CsvRows, HistoryWriter, JsonLines, write_json

__all__ = [
    "BrokerSample",
    "CoreShutdown",
    "CsvRows",
    "Drain",
    "HdrHistogram",
    "History",
    "HistoryWriter",
    "HostSample",
    "IntervalSet",
    "IsrSample",
    "JsonLines",
    "LagSample",
    "LoadRecord",
    "PartitionRead",
    "Phase",
    "PhaseCounts",
    "Readback",
    "ReceiptsRecord",
    "RunInfo",
    "Sighting",
    "StreamRead",
    "StreamRecord",
    "TimelineRow",
    "read_history",
    "write_json",
]
