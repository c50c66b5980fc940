"""Answers of judges and classifiers of several runs, put together."""

from __future__ import annotations

import json

import pytest

from competency_gaps.endpoint import Answer, AnswerStore
from competency_gaps.errors import UserError
from competency_gaps.stages.classifying import FILE
from competency_gaps.stages.judges import FOLDER, WHO, join_answers


def kept(run, file: str, key: str) -> None:
    with AnswerStore(run / FOLDER / file).writing() as store:
        store.add(Answer(key, key, "yes", None, None, None, None, "m"))


def judged(run, model: str, where: str = "http://a", tokens: int | None = None) -> None:
    (run / FOLDER).mkdir(exist_ok=True)
    judge = {"model": model, "where": where, "answer_tokens": tokens, "asked": True}
    (run / FOLDER / WHO).write_text(json.dumps({"judges": [judge]}))


@pytest.fixture
def runs(tmp_path):
    folders = [tmp_path / name for name in ("a", "b", "c")]
    for folder in (*folders, tmp_path / "out"):
        folder.mkdir()
    return folders


def test_answers_of_runs_that_were_only_classified_are_kept(runs, tmp_path):
    for run in runs[:2]:
        (run / FOLDER).mkdir()
        kept(run, FILE, run.name)
    join_answers(runs, tmp_path / "out")
    store = AnswerStore(tmp_path / "out" / FOLDER / FILE)
    assert store.get("a") and store.get("b") and len(store) == 2
    assert not (tmp_path / "out" / FOLDER / WHO).exists()


def test_a_model_at_two_places_is_one_judge(runs, tmp_path):
    for run, where in zip(runs, ("http://a", "http://b"), strict=False):
        judged(run, "judge", where)
        kept(run, "answers.jsonl", run.name)
    join_answers(runs, tmp_path / "out")
    (judge,) = json.loads((tmp_path / "out" / FOLDER / WHO).read_text())["judges"]
    assert judge["model"] == "judge" and judge["asked"]
    assert len(AnswerStore(tmp_path / "out" / FOLDER / "answers.jsonl")) == 2


@pytest.mark.parametrize(("other", "tokens", "says"), [("big", 50, "'big'"), ("small", 90, "up to 90 tokens")])
def test_different_judges_are_named(runs, tmp_path, other, tokens, says):
    judged(runs[0], "small", tokens=50)
    judged(runs[2], other, tokens=tokens)
    with pytest.raises(UserError, match=f"a by 'small' in up to 50 tokens and .*c by .*{says}"):
        join_answers(runs, tmp_path / "out")
