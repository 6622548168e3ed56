"""Killing, freezing and stopping instances of the event core."""
# Annotations stay types here: Chaos Toolkit's discovery reads them.

import time

from necp_validate.chaos import cores
from necp_validate.chaos.registry import fault, healing
from necp_validate.chaos.session import current
from necp_validate.record import CoreStop, parts
from necp_validate.record.faults import FaultRecord

_END_S = 60.0
"""Longer than the claim allows: how long it really takes is recorded."""


@fault(rollback="replace_cores")
def kill_core(mid_transaction: bool = False) -> FaultRecord:
    """Kill an instance of the event core (SIGKILL), chosen by seed. Rollback: replace_cores.

    Args:
        mid_transaction: at a moment at which one of its transactions is seen to be open.
    """
    session = current()
    core = cores.chosen(session)
    held: list[str] = []

    def do() -> None:
        if mid_transaction:
            held.append(cores.freeze_in_transaction(session, core))
        session.fleet.kill(core)

    def undo() -> None:
        if core not in session.fleet.running():
            session.fleet.replace(core.name)
        elif mid_transaction:
            core.resume()

    gone = cores.dead(core)

    def seen() -> str:
        said = gone()
        return "; ".join([*held, said]) if said else ""

    return session.inject("core-kill", core.name, do=do, seen=seen, undo=undo)


@fault(rollback="replace_cores")
def stop_core() -> FaultRecord:
    """Ask an instance of the event core, chosen by seed, to end (SIGTERM). Rollback: replace_cores."""
    session = current()
    core = cores.chosen(session)
    ended: list[tuple[bool, float]] = []

    def do() -> None:
        begun = time.monotonic()
        clean = session.fleet.retire(core, _END_S)
        ended.append((clean, round(time.monotonic() - begun, 3)))

    def undo() -> None:
        session.fleet.replace(core.name)

    stopped = session.inject("core-stop", core.name, do=do, seen=cores.dead(core), undo=undo)
    ((clean, seconds),) = ended
    stop = CoreStop(fault=stopped.id, instance=core.name, clean=clean, seconds=seconds, lag_after=session.cluster.lag())
    parts.CORE_STOPS.append(session.run_dir, stop)
    return stopped


@fault(rollback="resume_cores")
def pause_core() -> FaultRecord:
    """Freeze an instance of the event core (SIGSTOP), chosen by seed. Rollback: resume_cores."""
    session = current()
    core = cores.chosen(session)
    return session.inject("core-pause", core.name, do=core.pause, seen=cores.mute(core), undo=core.resume)


@healing
def replace_cores() -> int:
    """Start an instance in the place of each that was killed or has ended; returns when they are healthy."""
    return current().undo("core-kill", "core-stop")


@healing
def resume_cores() -> int:
    """Let every frozen instance of the event core go on."""
    return current().undo("core-pause")


@fault(rollback="reset_core_clocks")
def step_core_clock(by_s: float = 3600.0) -> FaultRecord:
    """Let the clock of an instance of the event core, chosen by seed, jump. Rollback: reset_core_clocks.

    The instance is replaced first by one whose clock can be stepped: the clock of the service itself. Its Kafka client
    has no other clock than the machine's, which is not ours to step.

    Args:
        by_s: how far, in seconds; forward if positive.
    """
    session = current()
    core = cores.chosen(session)
    clock = cores.SteppedClock(session, f"{core.name}-clock")

    def do() -> None:
        clock.step(0.0)
        session.fleet.retire(core)
        clock.follow(session.fleet.replace(core.name, clock.env))
        clock.step(by_s)

    return session.inject(
        "clock-step", f"{core.name} by {by_s:+g} s", do=do, seen=clock.seen_at(by_s), undo=lambda: clock.step(0.0)
    )


@healing
def reset_core_clocks() -> int:
    """Let every clock that was stepped jump back."""
    return current().undo("clock-step")
