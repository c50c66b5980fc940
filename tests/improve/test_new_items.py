"""New items: membership against brute force, the test of a gap against the truth, planted candidates."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import competency_gaps as cg
import fake_endpoint
from competency_gaps.findings.answer import slices_of
from competency_gaps.improve.drafts import lm_eval_task, read_drafts
from competency_gaps.improve.membership import fresh_gap, membership_of
from competency_gaps.items.config import BenchmarkConfig, LLMConfig
from competency_gaps.pipeline.load import load_benchmark
from competency_gaps.reading.profiles import MIN_ACTIVE_ITEMS, cas_of, profiles_of, scale_of
from competency_gaps.util.errors import UserError
from core_helpers import copied, write_lines

WORDS = ["fox", "dog", "city", "France", "March", "Paris", "sum", "word"]


@pytest.fixture(scope="module")
def run(tiny_run, tmp_path_factory):
    return copied(tiny_run, tmp_path_factory)


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path_factory):
    """Items are read into a cache that the tests share; texts are not embedded."""
    monkeypatch.setenv("CGAPS_CACHE", str(tmp_path_factory.getbasetemp() / "new-cache"))
    monkeypatch.setattr("competency_gaps.improve.new_items.has_default_model", lambda: False)


def question(number: int, **other):
    """An item like those of the run's quiz, of another number."""
    text = f"What is the {WORDS[number % 8]} of {WORDS[(number * 3 + 2) % 8]}? It is number {100 + number}."
    choices = [WORDS[(number + k) % 8] for k in range(4)]
    return {"id": str(number), "prompt": text, "choices": choices, "answer": number % 4, **other}


def test_the_lens_measures_items_against_means_without_them(run):
    """Brute force: an item's profile times the mean of the slice's others, less that times the mean of the rest."""
    family = next(own for own in slices_of(run) if own.name == "columns")
    place = family.names.index("quiz")
    own = family.member[[place]].toarray().ravel() > 0
    concepts = np.flatnonzero(run.by_concept.support >= MIN_ACTIVE_ITEMS)
    cas = cas_of(run.by_concept, np.arange(run.items.height), concepts)
    profiles = profiles_of(cas, scale_of(cas, concepts)).toarray()
    values = np.empty(len(own))
    for row in range(len(own)):
        others = np.arange(len(own)) != row
        values[row] = profiles[row] @ (profiles[own & others].mean(axis=0) - profiles[~own & others].mean(axis=0))
    membership = membership_of(run, family, place)
    assert values[own].min() > np.median(values[~own])
    above = values >= membership.threshold - 1e-6
    assert membership.precision == pytest.approx(own[above].mean()) and membership.precision >= 0.5
    assert membership.threshold >= np.quantile(values[own], 0.25) - 1e-6
    assert membership.floor == pytest.approx(np.quantile(values[own], 0.1), abs=1e-6)
    assert np.corrcoef(membership.measure(run), values)[0, 1] > 0.99


def test_a_fresh_gap_is_that_of_items_of_one_length_and_its_interval_holds():
    """Long items are harder and the slice's are long: of no gap, 95% of the intervals hold 0; of a gap, it is found."""
    rng = np.random.default_rng(0)
    for gap, expected in ((0.0, None), (-0.15, -0.2)):
        holds, found = [], []
        for _ in range(300):
            length = np.concatenate([rng.normal(60, 10, 120), rng.normal(45, 15, 400)])
            inside = np.arange(520) < 120
            chance = np.clip(0.9 - length / 120, 0.2, 0.9) + gap * inside
            fresh = fresh_gap((rng.random(520) < chance).astype(float), inside, ~inside, length, expected)
            holds.append(fresh.low <= gap <= fresh.high)
            found.append((fresh.gap, fresh.verdict))
        assert 0.92 <= np.mean(holds) <= 0.985
        assert np.mean([value for value, _ in found]) == pytest.approx(gap, abs=0.02)
        if expected is None:
            assert {verdict for _, verdict in found} == {None}
        else:
            assert np.mean([verdict == "holds" for _, verdict in found]) > 0.7
    scores = np.array([1.0, 0, 1, 1, np.nan] * 4 + [0.0, 1, 0] * 5)
    fresh = fresh_gap(scores, np.arange(35) < 20, np.ones(35, bool), np.ones(35), 0.1)
    assert (fresh.items, fresh.others, fresh.verdict) == (16, 15, "holds")
    assert fresh.gap == pytest.approx(3 / 4 - 1 / 3)
    assert fresh_gap(scores, np.arange(35) < 9, np.ones(35, bool), np.ones(35)) is None


def test_a_corpus_is_sifted(run, tmp_path):
    good = [question(number) for number in range(30)]
    bad = {
        "repeats": {**question(0), "prompt": run.items["prompt"][5], "choices": run.items["choices"][5].to_list()},
        "form": question(31, choices=["fox", "dog", "city"]),
        "outside": {**question(2), "prompt": "Compute the sum of 3 and 4." + " How many days are there?" * 4},
    }
    bad["repeats"]["answer"] = run.items["answer_index"][5]
    broken = {"id": "x", "choices": ["a", "b"]}
    corpus = write_lines(tmp_path / "corpus.jsonl", [*good, *bad.values(), good[3], broken])
    drafts = run.new_items("quiz", n=12, corpus=corpus, out=tmp_path / "out")
    codes = drafts.refused["code"].to_list()
    assert drafts.kept.height == 12 and codes.count("repeats") == 2 and codes.count("form") == 2
    refused = dict(drafts.refused.select("prompt", "code").iter_rows())
    assert refused[bad["outside"]["prompt"]] == "outside"
    assert drafts.kept.height + drafts.refused.height == len(good) + 5
    # Of all that passed, the model was asked; there is nothing to compare with but the one from elsewhere.
    assert drafts.fresh is None
    written = BenchmarkConfig(name="new", source={"kind": "file", "path": str(tmp_path / "out" / "items.jsonl")})
    items = load_benchmark(written).items
    assert [item.id for item in items] == drafts.kept["id"].to_list() and {item.scorer for item in items} == {"choice"}
    assert len((tmp_path / "out" / "refused.jsonl").read_text().splitlines()) == drafts.refused.height
    again = run.new_items("quiz", n=12, corpus=corpus, out=tmp_path / "again")
    assert again.kept.equals(drafts.kept)
    read = read_drafts(tmp_path / "out")
    assert read.kept.equals(drafts.kept) and read.refused.equals(drafts.refused)
    assert replace(read, items=None) == replace(drafts, items=None)


def test_generators_make_other_tasks_of_the_slice(tiny_config, tmp_path):
    """Sums and spelling, by one seed: new sums come from another, and the model is asked both."""
    if importlib.util.find_spec("reasoning_gym") is None:
        pytest.skip("reasoning-gym is not installed")
    sums, words = ({"kind": "reasoning_gym", "family": name, "size": 30} for name in ("chain_sum", "spell_backward"))
    config = {
        **tiny_config,
        "benchmarks": [{"name": "tasks", "sources": [sums, words], "options": {"max_new_tokens": 4}}],
    }
    run = cg.run(config, tmp_path / "run")
    drafts = run.new_items("chain_sum", n=15)
    assert drafts.folder == tmp_path / "run" / "improve" / "new-chain_sum"
    assert drafts.kept.height == 15 and not set(drafts.kept["prompt"]) & set(run.items["prompt"])
    assert set(drafts.kept["source"]) == {"chain_sum"}
    assert drafts.fresh.items >= 15 and drafts.fresh.others >= 10


def test_lm_eval_loads_the_task(run, tmp_path):
    tasks = pytest.importorskip("lm_eval.tasks")
    run.new_items(
        "quiz", n=3, corpus=write_lines(tmp_path / "c.jsonl", map(question, range(8))), out=tmp_path / "new-quiz"
    )
    manager = tasks.TaskManager(include_path=str(tmp_path / "new-quiz"), include_defaults=False)
    task = tasks.get_task_dict(["new_quiz"], manager)["new_quiz"]
    documents = list(task.test_docs())
    asked = [json.loads(line) for line in (tmp_path / "new-quiz" / "items.jsonl").read_text().splitlines()]
    assert [task.doc_to_text(one) for one in documents] == [one["prompt"] for one in asked]
    assert [task.doc_to_choice(one)[task.doc_to_target(one)] for one in documents] == [
        one["choices"][one["answer"]] for one in asked
    ]


def writer(body, attempt):
    """Writes items like the run's, of which every third has a key that it does not give again."""
    asked = json.loads(fake_endpoint.question_of(body))
    if "attempt" not in asked:
        number = 200 + sum(map(ord, json.dumps(asked))) % 5000
        choices = question(number)["choices"]
        made = {"question": question(number)["prompt"], "right": choices[0], "wrong": choices[1:]}
        return ("message", {"role": "assistant", "content": json.dumps(made)}, "stop", None)
    number = int(asked["question"].rstrip(".").rpartition(" ")[2]) - 100
    right = question(number)["choices"][1 if number % 3 == 0 else 0]
    letter = next(letter for letter, text in asked["options"].items() if text == right)
    return ("message", {"role": "assistant", "content": json.dumps({"answer": letter})}, "stop", None)


def test_a_language_model_writes_items_and_no_paid_answer_is_lost(run, tmp_path):
    pytest.importorskip("openai")
    paid = 0

    def stops(body, attempt):
        nonlocal paid
        paid += 1
        return ("status", 401, {"error": "no"}) if paid in (8, 20) else writer(body, attempt)

    with fake_endpoint.serve(stops) as endpoint:
        llm = LLMConfig(base_url=endpoint.url, model="m", concurrency=1, price_in=1, price_out=2)
        plan = run.new_items("quiz", n=6, llm=llm, out=tmp_path / "out", dry_run=True)
        assert "12 of 12 requests" in str(plan.plan) and not endpoint.bodies
        for _ in range(2):
            with pytest.raises(UserError, match="What is answered is kept"):
                run.new_items("quiz", n=6, llm=llm, out=tmp_path / "out")
        drafts = run.new_items("quiz", n=6, llm=llm, out=tmp_path / "out")
        asked = len(endpoint.bodies)
        assert run.new_items("quiz", n=6, llm=llm, out=tmp_path / "out").kept.equals(drafts.kept)
        assert len(endpoint.bodies) == asked and set(endpoint.paid.values()) <= {1}
        shown: dict[str, list[dict[str, str]]] = {}
        for body in endpoint.bodies:
            told = json.loads(fake_endpoint.question_of(body))
            if told.get("options"):
                shown.setdefault(told["question"], []).append(told["options"])
    for first, *others in shown.values():  # no letter is right in both of an item's orders
        again = [other for other in others if other != first]
        assert again and all(first[letter] != other[letter] for other in again for letter in first)
    assert 0 < drafts.kept.height <= 6
    numbers = [int(text.rstrip(".").rpartition(" ")[2]) - 100 for text in drafts.kept["prompt"]]
    assert all(number % 3 for number in numbers)
    keys = [question(number)["choices"][0] for number in numbers]
    assert drafts.kept["answer"].to_list() == keys
    assert {row["code"] for row in drafts.refused.to_dicts()} <= {"key", "repeats", "outside", "enough", "form"}


def test_what_cannot_be_read_is_refused_and_what_never_came_is_not(run, tmp_path):
    pytest.importorskip("openai")
    unread, most = set(), set()

    def answers(body, attempt):
        told = json.loads(fake_endpoint.question_of(body))
        if "attempt" in told:
            return writer(body, attempt)
        most.add(json.dumps(body["response_format"]).partition("maxItems")[2][:5])
        if len(unread) == 2:
            return ("status", 400, {"error": "filtered"})
        unread.add(json.dumps(told))
        return ("message", {"role": "assistant", "content": "no"}, "stop", None)

    with fake_endpoint.serve(answers) as endpoint:
        llm = LLMConfig(base_url=endpoint.url, model="m", concurrency=1)
        drafts = run.new_items("quiz", n=3, llm=llm, out=tmp_path / "out")
    assert unread and set(drafts.refused["code"]) == {"unread"} and drafts.refused.height <= len(unread)
    assert most == {'": 3}'} and not drafts.kept.height


def test_what_cannot_get_new_items_is_an_error(run, tmp_path):
    with pytest.raises(UserError, match=r"has no slice 'quizz'.*Did you mean 'quiz'"):
        run.new_items("quizz", corpus=tmp_path)
    with pytest.raises(UserError, match="no generator"):
        run.new_items("quiz")
    with pytest.raises(UserError, match="either questions"):
        run.new_items("quiz", corpus=tmp_path, llm=LLMConfig(base_url="http://localhost:1", model="m"))
    with pytest.raises(UserError, match="lacks no topic"):
        run.new_items(benchmark="quiz", corpus=tmp_path)


def test_numeric_answers_are_read_as_the_last_number():
    task = lm_eval_task(Path("out"), "numeric", {})
    pattern = task["filter_list"][0]["filter"][0]["regex_pattern"]
    assert re.findall(pattern, "Of 12 there are 3, so 1,234.5.")[-1] == "1,234.5"


@pytest.mark.slow
def test_a_search_for_new_items_that_is_killed_pays_once(run, tmp_path):
    """Killed after every third answer, the command ends in the same items; what was being asked may be asked again."""
    out, config = tmp_path / "out", tmp_path / "llm.yaml"
    with fake_endpoint.serve(writer, delay=0.1) as endpoint:
        config.write_text(f"base_url: {endpoint.url}\nmodel: m\nconcurrency: 2\n")
        typed = ["improve", str(run.path), "--new", "quiz", "--n", "6", "--llm", str(config), "--out", str(out)]
        code = "from competency_gaps.cli.app import main; main()"
        kills = 0
        while True:
            paid = sum(endpoint.paid.values())
            process = subprocess.Popen([sys.executable, "-c", code, *typed])
            while process.poll() is None and sum(endpoint.paid.values()) < paid + 3:
                time.sleep(0.01)
            if process.poll() is not None:
                break
            process.kill()
            process.wait()
            kills += 1
        assert process.returncode == 0 and kills >= 3
        assert sum(endpoint.paid.values()) <= len(endpoint.paid) + 2 * kills
        kept = read_drafts(out).kept
        undisturbed = run.new_items(
            "quiz", n=6, llm=LLMConfig(base_url=endpoint.url, model="m"), out=tmp_path / "other"
        )
        assert kept.equals(undisturbed.kept) and kept.height


def test_items_longer_than_all_with_the_slice_are_not_compared():
    rng = np.random.default_rng(0)
    scores, length = (rng.random(80) < 0.5).astype(float), rng.integers(10, 20, 80).astype(float)
    inside = np.arange(80) < 40
    length[:2] = 10, 19
    plain = fresh_gap(scores, inside, ~inside, length, -0.1)
    more = [np.append(own, np.full(30, value)) for own, value in ((scores, 0.0), (inside, False), (length, 90.0))]
    assert fresh_gap(more[0], more[1].astype(bool), ~more[1].astype(bool), more[2], -0.1) == plain
