"""Views of a run through the scores of one of its models, and answers that are kept until the run changes."""

from __future__ import annotations

import copy
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scores_helpers import table
from typer.testing import CliRunner

from competency_gaps.cli.app import app
from competency_gaps.findings.answer import find_answer
from competency_gaps.findings.models import find_model_slices
from competency_gaps.runs.open import open_folder
from competency_gaps.runs.scores import model_scores
from competency_gaps.util.errors import UserError, nearest


def test_own_scores_under_another_name_give_equal_tables(run):
    """An outcome is made from rows of activations, not by the pipeline: both must say the same."""
    own = run.items.select(pl.col("item_id").alias("id"), "benchmark", pl.col("score").alias("twin"))
    run.add_scores(own)
    twin = run.as_model("twin")
    assert twin.scored_model == "twin" and twin != run
    for name in ("concepts", "concept_benchmarks", "benchmarks", "overlap"):
        base, other = getattr(run, name), getattr(twin, name)
        assert base.columns == other.columns and base.schema == other.schema
        for column in base.columns:
            if base[column].dtype.is_float():
                assert np.allclose(base[column].to_numpy(), other[column].to_numpy(), equal_nan=True, atol=1e-9), column
            else:
                assert base[column].equals(other[column]), column
    assert set(twin.items.columns) == {*run.items.columns, "outcome"} and twin.items.height == run.items.height
    assert twin.items["score"].equals(run.items["score"]) and twin.items["text"].equals(run.items["text"])
    assert twin.manifest["evidence"]["failure"] == run.manifest["evidence"]["failure"]
    assert {"a", "b"}.isdisjoint(model_scores(open_folder(run.path)).models)


def test_an_outcome_is_a_run(run):
    run.add_scores(table(run))
    peers = run.as_model("a", "peers")
    assert peers.limits[0] <= -1 and peers.limits[1] >= 1
    known = ~np.isnan(peers.outcomes)
    for benchmark in peers.items["benchmark"].unique().to_list():
        own = known & (peers.items["benchmark"] == benchmark).to_numpy()
        if own.any():
            assert peers.outcomes[own].mean() == pytest.approx(0, abs=1e-9)
    assert peers.manifest["outcome"]["against"] and "a" not in peers.manifest["outcome"]["against"]
    number = int(peers.concepts.sort("support", descending=True)["concept"][0])
    assert peers.concept_items(number, order="worst").height > 0
    for own, other in zip(peers.token_activations(number, [0, 1]), run.token_activations(number, [0, 1]), strict=True):
        assert own is not None and np.array_equal(own.activation, other.activation)
    assert peers.cas(peers.benchmarks["benchmark"][0]).nnz > 0
    assert peers.as_model("b").scored_model == "b"  # a view leads to the others
    copied = copy.deepcopy(peers)  # as it is pickled
    assert copied == peers and np.array_equal(copied.outcomes, peers.outcomes, equal_nan=True)


def contents(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """Every file and folder below a folder, with its times and bytes."""
    return {
        str(path): (path.stat().st_mtime_ns, path.stat().st_ctime_ns, b"" if path.is_dir() else path.read_bytes())
        for path in sorted([folder, *folder.rglob("*")])
    }


def test_reading_a_run_as_other_models_changes_nothing_in_it(run, tmp_path, monkeypatch):
    monkeypatch.setenv("CGAPS_CACHE", str(tmp_path / "cache"))
    run.add_scores(table(run))
    before = contents(run.path)
    for command in (["show", "c"], ["show", "a", "--against", "peers"]):
        done = CliRunner().invoke(app, [command[0], str(run.path), *command[1:]])
        assert done.exit_code == 0, done.exception
    assert run.as_model("a", parsed=True).kind == "parsed"
    assert contents(run.path) == before


def test_a_kept_answer_is_the_fresh_one_until_the_run_changes(run, tmp_path, monkeypatch):
    monkeypatch.setenv("CGAPS_CACHE", str(tmp_path / "cache"))
    run.add_scores(table(run))
    asked = [
        ("a", None, False),
        ("a", "benchmark", False),
        ("a", "b", False),
        ("a", ["b", "c"], False),
        (None, None, True),
    ]
    for model, against, parsed in asked:
        fresh = find_answer(run, model, against, parsed=parsed)
        assert run.answer(model, against, parsed=parsed) == fresh  # made
        assert run.answer(model, against, parsed=parsed) == fresh  # read
    found = find_model_slices(run)
    for _ in range(2):
        for table_, fresh_table in zip(run.model_slices(), found, strict=True):
            assert table_.equals(fresh_table) and table_.schema == fresh_table.schema
    kept = sorted((tmp_path / "cache").rglob("*.json"))
    assert len(kept) == len(asked) + 1
    code = "import sys; import competency_gaps as cg; cg.open_run(sys.argv[1]).answer('a'); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, run.path], capture_output=True, text=True, check=True)
    assert {"polars", "competency_gaps.findings.kept"} <= set(done.stdout.split())
    assert not {"scipy", "pydantic", "torch"} & set(done.stdout.split())
    other = table(run).with_columns(a=1 - pl.col("a"))
    run.add_scores(other.select("benchmark", "id", "a"), replace=True)
    assert run.answer("a") == find_answer(run, "a")
    assert run.answers()["a"].mean != pytest.approx(fresh.mean)
    for file in kept:
        file.write_text("{")
    for place in (str(tmp_path / "run" / "manifest.json" / "x"), "/proc/nowhere"):  # which nothing can be written to
        monkeypatch.setenv("CGAPS_CACHE", place)
        assert run.answer("a", "b") == find_answer(run, "a", "b")


def test_unknown_models_and_too_few_peers_are_refused(run):
    run.add_scores(table(run, models=("a",)))
    assert (
        nearest("mistral", ["mathstral", "Mistral-v1", "Mistral-v2"]) == " Did you mean 'Mistral-v1' or 'Mistral-v2'?"
    )
    with pytest.raises(UserError, match=r"'aa'.*Did you mean 'a'"):
        run.as_model("aa")
    with pytest.raises(UserError, match="at least 2 other models"):
        run.as_model("a", "peers")
    with pytest.raises(UserError, match="at least 2 other models"):
        run.as_model("a", ["a", run.scored_model])
    with pytest.raises(UserError, match=r"has 1 peer \("):
        run.as_model("a", [run.scored_model, run.scored_model])
    first = pl.col("benchmark") == run.items["benchmark"][0]
    halves = (pl.when(first).then("b").alias("b"), pl.when(~first).then("c").alias("c"))
    run.add_scores(table(run, models=("b", "c")).with_columns(halves))
    with pytest.raises(UserError, match="no benchmark has scores of a and of 2 of its peers: b, c"):
        run.as_model("a", ["b", "c"])
