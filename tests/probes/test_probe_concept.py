"""Probing concepts on a tiny model: fresh items of generated families, and items that a fake endpoint writes."""

from __future__ import annotations

import json
import shutil

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

import competency_gaps as cg
from competency_gaps.cli.app import app
from competency_gaps.errors import UserError
from competency_gaps.probes.concept import Criterion, probe_generated
from competency_gaps.probes.fresh import config_key, duplicates, fresh_config
from competency_gaps.probes.kept import read_probe
from competency_gaps.probes.targets import targets
from competency_gaps.probes.written import Pending
from competency_gaps.progress import Progress
from competency_gaps.runs.open import open_folder
from competency_gaps.runs.settings import run_config
from fake_endpoint import question_of, serve, usage_of

QUIET = Progress(quiet=True)
SUM = {
    "kind": "reasoning_gym",
    "family": "chain_sum",
    "seed": 3,
    "size": 40,
    "options": 3,
    "distractors": "near_numbers",
}
WORD = {"kind": "reasoning_gym", "family": "spell_backward", "seed": 3, "size": 40, "options": 3}


@pytest.fixture(scope="module")
def run(tmp_path_factory, tiny_config):
    """A run over two generated families and one benchmark of a file."""
    cloze = {"options": {"form": "cloze"}}
    config = {
        **tiny_config,
        "benchmarks": [
            {"name": "sums", "source": SUM, **cloze},
            {"name": "words", "source": WORD, **cloze},
            tiny_config["benchmarks"][0],
        ],
    }
    return cg.run(config, tmp_path_factory.mktemp("probes") / "run")


@pytest.fixture
def copy(run, tmp_path):
    shutil.copytree(run.path, tmp_path / "run", ignore=shutil.ignore_patterns("probes"))
    return open_folder(tmp_path / "run")


def some_concepts(run, count=3):
    """Concepts that excite some items of a generated family, but not all."""
    kept = []
    for concept in run.concepts.filter(pl.col("gap").is_not_null())["concept"]:
        tau = run.concepts["tau"][concept]
        exciting = [np.tanh(run.cas(b)[:, [concept]].toarray() / (2 * tau)) >= 0.2 for b in ("sums", "words")]
        if any(0.1 < one.mean() < 0.9 for one in exciting):
            kept.append(int(concept))
    assert len(kept) >= count
    return kept[:count]


def test_fresh_items_share_no_seed_with_the_run(run):
    config = run_config(run)
    known = config.generated
    assert set(known) == {"sums", "words"}
    fresh = fresh_config(config, list(known.values()), 50, seed=0)
    other = fresh_config(config, list(known.values()), 50, seed=1)
    for one, again in zip(fresh.benchmarks, other.benchmarks, strict=True):
        old = known[one.name].source
        # Item i under a seed is item 0 under seed + i.
        assert not set(range(one.source.seed, one.source.seed + 50)) & set(range(old.seed, old.seed + old.size))
        assert one.source.seed != again.source.seed
        assert one.source.model_dump(exclude={"seed", "size"}) == old.model_dump(exclude={"seed", "size"})


def test_duplicates_are_named():
    found = duplicates(["a b", "c", "c", "c"], ["x", "x", "x", "y"], frozenset({"a b"}))
    assert found.tolist() == ["in the run", None, "twice", None]


def test_generated_probe_measures_and_compares(run, copy):
    concepts = some_concepts(run)
    probed = probe_generated(copy, targets(copy, concepts), Criterion(), QUIET, items=60)
    fresh = open_folder(probed.fresh)
    items = pl.read_parquet(probed.folder / "items.parquet")
    asked = {" ".join(text.split()) for text in copy.items["prompt"]}
    for target, found in probed.results:
        own = items.filter(pl.col("concept") == target.concept)
        # The activations are those of the fresh run, on the scale of the run that made the claim.
        cas = np.concatenate(
            [fresh.cas(b)[:, [target.concept]].toarray().ravel() for b in fresh.benchmarks["benchmark"]]
        )
        ncas = np.tanh(cas / (2 * copy.concepts["tau"][target.concept]))
        np.testing.assert_allclose(own["cas"], cas)
        role = own["role"].to_numpy()
        assert (ncas[role == "exciting"] >= 0.2).all()
        assert (ncas[role == "comparison"] < 0.2).all()
        for text, one in zip(own["prompt"], role, strict=True):
            assert (" ".join(text.split()) in asked) == (one == "in the run")
        if found.kind == "contrast":
            # Brute force: within each family, by hand.
            by = own.filter(pl.col("role").is_in(["exciting", "comparison"]) & pl.col("score").is_not_null())
            total = weight = 0.0
            for _, family in by.group_by("benchmark"):
                one = family.filter(pl.col("role") == "exciting")["score"]
                other = family.filter(pl.col("role") == "comparison")["score"]
                if min(len(one), len(other)) >= 5:
                    share = len(one) * len(other) / (len(one) + len(other))
                    total += share * (one.mean() - other.mean())
                    weight += share
            assert found.difference == pytest.approx(total / weight)
    told = json.loads((probed.folder / "verdicts.json").read_text())
    table = pl.read_parquet(probed.folder / "verdicts.parquet")
    assert [one["verdict"] for one in told["concepts"]] == table["verdict"].to_list()
    kept = read_probe(probed.folder)
    assert kept.verdicts.equals(table) and kept.items.equals(items) and kept.document["concepts"] == told["concepts"]
    assert any(found.kind == "contrast" for _, found in probed.results)


def test_a_killed_probe_resumes_with_the_same_result(copy, monkeypatch):
    from competency_gaps.stages.extraction import ShardReader

    chosen = targets(copy, some_concepts(copy))
    whole, asked = ShardReader.read, []

    def stopped(*arguments):
        asked.append(arguments)
        if len(asked) == 2:
            raise KeyboardInterrupt
        return whole(*arguments)

    monkeypatch.setattr(ShardReader, "read", stopped)
    with pytest.raises(KeyboardInterrupt):
        probe_generated(copy, chosen, Criterion(), QUIET, items=40)
    monkeypatch.setattr(ShardReader, "read", whole)
    resumed = probe_generated(copy, chosen, Criterion(), QUIET, items=40).as_dict()
    shutil.rmtree(copy.path / "probes")
    assert probe_generated(copy, chosen, Criterion(), QUIET, items=40).as_dict() == resumed

    def never(*arguments, **options):
        raise AssertionError("a finished probe needs no model")

    monkeypatch.setattr("competency_gaps.stages.setting.load_pair", never)
    assert probe_generated(copy, chosen, Criterion(), QUIET, items=40).as_dict() == resumed


def test_concepts_without_generated_items_are_refused_or_named(tiny_run):
    concept = int(tiny_run.concepts.filter(pl.col("gap").is_not_null())["concept"][0])
    with pytest.raises(UserError, match="A language model can write items"):
        probe_generated(tiny_run, targets(tiny_run, [concept]), Criterion(), QUIET)


def talker(body, attempt):
    """Plays both roles: some items of the families' own form, some of another, some that cannot be used."""
    role = body["response_format"]["json_schema"]["name"]
    if role == "examiner":
        said = {"topics": [{"topic": "words", "why": "\x1b[31m«"}, {"topic": "sums", "why": "digits"}]}
    else:
        topic = json.loads(question_of(body))["topic"]
        words = ["apple", "river", "stone", "winter", "garden", "market", "letter", "silver", "window", "yellow"]
        said = {
            "items": [
                {
                    "question": f"Spell this word backward (example: sun -> nus): {word}"
                    if topic == "words"
                    else f"{i} + 4 =",
                    "kind": "choice" if i % 2 else "number",
                    "options": [word, word[::-1]] if i % 2 else [],
                    "answer": word[::-1] if i % 2 else str(i + 4),
                    "excites": topic == "words",
                }
                for i, word in enumerate(words)
            ]
            + [{"question": "?", "kind": "choice", "options": ["a", "b"], "answer": "c", "excites": True}]
        }
    return ("message", {"role": "assistant", "content": json.dumps(said)}, "stop", usage_of(body))


def test_written_items_are_measured_and_paid_once(copy):
    concept = str(some_concepts(copy, 1)[0])
    with serve(talker) as server:
        command = [
            "probe",
            "concept",
            str(copy.path),
            "--concept",
            concept,
            "--source",
            "endpoint",
            "--json",
            "--quiet",
        ]
        command += ["--base-url", server.url, "--model", "m", "--yes", "--topics", "2"]
        first = CliRunner().invoke(app, command, catch_exceptions=False)
        paid = sum(server.paid.values())
        second = CliRunner().invoke(app, command, catch_exceptions=False)
        assert sum(server.paid.values()) == paid == 3
    told = json.loads(first.stdout)
    assert json.loads(second.stdout) == told
    assert told["dropped"]["written: an answer that is none of its options"] == 2
    found = told["concepts"][0]
    items = pl.read_parquet(f"{told['folder']}/items.parquet")
    assert items.height == 20
    # Answers to numbers have no room in the tiny model's context.
    assert set(items["role"]) <= {"exciting", "comparison", "in the run", "twice", "excluded"}
    assert items.filter(pl.col("role") == "comparison").height > 0  # the Questioner's word does not count
    assert found["exciting"] + found["comparison"] + found["unscored"] <= 20


def test_roles_in_batch_files(copy, tmp_path):
    concept = str(some_concepts(copy, 1)[0])
    base = ["probe", "concept", str(copy.path), "--concept", concept, "--source", "endpoint", "--json", "--quiet"]
    for number in (1, 2):
        exported, answered = tmp_path / f"ask{number}.jsonl", tmp_path / f"say{number}.jsonl"
        told = CliRunner().invoke(app, [*base, "--export", str(exported)], catch_exceptions=False)
        assert "--import" in json.loads(told.stdout)["next"]
        lines = [json.loads(line) for line in exported.read_text().splitlines()]
        answered.write_text(
            "".join(
                json.dumps({"custom_id": one["custom_id"], "content": talker(one["body"], 0)[1]["content"]}) + "\n"
                for one in lines
            )
        )
        told = CliRunner().invoke(app, [*base, "--import", str(answered)], catch_exceptions=False)
    assert json.loads(told.stdout)["concepts"][0]["concept"] == int(concept)


def test_a_pending_probe_names_the_next_role(copy, tmp_path):
    run, ask = cg.open_run(copy.path), cg.AskConfig(export=tmp_path / "requests.jsonl")
    assert run.probe(some_concepts(copy, 1), ask=ask) == Pending("Examiner", ask.export)
    assert not list(copy.path.glob("probes/*/verdicts.json"))


def test_fresh_items_of_another_judge_are_another_run(run):
    config = run_config(run)

    def key(**judge):
        return config_key(config.model_copy(update={"judge": cg.AskConfig(model="m", **judge)}))

    here = "http://localhost:1/v1"
    assert key(base_url=here) == key(base_url=here, concurrency=2, max_tokens=9)
    assert len({key(base_url=here), key(base_url="http://localhost:2/v1"), key(base_url=here, answer_tokens=7)}) == 3


def test_a_judge_grades_words_and_a_capped_probe_resumes(copy):
    """What a capped judge left open is asked when there is more to spend; nothing else is asked again."""
    concept = str(some_concepts(copy, 1)[0])
    grade = {"reasoning": "r", "grade": 10}

    def plan(body, attempt):
        role = body["response_format"]["json_schema"]["name"]
        if role == "examiner":
            said = {"topics": [{"topic": "words", "why": "w"}]}
        elif role == "questioner":
            items = [
                {
                    "question": f"Name the {i}th \x1b[31mday",
                    "kind": "text",
                    "options": [],
                    "answer": "a",
                    "excites": True,
                }
                for i in range(9)
            ]
            said = {"items": items}
        else:
            said = grade
        return ("message", {"role": "assistant", "content": json.dumps(said)}, "stop", usage_of(body))

    base = ["probe", "concept", str(copy.path), "--concept", concept, "--source", "endpoint", "--json", "--quiet"]
    with serve(plan) as server:
        base += ["--base-url", server.url, "--model", "m", "--yes", "--topics", "1", "--questions", "4", "--judge"]
        capped = CliRunner().invoke(
            app, [*base, "--max-tokens", "4500", "--answer-tokens", "500"], catch_exceptions=False
        )
        first = pl.read_parquet(json.loads(capped.stdout)["folder"] + "/items.parquet")
        judged = len(server.paid) - 2
        assert 0 < judged < 8
        # Asked without a cap: only what is open; another pace is no other probe.
        whole = CliRunner().invoke(app, [*base, "--answer-tokens", "500", "--concurrency", "2"], catch_exceptions=False)
        assert len(server.paid) == 2 + 8
        assert set(server.paid.values()) == {1}
    told = json.loads(whole.stdout)
    assert told["fresh"] == json.loads(capped.stdout)["fresh"]
    assert told["dropped"]["written: more than were asked for"] == 1
    items = pl.read_parquet(told["folder"] + "/items.parquet")
    assert first["score"].null_count() == 8 - judged  # waiting is unscored, never 0
    assert items["score"].to_list() == [1.0] * 8


def test_another_seed_does_not_overwrite_the_first_probe(copy):
    chosen = targets(copy, some_concepts(copy, 1))
    one, other = (
        probe_generated(copy, chosen, Criterion(seed=seed), QUIET, items=20, seed=seed).folder for seed in (0, 1)
    )
    assert one != other
    assert all((folder / "verdicts.json").is_file() for folder in (one, other))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--concept", "1", "--judge"], "--judge"),
        (["--concept", "1", "--source", "endpoint", "--items", "50"], "--items"),
        ([], "--concept ID"),
        (["--concept", "1", "--weak", "2"], "--concept ID"),
        (["--concept", "9999"], "9999"),
        (["--concept", "1", "--base-url", "http://x/v1"], "--source endpoint"),
        (["--concept", "1", "--source", "endpoint"], "--export"),
        (["--concept", "1", "--min-saliency", "0"], "--min-saliency"),
    ],
)
def test_wrong_options_are_refused(run, options, message):
    with pytest.raises(UserError, match=message):
        CliRunner().invoke(
            app, ["probe", "concept", str(run.path), *options], catch_exceptions=False, standalone_mode=False
        )
