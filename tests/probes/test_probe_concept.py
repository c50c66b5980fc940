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
from competency_gaps.probes.concept import Criterion, fresh_config, probe_generated, probe_rows, targets
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
        if any(0.1 < share.mean() < 0.9 for share in exciting):
            kept.append(int(concept))
    assert len(kept) >= count
    return kept[:count]


def test_fresh_items_share_no_seed_with_the_run(run):
    config = run_config(run)
    known = config.generated
    assert set(known) == {"sums", "words"}
    fresh = fresh_config(config, list(known.values()), 50, seed=0)
    other = fresh_config(config, list(known.values()), 50, seed=1)
    for new, again in zip(fresh.benchmarks, other.benchmarks, strict=True):
        old = known[new.name].source
        # Item i under a seed is item 0 under seed + i.
        assert not set(range(new.source.seed, new.source.seed + 50)) & set(range(old.seed, old.seed + old.size))
        assert new.source.seed != again.source.seed
        assert new.source.model_dump(exclude={"seed", "size"}) == old.model_dump(exclude={"seed", "size"})


def test_a_generated_probe_compares_within_families(run, copy):
    probed = probe_generated(copy, targets(copy, some_concepts(run)), Criterion(), QUIET, items=60)
    fresh = open_folder(probed.fresh)
    items = pl.read_parquet(probed.folder / "items.parquet")
    asked = {" ".join(text.split()) for text in copy.items["prompt"]}
    for target, result in probed.results:
        own = items.filter(pl.col("concept") == target.concept)
        # The activations are those of the fresh run, on the scale of the run that made the claim.
        cas = np.concatenate(
            [fresh.cas(b)[:, [target.concept]].toarray().ravel() for b in fresh.benchmarks["benchmark"]]
        )
        ncas = np.tanh(cas / (2 * copy.concepts["tau"][target.concept]))
        np.testing.assert_allclose(own["cas"], cas)
        role = own["role"].to_numpy()
        assert (ncas[role == "exciting"] >= 0.2).all() and (ncas[role == "comparison"] < 0.2).all()
        for text, what in zip(own["prompt"], role, strict=True):
            assert (" ".join(text.split()) in asked) == (what == "in the run")
        if result.kind == "contrast":
            # Brute force: within each family, by hand.
            by = own.filter(pl.col("role").is_in(["exciting", "comparison"]) & pl.col("score").is_not_null())
            total = weight = 0.0
            for _, family in by.group_by("benchmark"):
                with_it = family.filter(pl.col("role") == "exciting")["score"]
                without = family.filter(pl.col("role") == "comparison")["score"]
                if min(len(with_it), len(without)) >= 5:
                    share = len(with_it) * len(without) / (len(with_it) + len(without))
                    total += share * (with_it.mean() - without.mean())
                    weight += share
            assert result.difference == pytest.approx(total / weight)
    assert any(result.kind == "contrast" for _, result in probed.results)
    document = probed.folder / "verdicts.json"
    rows = probe_rows(open_folder(copy.path).document(document), document)
    assert [row["verdict"] for row in rows] == [result.verdict for _, result in probed.results]


def test_a_stopped_probe_resumes_with_the_same_result(copy, monkeypatch):
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
    with pytest.raises(AssertionError, match="needs no model"):  # other items
        probe_generated(copy, chosen, Criterion(), QUIET, items=40, seed=1)


def test_concepts_without_generated_items_are_refused(tiny_run):
    concept = int(tiny_run.concepts.filter(pl.col("gap").is_not_null())["concept"][0])
    with pytest.raises(UserError, match="A language model can write items"):
        probe_generated(tiny_run, targets(tiny_run, [concept]), Criterion(), QUIET)


def talker(body, attempt):
    """Plays both roles: some items of the families' own form, some of another, some that cannot be used."""
    if body["response_format"]["json_schema"]["name"] == "examiner":
        answer = {"topics": [{"topic": "words", "why": "\x1b[31m«"}, {"topic": "sums", "why": "digits"}]}
    else:
        topic = json.loads(question_of(body))["topic"]
        words = ["apple", "river", "stone", "winter", "garden", "market", "letter", "silver", "window", "yellow"]
        spell = "Spell this word backward (example: sun -> nus): "
        items = [
            {
                "question": spell + word if topic == "words" else f"{i} + 4 =",
                "kind": "choice" if i % 2 else "number",
                "options": [word, word[::-1]] if i % 2 else [],
                "answer": word[::-1] if i % 2 else str(i + 4),
                "excites": topic == "words",
            }
            for i, word in enumerate(words)
        ]
        unusable = {"question": "?", "kind": "choice", "options": ["a", "b"], "answer": "c", "excites": True}
        answer = {"items": [*items, unusable]}
    return ("message", {"role": "assistant", "content": json.dumps(answer)}, "stop", usage_of(body))


def cgaps_probe(copy, tmp_path, llm):
    (tmp_path / "llm.yaml").write_text(json.dumps(llm))
    concept = str(some_concepts(copy, 1)[0])
    command = ["probe", str(copy.path), "--concept", concept, "--llm", str(tmp_path / "llm.yaml"), "--json", "--quiet"]
    return json.loads(CliRunner().invoke(app, command, catch_exceptions=False).stdout)


def test_written_items_are_measured_and_paid_once(copy, tmp_path):
    with serve(talker) as server:
        llm = {"base_url": server.url, "model": "m"}
        first = cgaps_probe(copy, tmp_path, llm)
        paid = sum(server.paid.values())
        assert cgaps_probe(copy, tmp_path, llm) == first
        assert sum(server.paid.values()) == paid == 3
    assert first["dropped"]["written: an answer that is none of its options"] == 2
    result = first["concepts"][0]
    items = pl.read_parquet(f"{first['folder']}/items.parquet")
    assert items.height == 20
    # Answers to numbers have no room in the tiny model's context.
    assert set(items["role"]) <= {"exciting", "comparison", "in the run", "twice", "excluded"}
    assert items.filter(pl.col("role") == "comparison").height > 0  # the Questioner's word does not count
    assert result["exciting"] + result["comparison"] + result["unscored"] <= 20


def test_roles_answer_in_files(copy, tmp_path):
    for number in (1, 2):
        written, answered = tmp_path / f"ask{number}.jsonl", tmp_path / f"say{number}.jsonl"
        assert cgaps_probe(copy, tmp_path, {"model": "m", "requests": str(written)}) == {"waiting": True}
        assert not list(copy.path.glob("probes/*/verdicts.json"))
        lines = [json.loads(line) for line in written.read_text().splitlines()]
        assert len(lines) == number
        said = [{"custom_id": line["custom_id"], "content": talker(line["body"], 0)[1]["content"]} for line in lines]
        answered.write_text("".join(json.dumps(line) + "\n" for line in said))
        if number == 1:
            with pytest.raises(UserError, match="write its requests"):
                cgaps_probe(copy, tmp_path, {"model": "m", "answers": [str(answered)]})
    assert len(cgaps_probe(copy, tmp_path, {"model": "m", "answers": [str(answered)]})["concepts"]) == 1


@pytest.mark.parametrize(("options", "message"), [([], "--concept ID"), (["--concept", "9999"], "9999")])
def test_wrong_options_are_refused(run, options, message):
    with pytest.raises(UserError, match=message):
        CliRunner().invoke(app, ["probe", str(run.path), *options], catch_exceptions=False, standalone_mode=False)
