"""Suggestions: each is found by hand in a small run, and each command is one that the command line takes."""

from __future__ import annotations

import json
import shlex
import shutil

import polars as pl
import pytest
import typer
from explorer_runs import NAMES, hostile_run

from competency_gaps.cli.app import app
from competency_gaps.dictionary.of_run import dictionary_of
from competency_gaps.dictionary.open import open_dictionary
from competency_gaps.explorer.parts import Parts
from competency_gaps.files import write_json
from competency_gaps.runs.open import open_run


def suggested(folder, **options) -> dict[str, list[dict]]:
    found: dict[str, list[dict]] = {}
    for one in json.loads(Parts(open_run(folder), key="k", **options).read("run.json"))["suggestions"]:
        found.setdefault(one["kind"], []).append(one)
    return found


def parsed(line: str) -> tuple[str, dict]:
    """What the command line makes of a command: its full name and its options; wrong ones fail."""
    words = shlex.split(line)
    assert words[0] == "cgaps"
    command, context, rest = typer.main.get_command(app), None, words[1:]
    while hasattr(command, "commands"):
        context = command.make_context(rest[0], list(rest), parent=context, resilient_parsing=True)
        command, rest = command.commands[rest[0]], rest[1:]
    context = command.make_context(command.name, list(rest), parent=context)
    return command.name, context.params


@pytest.fixture
def changed(hostile, tmp_path):
    """A copy of the hostile run whose tables may be changed."""
    shutil.copytree(hostile.run, tmp_path / "a run")

    def change(name: str, **columns: pl.Expr):
        path = tmp_path / "a run" / f"{name}.parquet"
        pl.read_parquet(path).with_columns(**columns).write_parquet(path)
        return tmp_path / "a run"

    return change


def test_every_command_is_taken_by_the_command_line(hostile, changed):
    folder = changed("theme_results", performance_status=pl.lit("weak"))
    weight = pl.when((pl.col("level") == "subtheme") & (pl.col("id") == 1)).then(50.0).otherwise(pl.col("chi_bench"))
    changed("theme_benchmarks", chi_bench=weight)
    silent = pl.col("concept").is_in([8, 9]) & (pl.col("benchmark") == NAMES[1])
    changed("concept_benchmarks", chi_bench=pl.when(silent).then(0.0).otherwise("chi_bench"))
    changed("concepts", label_kind=pl.lit("automatic"))
    found = suggested(folder, dictionary=dictionary_of(open_run(folder), hostile.dictionary))
    assert set(found) == {"missing", "weak", "redundant", "robustness", "label", "unmeasured"}
    names = set()
    for one in (one for kind in found.values() for one in kind if one["command"]):
        name, options = parsed(one["command"])
        assert str(options["run"]).endswith("a run") or options["run"] == [folder] or "run" not in options
        names.add(name)
    assert names == {"robustness", "concept", "scope", "show", "exemplars"}


def test_robustness_is_suggested_until_it_was_run(hostile, changed):
    folder = changed("items")
    (one,) = suggested(folder)["robustness"]
    assert parsed(one["command"])[0] == "robustness"
    write_json(folder / "robustness.json", {"verdicts": []})
    assert "robustness" not in suggested(folder)


def test_what_nothing_exercises_is_listed_by_theme(hostile):
    found = suggested(hostile.run)["unmeasured"]
    table = open_run(hostile.run).concepts
    absent = table.filter(pl.col("ranked") & (pl.col("support") == 0))["concept"].to_list()
    assert sorted(concept for one in found for concept in one["concepts"]) == sorted(absent)
    assert all(concept // 24 == one["theme"] for one in found for concept in one["concepts"])
    assert found[0]["theme"] == 3 and len(found[0]["concepts"]) == 4
    assert "4 of 20 (20%)" in found[0]["reason"]


def test_what_others_cover_is_redundant(hostile):
    run = open_run(hostile.run)
    ranked = set(run.concepts.filter("ranked")["concept"])
    covered = {
        name: ranked
        & set(run.concept_benchmarks.filter((pl.col("benchmark") == name) & (pl.col("support") > 0))["concept"])
        for name in NAMES
    }
    found = suggested(hostile.run)["redundant"]
    assert found
    for one in found:
        name = NAMES[one["benchmark"]]
        others = set().union(*(covered[other] for other in NAMES if other != name))
        alone = len(covered[name] - others)
        assert alone <= 0.02 * len(covered[name])
        assert f"Of the {len(covered[name])} ranked concepts that {name} exercises, {alone} " in one["reason"]
    assert 3 not in [one["benchmark"] for one in found], "what covers nothing is not called redundant"


def test_weak_leaders_without_a_good_name(hostile, changed):
    (one,) = suggested(hostile.run, dictionary=dictionary_of(open_run(hostile.run), hostile.dictionary))["label"]
    assert one["concepts"] == [2], "the weak leader has an automatic label"
    assert parsed(one["command"])[1]["out"] == hostile.dictionary
    (one,) = suggested(changed("concepts", label=pl.lit(None, pl.String)))["label"]
    assert "1 with no label" in one["reason"] and parsed(one["command"])[1]["out"].name == "a run-dictionary"
    good = changed("concepts", label=pl.lit("a label"), label_kind=pl.lit("explained"))
    assert "label" not in suggested(good)


def test_a_dictionary_with_exemplars_can_have_them_explained(hostile, tmp_path):
    folder = tmp_path / "dictionary"
    shutil.copytree(hostile.dictionary, folder)
    (folder / "exemplars.parquet").touch()
    (one,) = suggested(hostile.run, dictionary=open_dictionary(folder))["label"]
    name, options = parsed(one["command"])
    assert name == "label" and options["dictionary"] == folder and options["concepts"] == "2"
    assert options["step"] == "explain" and options["export"] is not None


def test_generated_benchmarks_give_new_items(changed):
    folder = changed("theme_results", performance_status=pl.lit("weak"))
    path = folder / "manifest.json"
    content = json.loads(path.read_text())
    for one in content["settings"]["benchmarks"]:
        one["source"] = {"kind": "reasoning_gym", "family": "chain_sum", "size": 10}
    path.write_text(json.dumps(content))
    for one in suggested(folder)["weak"]:
        name, options = parsed(one["command"])
        assert name == "concept" and options["source"] == "reasoning-gym" and options["export"] is None
        assert options["concept"] == ",".join(str(concept) for concept in one["concepts"][:5])


def test_weak_themes_come_by_what_they_may_be(changed):
    number = pl.col("id").cast(pl.Float64)
    folder = changed(
        "theme_results",
        performance_status=pl.when(pl.col("level") == "subtheme").then(pl.lit("weak")).otherwise(pl.lit("typical")),
        q_value=pl.lit(0.5),
        gap=pl.lit(-0.1),
        gap_low=-0.2 - 0.01 * number,
    )
    found = suggested(folder)["weak"]
    # Subthemes 0 to 11, three to a theme: of each theme that with the lowest end, if a concept is tested and low.
    table = open_run(folder).concepts
    low = set(table.filter(pl.col("q_value").is_not_null() & (pl.col("gap") < 0))["concept"])
    expected = []
    for subtheme in reversed(range(12)):
        if low & set(range(8 * subtheme, 8 * subtheme + 8)) and subtheme // 3 not in [s // 3 for s in expected]:
            expected.append(subtheme)
    assert [one["title"] for one in found] == [f"Test “part {subtheme}” on fresh items" for subtheme in expected]
    for one, subtheme in zip(found, expected, strict=True):
        assert one["theme"] == subtheme // 3
        assert {concept // 8 for concept in one["concepts"]} == {subtheme} and set(one["concepts"]) <= low
        # Its benchmarks are files, of which no new items can be generated.
        name, options = parsed(one["command"])
        assert name == "concept" and options["source"] == "endpoint"


def test_missing_concepts_of_what_a_benchmark_weighs(hostile, changed):
    weight = pl.when((pl.col("level") == "subtheme") & (pl.col("id") == 1)).then(50.0).otherwise(pl.col("chi_bench"))
    changed(
        "theme_benchmarks",
        chi_bench=pl.when(pl.col("benchmark") == NAMES[0]).then(weight).otherwise("chi_bench"),
    )
    silent = pl.col("concept").is_in([8, 9, 40]) & (pl.col("benchmark") == NAMES[0])
    folder = changed("concept_benchmarks", chi_bench=pl.when(silent).then(0.0).otherwise("chi_bench"))
    (one,) = [one for one in suggested(folder)["missing"] if one["benchmark"] == 0]
    # Subtheme 1 holds the concepts 8 to 15; concept 40 is of a subtheme that the benchmark does not weigh.
    own = open_run(folder).concept_benchmarks.filter((pl.col("benchmark") == NAMES[0]) & (pl.col("chi_bench") == 0))
    assert {8, 9} <= set(one["concepts"]) == set(own["concept"]) & set(range(8, 16))
    assert one["theme"] == 0 and "“part 1”" in one["reason"] and "by themes alone" in one["reason"]
    assert parsed(one["command"])[1]["benchmark"] == NAMES[0], "the configuration states its scope"


def test_findings_of_a_scope_come_first(changed):
    folder = changed("items")
    row = {"label": "x", "similarity": 0.7, "p_value": 0.001, "chi_bench_elsewhere": None, "verdict": None}
    rows = [
        {**row, "concept": 30, "in_scope": True, "coverage_status": "under"},
        {**row, "concept": 31, "in_scope": True, "coverage_status": "missing"},
        {**row, "concept": 32, "in_scope": False, "coverage_status": "missing"},
        {**row, "concept": 33, "in_scope": True, "coverage_status": "missing", "verdict": "outside"},
    ]
    counts = {name: {"count": count} for name, count in (("covered", 5), ("under", 1), ("missing", 2))}
    held = {"benchmark": NAMES[1], "clauses": ["what it 'tests'"], "alpha": 0.01, "bound": 0.6, **counts, "rows": rows}
    write_json(folder / "scopes" / "x.json", held)
    first = suggested(folder)["missing"][0]
    assert first["benchmark"] == 1 and first["concepts"] == [31, 30]
    name, options = parsed(first["command"])
    assert name == "scope" and options["describe"] == ["what it 'tests'"] and options["benchmark"] == NAMES[1]


def test_a_redacted_copy_tells_no_folder(hostile):
    found = suggested(hostile.run, redact=True)
    assert all(str(hostile.run.parent) not in json.dumps(one) for kind in found.values() for one in kind)


def test_without_labels_and_themes_nothing_is_made_up(tmp_path):
    made = hostile_run(tmp_path, themes=False, labels=False)
    assert set(suggested(made.run)) <= {"robustness", "redundant", "label"}
