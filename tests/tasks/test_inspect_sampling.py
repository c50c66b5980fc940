"""Inspect's tasks: several models, sampled answers, and unsupported settings."""

from __future__ import annotations

import shutil
from pathlib import Path

import anyio
import pytest

import competency_gaps
from competency_gaps.config import BenchmarkConfig, GenerationConfig, parse_config
from competency_gaps.errors import UserError
from core_helpers import loaded

pytest.importorskip("inspect_ai")
FILE = Path(__file__).with_name("inspect_tasks.py")


def _config(tiny_config, name, **changes):
    entry = {"name": "task", "source": {"kind": "task", "harness": "inspect", "name": name}}
    sae = {**tiny_config["sae"], "force": True}
    return {**tiny_config, "sae": sae, "batch_tokens": 1024, "benchmarks": [entry], **changes}


def _answers(run):
    from inspect_ai.log import read_eval_log

    (path,) = (run.path / "harness").glob("*/*.eval")
    samples = read_eval_log(str(path)).samples
    return {(sample.id, sample.epoch): sample.output.completion for sample in samples}


def test_sampled_epochs_differ_and_a_rerun_gives_the_same_answers(tiny_config, tmp_path, monkeypatch):
    from competency_gaps.harnesses.inspect import evaluate as inspect_run
    from competency_gaps.harnesses.inspect import model as inspect_model

    name = f"{FILE}@sampled"
    first = _answers(competency_gaps.run(_config(tiny_config, name), tmp_path / "first"))
    monkeypatch.setattr(inspect_run, "CONNECTIONS", 1)  # one after the other, in another order
    monkeypatch.setattr(inspect_model, "GATHER", 0.0)
    again = _answers(competency_gaps.run(_config(tiny_config, name), tmp_path / "again"))
    assert again == first and len(first) == 12
    for sample in {sample for sample, _ in first}:
        assert first[sample, 1] != first[sample, 2]
    other = _config(tiny_config, name, generation={"seed": 7})
    assert _answers(competency_gaps.run(other, tmp_path / "other")) != first


def test_two_models_of_one_name_in_one_process(tiny_config, tmp_path, tokenizer, model_folder):
    import torch
    from transformers import AutoModelForCausalLM

    place = tmp_path / "model"
    shutil.copytree(model_folder("llama"), place)
    config = {"model": {"name": str(place), "dtype": "float32"}}
    first = competency_gaps.run(_config(tiny_config, f"{FILE}@letters", **config), tmp_path / "first")
    model = AutoModelForCausalLM.from_pretrained(place).eval()
    with torch.no_grad():
        model.model.embed_tokens.weight.copy_(model.model.embed_tokens.weight.roll(17, dims=0))
    model.save_pretrained(place)
    second = competency_gaps.run(_config(tiny_config, f"{FILE}@letters", **config), tmp_path / "second")
    answers = _answers(second)
    assert answers != _answers(first)
    for (sample, _), text in answers.items():
        row = next(row for row in second.items.iter_rows(named=True) if row["item_id"] == str(sample))
        ids = torch.tensor([tokenizer(row["text"], add_special_tokens=False)["input_ids"]])
        with torch.inference_mode():
            out = model.generate(ids, max_new_tokens=4, do_sample=False, pad_token_id=1)[0, ids.shape[1] :]
        assert text == tokenizer.decode(out, skip_special_tokens=True)


def test_a_path_may_contain_an_at_sign(tiny_config, tmp_path):
    place = tmp_path / "me@x"
    place.mkdir()
    text = FILE.read_text().split("@task\ndef sampled")[0]
    (place / "one.py").write_text(text.replace("@task\ndef sums", "def sums").lstrip())
    for number, name in enumerate((f"{place}/one.py", f"{place}/one.py@letters")):
        run = competency_gaps.run(_config(tiny_config, name), tmp_path / f"run{number}")
        assert run.items["score"].to_list() == [0.0, 1.0, 1.0, 0.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("option", "refused", "neutral"),
    [
        ("frequency_penalty", 1.0, 0.0),
        ("presence_penalty", 1.0, 0.0),
        ("top_k", 1, 0),
        ("num_choices", 2, 1),
        ("logprobs", True, False),
    ],
)
def test_settings_that_are_not_neutral_are_refused(option, refused, neutral, model_folder):
    from inspect_ai.model import ChatMessageUser, GenerateConfig

    from competency_gaps.harnesses.inspect.model import BatchedModel, _output

    asking = BatchedModel(loaded(model_folder("llama")), GenerationConfig(), 512)
    messages = [ChatMessageUser(content="What is one?")]

    async def ask(value):
        return await _output(asking, "m", messages, GenerateConfig(max_tokens=2, **{option: value}))

    with pytest.raises(UserError, match=f"the task sets {option}"):
        anyio.run(ask, refused)
    assert anyio.run(ask, neutral).usage.output_tokens <= 2


def test_the_files_beside_a_task_are_part_of_it(tiny_config, tmp_path, model_folder):
    from competency_gaps.config import RunConfig
    from competency_gaps.harnesses.inspect.evaluate import _fingerprint

    shutil.copy(FILE, tmp_path / "tasks.py")
    data = _config(tiny_config, f"{tmp_path}/tasks.py@letters")
    config = parse_config(RunConfig, data, "test")
    choice = parse_config(BenchmarkConfig, data["benchmarks"][0], "test")
    lm = loaded(model_folder("llama"))

    def found():
        return _fingerprint(choice, lm, config, tmp_path / "run")

    before = found()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "gate.json").write_text("{}")
    assert found() == before
    for name in ("helper.py", "data/rows.jsonl"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("1")
        after = found()
        assert after != before
        before = after
        (tmp_path / name).write_text("2")
        assert found() != before
        before = found()
