"""Claims about what must hold of every event: durability, processing, and a graceful end."""

from __future__ import annotations

from necp_validate.claims.checks.events.fuzzing import fuzzed
from necp_validate.claims.checks.events.handling import PlantedOutcome, planted_outcome
from necp_validate.claims.checks.events.stakes import stakes_due
from necp_validate.claims.checks.registry import NoEvidence
from necp_validate.claims.judge import Evidence, Ruling, judges
from necp_validate.core import Verdict, worst
from necp_validate.evidence.load_workers import missing_workers
from necp_validate.record import History

SHUTDOWN_S = 30.0


@judges("DUR-ACKED", "0 acknowledged events lost")
def acked_is_durable(evidence: Evidence) -> Ruling:
    """No acknowledged event is ever lost: a configuration that allows a loss does not make it none."""
    findings = [evidence.finding(name) for name in ("lost-write", "unseen")]
    acked = sum(stream.acked.count for load in evidence.history.senders for stream in load.streams)
    lost = sum(finding.count for finding in findings)
    summary = "; ".join(finding.summary for finding in findings)
    allowed = next((finding.allowed for finding in findings if finding.allowed), None)
    if allowed:
        summary += f" (the producers' configuration permits it: {allowed})"
    verdict = Verdict.FAIL if lost else worst(finding.verdict for finding in findings)
    measured = f"{lost:,} of {acked:,} lost" if acked else ""
    return Ruling(verdict=verdict, measured=measured, evidence=summary)


@judges("EVT-COMBAT", "every planted cheat rejected, nothing else rejected, damage as the model has it")
def cheats_are_rejected(evidence: Evidence) -> Ruling:
    """Known cheats in the combat stream, against the event core's rejections."""
    if (ruling := fuzzed(evidence, "combat")) is not None:
        return ruling
    outcome = planted_outcome(evidence.history, "combat", "cheat")
    if not outcome.planted:
        raise NoEvidence("no cheat was planted among the combat events")
    measured = f"{outcome.ended:,} rejected of {outcome.planted:,} planted cheats"
    right, damage = _damage(evidence.history)
    verdict = _verdict(evidence.history, outcome.holds and right)
    note = f"counted from the event core's receipts, read back; {damage}"
    return Ruling(verdict=verdict, measured=measured, evidence=_bounds(outcome, note))


def _damage(history: History) -> tuple[bool, str]:
    """Whether the event core dealt the damage that the hits sent add up to, as far as that is known."""
    readback = history.readback
    due = stakes_due(history, "combat")
    if due is None or readback is None or "combat" not in readback.totals:
        return True, "damage not comparable: not every event was acked and handled exactly once, or it was not recorded"
    dealt, expected = readback.totals["combat"].get("damage", 0), due.get("damage", 0)
    if dealt == expected:
        return True, f"{dealt:,} points of damage dealt, exactly what the model has for the hits that were sent"
    return False, f"{dealt:,} points of damage dealt, but {expected:,} by the model for the hits that were sent"


@judges("EVT-REGISTRY", "every planted invalid event dead-lettered, nothing else dead-lettered")
def poison_is_dead_lettered(evidence: Evidence) -> Ruling:
    """Planted invalid events of every domain, against outcomes and records in the dead-letter topics."""
    history = evidence.history
    if (ruling := fuzzed(evidence)) is not None:
        return ruling
    outcomes = {domain: planted_outcome(history, domain, "poison") for domain in history.domains}
    planted = sum(outcome.planted for outcome in outcomes.values())
    if not planted or history.readback is None:
        raise NoEvidence("no invalid event was planted")
    ended = sum(outcome.ended for outcome in outcomes.values())
    records = sum(history.readback.dead_letters.values())
    wrong = [domain for domain, outcome in outcomes.items() if not outcome.holds]
    lowest, highest = (sum(getattr(o, side) for o in outcomes.values()) for side in ("low", "high"))
    verdict = _verdict(history, not wrong and lowest <= records <= highest)
    measured = f"{ended:,} of {planted:,} dead-lettered, {records:,} records in the dead-letter topics"
    note = f"wrong in {', '.join(wrong)}" if wrong else "from receipts and dead-letter topics, read back"
    if fuzz := sum(history.planted("fuzz", domain) for domain in history.domains):
        note += f"; {fuzz:,} of them by mutation operators on what Hypothesis drew"
    return Ruling(verdict=verdict, measured=measured, evidence=note)


def _verdict(history: History, holds: bool) -> Verdict:
    """What is planted in events that nobody accounts for is not known: finding nothing wrong then proves nothing."""
    if not holds:
        return Verdict.FAIL
    return Verdict.UNKNOWN if missing_workers(history) else Verdict.PASS


def _bounds(outcome: PlantedOutcome, note: str) -> str:
    if outcome.low == outcome.high:
        return note
    return f"{note}; {outcome.low:,} to {outcome.high:,} expected, as some were not acked or occur twice"


@judges("OPS-HEALTH", "healthy, then exit 0 within 30 s of the request to stop, nothing lost")
def graceful_shutdown(evidence: Evidence) -> Ruling:
    """The event core was healthy, and stopped in time without losing what it had taken."""
    shutdown = evidence.history.core_shutdown
    if shutdown is None:
        raise NoEvidence("no shutdown of the event core was recorded")
    problems = []
    if not shutdown.healthy_before:
        problems.append("it was not healthy before")
    if shutdown.exit_code != 0:
        problems.append(f"it ended with exit code {shutdown.exit_code}")
    if shutdown.seconds > SHUTDOWN_S:
        problems.append(f"it took longer than {SHUTDOWN_S:.0f} s")
    kept = evidence.finding("conservation")
    verdict = Verdict.FAIL if problems else kept.verdict
    if kept.verdict is not Verdict.PASS:
        problems.append(kept.summary)
    measured = f"exit {shutdown.exit_code} after {shutdown.seconds:.1f} s"
    text = "; ".join(problems) or f"asked to stop after the load; {kept.summary}"
    return Ruling(verdict=verdict, measured=measured, evidence=text)
