"""The report of the proof on Kubernetes."""

import json
from pathlib import Path

from necp_validate.core.verdict import Example, Verdict
from necp_validate.kubernetes.outcome import HEADINGS, Killed, Outcome, finding, markdown, rows, save
from necp_validate.kubernetes.replacements import Replacement

BACK = Replacement(
    pod="kafka-0", node="n1", killed_at_s=9.0, gone_s=1.0, made_s=1.25, placed_s=1.5, ready_s=4.0, new_node="n2"
)
LOST = Replacement(pod="kafka-1", node="n1", killed_at_s=9.0, gone_s=1.0)


def outcome(*problems: Example) -> Outcome:
    killed = (Killed(tier="t", by="kill", replacement=BACK), Killed(tier="t", by="kill", replacement=LOST))
    return Outcome(findings=(finding("x", problems, "all is well"),), killed=killed, seconds={"tier api": 61.0})


def test_a_check_fails_with_its_first_problem_and_the_number_of_the_others():
    found = finding("x", [Example(where="a", detail="b"), Example(where="c", detail="d")], "fine")
    assert (found.verdict, found.count, found.summary) == (Verdict.FAIL, 2, "a: b; and 1 more")


def test_the_table_says_never_for_what_did_not_return():
    back, lost = rows(outcome().killed)
    assert len(back) == len(HEADINGS)
    assert back == ("t", "kill", "kafka-0", "n1", "1.0 s", "1.2 s", "1.5 s", "4.0 s", "n2")
    assert lost[5:] == ("never", "never", "never", "nowhere")


def test_nothing_checked_is_unknown():
    assert Outcome(findings=()).verdict is Verdict.UNKNOWN


def test_the_report_is_written(tmp_path: Path):
    save(outcome(Example(where="a", detail="b")), tmp_path)
    document = json.loads((tmp_path / "kubernetes.json").read_text(encoding="utf-8"))
    assert document["verdict"] == "fail"
    assert document["killed"][0]["replacement"]["ready_s"] == 4.0
    text = (tmp_path / "summary.md").read_text(encoding="utf-8")
    assert "| x | fail | a: b |" in text
    assert text == markdown(outcome(Example(where="a", detail="b")))
