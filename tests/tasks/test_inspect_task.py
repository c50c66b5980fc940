"""A task of Inspect asks the run's model; its scores are Inspect's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import competency_gaps
from competency_gaps.config import GenerationConfig
from competency_gaps.errors import MachineError, UserError
from competency_gaps.harnesses.inspect import model
from competency_gaps.items.remark import Remark
from competency_gaps.model.attempts import Attempts
from core_helpers import loaded

pytest.importorskip("inspect_ai")
FILE = Path(__file__).with_name("inspect_tasks.py")


def _config(tiny_config, task, **source):
    entry = {"name": task, "source": {"kind": "task", "harness": "inspect", "name": f"{FILE}@{task}", **source}}
    return {**tiny_config, "sae": {**tiny_config["sae"], "force": True}, "batch_tokens": 1024, "benchmarks": [entry]}


@pytest.fixture(scope="module")
def sums(tiny_config, tmp_path_factory):
    return competency_gaps.run(_config(tiny_config, "sums"), tmp_path_factory.mktemp("inspect") / "run")


def _log(run):
    from inspect_ai.log import read_eval_log

    (path,) = (run.path / "harness").glob("*/*.eval")
    return read_eval_log(str(path))


def test_score_is_inspects_own(sums):
    log = _log(sums)
    theirs = next(score for score in log.results.scores if score.name == "graded").metrics["mean"].value
    scores = sums.items["score"].to_list()
    assert len(scores) == 10 and len(set(scores)) > 2
    assert sum(scores) / len(scores) == pytest.approx(theirs, abs=1e-12)
    by_sample: dict[str, list[float]] = {}
    for sample in log.samples:
        by_sample.setdefault(str(sample.id), []).append(sample.scores["graded"].value)
    for row in sums.items.iter_rows(named=True):
        assert row["score"] == np.mean(by_sample[row["item_id"]])
        assert row["epochs"] == 2 and row["policy"] == "imported"


def test_the_model_answers_as_it_does_without_inspect(sums, model_folder):
    import torch

    lm = loaded(model_folder("llama"))
    for sample in _log(sums).samples[:4]:
        messages = [{"role": m.role, "content": m.text} for m in sample.messages if m.role != "assistant"]
        assert [m["role"] for m in messages] == ["system", "user"]
        text = lm.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        ids = torch.tensor([lm.tokenizer(text, add_special_tokens=False)["input_ids"]])
        with torch.inference_mode():
            out = lm.model.generate(ids, max_new_tokens=8, do_sample=False, pad_token_id=1)[0, ids.shape[1] :]
        expected = lm.tokenizer.decode(out, skip_special_tokens=True).split("7")[0]
        assert sample.output.completion == expected
        row = next(r for r in sums.items.iter_rows(named=True) if r["item_id"] == str(sample.id))
        assert row["text"] == text


def test_a_finished_log_is_read_again_and_not_asked_again(tiny_config, sums, monkeypatch):
    import inspect_ai

    def never(*args, **options):
        raise AssertionError("Inspect was asked again")

    monkeypatch.setattr(inspect_ai, "eval", never)
    monkeypatch.setattr(inspect_ai, "eval_retry", never)
    again = competency_gaps.run(_config(tiny_config, "sums"), sums.path)
    assert again.items.equals(sums.items)


def test_a_failed_evaluation_is_reported_and_continues(tiny_config, tmp_path):
    config = _config(tiny_config, "sums", arguments={"count": 6})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BREAK_AT", "5")
        with pytest.raises(UserError, match=r"status 'error'.*machine broke down"):
            competency_gaps.run(config, tmp_path / "run")
    run = competency_gaps.run(config, tmp_path / "run")
    assert run.items.height == 6 and run.items["score"].null_count() == 0
    assert len(list((run.path / "harness").glob("*/*.eval"))) == 2


def test_a_sample_that_cannot_be_read_costs_only_itself(tiny_config, tmp_path, monkeypatch):
    real = model.generate

    def some(lm, prompts, **settings):
        made = real(lm, prompts, **settings)
        asked = [lm.tokenizer.decode(prompt) for prompt in prompts]
        return [
            Remark("memory_ran_out") if "What is 3 plus" in text else own for text, own in zip(asked, made, strict=True)
        ]

    monkeypatch.setattr(model, "generate", some)
    run = competency_gaps.run(_config(tiny_config, "sums", arguments={"count": 6}), tmp_path / "run")
    lacking = run.items.filter(run.items["score"].is_null())
    assert run.items.height == 6 and lacking["item_id"].to_list() == ["3"]
    assert _log(run).status == "success"


def test_a_device_that_fails_ends_the_task_as_itself(tiny_config, tmp_path, monkeypatch):
    def broken(*arguments, **settings):
        raise MachineError("the device fails: CUDA error.")

    config = _config(tiny_config, "sums", arguments={"count": 3})
    with monkeypatch.context() as patch:
        patch.setattr(model, "generate", broken)
        with pytest.raises(MachineError, match="the device fails"):
            competency_gaps.run(config, tmp_path / "run")
    run = competency_gaps.run(config, tmp_path / "run")
    assert run.items.height == 3 and run.items["score"].null_count() == 0


def test_limit_and_letter_scores(tiny_config, tmp_path):
    config = _config(tiny_config, "letters")
    config["benchmarks"][0]["limit"] = 4
    run = competency_gaps.run(config, tmp_path / "run")
    assert run.items["score"].to_list() == [0.0, 1.0, 1.0, 0.0]


def test_another_folder_is_refused_before_anything_is_asked(tiny_config, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="holds no run"):
        competency_gaps.run(_config(tiny_config, "letters"), tmp_path)
    assert not (tmp_path / "harness").exists()


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("nowhere.py@sums", {}, "there is no file 'nowhere.py'"),
        (f"{FILE}@sum", {}, "Task named 'sum' not found"),
        (f"{FILE}@sums", {"num_fewshot": 3}, "num_fewshot is an option of lm_eval"),
    ],
)
def test_wrong_names_are_refused(tiny_config, tmp_path, name, options, message):
    config = _config(tiny_config, "sums")
    config["benchmarks"][0]["source"] |= {"name": name, **options}
    with pytest.raises(UserError, match=message):
        competency_gaps.run(config, tmp_path / "run")


def test_questions_at_the_same_time_are_answered_together(model_folder):
    import anyio

    from competency_gaps.harnesses.inspect.model import BatchedModel, _Call
    from competency_gaps.model.generate import generate

    lm = loaded(model_folder("llama"))
    sizes = []

    class Counting(BatchedModel):
        def _answer(self, batch):
            sizes.append(len(batch))
            super()._answer(batch)

    asking = Counting(lm, GenerationConfig(), 2048)
    ids = [np.asarray(lm.tokenizer(f"What is {i}?")["input_ids"], np.int32) for i in range(12)]
    answers = {}

    async def one(i):
        answers[i] = await asking.ask(_Call(ids[i], 6, (), GenerationConfig()))

    async def all_at_once():
        async with anyio.create_task_group() as group:
            for i in range(12):
                group.start_soon(one, i)

    anyio.run(all_at_once)
    assert sum(sizes) == 12 and len(sizes) <= 2
    alone = generate(
        lm,
        [ids[7]],
        max_new_tokens=6,
        stop=(),
        config=GenerationConfig(),
        token_budget=64,
        advance=lambda n: None,
        attempts=Attempts(),
        keys=[""],
    )
    assert answers[7].text == alone[0].text
