"""``cgaps logs`` prints a command that the command line parses and that reads the same log."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from competency_gaps import read_logs
from competency_gaps.logs.scores import configured_scores, read_score_table
from competency_gaps.pipeline.load import load_benchmark
from competency_gaps.pipeline.logs import inspect_logs
from core_helpers import write_lines
from log_samples import inspect_sample, sample, write_log

STAMP = "2026-11-24T10-00-00.000001"


def lm_eval_log(
    folder: Path, task: str = "quiz", model: object = "pretrained=google/gemma-2-2b-it,dtype=bfloat16", first: int = 0
):
    """Samples of one task and the results file beside them."""
    records = [
        sample(i, filter=name, metrics=["exact_match", "other"], other=1.0 - i % 2)
        for i in range(first, first + 4)
        for name in ("strict", "loose")
    ]
    write_lines(folder / f"samples_{task}_{STAMP}.jsonl", records)
    results = {"results": {task: {}}, "configs": {task: {}}, "config": {"model": "hf", "model_args": model}}
    (folder / f"results_{STAMP}.json").write_text(json.dumps(results))
    return folder


def shown(cli, *arguments):
    """The printed line, which is the last, and the document's, which is the same."""
    status, out, _ = cli("logs", *arguments)
    assert status == 0
    line = out.rstrip("\n").split("\n")[-1]
    document = json.loads(cli("logs", *arguments, "--json")[1])
    assert document["command"] == line
    return line, out


def typed(cli, asked, line):
    """The run of a line, typed as it is."""
    words = shlex.split(line)
    assert words[:2] == ["cgaps", "run"]
    cli(*words[1:])
    return asked.pop()


def test_a_log_of_lm_eval_names_its_model(cli, asked, tmp_path):
    folder = lm_eval_log(tmp_path / "my logs")
    line, out = shown(cli, str(folder), "--metric", "other", "--scorer", "loose")
    config, run_folder = typed(cli, asked, line)
    assert config.model.name == "google/gemma-2-2b-it"
    assert config.sae.release == "gemma-scope-2b-pt-res-canonical"
    assert "trained on gemma-2-2b, a relative of google/gemma-2-2b-it" in out
    assert run_folder == Path("runs/quiz")
    (source,) = [benchmark.source for benchmark in config.benchmarks]
    assert (source.path, source.metric, source.scorer) == (folder, "other", "loose")
    inspected = inspect_logs(str(folder), metric="other", scorer="loose").benchmarks[0]
    assert load_benchmark(config.benchmarks[0]).items == inspected.items


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ({"pretrained": "google/gemma-2-2b", "dtype": "auto"}, "google/gemma-2-2b"),
        ("pretrained=google/gemma-2-2b,peft=me/adapter", None),
        ("model=gpt-4o,base_url=http://x", None),
        (None, None),
    ],
)
def test_only_a_whole_model_of_transformers_is_taken(cli, asked, tmp_path, model, expected):
    path = str(lm_eval_log(tmp_path / "logs", model=model))
    line, _ = shown(cli, path)
    if expected is None:
        assert shlex.split(line)[:5] == ["cgaps", "run", "--read", "--log", path]  # of so few items
    else:
        assert typed(cli, asked, line)[0].model.name == expected


def test_a_log_of_inspect(cli, asked, tmp_path):
    samples = [inspect_sample(i, scores={"match": {"value": "C"}, "rubric": {"value": 0.5}}) for i in range(3)]
    file = write_log(tmp_path / "a.json", samples, eval={"model": "hf/Qwen/Qwen2.5-7B-Instruct"})
    line, _ = shown(cli, str(file), "--scorer", "rubric")
    config, _ = typed(cli, asked, line)
    assert config.model.name == "Qwen/Qwen2.5-7B-Instruct"
    assert config.sae.release == "qwen2.5-7b-instruct-andyrdt"
    assert config.benchmarks[0].source.scorer == "rubric"
    for model in ("hf/local", "openai/gpt-4o"):
        file = write_log(tmp_path / "b.json", samples, eval={"model": model})
        assert shown(cli, str(file))[0].startswith(f"cgaps run --read --log {file} ")


@pytest.mark.parametrize(
    ("scored", "text"), [(0, "No item has a score"), (1, "Only 1 item scored"), (11, "Where the model is weak")]
)
def test_logs_of_which_no_run_can_show_a_weakness(cli, asked, tmp_path, scored, text):
    samples = [inspect_sample(n, n % 2, **({} if n < scored else {"scores": {}})) for n in range(max(scored, 2))]
    line, out = shown(cli, str(write_log(tmp_path / "a.json", samples)))
    assert text in out and ("is weak (seconds" in out) == (scored > 10)
    if scored > 10:
        assert line == f"cgaps show {tmp_path / 'a.json'}"
    else:
        assert len(load_benchmark(typed(cli, asked, line)[0].benchmarks[0]).items) == len(samples)


def test_columns_with_obvious_names_are_found(cli, tmp_path):
    rows = [{"question": f"Why {n}?", "correct": n % 2 == 0, "subject": "s", "id": f"q{n}"} for n in range(4)]
    (tmp_path / "a.csv").write_text(
        "".join(["id,question,correct,subject\n", *(f"q{n},Why {n}?,{n % 2 == 0},s\n" for n in range(4))])
    )
    write_lines(tmp_path / "b.jsonl", rows)
    for name in ("a.csv", "b.jsonl"):
        line, out = shown(cli, str(tmp_path / name))
        assert "question as the prompt, correct as the score, subject as the group" in out
        assert line.startswith(f"cgaps run --read --log {tmp_path / name} ")
        items = read_logs(tmp_path / name).items.select("item_id", "prompt", "score", "group")
        assert items.rows()[:2] == [("q0", "Why 0?", 1.0, "s"), ("q1", "Why 1?", 0.0, "s")]
    paired = json.loads(cli("compare", str(tmp_path / "a.csv"), str(tmp_path / "b.jsonl"), "--json")[1])
    assert paired["paired"] == 4
    write_lines(tmp_path / "c.jsonl", [{"question": "Why?", "gold": "x"}])
    assert "name its columns with --field prompt=COLUMN" in cli("logs", str(tmp_path / "c.jsonl"))[2]


def test_what_cannot_be_read_is_left_out_of_the_run(cli, asked, tmp_path):
    folder = lm_eval_log(tmp_path / "logs")
    write_lines(folder / f"samples_odd_{STAMP}.jsonl", [sample(0, exact_match=7.0)])
    results = json.loads((folder / f"results_{STAMP}.json").read_text())
    results["configs"]["odd"] = {}
    (folder / f"results_{STAMP}.json").write_text(json.dumps(results))
    line, out = shown(cli, str(folder))
    assert "1 of 2 logs cannot be read as they are: the run leaves them out." in out
    config, run_folder = typed(cli, asked, line)
    assert run_folder == Path("runs/logs")
    (benchmark,) = config.benchmarks
    assert benchmark.name == "quiz" and len(load_benchmark(benchmark).items) == 4


def test_logs_of_several_models_are_compared_or_shown(cli, tmp_path):
    for step in (1000, 900):
        lm_eval_log(tmp_path / f"step-{step}" / "x", model=f"pretrained=org/step-{step}")
    lm_eval_log(tmp_path / "step-2000" / "x", model="pretrained=org/step-2000", first=4)  # has no item of the others
    line, out = shown(cli, str(tmp_path))
    compare = shlex.split(next(text for text in out.split("\n") if text.startswith("cgaps compare")))
    assert compare[2:] == [str(tmp_path / f"step-{step}") for step in (1000, 900)]
    status, out, _ = cli(*compare[1:], "--json")
    assert status == 0 and json.loads(out)["paired"] == 4
    assert line == f"cgaps show {tmp_path}"
    made = read_logs(tmp_path)
    assert (made.items.height, made.models.height, made.has_reading) == (4, 2, False)


def test_tables_that_ask_the_same_are_models_called_after_their_files(cli, asked, tmp_path):
    for name, score in {"old": 0, "new": 1}.items():
        (tmp_path / f"{name}.csv").write_text("q,score\n" + "".join(f"Why {n}?,{score}\n" for n in range(4)))
    (tmp_path / "other.csv").write_text("q,score\nHow?,1\n")
    logs = [word for name in ("old", "new", "other") for word in ("--log", str(tmp_path / f"{name}.csv"))]
    cli("run", *logs, "--field", "prompt=q", "--out", str(tmp_path / "run"))
    config, _ = asked.pop()
    assert [len(load_benchmark(benchmark).items) for benchmark in config.benchmarks] == [4, 1]
    read = dict(row for scores in config.scores for row in configured_scores(scores).select("model", "score").rows())
    assert read == {"old": 0.0, "new": 1.0}
    (tmp_path / "mine.csv").write_text("id,score\n1,1\n")
    assert read_score_table(tmp_path / "mine.csv")["model"].to_list() == ["mine"]
