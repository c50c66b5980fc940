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
from competency_gaps.explorer.parts import lacking as lacking_module
from competency_gaps.explorer.parts.suite import Suite
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
    assert "cgaps scope" in lack_of(hostile.run)["sentence"]


def test_robustness_is_suggested_until_it_was_run(hostile, changed):
    folder = changed("items")
    (one,) = suggested(folder)["robustness"]
    assert parsed(one["command"])[0] == "robustness"
    write_json(folder / "robustness.json", {"verdicts": []})
    assert "robustness" not in suggested(folder)


LIST = "The list of the 5 lowest gaps is not stable: without 20% of the items it keeps 0.30. chi_model moves."


def test_what_does_not_hold_up_asks_for_more_items(changed):
    folder = changed("items")

    def tested(*verdicts):
        rows = [{"test": test, "sentence": sentence, "tone": tone} for test, sentence, tone in verdicts]
        write_json(folder / "robustness.json", {"verdicts": rows})
        return suggested(folder).get("robustness", [])

    halves = ("split halves", "Two halves of the items agree: correlation 0.90.", "good")
    (one,) = tested(("subsampling", LIST, "bad"), halves)
    assert one["title"] == "The list is not stable: ask more items"
    assert one["reason"].startswith("The list of the 5 lowest gaps is not stable. Of 2 tests of robustness 1 passed.")
    assert "halves" not in one["reason"]
    name, options = parsed(one["command"])
    assert name == "concept" and options["weak"] == 5 and options["source"] == "endpoint"
    (one,) = tested(("split halves", "Two halves hardly agree: 0.10.", "bad"), ("subsampling", "It holds.", "good"))
    assert one["title"] == "Not all findings hold up: ask more items" and "0.10" not in one["reason"]
    (one,) = tested(("subsampling", "Too few concepts are tested to speak of a list. It moves.", "open"))
    assert one["title"] == "Whether the findings hold up cannot be told: ask more items"
    assert tested(("subsampling", "Too few concepts.", "open"), halves) == []
    changed("concepts", performance_status=pl.lit("typical"))
    (one,) = tested(("subsampling", LIST, "bad"))
    assert one["command"] is None, "no concept is weak, so none can be probed"


def test_without_tested_concepts_nothing_is_said_of_robustness(changed):
    folder = changed("concepts", q_value=pl.lit(None, pl.Float64), performance_status=pl.lit("untested"))
    assert "robustness" not in suggested(folder)
    write_json(folder / "robustness.json", {"verdicts": [{"test": "subsampling", "sentence": LIST, "tone": "bad"}]})
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
    probes = [one for one in suggested(folder)["weak"] if "probe" in one["command"]]
    assert probes
    for one in probes:
        name, options = parsed(one["command"])
        assert name == "concept" and options["source"] == "reasoning-gym" and options["export"] is None
        assert options["concept"] == ",".join(str(concept) for concept in one["concepts"][:5])


def test_weak_themes_come_as_the_overview_names_them(changed):
    number = pl.col("id").cast(pl.Float64)
    theme = pl.col("level") == "theme"
    folder = changed(
        "theme_results",
        # Themes 0, 2 and 3 are weak, 2 most of all; so are all subthemes.
        performance_status=pl.when(theme & (pl.col("id") == 1)).then(pl.lit("typical")).otherwise(pl.lit("weak")),
        q_value=pl.lit(0.01),
        gap=pl.when(theme & (pl.col("id") == 2)).then(-0.4).otherwise(-0.1 - 0.01 * number),
        gap_low=-0.5 - 0.01 * number,
        gap_high=pl.lit(-0.05),
    )
    found = suggested(folder)["weak"]
    info = json.loads(Parts(open_run(folder), key="k").read("run.json"))
    (finding,) = [one["sentence"] for one in info["findings"] if "tested themes are weak" in one["sentence"]]
    names = [one["title"].split("“")[1].split("”")[0] for one in found]
    themes = {row["id"]: row["name"] for row in open_run(folder).theme_results.filter(theme).iter_rows(named=True)}
    assert names[:3] == [themes[2], themes[3], themes[0]]
    assert [f"“{name}”" in finding for name in names] == [True, True, False, False]
    # Of theme 1, which is not weak, the subtheme whose interval ends lowest: 3 to 5 are its own.
    assert names[3:] == ["part 5"] and [one["theme"] for one in found] == [2, 3, 0, 1]
    assert "Its weakest subtheme is “part 8”" in found[0]["reason"]


def test_only_weak_concepts_are_probed_leaders_first(changed):
    weak = {30: -0.5, 31: -0.2, 34: -0.3, 35: -0.4, 60: -0.6}
    own = pl.col("concept")
    folder = changed(
        "concepts",
        performance_status=pl.when(own.is_in(list(weak))).then(pl.lit("weak")).otherwise(pl.lit("typical")),
        gap=pl.when(own.is_in(list(weak))).then(own.replace_strict(weak, default=None)).otherwise(-0.01),
        leader=pl.when(own.is_in([31, 60])).then(own).when(own.is_in([30, 34, 35])).then(60).cast(pl.Int32),
        q_value=pl.lit(0.01),
        ranked=pl.lit(True),
    )
    changed("theme_results", performance_status=pl.when(pl.col("level") == "theme").then(pl.lit("weak")))
    found = {one["theme"]: one for one in suggested(folder)["weak"]}
    # Concepts 24 to 47 are of theme 1, 48 to 71 of theme 2; none of theme 0 is weak.
    assert found[1]["concepts"] == [31, 30, 35, 34] and found[2]["concepts"] == [60]
    assert parsed(found[1]["command"])[1]["concept"] == "31,30,35,34"
    assert "4 of its" in found[1]["reason"] and "probes them." in found[1]["reason"]
    assert "1 of its" in found[2]["reason"] and "is weak by itself; the command probes it." in found[2]["reason"]
    name, options = parsed(found[0]["command"])
    assert (name, options["theme"]) == ("show", 0) and found[0]["title"].startswith("Look into")
    assert "None of its" in found[0]["reason"] and "taken together" in found[0]["reason"]


def test_what_is_nearly_weak_is_not_called_so(changed):
    folder = changed(
        "theme_results",
        performance_status=pl.lit("typical"),
        q_value=pl.when((pl.col("level") == "subtheme") & (pl.col("id") == 10)).then(0.15).otherwise(0.5),
        gap=pl.lit(-0.1),
    )
    (one,) = suggested(folder)["weak"]
    assert one["theme"] == 3 and "may be weak, but the evidence falls short" in one["reason"]
    assert "taken together" not in one["reason"] and parsed(one["command"])[0] == "show"


def lack_of(folder) -> dict:
    """The finding about what benchmarks lack of their own subject."""
    info = json.loads(Parts(open_run(folder), key="k").read("run.json"))
    (one,) = [one for one in info["findings"] if "own subject" in one["sentence"]]
    return one


def test_a_benchmark_of_no_weight_has_no_subject(changed):
    # Its themes weigh 0 (0 of 0 is no share), though some of its concepts are covered.
    none = pl.col("benchmark") == NAMES[0]
    folder = changed("theme_benchmarks", chi_bench=pl.when(none).then(0.0).otherwise("chi_bench"))
    silent = none & pl.col("concept").is_in(range(8, 16))
    changed("concept_benchmarks", chi_bench=pl.when(silent).then(0.0).otherwise("chi_bench"))
    context = Parts(open_run(folder), key="k").context
    assert Suite(context).covered[0].any() and not lacking_module._focus(context, 0)
    assert not [one for one in suggested(folder).get("missing", []) if one["benchmark"] == 0]


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
    told = lack_of(folder)
    assert told["number"] == str(len(one["concepts"])) and f"lacking in {NAMES[0]}" in told["sentence"]
    assert "by themes alone" in told["sentence"] and told["link"] == "suggestions?face=benchmark&bench=0"


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
    told = lack_of(folder)
    assert told["number"] == "2" and f"lacking in {NAMES[1]}" in told["sentence"]
    assert "by labels" in told["sentence"] and told["link"] == "suggestions?face=benchmark&bench=1"
    write_json(folder / "scopes" / "x.json", {**held, "rows": rows[2:]})
    told = lack_of(folder)
    assert told["number"] == "0" and "of 1 (" in told["sentence"] and told["link"] == "suggestions?face=benchmark"


def test_a_redacted_copy_tells_no_folder(hostile):
    found = suggested(hostile.run, redact=True)
    assert all(str(hostile.run.parent) not in json.dumps(one) for kind in found.values() for one in kind)


def test_without_labels_and_themes_nothing_is_made_up(tmp_path):
    made = hostile_run(tmp_path, themes=False, labels=False)
    assert set(suggested(made.run)) <= {"robustness", "redundant", "label"}
    told = lack_of(made.run)
    assert told["number"] == "N/A" and "have no labels" in told["sentence"]
