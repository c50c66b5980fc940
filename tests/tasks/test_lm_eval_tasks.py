"""Reading tasks of lm-evaluation-harness: names, groups, metrics, chats, and what is refused."""

from __future__ import annotations

import json

import polars as pl
import pytest

import competency_gaps
from competency_gaps.config import TaskSource, parse_config
from competency_gaps.config.benchmark import BenchmarkConfig
from competency_gaps.config.model import ModelConfig
from competency_gaps.errors import UserError
from competency_gaps.harnesses.tasks import expand, parse_task, read_task, task_entries, with_chat_template
from competency_gaps.items.item import Item, SourceReport
from competency_gaps.items.policy import Continuations, Generation, Output, Policy
from competency_gaps.items.remark import Remark

WHOLE_F1 = [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}, {"metric": "f1"}]
VOTES = {
    "repeats": 8,
    "generation_kwargs": {"until": ["\n"], "do_sample": True, "temperature": 0.7},
    "filter_list": [{"name": "maj@8", "filter": [{"function": "majority_vote"}, {"function": "take_first"}]}],
}


@pytest.fixture(scope="module")
def read(task_folder):
    def read(name, **options):
        entries = list(read_task(TaskSource(harness="lm_eval", name=name, include_path=task_folder, **options)))
        (policy,) = [entry for entry in entries if isinstance(entry, Policy)]
        (report,) = [entry for entry in entries if isinstance(entry, SourceReport)]
        return [entry for entry in entries if isinstance(entry, Item)], policy, report

    return read


def test_groups_and_tags_become_their_tasks(task_folder):
    group = TaskSource(harness="lm_eval", name="tiny_group", include_path=task_folder)
    found = [(one.name, one.arguments) for one in expand(group)]
    assert found == [
        ("tiny_choice", {"num_fewshot": 1}),
        ("tiny_blank", {}),
        ("tiny_choice", {}),
        ("tiny_exact", {}),
        ("tiny_mutual", {}),
    ]
    names = [entry["name"] for entry in task_entries(["lm_eval:tiny_group"], include_path=task_folder)]
    assert names == ["tiny_choice", "tiny_blank", "tiny_choice-2", "tiny_exact", "tiny_mutual"]
    for entry in task_entries(["lm_eval:tiny_all"], include_path=task_folder, num_fewshot=0):
        parsed = parse_config(BenchmarkConfig, entry, "test").source
        assert parsed.num_fewshot == 0 and parsed.harness == "lm_eval"


def test_a_groups_settings_reach_its_task(read):
    (first, *_), _, _ = read("tiny_choice", arguments={"num_fewshot": 1})
    assert first.seen.text.count("Question:") == 2
    (first, *_), _, _ = read("tiny_choice", num_fewshot=3)
    assert first.seen.text.count("Question:") == 4


def test_own_text_choices_and_answer(read, task_folder):
    items, policy, report = read("tiny_choice")
    docs = [json.loads(line) for line in (task_folder / "quiz.jsonl").read_text().split("\n") if line]
    for item, doc in zip(items, docs, strict=True):
        start, end = item.seen.own
        assert item.seen.text[start:end] == f"Question: {doc['q']}\nAnswer:" == item.prompt
        assert list(item.choices) == doc["options"] and item.answer == doc["gold"]
        request = policy.request(item)
        assert request == Continuations(tuple(f" {option}" for option in doc["options"]), (), verbatim=True)
    assert report.items == report.records == 24 and report.metric == "acc" and report.filter == "none"
    assert report.available["metric"] == ("acc", "acc_norm", "mcc")


def test_contexts_of_their_own(read):
    items, policy, _ = read("tiny_blank")
    assert policy.request(items[0]).contexts == (None, items[0].choices[1])
    items, policy, _ = read("tiny_mutual")
    count = len(items[0].choices)
    assert policy.request(items[0]).contexts == (None,) * count + ("",) * count


def test_generation_and_filters(read):
    items, policy, _ = read("tiny_generate", filter="letters")
    assert policy.request(items[0]) == Generation(12, ("\n", "."), stop_at_once=True, greedy=True)
    score = policy.score(items[4], Output(text=f"the sum is {items[4].answer}"))
    assert score.value == 0.0
    assert score.details["metrics"] == {"strict": {"exact_match": 1.0}, "letters": {"exact_match": 0.0}}
    assert score.details["filtered_resps"] == {"strict": [items[4].answer], "letters": ["t"]}
    again = policy.score(items[4], Output(text=f"the sum is {items[4].answer}"))
    assert again == score  # nothing of the first score is left in the task


def test_a_likelihood_that_is_not_finite_is_unscored(read):
    items, policy, _ = read("tiny_whole")
    score = policy.score(items[0], Output(logprobs=(float("-inf"),), tokens=(1,), greedy=(False,)))
    assert score.value is None and score.unscored.code == "not_finite"


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("tiny_rolling", {}, "loglikelihood_rolling"),
        ("tiny_choise", {}, "Did you mean 'tiny_choice'"),
        ("tiny_group", {}, "is a group of several tasks"),
        ("tiny_choice", {"metric": "mcc"}, "has no value per item"),
        ("tiny_choice", {"metric": "acc_nrm"}, "Did you mean 'acc_norm'"),
        ("tiny_choice", {"filter": "strict"}, "has no filter 'strict'; it has none"),
        ("tiny_whole", {"metric": "perplexity"}, "better where it is lower"),
        ("tiny_blank", {"chat_template": "on"}, "a prompt per option"),
        ("tiny_choice", {"arguments": {"dataset_kwargs": {"data_files": "nowhere.jsonl"}}}, "cannot be loaded"),
        ("tiny_choice", {"arguments": {"doc_to_image": "q"}}, "pictures or sounds"),
        ("tiny_generate", {"arguments": {"unsafe_code": True}}, "runs code that the model wrote"),
        ("tiny_generate", {"filter": "maj@8", "arguments": VOTES}, "'maj@8' is taken over 8 sampled answers"),
        ("tiny_choice", {"metric": "f1", "arguments": {"metric_list": WHOLE_F1}}, "'f1' has no value per item"),
    ],
)
def test_what_cannot_be_run_is_refused(read, name, options, message):
    with pytest.raises(UserError, match=message):
        read(name, **options)


def test_wrong_words_of_the_command_line():
    for text in ("arc_easy", "lm_eval:", "other:arc_easy"):
        with pytest.raises(UserError, match="expected lm_eval:NAME"):
            parse_task(text)
    with pytest.raises(UserError, match="include_path"):
        list(read_task(TaskSource(harness="lm_eval", name="x", include_path="nowhere")))


def test_sampling_and_repeats_give_a_warning(read):
    options = {"until": ["\n"], "do_sample": True, "temperature": 0.7, "top_p": 0.9, "max_gen_toks": 8}
    items, policy, report = read("tiny_generate", arguments={"generation_kwargs": options, "repeats": 3})
    assert set(report.warnings) >= {
        Remark("sampled_repeatedly", (3,)),
        Remark("samples_answers"),
        Remark("option_unused", quotes=("top_p", "0.9")),
    }
    assert not policy.request(items[0]).greedy
    score = policy.score(items[0], Output(text="4"))
    assert score.details["filtered_resps"]["strict"] == ["4"]


def test_the_template_is_on_where_it_is_configured():
    source = TaskSource(harness="lm_eval", name="x")
    choice = BenchmarkConfig(name="x", source=source)
    for model, benchmark, wanted in (
        ("auto", None, "off"),
        ("on", None, "on"),
        ("on", "off", "off"),
        ("off", "on", "on"),
    ):
        made = with_chat_template(
            choice.model_copy(update={"chat_template": benchmark}), ModelConfig(name="m", chat_template=model)
        )
        assert made.source.chat_template == wanted


def test_chats_equal_the_harness(task_folder, tiny_config, model_folder, tmp_path):
    from lm_eval import simple_evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    tasks = ("tiny_choice", "tiny_generate")
    source = {"kind": "task", "harness": "lm_eval", "include_path": str(task_folder), "chat_template": "on"}
    config = {**tiny_config, "benchmarks": [{"name": name, "source": {**source, "name": name}} for name in tasks]}
    config["sae"] = {**tiny_config["sae"], "force": True}
    run = competency_gaps.run(config, tmp_path / "run")
    lm = HFLM(pretrained=str(model_folder("llama")), dtype="float32", device="cpu", batch_size=8)
    manager = TaskManager(include_path=str(task_folder), include_defaults=False)
    for task in tasks:
        theirs = simple_evaluate(
            model=lm, tasks=[task], task_manager=manager, bootstrap_iters=0, apply_chat_template=True
        )
        rows = list(run.items.filter(pl.col("benchmark") == task).iter_rows(named=True))
        for sample in theirs["samples"][task]:
            row = rows[sample["doc_id"]]
            assert row["text"] == sample["arguments"][0][0] and "<|start|>assistant" in row["text"]
            assert row["text"][row["own_start"] : row["own_end"]].strip().startswith(("Question", "Compute"))
            if task == "tiny_choice":
                likely = [float(one[0][0]) for one in sample["resps"]]
                assert row["logprobs"] == pytest.approx(likely, abs=1e-4)
                assert row["score"] == sample["acc"]
            else:
                assert row["response"] == sample["resps"][0][0]
        (path,) = (run.path / "lm_eval").glob(f"*/samples_{task}_*.jsonl")
        first = json.loads(path.read_text().split("\n")[0])
        assert first["prompt_hash"] == theirs["samples"][task][0]["prompt_hash"]
