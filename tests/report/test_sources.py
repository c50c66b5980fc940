"""What logs left in doubt stands in the report."""

from __future__ import annotations

from dataclasses import asdict, replace

from competency_gaps.items.benchmark import Benchmark
from competency_gaps.items.item import Reason, SourceReport
from competency_gaps.presentation.facts import SourceWarning, source_warnings, unread
from competency_gaps.report.html import render
from competency_gaps.stages.logs import with_model_warnings


def entry(name: str, *reports: dict) -> dict:
    return {"name": name, "items": 1, "policy": "choice", "left_out": [], "source": list(reports)}


def doubts(*texts: str) -> dict:
    counted = {"reason": Reason("score_nan", "the score is NaN").as_dict(), "count": 2}
    return {"warnings": [Reason("other", text).as_dict() for text in texts], "unscored_because": [counted]}


def test_a_log_of_another_model_is_a_bad_warning():
    report = SourceReport(
        benchmark="b", format="lm_eval", files=(), model="Org/Other-7B", warnings=(Reason("other", "two metrics"),)
    )
    kept = with_model_warnings(Benchmark("b", (), reports=(report,)), "Org/Ours-7B")[0].reports[0]
    manifest = {"benchmarks": [entry("a"), entry("b", asdict(kept)), {"name": "c"}]}
    plain, bad = source_warnings(manifest)
    assert plain == SourceWarning("b", "two metrics", False)
    assert bad.bad and bad.text.startswith("the log is of the model 'Org/Other-7B'") and bad.benchmark == "b"


def test_a_warning_of_several_parts_is_shown_once():
    one = doubts("the log names no model", "\u202esomething <b>else</b>")
    found = source_warnings({"benchmarks": [entry("a", one, one), entry("b", one)]})
    assert [(each.benchmark, each.text) for each in found] == [
        ("a", "the log names no model"),
        ("a", "<U+202E>something <b>else</b>"),
        ("a", "2 records without a score: the score is NaN"),
        ("b", "the log names no model"),
        ("b", "<U+202E>something <b>else</b>"),
        ("b", "2 records without a score: the score is NaN"),
    ]


def test_the_page_shows_them(run):
    report = doubts("two of the records have no target")
    report["warnings"].insert(
        0,
        Reason(
            "other_model",
            "the log is of the model '<script>alert(1)</script>', the activations come from "
            "'y'. If these are two models, the concepts say what the items are about, not "
            "what goes on in the scored model.",
        ).as_dict(),
    )
    reports = [report]
    benchmarks = [
        {**one, "source": reports if number == 0 else []} for number, one in enumerate(run.manifest["benchmarks"])
    ]
    page = render(replace(run, manifest={**run.manifest, "benchmarks": benchmarks}), top=3, examples=1)
    hero, rest = page.split('<section id="findings">')
    assert "the log is of the model" in hero and "two of the records" not in hero
    assert "Warnings about logs and tasks" in rest and "two of the records have no target" in rest
    assert "<script>alert(1)" not in page
    assert "Warnings about logs" not in render(run, top=3, examples=1)


def test_left_out_records_are_grouped_by_reason():
    left_out = [
        {"where": f"f.jsonl:{line}", "reason": Reason("other", "no answer" if line != 3 else "no prompt").as_dict()}
        for line in range(2, 6)
    ]
    assert unread(left_out) == [("3 records: f.jsonl:2 …", "no answer"), ("f.jsonl:3", "no prompt")]
    assert unread([]) == []
