"""Logs that the installed lm-evaluation-harness writes of small local tasks."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path

NOUNS = ("fox", "dog", "city", "France", "March", "Paris", "sum", "word")
QUIZ = """
task: quiz
dataset_path: json
dataset_kwargs: {{data_files: {{test: "{folder}/quiz.jsonl", train: "{folder}/shots.jsonl"}}}}
output_type: multiple_choice
test_split: test
fewshot_split: train
training_split: train
num_fewshot: 2
description: "Answer about {{{{subject}}}}.\\n\\n"
doc_to_text: "Question: {{{{q}}}}\\nAnswer:"
doc_to_choice: options
doc_to_target: gold
metric_list:
  - {{metric: mcc}}
  - {{metric: acc_norm, aggregation: mean, higher_is_better: true}}
  - {{metric: acc, aggregation: mean, higher_is_better: true}}
"""
SUMS = """
task: sums
dataset_path: json
dataset_kwargs: {{data_files: {{test: "{folder}/sums.jsonl"}}}}
output_type: generate_until
test_split: test
doc_to_text: "Compute the sum of {{{{a}}}} and {{{{b}}}}. Answer:"
doc_to_target: "{{{{answer}}}}"
generation_kwargs: {{until: ["\\n", "."], do_sample: false, max_gen_toks: 8}}
filter_list:
  - name: strict
    filter: [{{function: regex, regex_pattern: "([0-9]+)"}}, {{function: take_first}}]
  - name: letter
    filter: [{{function: regex, regex_pattern: "([a-zA-Z])"}}, {{function: take_first}}]
metric_list:
  - {{metric: exact_match, aggregation: mean, higher_is_better: true}}
"""
ROLLING = """
task: rolling
dataset_path: json
dataset_kwargs: {{data_files: {{test: "{folder}/sums.jsonl"}}}}
output_type: loglikelihood_rolling
test_split: test
doc_to_text: ""
doc_to_target: "The sum of {{{{a}}}} and {{{{b}}}} is {{{{answer}}}}."
metric_list: [{{metric: word_perplexity}}]
"""


def write_tasks(folder: Path, items: int = 20) -> Path:
    """YAML tasks with their data: multiple choice with examples, generation with two filters, perplexity."""
    folder.mkdir(parents=True, exist_ok=True)
    quiz = [
        {
            "q": f"What is the {NOUNS[i % 8]} of {NOUNS[(i * 3 + 1) % 8]}? It is number {i}.",
            "options": [NOUNS[(i + k) % 8] + (" word" if k % 2 else "") for k in range(3)],
            "gold": i * 7 % 3,
            "subject": "even" if i % 2 == 0 else "odd",
        }
        for i in range(items)
    ]
    # A line separator that is none in JSONL, a question that holds the delimiter of examples, and one that an example
    # asks as well.
    quiz[3]["q"] += " Naïve café\u2028?"
    quiz[4]["q"] = "The dog is lazy.\n\nWhat jumps over the dog?"
    shots = [{**quiz[5], "gold": 0}, {**quiz[6], "gold": 1}]
    sums = [{"a": i, "b": i * 7 % 10, "answer": str(i + i * 7 % 10)} for i in range(items)]
    for name, rows in (("quiz", quiz), ("shots", shots), ("sums", sums)):
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")
    for name, yaml in (("quiz", QUIZ), ("sums", SUMS), ("rolling", ROLLING)):
        (folder / f"{name}.yaml").write_text(yaml.format(folder=folder), encoding="utf-8")
    return folder


def evaluate(model: str, tasks: Path, names: list[str], out: Path, *, chat: bool = False, **arguments) -> dict:
    """Run lm-eval as its command line does with ``--log_samples --output_path``; gives its results."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    from lm_eval import simple_evaluate
    from lm_eval.loggers import EvaluationTracker
    from lm_eval.tasks import TaskManager

    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    tracker = EvaluationTracker(output_path=str(out))
    results = simple_evaluate(
        model="hf",
        model_args=f"pretrained={model},dtype=float32",
        tasks=names,
        task_manager=TaskManager(include_path=str(tasks), include_defaults=False),
        device="cpu",
        batch_size=8,
        bootstrap_iters=0,
        log_samples=True,
        apply_chat_template=chat,
        evaluation_tracker=tracker,
        **arguments,
    )
    samples = results.pop("samples")
    tracker.save_results_aggregated(results=results, samples=samples)
    for name in names:
        tracker.save_results_samples(task_name=name, samples=samples[name])
    return results
