"""Any edit of a task between two runs makes another run."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json

import pytest
from harness_tasks import write_tasks

import competency_gaps
from competency_gaps.config import TaskSource
from competency_gaps.errors import UserError
from competency_gaps.harnesses.shared.folder_digest import folder_digest
from competency_gaps.harnesses.tasks import read_task
from competency_gaps.items.policy import Policy

TASK = """
task: edited
dataset_path: json
dataset_kwargs: {{data_files: {{test: "{folder}/quiz.jsonl"}}}}
output_type: multiple_choice
test_split: test
doc_to_text: "Question: {{{{q}}}} Answer:"
doc_to_choice: options
doc_to_target: !function own.gold
target_delimiter: " "
metric_list:
  - {{metric: acc, aggregation: mean, higher_is_better: true}}
"""
WRITTEN = """
task: written
dataset_path: json
dataset_kwargs: {{data_files: {{test: "{folder}/sums.jsonl"}}}}
output_type: generate_until
test_split: test
doc_to_text: "Compute {{{{a}}}} and {{{{b}}}}:"
doc_to_target: "{{{{answer}}}}"
generation_kwargs: {{until: ["."], max_gen_toks: 4}}
filter_list:
  - name: strict
    filter: [{{function: regex, regex_pattern: "([0-9]+)"}}, {{function: take_first}}]
metric_list:
  - {{metric: exact_match, aggregation: mean, higher_is_better: true}}
"""
CODE = """
def gold(doc):
    return doc["gold"]
"""
EDITS = {
    "target_delimiter": ("edited.yaml", 'target_delimiter: " "', 'target_delimiter: " so "'),
    "max_gen_toks": ("written.yaml", "max_gen_toks: 4", "max_gen_toks: 5"),
    "filter": ("written.yaml", "([0-9]+)", "([0-9])"),
    "function": ("own.py", 'return doc["gold"]', 'return (doc["gold"] + 1) % 3'),
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    from competency_gaps.harnesses.lm_eval import task_index as lm_eval_index

    place = write_tasks(tmp_path / "tasks", items=5)
    for name, text in (("edited.yaml", TASK.format(folder=place)), ("written.yaml", WRITTEN.format(folder=place))):
        (place / name).write_text(text.lstrip())
    (place / "own.py").write_text(CODE)
    # A new process reads the files again; here it is the same one.
    monkeypatch.setattr(lm_eval_index, "_manager", lm_eval_index._manager.__wrapped__)
    return place


def _policy(folder, name):
    source = TaskSource(harness="lm_eval", name=name, include_path=folder)
    return next(entry for entry in read_task(source) if isinstance(entry, Policy))


def test_the_run_folder_refuses_an_edited_task(folder, tiny_config, tmp_path):
    source = {"kind": "task", "harness": "lm_eval", "include_path": str(folder)}
    config = {
        **tiny_config,
        "sae": {**tiny_config["sae"], "force": True},
        "benchmarks": [{"name": name, "source": {**source, "name": name}} for name in ("edited", "written")],
    }
    first = competency_gaps.run(config, tmp_path / "run")
    plan = json.loads((first.path / "plan.json").read_text())
    assert plan["versions"]["lm-eval"] == importlib.metadata.version("lm-eval")
    assert "inspect-ai" not in plan["versions"]
    assert competency_gaps.run(config, first.path).items.equals(first.items)
    for file, old, new in EDITS.values():
        text = (folder / file).read_text()
        assert text.count(old) == 1
        (folder / file).write_text(text.replace(old, new))
        with pytest.raises(UserError, match=r"holds a run that differs in benchmarks\."):
            competency_gaps.run(config, first.path)
        (folder / file).write_text(text)
    assert competency_gaps.run(config, first.path).items.equals(first.items)


@pytest.mark.parametrize("edit", sorted(EDITS))
def test_the_loaded_task_tells_it_without_the_files(folder, edit):
    """As for a task of the harness's own, whose files are not hashed."""
    file, old, new = EDITS[edit]
    name = "written" if file == "written.yaml" else "edited"

    def found():
        return dataclasses.replace(_policy(folder, name), files="").fingerprint()

    before = found()
    assert found() == before
    text = (folder / file).read_text()
    (folder / file).write_text(text.replace(old, new))
    assert found() != before


def test_other_files_of_the_folder_count_and_what_a_run_writes_does_not(tmp_path):
    (tmp_path / "deep").mkdir()
    for name in ("a.py", "deep/b.yaml"):
        (tmp_path / name).write_text("1")
    endings = (".py", ".yaml", ".json")
    known = folder_digest(tmp_path, endings, depth=2, skip=tmp_path / "out")
    for name in ("out/x.json", "old/plan.json", "old/deep/y.json", "logs/z.json", ".hidden/h.py", "notes.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("2")
    assert folder_digest(tmp_path, endings, depth=2, skip=tmp_path / "out") == known
    assert folder_digest(tmp_path, endings, depth=0) != known
    (tmp_path / "deep" / "b.yaml").write_text("2")
    assert folder_digest(tmp_path, endings, depth=2, skip=tmp_path / "out") != known
