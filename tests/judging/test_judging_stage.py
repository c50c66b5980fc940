"""Judged runs on the tiny model: a judge that fails half of the time, kills, batch files, unusable answers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from judge_helpers import answering, baseline_file, liking, open_file, ruled

import competency_gaps
from competency_gaps.endpoint import Endpoint, asking
from competency_gaps.errors import UserError
from competency_gaps.judging.verdicts import score_of_games
from competency_gaps.presentation.facts import benchmark_lines
from competency_gaps.progress import Progress
from competency_gaps.report.screen import print_overview
from core_helpers import ROOT, assert_same_run
from fake_endpoint import question_of, serve, usage_of

ITEMS = 12
REQUESTS = ITEMS + 2 * ITEMS


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch):
    def quick(*args, **settings):
        return Endpoint(*args, **{**settings, "first_wait": 0.005, "longest_wait": 0.02})

    monkeypatch.setattr(asking, "Endpoint", quick)


@pytest.fixture(scope="module")
def config(tiny_config, tmp_path_factory):
    folder = tmp_path_factory.mktemp("open")
    source = {"kind": "file", "path": str(open_file(folder))}
    return {
        **tiny_config,
        "benchmarks": [
            {"name": "graded", "source": source, "policy": "judge", "options": {"max_new_tokens": 4}},
            {
                "name": "arena",
                "source": source,
                "policy": "arena",
                "options": {"max_new_tokens": 6, "baseline": str(baseline_file(folder)), "style": True},
            },
        ],
    }


def asked_at(url: str, **options):
    return {"base_url": url, "model": "fake", "yes": True, **options}


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
            assert details["grade"] == round(1 + 9 * row["score"])
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


def test_figures_lie_in_the_manifest_and_the_summary(perfect, capsys, tmp_path):

    run, _ = perfect
    told = run.manifest["judging"]
    assert told["judge"] == "fake" and told["requests"] == told["answered"] == REQUESTS
    assert told["benchmarks"]["arena"] == {"items": ITEMS, "scored": ITEMS, "unasked": 0, "failed": 0, "failures": {}}
    graded, arena = run.manifest["benchmarks"]
    assert graded["figures"]["judge"]["items"] == ITEMS
    figures = arena["figures"]["arena"]
    assert figures["games"] == 2 * ITEMS and figures["position_bias"]["value"] == 0 and figures["agreement"] == 1
    mean = run.items.filter(run.items["benchmark"] == "arena")["score"].mean()
    assert figures["score"]["value"] == pytest.approx(mean)
    lines = benchmark_lines(run.manifest, "arena")
    assert any("position bias" in line for line in lines) and any("judged by fake" in line for line in lines)


def test_a_judge_that_always_likes_the_first_answer_comes_before_all_findings(config, tmp_path, capsys):
    from rich.console import Console

    def first_place(body, attempt):
        if "<answer-a-" not in question_of(body):
            return answering(body)
        return (
            "message",
            {"role": "assistant", "content": '{"reasoning": "It is first.", "verdict": "A>B"}'},
            "stop",
            {},
        )

    with serve(first_place) as fake:
        run = competency_gaps.run({**config, "judge": asked_at(fake.url)}, tmp_path / "run")
    figures = run.manifest["benchmarks"][1]["figures"]["arena"]
    assert figures["agreement"] == 0 and figures["position_bias"]["value"] == 0.5 and figures["by_place"]
    print_overview(run, Console(width=1000), lines=100)
    said = capsys.readouterr().out
    assert "what it reads first gets 100% of the points" in said
    assert said.index("The judge of arena goes by the place") < said.index("mean score")


def test_a_judge_that_fails_half_of_the_time_gives_the_same_run(config, perfect, tmp_path):
    def plan(body, attempt):
        return ("status", 503, {"error": {"message": "busy"}}) if attempt % 2 == 0 else answering(body)

    with serve(plan) as fake:
        run = competency_gaps.run({**config, "judge": asked_at(fake.url)}, tmp_path / "run")
    assert set(fake.paid.values()) == {1}
    assert_same_run(run, perfect[0])
    assert run.manifest["benchmarks"] == perfect[0].manifest["benchmarks"]


def test_scores_stay_when_the_run_is_made_again_without_a_judge(config, perfect):
    again = competency_gaps.run(config, perfect[0].path)
    assert_same_run(again, perfect[0])
    assert again.manifest["judging"]["judge"] == "fake"


CHILD = """
import json, sys
from competency_gaps.endpoint import Endpoint, asking
asking.Endpoint = lambda *a, **s: Endpoint(*a, **{**s, "first_wait": 0.005})
import competency_gaps
competency_gaps.run(json.loads(sys.argv[1]), sys.argv[2])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
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


def test_export_then_import(config, perfect, tmp_path):
    requests, answers = tmp_path / "requests.jsonl", tmp_path / "answers.jsonl"
    run = competency_gaps.run({**config, "judge": {"export": str(requests)}}, tmp_path / "run")
    assert run.items["score"].null_count() == 2 * ITEMS
    assert set(run.items["unscored"].struct.field("text")) == {
        "no judge was asked: the requests were written to requests.jsonl, to be read back later"
    }
    lines = [json.loads(line) for line in requests.read_text().splitlines()]
    assert len({line["custom_id"] for line in lines}) == REQUESTS
    half = {line["custom_id"]: ruled(line["body"]) for line in lines}
    written = [json.dumps({"custom_id": id, "content": value}) + "\n" for id, value in half.items()]
    answers.write_text("".join(written[:10]))
    part = competency_gaps.run({**config, "judge": {"imports": [str(answers)]}}, tmp_path / "run")
    assert 0 < part.items["score"].null_count() < 2 * ITEMS
    # What was read is kept: the next export asks for the rest only, and the next import needs the rest only.
    competency_gaps.run({**config, "judge": {"export": str(requests)}}, tmp_path / "run")
    assert len(requests.read_text().splitlines()) == REQUESTS - 10
    answers.write_text("".join(written[10:]))
    whole = competency_gaps.run({**config, "judge": {"imports": [str(answers)]}}, tmp_path / "run")
    assert whole.items.drop("details").equals(perfect[0].items.drop("details"), null_equal=True)
    assert_same_run(whole, perfect[0])


def test_unreadable_answers_of_the_judge_are_unscored_and_counted(config, perfect, tmp_path):
    """Every graded answer and one game of each match is unusable."""

    def plan(body, attempt):
        user = question_of(body)
        if "<answer-a-" not in user:
            text = json.dumps({"reasoning": "?", "grade": 11})
        elif "base" in user.split("</answer-a-")[0].split("<answer-a-")[1]:
            text = "A wins, I think. {"
        else:
            return answering(body)
        return ("message", {"role": "assistant", "content": text}, "stop", usage_of(body))

    with serve(plan) as fake:
        run = competency_gaps.run({**config, "judge": asked_at(fake.url)}, tmp_path / "run")
    graded = run.items.filter(run.items["benchmark"] == "graded")
    assert graded["score"].null_count() == ITEMS
    assert all("the grade 11 is not between 1 and 10" in reason["text"] for reason in graded["unscored"])
    arena = run.items.filter(run.items["benchmark"] == "arena")
    whole = perfect[0].items.filter(perfect[0].items["benchmark"] == "arena")
    assert arena["score"].null_count() == ITEMS and set(arena["unscored"].struct.field("code")) == {"no_verdicts"}
    for one, other in zip(arena.iter_rows(named=True), whole.iter_rows(named=True), strict=True):
        # The verdict that could be used is kept beside the other's failure.
        assert json.loads(one["details"])["games"][1] == json.loads(other["details"])["games"][1]
    told = run.manifest["judging"]["benchmarks"]
    assert told["graded"]["failed"] == ITEMS and told["graded"]["scored"] == 0
    assert told["arena"]["failed"] == ITEMS and told["arena"]["scored"] == 0
    figures = run.manifest["benchmarks"][1]["figures"]["arena"]
    assert figures["failure_rate"] == 0.5 and figures["both_games"] == 0 and figures["tie_rate"] == 0
    assert figures["one_order"] == ITEMS and figures["items"] == 0


def test_a_cap_leaves_the_rest_unscored_and_a_second_run_goes_on(config, perfect, tmp_path):
    with serve(answering) as fake:
        small = {**config, "judge": asked_at(fake.url, max_tokens=25_000, concurrency=1)}
        run = competency_gaps.run(small, tmp_path / "run")
        assert 0 < run.items["score"].null_count() < 2 * ITEMS
        assert "judge_capped" in set(run.items["unscored"].struct.field("code"))
        assert sum(one["unasked"] for one in run.manifest["judging"]["benchmarks"].values()) > 0
        run = competency_gaps.run({**config, "judge": asked_at(fake.url)}, tmp_path / "run")
        assert set(fake.paid.values()) == {1}
    assert_same_run(run, perfect[0])


def test_without_a_judge_items_give_the_reason(config, tmp_path):
    run = competency_gaps.run(config, tmp_path / "run")
    assert run.items["score"].null_count() == 2 * ITEMS
    assert set(run.items["unscored"].struct.field("code")) == {"no_judge"}


def test_a_run_that_nobody_can_confirm_stops_at_once(config, tmp_path):
    with pytest.raises(UserError, match="nobody can be asked"):
        competency_gaps.run({**config, "judge": {"base_url": "http://localhost:1/v1", "model": "m"}}, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("judge", "message"),
    [
        ({}, "give one of 'base_url', 'export' and 'imports'"),
        ({"base_url": "http://x/v1"}, "'base_url' needs 'model'"),
        ({"base_url": "http://x/v1", "model": "m", "export": "f"}, "found 'base_url', 'export'"),
        ({"imports": ["nowhere.jsonl"]}, "there is no such file"),
        ({"base_url": "http://x/v1", "model": "m", "max_cost": 1.0}, "needs 'price_in'"),
    ],
)
def test_invalid_judges_are_refused(config, judge, message, tmp_path):
    with pytest.raises(UserError, match=message):
        competency_gaps.run({**config, "judge": judge}, tmp_path / "run")


def test_progress_says_what_is_left(config, tmp_path):
    import io

    from rich.console import Console

    said = io.StringIO()
    progress = Progress(Console(file=said, width=400))
    from competency_gaps.config import RunConfig, parse_config
    from competency_gaps.stages import pipeline

    told = {**config, "judge": {"export": str(tmp_path / "r.jsonl")}}
    pipeline.run(parse_config(RunConfig, told, "test"), tmp_path / "run", progress)
    assert "judge.imports in place of judge.export" in said.getvalue()
    assert "graded: 12 items not judged" in said.getvalue()


def test_rules_need_no_judge_and_a_judge_overrides_them(tiny_config, tmp_path):
    source = {"kind": "file", "path": str(open_file(tmp_path))}
    options = {"expect": "refuse", "max_new_tokens": 4}
    rules = {"name": "rules", "source": source, "policy": "refusal", "options": options}
    both = {"name": "both", "source": source, "policy": "refusal", "options": {**options, "judge": True}}
    config = {**tiny_config, "benchmarks": [rules, both]}
    run = competency_gaps.run(config, tmp_path / "run")
    told = run.manifest["judging"]["benchmarks"]
    shown = run.items.filter(run.items["response"].str.strip_chars() != "")
    assert set(told) == {"both"} and told["both"]["unasked"] == told["both"]["items"] == told["both"]["scored"]
    assert set(shown["score"]) == {0.0}, "random words decline nothing"
    with serve(answering) as fake:
        run = competency_gaps.run({**config, "judge": asked_at(fake.url)}, tmp_path / "run")
    for row in run.items.iter_rows(named=True):
        if row["score"] is not None:
            declined = liking(row["response"]) % 3 > 0
            assert row["score"] == (float(declined) if row["benchmark"] == "both" else 0.0)
    figures = run.manifest["benchmarks"][1]["figures"]["refusal"]
    assert figures["decided_by"] == {"judge": figures["refuse"]["items"]}


def test_a_killed_run_knows_its_judge_and_several_judges_need_a_name(config, tmp_path, monkeypatch):
    def killed(*args):
        raise KeyboardInterrupt

    with serve(answering) as fake, monkeypatch.context() as patch:
        patch.setattr(asking, "ask", killed)
        with pytest.raises(KeyboardInterrupt):
            competency_gaps.run({**config, "judge": asked_at(fake.url)}, tmp_path / "run")
    kept = tmp_path / "run" / "judging" / "judge.json"
    assert [one["model"] for one in json.loads(kept.read_text())["judges"]] == ["fake"]
    with serve(answering) as fake:
        competency_gaps.run({**config, "judge": asked_at(fake.url)}, tmp_path / "run")
        competency_gaps.run({**config, "judge": {**asked_at(fake.url), "model": "second"}}, tmp_path / "run")
    with pytest.raises(UserError, match=r"several judges, 'fake', 'second': name one with judge\.model"):
        competency_gaps.run(config, tmp_path / "run")
    named = competency_gaps.run({**config, "judge": {"model": "fake"}}, tmp_path / "run")
    assert named.manifest["judging"]["judge"] == "fake" and named.items["score"].null_count() == 0


def test_an_import_knows_the_room_that_the_export_gave(config, tmp_path):
    requests, answers = tmp_path / "requests.jsonl", tmp_path / "answers.jsonl"
    competency_gaps.run({**config, "judge": {"export": str(requests), "answer_tokens": 333}}, tmp_path / "run")
    lines = [json.loads(line) for line in requests.read_text().splitlines()]
    written = [{"custom_id": one["custom_id"], "content": ruled(one["body"])} for one in lines]
    answers.write_text("".join(json.dumps(one) + "\n" for one in written))
    run = competency_gaps.run({**config, "judge": {"imports": [str(answers)]}}, tmp_path / "run")
    assert run.items["score"].null_count() == 0
    # An answer that cannot be used takes the place of none that can.
    answers.write_text("".join(json.dumps({**one, "content": "?"}) + "\n" for one in written))
    again = competency_gaps.run({**config, "judge": {"imports": [str(answers)]}}, tmp_path / "run")
    assert again.items["score"].null_count() == 0
    assert competency_gaps.run(config, tmp_path / "run").items["score"].null_count() == 0


def test_advice_names_options_that_the_command_has(config, tmp_path):
    import inspect
    import io

    from rich.console import Console

    from competency_gaps.cli.options import option_name
    from competency_gaps.cli.run import run as command
    from competency_gaps.config import RunConfig, parse_config
    from competency_gaps.errors import argument, spelling
    from competency_gaps.stages import pipeline

    said = io.StringIO()
    with serve(
        lambda body, attempt: ("message", {"role": "assistant", "content": "?"}, "stop", usage_of(body))
    ) as fake:
        told = parse_config(RunConfig, {**config, "judge": asked_at(fake.url)}, "test")
        pipeline.run(told, tmp_path / "run", Progress(Console(file=said, width=400)))
    assert "judge.again asks" in said.getvalue() and "judge.answer_tokens leaves" in said.getvalue()
    options = set(inspect.signature(command).parameters)
    named = ("judge.again", "judge.yes", "judge.answer_tokens", "judge.max_tokens", "judge.max_cost", "judge.imports")
    assert {name.replace(".", "_") for name in named} <= options
    with spelling(option_name):
        assert [argument(name) for name in named[::5]] == ["--judge-again", "--judge-import"]


def test_two_policies_of_one_name_both_have_figures(tmp_path):
    import polars as pl

    from competency_gaps.items.item import Item
    from competency_gaps.stages.figures import benchmark_figures
    from competency_gaps.stages.policies import make_policy

    class One:
        def __init__(self, policy):
            self.policy, self.item, self.excluded = policy, Item(id="i", prompt="p"), None

    items = [One(make_policy("refusal", {"expect": expect})) for expect in ("refuse", "comply")]
    detail = json.dumps({"refused": True, "by": "rules", "why": "no"})
    found = benchmark_figures(items, pl.DataFrame({"score": [1.0, 0.0], "details": [detail] * 2}))
    assert list(found) == ["refusal (expect=refuse)", "refusal (expect=comply)"]
    assert list(benchmark_figures(items[:1], pl.DataFrame({"score": [1.0], "details": [detail]}))) == ["refusal"]
