"""Judged runs on the tiny model: a judge that fails half of the time, kills, unusable answers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from judge_helpers import answering, baseline_file, liking, open_file

import competency_gaps
from competency_gaps.scoring.arena import score_of_games
from competency_gaps.util.errors import UserError
from competency_gaps.view.facts import benchmark_lines
from competency_gaps.view.terminal.answer import answer_view
from competency_gaps.view.words import headline
from core_helpers import ROOT, assert_same_run
from fake_endpoint import question_of, serve, usage_of

ITEMS = 12
REQUESTS = ITEMS + 2 * ITEMS


@pytest.fixture(scope="module")
def config(tiny_config, tmp_path_factory):
    folder = tmp_path_factory.mktemp("open")
    source = {"kind": "file", "path": str(open_file(folder))}
    options = {"graded": {"max_new_tokens": 4}, "arena": {"max_new_tokens": 6, "baseline": str(baseline_file(folder))}}
    scorers = {"graded": "judge", "arena": "arena"}
    benchmarks = [{"name": n, "source": source, "scorer": scorers[n], "options": options[n]} for n in scorers]
    return {**tiny_config, "benchmarks": benchmarks}


def asked_at(url: str, **options):
    return {"base_url": url, "model": "fake", **options}


@pytest.fixture(scope="module")
def perfect(config, tmp_path_factory):
    """A run whose judge never fails."""
    with serve(answering) as fake:
        run = competency_gaps.run({**config, "judge": asked_at(fake.url)}, tmp_path_factory.mktemp("perfect") / "run")
    assert fake.paid.total() == len(fake.paid) <= REQUESTS
    return run, fake


def test_scores_are_what_the_rule_says_of_each_response(perfect):
    run, fake = perfect
    for row in run.items.iter_rows(named=True):
        details = json.loads(row["details"])
        if row["benchmark"] == "graded":
            shown = row["response"] if row["response"].strip() else "(The answer is empty.)"
            assert row["score"] == pytest.approx((liking(shown) % 10) / 9)
            assert details["verdict"] == round(1 + 9 * row["score"])
        else:
            games = [game["verdict"] for game in details["games"]]
            assert row["score"] == score_of_games(*games)
            # The rule has no favourite place: in the other order it says the opposite.
            assert games[0][::-1] == games[1]
    assert run.items["score"].null_count() == 0
    bodies = [question_of(body) for body in fake.bodies]
    first = [text for text in bodies if "<answer-a-" in text and "base 3\n</answer-a-" in text]
    second = [text for text in bodies if "<answer-b-" in text and "base 3\n</answer-b-" in text]
    assert len(first) == len(second) == 1, "the baseline stands first once and second once"


def test_figures_lie_in_the_manifest_and_the_summary(perfect):
    run, _ = perfect
    told = run.manifest["judging"]
    assert told["judge"] == "fake" and told["requests"] == told["answered"] == REQUESTS
    assert told["benchmarks"]["arena"] == {"items": ITEMS, "scored": ITEMS, "unasked": 0, "failed": 0, "failures": {}}
    graded, arena = run.manifest["benchmarks"]
    assert graded["figures"]["judge"]["score"]["items"] == ITEMS
    figures = arena["figures"]["arena"]
    assert figures["games"] == 2 * ITEMS and figures["position_bias"]["value"] == 0 and figures["agreement"] == 1
    mean = run.items.filter(run.items["benchmark"] == "arena")["score"].mean()
    assert figures["score"]["value"] == pytest.approx(mean)
    lines = benchmark_lines(run.manifest, "arena")
    assert any("position bias" in line for line in lines) and any("judged by fake" in line for line in lines)


def test_a_judge_that_goes_by_place_precedes_all_findings(config, tmp_path, capsys):
    from rich.console import Console

    def first_place(body, attempt):
        if "<answer-a-" not in question_of(body):
            return answering(body)
        return ("message", {"content": '{"reasoning": "It is first.", "verdict": "A>B"}'}, "stop", {})

    with serve(first_place) as fake:
        run = competency_gaps.run({**config, "judge": asked_at(fake.url)}, tmp_path / "run")
    figures = run.manifest["benchmarks"][1]["figures"]["arena"]
    assert figures["agreement"] == 0 and figures["position_bias"]["value"] == 0.5 and figures["by_place"]
    given = run.answer()
    Console(width=1000).print(answer_view(given, [None] * len(given.findings), 1000))
    said = capsys.readouterr().out
    assert "gets 100% of the points" in said
    assert said.index("The judge of arena is swayed by position") < said.index(headline(given))


def test_a_judge_that_often_fails_gives_the_same_run(config, perfect, tmp_path):
    def plan(body, attempt):
        return ("status", 503, {"error": {"message": "busy"}}) if attempt % 2 == 0 else answering(body)

    with serve(plan) as fake:
        run = competency_gaps.run({**config, "judge": asked_at(fake.url)}, tmp_path / "run")
    assert set(fake.paid.values()) == {1}
    assert_same_run(run, perfect[0])
    assert run.manifest["benchmarks"] == perfect[0].manifest["benchmarks"]


def test_scores_stay_without_a_judge(config, perfect):
    again = competency_gaps.run(config, perfect[0].path)
    assert_same_run(again, perfect[0])
    assert again.manifest["judging"]["judge"] == "fake"


CHILD = """
import json, sys
import competency_gaps
competency_gaps.run(json.loads(sys.argv[1]), sys.argv[2])
"""


@pytest.mark.slow
def test_a_run_killed_while_judging_resumes_without_asking_twice(config, perfect, tmp_path):
    with serve(answering, delay=0.15) as fake:
        told = {**config, "judge": asked_at(fake.url, concurrency=2)}
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, json.dumps(told), str(tmp_path / "run")],
            env={**os.environ, "PYTHONPATH": str(ROOT / "src"), "HF_HUB_OFFLINE": "1"},
        )
        for _ in range(18_000):
            if fake.paid.total() >= 8 or child.poll() is not None:
                break
            time.sleep(0.01)
        child.send_signal(signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL
        time.sleep(0.5)
        kept = sum(1 for _ in (tmp_path / "run" / "judging" / "answers.jsonl").open())
        before = fake.paid.total()
        assert 6 <= kept <= before < REQUESTS
        run = competency_gaps.run(told, tmp_path / "run")
        assert fake.paid.total() - len(fake.paid) <= before - kept <= 2, "only what was in flight"
    assert_same_run(run, perfect[0])


def test_unreadable_answers_of_the_judge_are_unscored_and_counted(config, tmp_path):
    def plan(body, attempt):
        verdict = answering(body) if "<answer-a-" in question_of(body) else None
        return verdict or ("message", {"content": '{"reasoning": "?", "verdict": 11}'}, "stop", usage_of(body))

    with serve(plan) as fake:
        run = competency_gaps.run({**config, "judge": asked_at(fake.url)}, tmp_path / "run")
    graded, arena = run.items.partition_by("benchmark", maintain_order=True)
    assert graded["score"].null_count() == ITEMS and arena["score"].null_count() == 0
    assert all("the verdict '11' is none of" in reason["text"] for reason in graded["unscored"])
    counts = run.manifest["judging"]["benchmarks"]
    assert (counts["graded"]["failed"], counts["graded"]["scored"], counts["arena"]["failed"]) == (ITEMS, 0, 0)


def test_a_run_goes_on_where_max_cost_stopped_it(config, perfect, tmp_path):
    with serve(answering) as fake:
        prices = {"price_in": 10.0, "price_out": 10.0, "max_cost": 0.1, "concurrency": 1}
        run = competency_gaps.run({**config, "judge": asked_at(fake.url, **prices)}, tmp_path / "run")
        assert 0 < run.items["score"].null_count() < 2 * ITEMS
        assert "judge_capped" in set(run.items["unscored"].struct.field("code"))
        assert sum(one["unasked"] for one in run.manifest["judging"]["benchmarks"].values()) > 0
        run = competency_gaps.run({**config, "judge": asked_at(fake.url)}, tmp_path / "run")
        assert set(fake.paid.values()) == {1}
    assert_same_run(run, perfect[0])


def test_several_judges_need_a_name(config, tmp_path):
    with serve(answering) as fake:
        competency_gaps.run({**config, "judge": asked_at(fake.url)}, tmp_path / "run")
        competency_gaps.run({**config, "judge": {**asked_at(fake.url), "model": "second"}}, tmp_path / "run")
    with pytest.raises(UserError, match=r"several judges, 'fake', 'second': name one with judge\.model"):
        competency_gaps.run(config, tmp_path / "run")
    named = competency_gaps.run({**config, "judge": {"model": "fake"}}, tmp_path / "run")
    assert named.manifest["judging"]["judge"] == "fake" and named.items["score"].null_count() == 0
