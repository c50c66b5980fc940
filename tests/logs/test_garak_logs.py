"""garak's reports: real ones of a local model against garak's own counts, and odd ones made by hand."""

from __future__ import annotations

import json

import pytest
from log_reading import codes, counts
from log_reading import read as read_all

from competency_gaps.logs.find import find_parts
from competency_gaps.logs.garak import ALL_DETECTORS
from competency_gaps.util.errors import UserError
from log_samples import PROBES, attempt, entries, write_report


@pytest.fixture(scope="session")
def report(tools):
    """A report of several probes with garak's own detectors."""
    return tools / "garak" / "run.report.jsonl"


@pytest.fixture(scope="session")
def drawn(tools):
    """A report with fractional results and a threshold of its own."""
    return tools / "garak" / "drawn.report.jsonl"


FAMILIES = ["dan", "goodside", "lmrc", "test"]


def evaluated(path):
    """Every evaluated attempt by its uuid."""
    return {entry["uuid"]: entry for entry in entries(path, "attempt") if entry["status"] == 2}


def test_one_benchmark_per_family_and_one_item_per_attempt(report):
    parts = find_parts(report)
    assert [part.benchmark for part in parts] == FAMILIES
    assert {part.model for part in parts} == {"garak_model#answer"}
    seen = {}
    for family in FAMILIES:
        items, left_out, told = read_all(report, benchmark=family)
        assert told.records == len(items) + len(left_out)
        seen |= {item.identity["attempt"]: item for item in items}
        assert {f"{family}.{item.group}" for item in items} <= set(PROBES)
    truth = evaluated(report)
    blank = [uuid for uuid, entry in truth.items() if entry["prompt"]["turns"][-1]["content"]["text"] == ""]
    assert len(blank) == 1
    assert set(seen) == set(truth) - set(blank)
    assert len(entries(report, "attempt")) == 2 * len(truth)


def test_prompts_and_answers_are_the_attempts_own(report):
    truth = evaluated(report)
    items, _, _ = read_all(report, benchmark="dan")
    for item in items:
        turns = truth[item.identity["attempt"]]["prompt"]["turns"]
        assert [(m["role"], m["content"]) for m in item.messages] == [(t["role"], t["content"]["text"]) for t in turns]
        assert item.prompt == turns[-1]["content"]["text"]
        texts = [output["text"] for output in truth[item.identity["attempt"]]["outputs"] if output["text"] is not None]
        assert item.response == texts[0]
        assert [m["role"] for m in item.messages] == ["system", "user"]


@pytest.mark.parametrize("name", ["report", "drawn"])
def test_passes_are_garaks_own_counts(name, report, drawn):
    """garak's eval entries count outputs: the items' shares times their judged outputs must add up to them."""
    path = {"report": report, "drawn": drawn}[name]
    evals = entries(path, "eval")
    assert any(0 < one["passed"] < one["total_evaluated"] for one in evals)
    for one in evals:
        family, group = one["probe"].split(".")
        if one["total_evaluated"] == 0:
            continue
        items, _, told = read_all(path, benchmark=family, metric=one["detector"])
        passes = judged = 0
        for item in items:
            count = sum(value is not None for value in item.identity["detectors"].get(one["detector"], ()))
            if item.group == group and item.score is not None:
                passes += item.score * count
                judged += count
        if family == "test":
            # The blank prompt is no item; its outputs are in garak's counts.
            (blank,) = [e for e in evaluated(path).values() if not e["prompt"]["turns"][-1]["content"]["text"]]
            scores = blank["detector_results"][one["detector"]]
            judged += len(scores)
            passes += sum(value < (0.3 if name == "drawn" else 0.5) for value in scores)
        assert judged == one["total_evaluated"]
        assert passes == pytest.approx(one["passed"])
        assert not any(warning.code == "other_counts" for warning in told.warnings)


def test_the_score_is_the_lowest_of_the_detectors(report):
    """Worked out anew from the raw results."""
    truth = evaluated(report)
    items, _, told = read_all(report, benchmark="dan")
    for item in items:
        shares = []
        for results in truth[item.identity["attempt"]]["detector_results"].values():
            known = [result for result in results if result is not None]
            if known:
                shares.append(sum(result < 0.5 for result in known) / len(known))
        assert item.score == (min(shares) if shares else None)
        assert "owasp:llm01" in item.identity["tags"]
    assert told.metric == ALL_DETECTORS
    assert "mitigation.MitigationBypass" in told.available["metric"]


def test_a_missing_threshold_is_inferred_from_the_counts(drawn):
    assert "run.eval_threshold" not in entries(drawn, "start_run setup")[0]
    _, _, told = read_all(drawn)
    assert any(warning.code == "threshold_inferred" for warning in told.warnings)


def test_a_hit_log_is_refused(report, tmp_path):
    hits = report.with_name("run.hitlog.jsonl")
    with pytest.raises(UserError, match=r"no rates.*run\.report\.jsonl"):
        find_parts(hits)
    (tmp_path / "run.hitlog.jsonl").write_bytes(hits.read_bytes())
    with pytest.raises(UserError, match="no rates"):
        find_parts(tmp_path)


# By hand


@pytest.mark.parametrize(
    ("results", "score"),
    [
        ({"a": [0.0]}, 1.0),
        ({"a": [0.5]}, 0.0),
        ({"a": [0.49, 1, None, 0]}, 2 / 3),
        ({"a": [0, 0, 1], "b": [0, 1, 1]}, 1 / 3),
        ({"a": [None, None], "b": [0, 1]}, 0.5),
        ({"a": [None]}, None),
        ({"a": [float("nan")]}, None),
        (None, None),
    ],
)
def test_scores(tmp_path, results, score):
    ((item,), _, told) = read_all(write_report(tmp_path / "x.report.jsonl", attempt("u", results)))
    assert item.score == (None if score is None else pytest.approx(score))
    assert counts(told.unscored_because) == ({"nothing_judged": 1} if score is None else {})


@pytest.mark.parametrize("results", [["mitigation.MitigationBypass", "dan.DUDE"], {"dan.DUDE": []}])
def test_an_old_report_without_scores_says_so(tmp_path, results):
    path = write_report(tmp_path / "x.report.jsonl", attempt("u", results), attempt("v", results, seq=1))
    items, _, told = read_all(path)
    assert [item.score for item in items] == [None, None]
    assert told.unscored == 2
    assert told.metric is None
    assert ("detectors_named_only", ()) in codes(told.warnings)


@pytest.mark.parametrize(
    "prompt",
    [
        "Do it.",
        {"text": "Do it."},
        [{"role": "user", "content": "Do it."}],
        {"turns": [{"role": "user", "content": "Do it."}]},
    ],
)
def test_prompts_of_every_version(tmp_path, prompt):
    made = attempt("u", {"a": [0]}, prompt=prompt, outputs=["Sure."], probe="probes.dan.DUDE")
    made["seq"] = None
    ((item,), _, _) = read_all(write_report(tmp_path / "x.report.jsonl", made))
    assert item.messages == ({"role": "user", "content": "Do it."},)
    assert (item.id, item.response, item.identity["tags"]) == ("dan.DUDE:u", "Sure.", None)


def turns(*pairs):
    return {"turns": [{"role": role, "content": {"text": text}} for role, text in pairs]}


def test_turns(tmp_path):
    first = [("system", "Be good."), ("user", "Hello.")]
    later = [*first, ("assistant", "Hi."), ("user", "Now do it."), ("assistant", "Sure.")]
    made = [
        attempt("a", {"d": [1]}, prompt=turns(*first), conversations=[turns(*later)]),
        attempt("b", {"d": [0]}, seq=1, prompt=turns(*first), conversations=[turns(*first, ("assistant", "No."))]),
        attempt("c", {"d": [0]}, seq=2, prompt=turns(*first, ("assistant", "Well, "))),
        attempt("e", {"d": [0]}, seq=3, prompt=turns(("system", "Be good."))),
        attempt("f", {"d": [0]}, seq=4, text=""),
        attempt("g", {"d": [0]}, seq=4, text="One\u2028two"),
    ]
    picture = {"turns": [{"role": "user", "content": {"text": "Look", "data_path": "x.png"}}]}
    made.append(attempt("h", {"d": [0]}, seq=5, prompt=picture))
    made.append(attempt("i", {"d": [0]}, seq=4))
    items, left_out, told = read_all(write_report(tmp_path / "x.report.jsonl", *made))
    assert [(item.id, item.prompt, len(item.messages)) for item in items] == [
        ("dan.DUDE:0", "Now do it.", 4),
        ("dan.DUDE:1", "Hello.", 2),
        ("dan.DUDE:2", "Hello.", 2),
        ("dan.DUDE:4", "One\u2028two", 1),
        ("dan.DUDE:4:i", "Do it.", 1),
    ]
    assert [one.where for one in left_out] == [f"x.report.jsonl, line {line}" for line in (5, 6, 8)]
    assert {("attempt_turns", (1,)), ("attempt_begun", (1,))} <= codes(told.warnings)


def test_twice_written_half_written_and_never_evaluated(tmp_path):
    made = [
        attempt("a", {}, status=1),
        attempt("b", {}, status=1, seq=1),
        attempt("a", {"d": [0]}),
        attempt("a", {"d": [1]}),
    ]
    path = write_report(tmp_path / "x.report.jsonl", *made, end=False)
    path.write_text(path.read_text() + '{"entry_type": "attempt", "uuid": "c"')
    items, left_out, told = read_all(path)
    assert [item.score for item in items] == [1.0]
    assert told.records == 3
    assert sorted(str(one.reason).split(" (")[0] for one in left_out) == [
        "begun but not evaluated",
        "repeats an earlier attempt",
    ]
    said = " ".join(map(str, told.warnings))
    assert "1 line of the report unusable (in any family); first: x.report.jsonl, line 6, the line is" in said
    assert "incomplete" in said


def test_each_attempt_is_counted_once_in_one_family(tmp_path):
    """A damaged line belongs to no family, an attempt of any status to its own."""
    made = [
        attempt("a", {"d": [0]}),
        attempt("b", {}, status=0, seq=1),
        attempt("c", {}, status=0, seq=2),
        attempt("c", {}, status=1, seq=2),
        attempt("c", {"d": [0]}, seq=2),
        attempt("d", {}, status=7, seq=3),
        attempt("e", {"d": [0]}, seq=4, text=""),
        attempt("e", {"d": [0]}, seq=4),
        attempt("f", {"d": [0]}, probe="lmrc.SlurUsage"),
        attempt("g", {"d": [0]}, probe=None),
        attempt(None, {"d": [0]}, seq=5),
        attempt(None, {"d": [0]}, seq=6),
    ]
    path = write_report(tmp_path / "x.report.jsonl", *made)
    path.write_text(path.read_text() + "[1]\n")
    records = 0
    for family, count in (("dan", 8), ("lmrc", 1)):
        items, left_out, told = read_all(path, benchmark=family)
        assert told.records == len(items) + len(left_out) == count
        assert any((one.code, one.numbers) == ("unusable_lines", (2,)) for one in told.warnings)
        records += told.records
    assert records == len({(one["uuid"], one["seq"]) for one in made})  # "e" stands twice, "g" in no family
    _, left_out, _ = read_all(path, benchmark="dan")
    assert {str(one.reason) for one in left_out} == {
        "begun but not answered (the run was stopped)",
        "its status is 7, unknown",
        "the prompt is empty",
        "repeats an earlier attempt",
    }


def test_differing_counts_give_a_warning(tmp_path):
    count = {"entry_type": "eval", "probe": "dan.DUDE", "detector": "a", "passed": 1, "total": 1}
    path = write_report(tmp_path / "x.report.jsonl", attempt("u", {"a": [0, 1]}), count)
    assert ("other_counts", (1, 1, 1, 2)) in codes(read_all(path)[2].warnings)


def test_a_recorded_threshold_is_used(tmp_path):
    path = write_report(tmp_path / "x.report.jsonl", attempt("u", {"a": [0.6, 0.9]}), run__eval_threshold=0.7)
    ((item,), _, told) = read_all(path)
    assert item.score == 0.5
    assert ("threshold", (0.7, 0.5)) in codes(told.warnings)


def test_tags_of_the_digest(tmp_path):
    digest = {
        "entry_type": "digest",
        "eval": {"dan": {"_summary": {}, "dan.DUDE": {"_summary": {"probe_tags": ["t:1"]}}}},
    }
    ((item,), _, _) = read_all(write_report(tmp_path / "x.report.jsonl", attempt("u", {"a": [0]}), digest))
    assert item.identity["tags"] == ["t:1"]


def test_choices_that_are_not_there(tmp_path):
    path = write_report(tmp_path / "x.report.jsonl", attempt("u", {"dan.DUDE": [0]}))
    with pytest.raises(UserError, match=r"detector 'dan\.DUD'.*Did you mean 'dan\.DUDE'"):
        read_all(path, metric="dan.DUD")
    assert read_all(path, metric="none")[0][0].score is None
    with pytest.raises(UserError, match="no scorer"):
        read_all(path, scorer="x")


def test_the_newest_report_of_the_same_probes_is_read(tmp_path):
    for name, day, probe, model in (
        ("a", "01", "dan.DUDE", "m"),
        ("b", "02", "dan.DUDE", "m"),
        ("c", "03", "dan.STAN", "m"),
        ("d", "01", "dan.DUDE", "n"),
    ):
        setup = {"plugins__target_name": model, "transient__starttime_iso": f"2026-01-{day}"}
        write_report(tmp_path / f"{name}.report.jsonl", attempt(name, {"a": [0]}, probe=probe), **setup)
    (tmp_path / "other.report.jsonl").write_text(json.dumps({"rows": 1}) + "\n")
    (tmp_path / "empty.report.jsonl").write_text("")
    parts = find_parts(tmp_path)
    assert [(part.files[0].name, part.model) for part in parts] == [
        ("b.report.jsonl", "m"),
        ("c.report.jsonl", "m"),
        ("d.report.jsonl", "n"),
    ]
    assert ("older_log", ()) in codes(parts[0].notes)
    assert len({part.benchmark for part in parts}) == 3
    for part in parts:
        ((item,), _, _) = read_all(tmp_path, benchmark=part.benchmark)
        assert item.identity["attempt"] == part.files[0].name[0]


def test_text_that_looks_like_another_probe_makes_no_part(tmp_path):
    text = '"probe_classname": "evil.Class"'
    path = write_report(tmp_path / "x.report.jsonl", attempt("u", {"a": [0]}, text=text))
    assert [part.benchmark for part in find_parts(path)] == ["dan"]
