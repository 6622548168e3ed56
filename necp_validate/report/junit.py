"""``junit.xml``: claims and checks as test cases, for every CI system that can show tests.

A fail is a failure; an unknown is skipped, with what is missing: JUnit has no third outcome, and a test that did not
run is the nearest to a claim without evidence. What is not applicable is skipped, too, and says so.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path

from necp_validate.core import ClaimResult, Finding, Verdict
from necp_validate.record import RunInfo
from necp_validate.report.faults import FaultRow
from necp_validate.report.verdict import RunVerdict

FILE_NAME = "junit.xml"
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write_junit(run_dir: Path, info: RunInfo, verdict: RunVerdict, faults: Sequence[FaultRow] = ()) -> Path:
    """Write ``junit.xml`` into the run directory and return its path."""
    path = run_dir / FILE_NAME
    path.write_bytes(render(info, verdict, faults))
    return path


def render(info: RunInfo, verdict: RunVerdict, faults: Sequence[FaultRow] = ()) -> bytes:
    """The whole document, UTF-8; a fault that never took effect is skipped."""
    took_s = (info.finished_us - info.started_us) / 1e6 if info.finished_us else 0.0
    root = ET.Element("testsuites", name=f"necp-validate {info.scenario}", time=f"{took_s:.3f}")
    claims = _suite(root, "claims", [claim.verdict for claim in verdict.claims])
    for claim in verdict.claims:
        _claim(claims, claim)
    checks = _suite(root, "checks", [check.verdict for check in verdict.checks])
    for check in verdict.checks:
        _check(checks, check)
    if faults:
        seen = _suite(root, "faults", [Verdict.PASS if fault.seen else Verdict.UNKNOWN for fault in faults])
        for fault in faults:
            _fault(seen, fault)
    for name in ("tests", "failures", "skipped", "errors"):
        root.set(name, str(sum(int(suite.get(name, "0")) for suite in root)))
    ET.indent(root)
    document: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return document


def _suite(root: ET.Element, name: str, verdicts: list[Verdict]) -> ET.Element:
    return ET.SubElement(
        root,
        "testsuite",
        name=name,
        tests=str(len(verdicts)),
        failures=str(verdicts.count(Verdict.FAIL)),
        skipped=str(verdicts.count(Verdict.UNKNOWN) + verdicts.count(Verdict.NOT_APPLICABLE)),
        errors="0",
    )


def _claim(suite: ET.Element, claim: ClaimResult) -> None:
    case = ET.SubElement(suite, "testcase", classname="claims", name=f"{claim.id}: {_clean(claim.threshold)}")
    measured = claim.measured or "nothing measured"
    phase = f"\nphase: {claim.phase}" if claim.phase else ""
    source = f"\nfrom: {claim.source}" if claim.source else ""
    sees = f"\nwould have seen: {claim.sees}" if claim.sees else ""
    text = (
        f"claim: {claim.title}\nclaimed: {claim.threshold}\nmeasured: {measured}\n{claim.evidence}{phase}{source}{sees}"
    )
    if claim.verdict is Verdict.FAIL:
        _outcome(case, "failure", f"{measured}, claimed {claim.threshold}", text)
    elif claim.verdict is Verdict.UNKNOWN:
        _outcome(case, "skipped", f"unknown: {claim.evidence}", text)
    else:
        ET.SubElement(case, "system-out").text = _clean(text)


def _check(suite: ET.Element, check: Finding) -> None:
    case = ET.SubElement(suite, "testcase", classname="checks", name=check.name)
    allowed = [f"allowed: {check.allowed}"] if check.allowed else []
    sees = [f"would have seen: {check.sees}"] if check.sees else []
    text = "\n".join([check.summary, *allowed, *sees, *(f"{one.where}: {one.detail}" for one in check.examples)])
    if check.verdict is Verdict.FAIL:
        _outcome(case, "failure", check.summary, text)
    elif check.verdict in (Verdict.UNKNOWN, Verdict.NOT_APPLICABLE):
        _outcome(case, "skipped", f"{check.verdict}: {check.summary}", text)
    else:
        ET.SubElement(case, "system-out").text = _clean(text)


def _fault(suite: ET.Element, fault: FaultRow) -> None:
    case = ET.SubElement(suite, "testcase", classname="faults", name=_clean(f"{fault.id}: {fault.target}"))
    lines = [
        f"seen: {fault.evidence}",
        f"acked/s before, in the worst second, after: {fault.rates}",
        f"longest gap: {fault.gap}; recovery: {fault.recovery}; rebalance: {fault.rebalance}",
        *(f"{who}: {when}" for who, when in fault.recoveries),
    ]
    if fault.seen:
        ET.SubElement(case, "system-out").text = _clean("\n".join(lines))
    else:
        _outcome(case, "skipped", f"unknown: {fault.evidence}", "\n".join(lines))


def _outcome(case: ET.Element, tag: str, message: str, text: str) -> None:
    ET.SubElement(case, tag, message=_clean(message)).text = _clean(text)


def _clean(text: str) -> str:
    """Without the characters that XML cannot hold, not even escaped (a detail may quote raw bytes)."""
    return _NOT_XML.sub("\ufffd", text)
