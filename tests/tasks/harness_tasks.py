"""Small tasks of lm-evaluation-harness over local files, as their users write them."""

from __future__ import annotations

import json
from pathlib import Path

WORDS = ("fox", "dog", "city", "France", "March", "Paris", "sum", "word")
CHOICE = """
task: tiny_choice
tag: tiny_all
dataset_path: json
dataset_kwargs: {{data_files: {{test: "{folder}/quiz.jsonl", train: "{folder}/shots.jsonl"}}}}
output_type: multiple_choice
training_split: train
test_split: test
fewshot_split: train
num_fewshot: 2
doc_to_text: "Question: {{{{q}}}}\\nAnswer:"
doc_to_choice: options
doc_to_target: gold
metric_list:
  - {{metric: acc, aggregation: mean, higher_is_better: true}}
  - {{metric: acc_norm, aggregation: mean, higher_is_better: true}}
  - {{metric: mcc, higher_is_better: true}}
metadata: {{version: 1.0}}
"""
MUTUAL = """
include: tiny_choice.yaml
task: tiny_mutual
tag: tiny_all
num_fewshot: 0
metric_list:
  - {metric: acc, aggregation: mean, higher_is_better: true}
  - {metric: acc_mutual_info, aggregation: mean, higher_is_better: true}
"""
EXACT = """
include: tiny_choice.yaml
task: tiny_exact
num_fewshot: 0
metric_list:
  - {metric: exact_match, aggregation: mean, higher_is_better: true}
  - {metric: acc, aggregation: mean, higher_is_better: true}
"""
GENERATE = """
task: tiny_generate
dataset_path: json
dataset_kwargs: {{data_files: {{test: "{folder}/sums.jsonl", train: "{folder}/sums.jsonl"}}}}
output_type: generate_until
training_split: train
test_split: test
fewshot_split: train
num_fewshot: 1
doc_to_text: "Compute the sum of {{{{a}}}} and {{{{b}}}}. Answer:"
doc_to_target: "{{{{answer}}}}"
generation_kwargs: {{until: ["\\n", "."], do_sample: false, max_gen_toks: 12}}
filter_list:
  - name: strict
    filter: [{{function: regex, regex_pattern: "([0-9]+)"}}, {{function: take_first}}]
  - name: letters
    filter: [{{function: regex, regex_pattern: "([a-zA-Z])"}}, {{function: take_first}}]
metric_list:
  - {{metric: exact_match, aggregation: mean, higher_is_better: true, ignore_case: true}}
metadata: {{version: 2.0}}
"""
BLANK = """
task: tiny_blank
dataset_path: json
dataset_kwargs: {{data_files: {{test: "{folder}/blank.jsonl"}}}}
output_type: multiple_choice
test_split: test
doc_to_text: !function blank.gold
doc_to_target: !function blank.rest
doc_to_choice: !function blank.starts
metric_list:
  - {{metric: acc, aggregation: mean, higher_is_better: true}}
metadata: {{version: 1.0}}
"""
BLANK_CODE = """
def gold(doc):
    return int(doc["gold"])


def rest(doc):
    return doc["sentence"].split("_")[1].strip()


def starts(doc):
    return [doc["sentence"].split("_")[0] + option for option in doc["options"]]
"""
WHOLE = """
task: tiny_whole
dataset_path: json
dataset_kwargs: {{data_files: {{test: "{folder}/quiz.jsonl"}}}}
output_type: loglikelihood
test_split: test
doc_to_text: "{{{{q}}}}"
doc_to_target: " {{{{options[gold]}}}}"
metric_list:
  - {{metric: perplexity, aggregation: perplexity, higher_is_better: false}}
  - {{metric: acc, aggregation: mean, higher_is_better: true}}
"""
ROLLING = """
task: tiny_rolling
dataset_path: json
dataset_kwargs: {{data_files: {{test: "{folder}/quiz.jsonl"}}}}
output_type: loglikelihood_rolling
test_split: test
doc_to_text: ""
doc_to_target: "{{{{q}}}}"
metric_list: [{{metric: word_perplexity}}]
"""
GROUP = """
group: tiny_group
task:
  - task: tiny_choice
    num_fewshot: 1
  - group: tiny_inner
    task: [tiny_blank]
  - tiny_all
"""


def write_tasks(folder: Path, *, items: int = 24) -> Path:
    """YAML tasks and their data in a folder that ``include_path`` can name."""
    folder.mkdir(parents=True, exist_ok=True)
    quiz = [
        {
            "q": f"What is the {WORDS[i % 8]} of {WORDS[(i * 3 + 1) % 8]}? It is {'number ' * (i % 3)}{i}.",
            "options": [WORDS[(i + k) % 8] + (" word" if k % 2 else "") for k in range(3 + i % 2)],
            "gold": i * 7 % 3,
        }
        for i in range(items)
    ]
    quiz[3]["q"] += " Naïve café\u2028?"
    sums = [{"a": i, "b": i * 7 % 10, "answer": str(i + i * 7 % 10)} for i in range(items)]
    blank = [
        {
            "sentence": f"The {WORDS[i % 8]} saw the _ in {WORDS[(i + 3) % 8]}.",
            "options": ["dog", "city"],
            "gold": i % 2,
        }
        for i in range(items)
    ]
    shots = [{"q": f"What is {word}?", "options": [word, "sum"], "gold": 0} for word in WORDS]
    for name, rows in (("quiz", quiz), ("sums", sums), ("blank", blank), ("shots", shots)):
        lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
        (folder / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")
    (folder / "blank.py").write_text(BLANK_CODE)
    plain = {"tiny_mutual": MUTUAL, "tiny_exact": EXACT, "tiny_group": GROUP}
    filled = {
        "tiny_choice": CHOICE,
        "tiny_generate": GENERATE,
        "tiny_blank": BLANK,
        "tiny_whole": WHOLE,
        "tiny_rolling": ROLLING,
    }
    for name, text in {**plain, **{name: text.format(folder=folder) for name, text in filled.items()}}.items():
        (folder / f"{name}.yaml").write_text(text.lstrip())
    return folder
