"""Unusual models, tokenizers and settings: requests and scores are still the harness's own."""

from __future__ import annotations

import contextlib
import json
import logging
from pathlib import Path

import polars as pl
import pytest
from harness_tasks import write_tasks

import competency_gaps
from competency_gaps.config import BenchmarkConfig, TaskSource, parse_config
from competency_gaps.harnesses.lm_eval.notes import with_notes
from competency_gaps.harnesses.tasks import read_task
from competency_gaps.items.policy import Output, Policy
from competency_gaps.stages.load import load_benchmark
from core_helpers import loaded

REFUSES_SYSTEM = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system role') }}{% endif %}"


@pytest.fixture(scope="module")
def tasks(tmp_path_factory) -> Path:
    """A few items of each task."""
    pytest.importorskip("lm_eval")
    return write_tasks(tmp_path_factory.mktemp("few"), items=8)


@pytest.fixture(scope="module")
def with_bos(tmp_path_factory, model_folder):
    """A model whose tokenizer puts a first token before each text, and whose chat template does not."""

    def make(kind):
        from tokenizers.processors import TemplateProcessing
        from transformers import AutoModelForCausalLM, AutoTokenizer

        folder = tmp_path_factory.mktemp(f"bos_{kind}")
        AutoModelForCausalLM.from_pretrained(model_folder(kind)).save_pretrained(folder)
        tokenizer = AutoTokenizer.from_pretrained(model_folder(kind))
        tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
            single="<|bos|> $A", pair="<|bos|> $A $B", special_tokens=[("<|bos|>", 0)]
        )
        tokenizer.chat_template = REFUSES_SYSTEM + tokenizer.chat_template
        tokenizer.save_pretrained(folder)
        return folder

    return make


def _run(tiny_config, model, tasks, names, out, *, arguments=None, model_options=None, **options):
    source = {"kind": "task", "harness": "lm_eval", "include_path": str(tasks)}
    changed = [{**source, "name": name, **options, "arguments": (arguments or {}).get(name, {})} for name in names]
    config = {
        **tiny_config,
        "model": {"name": str(model), "dtype": "float32", **(model_options or {})},
        "sae": {**tiny_config["sae"], "force": True},
        "benchmarks": [{"name": one["name"], "source": one} for one in changed],
    }
    return competency_gaps.run(config, out)


def _theirs(model, tasks, name, batch_size=8, **options):
    from lm_eval import simple_evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    lm = HFLM(pretrained=str(model), dtype="float32", device="cpu", batch_size=batch_size)
    manager = TaskManager(include_path=str(tasks), include_defaults=False)
    found = simple_evaluate(model=lm, tasks=[name], task_manager=manager, bootstrap_iters=0, **options)
    return found["samples"][name]


def _rows(run, name):
    return list(run.items.filter(pl.col("benchmark") == name).iter_rows(named=True))


def _compare(rows, samples):
    samples = [one for one in samples if one["filter"] == samples[0]["filter"]]
    assert len(rows) == len(samples) > 0
    for sample in samples:
        row = rows[sample["doc_id"]]
        assert row["excluded"] is None and row["text"] == sample["arguments"][0][0]
        if row["logprobs"]:
            theirs = [float(one[0][0]) for one in sample["resps"]]
            assert row["logprobs"] == pytest.approx(theirs, abs=1e-4)
            assert row["score"] == sample["acc"]
        else:
            assert row["response"] == sample["resps"][0][0]


def test_a_chat_gets_the_tokenizers_first_token(with_bos, tasks, tiny_config, tmp_path):
    """The template brings no first token and refuses system messages."""
    model, names = with_bos("llama"), ("tiny_choice", "tiny_generate")
    options = {"model_options": {"system_prompt": "Be brief."}, "chat_template": "on"}
    run = _run(tiny_config, model, tasks, names, tmp_path / "run", **options)
    for name in names:
        chat = {"apply_chat_template": True, "system_instruction": "Be brief."}
        theirs = _theirs(model, tasks, name, **chat)
        _compare(_rows(run, name), theirs)
        (path,) = (run.path / "lm_eval").glob(f"*/samples_{name}_*.jsonl")
        line = json.loads(path.read_text().split("\n")[0])
        assert line["arguments"]["gen_args_0"]["arg_0"] == theirs[0]["arguments"][0][0]
        assert line["prompt_hash"] == theirs[0]["prompt_hash"]
    for entry in run.manifest["benchmarks"]:
        (report,) = entry["source"]
        assert {"code": "system_refused", "numbers": [8], "quotes": []} in report["warnings"]


def test_gemma_with_a_first_token(with_bos, tasks, tiny_config, tmp_path):
    model, names = with_bos("gemma2"), ("tiny_choice", "tiny_mutual", "tiny_blank", "tiny_generate")
    run = _run(tiny_config, model, tasks, names, tmp_path / "run")
    for name in names:
        _compare(_rows(run, name), _theirs(model, tasks, name))


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_an_option_with_a_context_of_its_own_that_is_too_long(kind, model_folder, tiny_config, tmp_path):
    tasks = write_tasks(tmp_path / "tasks", items=4)
    lines = (tasks / "blank.jsonl").read_text().split("\n")
    doc = json.loads(lines[2])
    doc["options"][1] = "city " * 300
    lines[2] = json.dumps(doc)
    (tasks / "blank.jsonl").write_text("\n".join(lines))
    run = _run(tiny_config, model_folder(kind), tasks, ("tiny_blank",), tmp_path / "run")
    reasons = [row["excluded"] for row in _rows(run, "tiny_blank")]
    assert reasons[:2] == [None, None] and reasons[3] is None
    assert reasons[2]["code"] == "too_long_with_answer" and reasons[2]["numbers"][2] == 256


def test_a_stop_string_that_is_a_special_token(tasks, model_folder, tiny_config, tmp_path):
    """The model says it in the place of another token, and would go on behind it."""
    import torch
    from transformers import AutoModelForCausalLM

    lm = loaded(model_folder("llama"))
    (first, *_) = _theirs(model_folder("llama"), tasks, "tiny_generate", 1)
    prompt = lm.tokenizer(first["arguments"][0][0], return_tensors="pt")["input_ids"]
    with torch.inference_mode():
        often = lm.model.generate(prompt, max_new_tokens=12, do_sample=False, pad_token_id=1)[0, -1]
    place = tmp_path / "model"
    model = AutoModelForCausalLM.from_pretrained(model_folder("llama"), tie_word_embeddings=False)
    end = lm.tokenizer.convert_tokens_to_ids("<|end|>")
    with torch.no_grad():
        model.lm_head.weight.copy_(model.model.embed_tokens.weight)
        model.lm_head.weight[end] = 1.2 * model.lm_head.weight[often]
    model.save_pretrained(place)
    lm.tokenizer.save_pretrained(place)
    text = (tasks / "tiny_generate.yaml").read_text()
    own = tmp_path / "tasks"
    own.mkdir()
    (own / "tiny_generate.yaml").write_text(text.replace('until: ["\\n", "."]', 'until: ["<|end|>"]'))
    theirs = _theirs(place, own, "tiny_generate", 1)
    run = _run(tiny_config, place, own, ("tiny_generate",), tmp_path / "run")
    _compare(_rows(run, "tiny_generate"), theirs)
    length = {len(row["response"]) for row in _rows(run, "tiny_generate")}
    assert min(length) < max(length), "some answer is ended by the token"
    assert all("<|end|>" not in row["response"] for row in _rows(run, "tiny_generate"))


def test_a_greedy_task_is_greedy_in_a_run_that_samples(tasks, model_folder, tiny_config, tmp_path):
    config = {**tiny_config, "generation": {"temperature": 0.8}}
    run = _run(config, model_folder("llama"), tasks, ("tiny_generate",), tmp_path / "greedy")
    theirs = _theirs(model_folder("llama"), tasks, "tiny_generate")
    _compare(_rows(run, "tiny_generate"), theirs)
    assert _options(run)["do_sample"] is False
    options = {"until": ["."], "do_sample": True, "temperature": 0.3, "max_gen_toks": 4}
    samples = {"arguments": {"tiny_generate": {"generation_kwargs": options}}}
    for temperature in (0.8, 0.0):
        config = {**tiny_config, "generation": {"temperature": temperature}}
        out = tmp_path / f"sampled{temperature}"
        logged = _options(_run(config, model_folder("llama"), tasks, ("tiny_generate",), out, **samples))
        assert logged["temperature"] == temperature and logged["do_sample"] is (temperature > 0)
        assert logged["max_gen_toks"] == 4


def _options(run):
    (path,) = (run.path / "lm_eval").glob("*/samples_tiny_generate_*.jsonl")
    return json.loads(path.read_text().split("\n")[0])["arguments"]["gen_args_0"]["arg_1"]


@contextlib.contextmanager
def _penalty(lm, value):
    settings = lm.model.generation_config
    before, settings.repetition_penalty = settings.repetition_penalty, value
    try:
        yield
    finally:
        settings.repetition_penalty = before


def test_a_models_own_penalty_gives_a_warning(tasks, model_folder):
    lm = loaded(model_folder("llama"))
    for name, wanted in (("tiny_generate", 1), ("tiny_choice", 0)):
        source = {"kind": "task", "harness": "lm_eval", "include_path": str(tasks), "name": name}
        choice = parse_config(BenchmarkConfig, {"name": name, "source": source}, "test")
        benchmark = load_benchmark(choice)
        assert with_notes(benchmark, lm, None) == benchmark
        with _penalty(lm, 1.3):
            said = [
                one
                for one in with_notes(benchmark, lm, None).reports[0].warnings
                if one.quotes == ("repetition_penalty",) and one.numbers == (1.3,)
            ]
        assert len(said) == wanted


F1 = """
task: shared_words
dataset_path: json
dataset_kwargs: {{data_files: {{test: "{folder}/sums.jsonl"}}}}
output_type: generate_until
test_split: test
doc_to_text: !function words.question
doc_to_target: answer
process_results: !function words.scored
generation_kwargs: {{until: ["."], max_gen_toks: 4}}
metric_list:
  - {{metric: f1, aggregation: mean, higher_is_better: true}}
"""
WORDS = """
import sys


def question(doc):
    print("a word of the task's own", file=sys.stderr)
    return f"Compute {doc['a']}:"


def scored(doc, results):
    return {"f1": 0.25}
"""


def test_f1_of_each_item_is_a_score_and_the_tasks_words_are_heard(tmp_path, capfd):
    tasks = write_tasks(tmp_path / "tasks", items=4)
    (tasks / "shared_words.yaml").write_text(F1.format(folder=tasks).lstrip())
    (tasks / "words.py").write_text(WORDS)
    source = TaskSource(harness="lm_eval", name="shared_words", include_path=tasks)
    entries = list(read_task(source))
    (policy,) = [entry for entry in entries if isinstance(entry, Policy)]
    assert policy.metric == "f1"
    assert policy.score(entries[0], Output(text="4")).value == 0.25
    heard = capfd.readouterr().err
    assert "a word of the task's own" in heard and "it/s" not in heard


def test_an_aggregation_that_fails_says_why(tasks, caplog):
    from competency_gaps.harnesses.lm_eval.results import _Summary

    source = TaskSource(harness="lm_eval", name="tiny_choice", include_path=tasks)
    policy = next(entry for entry in read_task(source) if isinstance(entry, Policy))
    summary = _Summary("quiz", [])
    summary.task = policy.task
    assert summary._aggregate("mcc", [1, 2]) is None
    assert "quiz: no value of 'mcc'" in caplog.text and "TypeError" in caplog.text
