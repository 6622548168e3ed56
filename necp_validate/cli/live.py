"""Progress of a run: a live view on a terminal, plain lines elsewhere (a CI log)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from necp_validate.cli.tables import badge, grid
from necp_validate.scenario.events import (
    STAGES,
    DrainTick,
    ExperimentEnded,
    ExperimentStarted,
    ExperimentTold,
    LoadTick,
    PhaseStarted,
    ReadbackTick,
    RunEvent,
    RunStarted,
    StackReady,
    StageFinished,
    StageStarted,
    WarningRaised,
)

if TYPE_CHECKING:
    from necp_validate.report.campaign import Trial
    from necp_validate.report.capacity import Probe

_PLAIN_EVERY_S = 10.0
_BAR_WIDTH = 40
_KIND_STYLES = {"warmup": "dim", "steady": "blue", "surge": "yellow", "fault": "red", "recovery": "green"}


class RunProgress:
    """Consumer of a run's events; use it as a context manager around the run.

    Args:
        console: where to print; by default standard error, so that results can be piped.
    """

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True)
        self.run_dir: Path | None = None
        self._phases: tuple[tuple[str, str, float], ...] = ()
        self._stage = ""
        self._detail = ""
        self._tick: LoadTick | None = None
        self._last_plain_s = -_PLAIN_EVERY_S
        self._live = Live(
            get_renderable=self.__rich__,
            console=self.console,
            refresh_per_second=4,
            transient=True,
            redirect_stdout=False,
        )

    def __enter__(self) -> Self:
        if self.console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def __call__(self, event: RunEvent) -> None:
        """Take one event."""
        match event:
            case RunStarted():
                self.run_dir = event.run_dir
                self._phases = event.phases
                self._say(Text.assemble((event.scenario, "bold"), f"  {event.run_dir}"))
            case StageStarted():
                self._enter_stage(event)
            case StageFinished():
                what = STAGES.get(event.stage, event.stage)
                self._say(Text.assemble(("✓ ", "green"), what, (f"  {event.seconds:.1f} s  {event.detail}", "dim")))
                self._stage = self._detail = ""
            case StackReady():
                brokers = f"{event.kind} stack, {event.brokers} {'broker' if event.brokers == 1 else 'brokers'}"
                self._say(Text.assemble(("  ", ""), (f"{brokers}, {event.detail}", "dim")))
            case PhaseStarted() if not self.console.is_terminal:
                rate = sum(event.target_eps.values())
                self._say(Text(f"  phase {event.name}: {rate:,.0f} events/s for {event.duration_s:g} s"))
            case LoadTick():
                self._take_tick(event)
            case ExperimentStarted():
                self._say(Text.assemble(("⚡ ", "red"), event.name, (f"  {event.title}", "dim")))
            case ExperimentTold():
                self._say(Text(f"    {event.text}"))
            case ExperimentEnded():
                self._end_experiment(event)
            case DrainTick():
                self._detail = f"{event.lag:,} events waiting"
            case ReadbackTick():
                self._detail = f"{event.read:,} of {event.total:,} records, {event.events_per_s:,.0f}/s"
            case WarningRaised():
                self._say(Text.assemble(("warning: ", "bold yellow"), event.message))
            case _:
                pass

    def tell_trial(self, trial: Trial) -> None:
        """Take the result of one experiment of a campaign."""
        self._say(Text.assemble(badge(trial.verdict), "  ", (trial.experiment, "bold"), (f"  {trial.why}", "dim")))

    def tell_probe(self, probe: Probe) -> None:
        """Take what was found at one scale of a search for the capacity."""
        why = probe.runs[-1].why if probe.runs else ""
        self._say(Text.assemble(badge(probe.verdict), "  ", (f"scale {probe.scale:g}", "bold"), (f"  {why}", "dim")))

    def _end_experiment(self, event: ExperimentEnded) -> None:
        clean = event.status == "completed" and not event.problems
        mark = ("✓ ", "green") if clean else ("✗ ", "red")
        self._say(Text.assemble(mark, event.name, (f"  {event.status}", "dim")))
        for problem in event.problems:
            self._say(Text(f"    {problem}", style="yellow"))

    def _enter_stage(self, event: StageStarted) -> None:
        new = event.stage != self._stage
        self._stage, self._detail = event.stage, event.detail
        if event.stage != "load":
            self._tick = None
        if new and not self.console.is_terminal:
            self._say(Text(f"… {STAGES.get(event.stage, event.stage)}"))

    def _take_tick(self, tick: LoadTick) -> None:
        self._tick = tick
        if not self.console.is_terminal and tick.t_s - self._last_plain_s >= _PLAIN_EVERY_S:
            self._last_plain_s = tick.t_s
            p99 = max(tick.e2e_p99_ms.values(), default=None)
            self._say(
                Text(
                    f"  {_clock(tick.t_s)} {tick.phase}: scheduled {_sum(tick.scheduled_eps)}, "
                    f"acked {_sum(tick.acked_eps)}, processed {_sum(tick.processed_eps)} events/s, "
                    f"P99 {_ms(p99)}, lag {_count(tick.lag)}, failed {tick.failed:,}{_players(tick, ', ')}"
                )
            )

    def _say(self, line: Text) -> None:
        self.console.print(line, soft_wrap=True)

    def __rich__(self) -> RenderableType:
        """The view as of now."""
        parts: list[RenderableType] = []
        if self._stage:
            parts.append(
                Text.assemble(("▶ ", "cyan"), STAGES.get(self._stage, self._stage), (f"  {self._detail}", "dim"))
            )
        if self._tick is not None:
            parts += [self._phase_line(self._tick), Text(), _rates(self._tick), Text(), _footer(self._tick)]
        return Group(*parts)

    def _phase_line(self, tick: LoadTick) -> RenderableType:
        total_s = sum(seconds for _, _, seconds in self._phases)
        names = Text("  ")
        for name, kind, _ in self._phases:
            here = name == tick.phase
            names.append(f"{name} ", style=f"bold reverse {_KIND_STYLES.get(kind, '')}" if here else "dim")
        line = Table.grid(padding=(0, 1))
        bar = ProgressBar(total=total_s, completed=tick.t_s, width=_BAR_WIDTH)
        line.add_row(names, bar, f"{_clock(tick.t_s)} / {_clock(total_s)}")
        return line


class StackProgress:
    """Says what a stack is doing while it is brought up; use it as a context manager.

    Args:
        console: where to print; by default standard error.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True)
        self._status = self._console.status("starting")

    def __enter__(self) -> Self:
        self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._status.stop()

    def __call__(self, sentence: str) -> None:
        """Take one sentence."""
        if self._console.is_terminal:
            self._status.update(sentence)
        else:
            self._console.print(sentence, soft_wrap=True, markup=False)


def _rates(tick: LoadTick) -> RenderableType:
    columns = ("scheduled/s", "acked/s", "processed/s", "P50", "P99")
    table = grid("  domain", *columns, numbers=columns)
    for domain in tick.scheduled_eps:
        table.add_row(
            f"  {domain}",
            *(_count(rates.get(domain)) for rates in (tick.scheduled_eps, tick.acked_eps, tick.processed_eps)),
            _ms(tick.e2e_p50_ms.get(domain)),
            _ms(tick.e2e_p99_ms.get(domain)),
        )
    rates = (tick.scheduled_eps, tick.acked_eps, tick.processed_eps)
    table.add_row("  all", *(_sum(one) for one in rates), "", "", style="bold")
    return table


def _footer(tick: LoadTick) -> Text:
    busy = "–" if tick.host_busy_pct is None else f"{tick.host_busy_pct:.0f}%"  # noqa: RUF001  # a dash
    parts = [
        f"lag {_count(tick.lag)}",
        f"failed sends {tick.failed:,}",
        f"generator late {_ms(tick.late_p99_ms)} (P99)",
        f"host busy {busy}",
    ]
    if players := _players(tick):
        parts.append(players)
    if tick.web_url:
        parts.append(tick.web_url)
    return Text("  " + " · ".join(parts), style="red" if tick.failed else "dim")


def _players(tick: LoadTick, before: str = "") -> str:
    if tick.players is None:
        return ""
    return f"{before}{tick.players:,} players at {_count(tick.gateway_hz)} Hz"


def _sum(rates: Mapping[str, float]) -> str:
    return _count(sum(rates.values()) if rates else None)


def _count(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}"  # noqa: RUF001  # a dash


def _ms(value: float | None) -> str:
    return "–" if value is None else f"{value:,.1f} ms"  # noqa: RUF001  # a dash


def _clock(seconds: float) -> str:
    whole = round(seconds)
    return f"{whole // 60}:{whole % 60:02d}"
