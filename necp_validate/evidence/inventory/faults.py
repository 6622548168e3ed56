"""What is due of faults, of experiments and of what they left."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from necp_validate.evidence.coverage import covered_s, length_s
from necp_validate.evidence.inventory.counting import (
    SHARE_COVERED,
    Asked,
    Evidence,
    Holding,
    misleading,
    named,
)
from necp_validate.record import Record


def _experiments(history: Record, _: Asked) -> Iterator[Holding]:
    planned = history.run.plan.experiments or ()
    ended = {one.experiment for one in history.experiments}
    yield named("experiments with a record of how they ended", planned, ended, "history/experiments.jsonl")


def _faults(history: Record, asked: Asked) -> Iterator[Holding]:
    """Every experiment left its faults: those that its own record names, and one at least."""
    yield from _experiments(history, asked)
    injected = [fault_id for one in history.experiments for fault_id in one.faults or ()]
    there = {fault.id for fault in history.faults}
    yield named("faults that experiments have injected", injected, there, "history/faults.jsonl")
    silent = [one.experiment for one in history.experiments if one.faults is None]
    yield Holding(
        what="experiments that name their faults",
        due=len(history.experiments),
        found=len(history.experiments) - len(silent),
        file="history/experiments.jsonl",
        missing=tuple(silent),
    )


def _for_faults(
    what: str, kinds: Sequence[str], rows: Callable[[Record], Iterable[str]], file: str
) -> Callable[[Record, Asked], Iterator[Holding]]:
    """A row for each fault of some kinds that took effect."""

    def count(history: Record, _: Asked) -> Iterator[Holding]:
        due = [fault.id for fault in history.faults if fault.kind in kinds and fault.effective_us is not None]
        yield named(what, due, rows(history), file)

    return count


def _floods(history: Record, _: Asked) -> Iterator[Holding]:
    due = [fault for fault in history.faults if fault.kind == "publisher-flood" and fault.effective_us is not None]
    yield Holding(what="records of floods", due=len(due), found=len(history.floods), file="history/limits.jsonl")


def _breakers(history: Record, _: Asked) -> Iterator[Holding]:
    """Samples of a breaker from before its poison until the fault was over."""
    every_s = 1.0  # ten a second are taken; a second without any is a hole
    due = found = 0.0
    missing = []
    for fault in history.faults:
        if fault.kind != "poison-breaker" or fault.effective_us is None:
            continue
        end_us = (
            max([fault.effective_us, *(phase.end_us for phase in history.phases)])
            if fault.end_us is None
            else fault.end_us
        )
        span = (fault.effective_us / 1e6, end_us / 1e6)
        wanted = SHARE_COVERED * length_s([span])
        # The others' breakers as well: that they go on is part of what is claimed.
        for domain in dict.fromkeys((fault.target.split(" ")[0], *history.domains)):
            times = [one.t_us / 1e6 for one in history.breakers if one.domain == domain]
            there = min(covered_s(times, span, every_s), wanted)
            due, found = due + wanted, found + there
            missing += [domain] if there < wanted else []
    if due:
        yield Holding(
            what="seconds of samples of circuit breakers",
            due=due,
            found=found,
            file="history/breakers.jsonl",
            missing=tuple(missing),
        )


def _certificates(history: Record, _: Asked) -> Iterator[Holding]:
    """Every listener of every broker has a certificate to be changed; of one that ends by itself, one broker's."""
    listeners = history.due.listeners if history.due is not None else ()
    everywhere = [f" {one.listener} of broker {one.broker}" for one in listeners] or [""]
    due, found = [], []
    for fault in history.faults:
        mine = [one for one in history.certificate_swaps if one.fault == fault.id]
        if fault.effective_us is None:
            continue
        if fault.kind in ("certificate-reload", "ca-rollover"):
            due += [f"{fault.id}{place}" for place in everywhere]
        elif fault.kind == "certificate-expiring":
            due.append(fault.id)
        found += [f"{fault.id} {one.listener} of broker {one.broker}" for one in mine]
        found += [fault.id] if mine else []
    yield named("certificate swaps that were looked at", due, found, "history/certificate-swaps.jsonl")


EXPERIMENTS = Evidence(name="experiments", parts=("experiments",), count=_experiments)
FAULTS = Evidence(name="faults", parts=("faults", "experiments"), count=_faults)
EXPLAINING_FAULTS = Evidence(
    name="faults that may explain it", parts=("faults", "experiments"), count=misleading(_faults)
)
FLOODS = Evidence(name="floods", parts=("floods", "drill_loads"), count=_floods)
BREAKERS = Evidence(name="circuit breakers", parts=("breakers",), count=_breakers)
PASSWORDS = Evidence(
    name="password changes",
    parts=("password_changes",),
    count=_for_faults(
        "password changes whose clients were watched",
        ("password-rotation",),
        lambda history: (one.fault for one in history.password_changes),
        "history/password-changes.jsonl",
    ),
)
CORE_STOPS = Evidence(
    name="stops of the event core",
    parts=("core_stops",),
    count=_for_faults(
        "stops of an event core under load",
        ("core-stop",),
        lambda history: (one.fault for one in history.core_stops),
        "history/core-stops.jsonl",
    ),
)
CERTIFICATES = Evidence(name="certificate swaps", parts=("certificate_swaps",), count=_certificates)
