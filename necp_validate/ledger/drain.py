"""When the consumer groups had worked off what the busiest phase had left."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from necp_validate.record.model import Drain, LagSample, TimelineRow


def caught_up_us(lag: Sequence[LagSample], timeline: Sequence[TimelineRow], end_us: int) -> int | None:
    """The first moment after ``end_us`` at which all that was waiting then had been committed; None if it never was.

    What is waiting is from before that time, unless no more is waiting than was acknowledged since.

    Args:
        lag: samples, in order of time; those of one moment have the same ``t``.
        timeline: of the load.
        end_us: when the busiest phase ended.
    """
    moments: dict[float, dict[str, float]] = defaultdict(dict)
    for sample in lag:
        if sample.lag is not None and sample.t * 1e6 > end_us:
            moments[sample.t][sample.domain] = sample.lag
    for t, waiting in sorted(moments.items()):
        since: dict[str, int] = defaultdict(int)
        for row in timeline:
            if end_us < row.t * 1e6 <= t * 1e6:
                since[row.domain] += row.acked
        if all(count <= since[topic] for topic, count in waiting.items()):
            return round(t * 1e6)
    return None


def drain_of(lag: Sequence[LagSample], end_us: int, drained_us: int | None) -> Drain:
    """What a run keeps of it.

    Args:
        lag: samples.
        end_us: when the busiest phase ended.
        drained_us: when the backlog was gone; None if it never was.
    """
    before = [sample for sample in lag if sample.lag is not None and sample.t * 1e6 <= end_us]
    last_t = max((sample.t for sample in before), default=None)
    return Drain(
        phase_end_us=end_us,
        lag_at_end=round(sum(sample.lag or 0 for sample in before if sample.t == last_t)),
        drained_us=drained_us,
        drain_s=None if drained_us is None else max((drained_us - end_us) / 1e6, 0.0),
    )
