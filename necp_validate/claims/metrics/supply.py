"""How evidence can be supplied that a run on topics of the user's own does not have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from necp_validate.record import Record

_OUTPUT: Final = (
    'to supply it, name in the target the topic that your service answers in (output = "..." in [[topics]]), '
    "and let it copy the header necp-event of each record into its answer"
)
_GROUP: Final = 'to supply it, name the consumer group in the target (group = "..." in [[topics]])'
_BROKERS: Final = (
    "an external target's brokers are not seen from here: use your monitoring, or the local or docker stack"
)
_FAULTS: Final = "an external target is not broken from here: use the local or docker stack, or Kubernetes"
_REFUSED: Final = "what your service refuses is not seen here: `necp-validate fuzz --schema` judges that"

SUPPLY: Final[Mapping[str, str]] = {
    **dict.fromkeys(("e2e_p50", "e2e_p95", "e2e_p99", "e2e_p999", "throughput", "handled_rate"), _OUTPUT),
    **dict.fromkeys(("lag_max", "lag_mean", "drain_time"), _GROUP),
    **dict.fromkeys(("broker_cpu_mean", "broker_cpu_max", "broker_memory_max", "broker_iops_max"), _BROKERS),
    **dict.fromkeys(("recovery_time", "rebalance_time"), _FAULTS),
    "core_cpu_mean": "there is no event core of this suite in such a run",
    "dead_lettered": _REFUSED,
}
"""By metric, what is to be done."""


def how_to_supply(history: Record, metric: str) -> str:
    """What to do for a metric that has no evidence; empty where there is nothing to say."""
    return f"; {SUPPLY[metric]}" if history.own_topics and metric in SUPPLY else ""
