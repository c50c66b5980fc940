"""Logs of AutoDetect, by hand in the form that it writes."""

from __future__ import annotations

import json

import pytest
from log_reading import counts, read

from competency_gaps.items.item import Reason
from competency_gaps.logs.find import find_parts, suite_logs


def step(prompt, score, **more):
    return {"key_point": "k", "prompt": prompt, "answer": "mine", "ref_ans": "theirs", "score": score, **more}


def log(folder, domain, model, task, points, version=0):
    """A log of points, each a list of steps of which the first is a seed."""
    place = folder / f"autodetect_{domain}" / "result" / f"autodetect_{model}" / task / f"version_{version}"
    place.mkdir(parents=True)
    content = {"init_points": [f"{task}:{point}" for point in points], "new_points": []}
    content |= {f"{task}:{name}": {"seed_prompts": steps[:1], "steps": steps} for name, steps in points.items()}
    (place / "log.json").write_text(json.dumps(content))
    return folder


def test_each_model_and_domain_is_a_benchmark(tmp_path):
    log(tmp_path, "math", "gpt35", "fractions", {"adding": [step("1/2 + 1/3?", 10.0), step("1/7 + 1/9?", 1.0)]})
    log(tmp_path, "math", "gpt35", "primes", {"testing": [step("Is 91 prime?", 5.5)]})
    log(tmp_path, "math", "llama2", "primes", {"testing": [step("Is 91 prime?", 3.0)]})
    log(tmp_path, "if", "gpt35", "tone", {"irony": [step("Be ironic.", 4.0)]})
    assert {part.benchmark for part in find_parts(tmp_path)} == {"math@gpt35", "math@llama2", "if@gpt35"}
    found = read(tmp_path, benchmark="math@gpt35")
    assert [(item.id, item.group, item.score, item.covariates) for item in found.items] == [
        ("fractions:adding#1", "fractions:adding", 1.0, {"phase": "seed"}),
        ("fractions:adding#2", "fractions:adding", 0.0, {"phase": "search"}),
        ("primes:testing#1", "primes:testing", 0.5, {"phase": "seed"}),
    ]
    first = found.items[0]
    assert (first.prompt, first.response, first.answer) == ("1/2 + 1/3?", "mine", "theirs")
    assert (found.report.model, found.report.metric) == ("gpt35", "grade")
    # Questions written for one model are no items of another, whatever their benchmarks are called.
    suite = suite_logs([str(tmp_path / "autodetect_math")])
    assert ([one["name"] for one in suite.benchmarks], suite.scores) == (["math@gpt35", "math@llama2"], [])


def test_one_task_and_one_file_are_read_alike(tmp_path):
    log(tmp_path, "math", "gpt35", "primes", {"testing": [step("Is 91 prime?", 5.5)]})
    place = tmp_path / "autodetect_math" / "result" / "autodetect_gpt35" / "primes" / "version_0" / "log.json"
    for path in (place, place.parent, place.parents[2]):
        assert [item.id for item in read(path).items] == ["primes:testing#1"]
        assert read(path).report.benchmark == "math@gpt35"
    moved = tmp_path / "elsewhere" / "log.json"
    moved.parent.mkdir()
    moved.write_bytes(place.read_bytes())
    assert (read(moved).report.benchmark, read(moved).report.model) == ("elsewhere", None)


@pytest.mark.parametrize("score", [0, 11, "7", None, True, float("nan")])
def test_grades_outside_the_scale_are_unscored_and_counted(tmp_path, score):
    log(tmp_path, "if", "m", "tone", {"irony": [step("Be ironic.", 4.0), step("Be mild.", score)]})
    found = read(tmp_path)
    assert [item.score for item in found.items] == [pytest.approx(1 / 3), None]
    assert counts(found.report.unscored_because) == {"no_score" if score is None else "grade_outside": 1}


def test_the_newest_version_counts_steps_without_prompts_do_not(tmp_path):
    log(tmp_path, "if", "m", "tone", {"irony": [step("Be ironic.", 4.0)]})
    log(tmp_path, "if", "m", "tone", {"irony": [step("Be mild.", 10.0), {"score": 3.0}, "text"]}, version=10)
    log(tmp_path, "if", "m", "tone", {"irony": [step("Be loud.", 4.0)]}, version=9)
    found = read(tmp_path)
    assert [item.prompt for item in found.items] == ["Be mild."]
    assert counts(found.report.left_out) == {"no_prompt": 2}
    assert set(found.report.warnings) == {
        Reason("older_log", f"an older log of the same task was not read: tone/version_{n}") for n in (0, 9)
    }
    assert read(tmp_path, metric="none").items[0].score is None


def test_other_files_of_that_name_are_none(tmp_path):
    (tmp_path / "log.json").write_text('{"status": "fine"}')
    log(tmp_path / "real", "if", "m", "tone", {"irony": [step("Be ironic.", 4.0)]})
    assert [part.benchmark for part in find_parts(tmp_path)] == ["if@m"]
