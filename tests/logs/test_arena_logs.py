"""Arena-Hard's judgements, new form and old, against its own way of counting."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from log_reading import codes
from log_reading import read as read_all

from competency_gaps.items.config import BenchmarkConfig
from competency_gaps.logs.find import find_parts
from competency_gaps.pipeline.load import load_benchmark
from competency_gaps.util.errors import UserError
from core_helpers import write_lines

LABELS = ["A>>B", "A>B", "A=B", "B>A", "B>>A"]
MODEL, BASELINE, JUDGE = "maker-model", "o3-mini-2025-01-31", "gpt-4.1"


def game(score: str | None):
    return {"score": score, "judgment": {"answer": f"[[A>B]] at first, but [[{score}]]"}}


def judged(uid: str, g0, g1, category: str = "hard_prompt"):
    """A line of the new form; a verdict of ``...`` makes the game null."""
    games = [None if verdict is ... else game(verdict) for verdict in (g0, g1)]
    head = {"uid": uid, "category": category, "judge": JUDGE, "model": MODEL, "baseline": BASELINE}
    return {**head, "games": games}


def judgement(folder: Path, rows, judge: str = JUDGE, model: str = MODEL) -> Path:
    """Judgements with their questions, ``Write UID.``, and answers, ``mine UID``."""
    bench = folder / "data" / "arena-hard-v2.0"
    ids = [row["uid"] for row in rows if "uid" in row]
    write_lines(bench / "question.jsonl", [{"uid": uid, "prompt": f"Write {uid}."} for uid in ids])
    answers = [{"uid": uid, "messages": [{"role": "assistant", "content": f"mine {uid}"}]} for uid in ids]
    write_lines(bench / "model_answer" / f"{model}.jsonl", answers)
    return write_lines(bench / "model_judgment" / judge / f"{model}.jsonl", rows)


def expanded(label: str) -> list[float]:
    """Arena-Hard's list of results for answer A: a strong verdict is written three times."""
    return {"A>>B": [1.0] * 3, "A>B": [1.0], "A=B": [0.5], "B>A": [0.0], "B>>A": [0.0] * 3}[label]


def test_scores_ties_and_places_come_from_the_raw_labels(tmp_path):
    rng = random.Random(0)
    pairs = [(rng.choice(LABELS), rng.choice(LABELS)) for _ in range(60)]
    halves = {"half": ("A>B", None), "other half": (..., "B>>A"), "null": (None, ...)}
    rows = [judged(f"u{i}", *pair) for i, pair in enumerate(pairs)] + [judged(id, *own) for id, own in halves.items()]
    items, _, report = read_all(judgement(tmp_path, rows))
    # In game 0 the model's answer is B, in game 1 it is A.
    results = [[1 - one for one in expanded(g0)] + expanded(g1) for g0, g1 in pairs]
    assert [item.score for item in items] == pytest.approx([*(sum(own) / len(own) for own in results), 0, 0, None])
    told = {warning.code: warning.numbers for warning in report.warnings}
    assert told["one_game"] == (4,)
    first = [(expanded(g0)[0] + expanded(g1)[0]) / 2 for g0, g1 in pairs]
    ties = sum(label == "A=B" for pair in pairs for label in pair)
    assert told["arena_position"][0] == pytest.approx(sum(first) / len(first) - 0.5)
    assert told["arena_ties"][:2] == (pytest.approx(ties / 122), 122)
    assert report.scorer == JUDGE
    assert f"judged by {JUDGE} against {BASELINE}" in " ".join(map(str, report.warnings))


def test_question_and_answer_come_from_the_neighbouring_files(tmp_path):
    path = judgement(tmp_path, [judged("u", "A>B", "A>B"), judged("v", "A>B", "A>B"), judged("w", "A>B", "A>B")])
    bench = path.parents[2]
    write_lines(
        bench / "question.jsonl",
        [{"uid": "u", "category": "coding", "prompt": "One\u2028two?"}, {"uid": "v", "prompt": ["x"]}],
    )
    said = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "One"}]
    said.append({"role": "assistant", "content": {"answer": "Mine\u2028all."}})
    write_lines(bench / "model_answer" / path.name, [{"uid": "u", "model": MODEL, "messages": said}])
    ((item,), left_out, report) = read_all(path)
    assert (item.id, item.prompt, item.response) == ("u", "One\u2028two?", "Mine\u2028all.")
    assert [m["role"] for m in item.messages] == ["system", "user"]
    assert item.group == "hard_prompt"
    assert [one.reason.code for one in left_out] == ["question_more_than_text", "no_question"]
    assert report.body_text == {"question.jsonl": 1} and report.records == 3


def old(id: str, *games):
    return {"question_id": id, "model": MODEL, "judge": JUDGE, "games": list(games)}


def test_the_old_form(tmp_path):
    rows = [
        old("a", {"judgment": "I like [[A>B]]. No: [[B>>A]]", "score": "B>>A"}, {"judgment": "x", "score": "A=B"}),
        old("b", {"judgment": "first [[A>B]], then [[b>>a]]."}, "All in all [[A>B]]"),
        old("c", {"judgment": "[[A>B]]", "score": None}, {"judgment": "no label"}),
    ]
    path = judgement(tmp_path, rows)
    questions = [{"question_id": id, "cluster": "code", "turns": [{"content": f"Old {id}?"}]} for id in "abc"]
    write_lines(path.parents[2] / "question.jsonl", questions)
    answers = [{"question_id": "b", "choices": [{"turns": [{"content": "So."}]}]}]
    write_lines(path.parents[2] / "model_answer" / path.name, answers)
    items, _, report = read_all(path)
    assert [item.score for item in items] == [pytest.approx(3.5 / 4), 1.0, None]
    assert [(item.prompt, item.response, item.group) for item in items] == [
        ("Old a?", None, "code"),
        ("Old b?", "So.", "code"),
        ("Old c?", None, "code"),
    ]
    assert ("no_model_answer", (2,)) in codes(report.warnings)


def test_parts(tmp_path):
    rows = [judged("u", "A>B", "A>B")]
    judgement(tmp_path, rows)
    other = [{**rows[0], "model": "other/model"}]
    judgement(tmp_path, other, model="other")
    names = {part.benchmark: part.model for part in find_parts(tmp_path)}
    assert names == {"arena-hard-v2.0@maker-model": MODEL, "arena-hard-v2.0@model": "other/model"}
    judgement(tmp_path, [{**rows[0], "judge": "gemini"}], judge="gemini")
    assert {part.benchmark for part in find_parts(tmp_path)} == {
        "arena-hard-v2.0:gpt-4.1@maker-model",
        "arena-hard-v2.0:gpt-4.1@model",
        "arena-hard-v2.0:gemini",
    }
    alone = write_lines(tmp_path / "elsewhere" / "judged.jsonl", rows)
    assert [part.benchmark for part in find_parts(alone)] == ["arena-hard"]
    with pytest.raises(UserError, match=r"missing from question\.jsonl"):
        load_benchmark(BenchmarkConfig(name="arena", source={"kind": "log", "path": str(alone)}))


def test_lines_that_are_no_judgement(tmp_path):
    path = judgement(tmp_path, [judged("u", "A>B", "A>B"), judged("u", "B>A", "B>A"), {"uid": "x"}])
    path.write_text(path.read_text() + '{"uid": "y", "ga')
    items, left_out, report = read_all(path)
    assert len(items) == 1
    assert [one.where.rsplit(" ", 1)[-1] for one in left_out] == ["2", "3", "4"]
    assert report.records == 4
    with pytest.raises(UserError, match="arena_hard has no metric"):
        read_all(path, metric="win")
    assert read_all(path, metric="none")[0][0].score is None
