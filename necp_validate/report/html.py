"""``report.html``: one file, no requests to anywhere, readable on a phone, on paper and in the dark."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from necp_validate import __version__
from necp_validate.claims.catalogue import CLAIMS
from necp_validate.core import Verdict
from necp_validate.evidence.load_workers import clock_words
from necp_validate.report import plots, text
from necp_validate.report.alerts import alert_rows
from necp_validate.report.compliance import compliance_rows
from necp_validate.report.faults import fault_rows, losses
from necp_validate.report.figures import key_figures
from necp_validate.report.frames import RunFrames, percentile_rows, records, throughput_rows
from necp_validate.report.fuzz import fuzz_tables
from necp_validate.report.reproduce import commands
from necp_validate.report.security import security_tables
from necp_validate.report.verdict import RunVerdict, open_checks, sentence
from necp_validate.report.workers import worker_rows

FILE_NAME = "report.html"
_SEVERITY = {Verdict.FAIL: 0, Verdict.UNKNOWN: 1, Verdict.PASS: 2, Verdict.NOT_APPLICABLE: 3}


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A chart in its card; without an ``svg`` the card says that there is no evidence."""

    title: str
    svg: str | None
    note: str = ""


def render(run: RunFrames, verdict: RunVerdict) -> str:
    """The whole page.

    Args:
        run: the frames of the run.
        verdict: its verdict.
    """
    environment = Environment(
        loader=PackageLoader("necp_validate.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    assert environment.loader is not None
    css, _, _ = environment.loader.get_source(environment, "report.css")
    info = run.history.run
    return environment.get_template("report.html.j2").render(
        css=css,
        text=text,
        symbols=text.SYMBOLS,
        missing_mark=text.MISSING,
        version=__version__,
        info=info,
        started=text.moment(info.started_us),
        took=text.seconds((info.finished_us - info.started_us) / 1e6) if info.finished_us else "not finished",
        verdict=verdict,
        sentence=sentence(verdict),
        tally=tally(verdict),
        claims=sorted(verdict.claims, key=lambda claim: _SEVERITY[claim.verdict]),
        open_checks=open_checks(verdict),
        passed=[check for check in verdict.applicable if check.verdict is Verdict.PASS],
        evidence=sorted(verdict.evidence, key=lambda holding: holding.complete),
        figures=key_figures(run),
        charts={"throughput": _throughput(run), "latency": _latency(run), "resources": _resources(run)},
        throughput=records(throughput_rows(run)),
        percentiles=[
            {"title": "End to end, by phase", "rows": records(percentile_rows(run))},
            {"title": "Until acknowledged, by phase", "rows": records(percentile_rows(run, "ack"))},
            {"title": "Generator lateness, by phase", "rows": records(percentile_rows(run, "late"))},
        ],
        faults=fault_rows(run.history),
        lost=losses(run.history),
        workers=worker_rows(run.history),
        clocks=clock_words(run.history),
        fuzz=fuzz_tables(run.history),
        security=security_tables(run.history),
        alerts={"rows": alert_rows(run.history), "chart": _alerts(run)} if run.history.monitoring else None,
        monitoring=run.history.monitoring,
        compliance=compliance_rows(verdict.claims) if run.history.security else [],
        missing=run.missing,
        not_judged=_not_judged(run, verdict),
        facts={"stack": _flat(info.stack), "host": [*_flat(info.host), *_flat(info.versions)]},
        commands="\n".join(commands(info, run.history.run_dir)),
        config=json.dumps(info.config, indent=2),
    )


def _not_judged(run: RunFrames, verdict: RunVerdict) -> list[str]:
    """The suite's claims that were left out; on topics of the user's own none of them can be meant."""
    if run.history.own_topics:
        return []
    judged = {claim.id for claim in verdict.claims}
    return [id_ for id_ in CLAIMS if id_ not in judged]


def write_html(run_dir: Path, run: RunFrames, verdict: RunVerdict) -> Path:
    """Write ``report.html`` into the run directory and return its path."""
    path = run_dir / FILE_NAME
    path.write_text(render(run, verdict), encoding="utf-8")
    return path


def tally(verdict: RunVerdict) -> str:
    """How many claims and checks ended how: ``claims: 14 pass, 2 fail · checks: 20 pass``."""
    parts = []
    for name, counted in verdict.counts.items():
        shown = [f"{counted[one]} {one}" for one in Verdict if counted.get(one) and one is not Verdict.NOT_APPLICABLE]
        parts.append(f"{name}: {', '.join(shown) or 'none'}")
    return " · ".join(parts)


def _throughput(run: RunFrames) -> Iterable[Figure]:
    return [Figure(title=domain, svg=plots.throughput(run, domain)) for domain in run.domains] or [
        Figure(title="all domains", svg=None)
    ]


def _latency(run: RunFrames) -> Iterable[Figure]:
    kinds = ("steady", "surge", "fault")
    phases = [span.name for kind in kinds for span in run.spans_of(kind)[:1]]
    over_time = "P99 end to end, second by second"
    median = "P50 end to end, second by second"
    return [
        Figure(
            title=over_time,
            svg=plots.latency(run, "e2e_p99_ms", over_time, limits=True),
            note="Dotted: the limit claimed for the domain of the same colour.",
        ),
        Figure(title=median, svg=plots.latency(run, "e2e_p50_ms", median)),
        *(
            Figure(
                title=f"End to end by percentile in {phase}",
                svg=plots.percentile_curve(run, phase),
                note="Each line ends where fewer than ten samples lie above it.",
            )
            for phase in phases
        ),
    ]


def _resources(run: RunFrames) -> Iterable[Figure]:
    figures = [
        Figure(title="Consumer lag", svg=plots.lag(run), note=_drained(run)),
        Figure(title="Host CPU", svg=plots.host_cpu(run), note="A saturated host makes a missed latency unknown."),
        Figure(title="Broker CPU", svg=plots.broker_cpu(run), note="100% is one core."),
        Figure(title="Broker memory, resident", svg=plots.broker_memory(run)),
        Figure(title="Broker disk, reads and writes", svg=plots.broker_ios(run)),
        Figure(
            title="Generator lateness",
            svg=plots.lateness(run),
            note="How late events left, over all domains.",
        ),
    ]
    members = plots.group_members(run)
    if members is not None:
        note = "Red dots: the group was not stable."
        figures.append(Figure(title="Consumer groups", svg=members, note=note))
    in_sync = plots.in_sync(run)
    if in_sync is not None:
        figures.append(Figure(title="Replication", svg=in_sync))
    return figures


def _alerts(run: RunFrames) -> Figure:
    note = "Pale: pending. Shaded: a fault is in force."
    return Figure(title="Alerts", svg=plots.alerts(run), note=note)


def _drained(run: RunFrames) -> str:
    drain = run.history.drain
    if drain is None:
        return ""
    after = "never" if drain.drain_s is None else text.seconds(drain.drain_s)
    return f"After the surge {text.count(drain.lag_at_end)} events were waiting; gone after {after}."


def _flat(data: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested facts as pairs of words; long lists are counted."""
    pairs: list[tuple[str, str]] = []
    for key, value in data.items():
        name = f"{prefix}{key}".replace("_", " ")
        if isinstance(value, Mapping):
            pairs += _flat(value, f"{name}: ")
        elif isinstance(value, (list, tuple)):
            plain = all(not isinstance(item, (Mapping, list)) for item in value)
            pairs.append((name, ", ".join(map(str, value)) if plain else str(len(value))))
        elif key.endswith("_bytes") and isinstance(value, (int, float)):
            pairs.append((name.removesuffix(" bytes"), text.gibibytes(value)))
        elif value not in (None, ""):
            pairs.append((name, str(value)))
    return pairs
