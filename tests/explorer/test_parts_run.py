"""``run.json`` and ``themes.json`` say what the report and the run's tables say."""

from __future__ import annotations

import io
import json
import shutil

import polars as pl
import pytest
from explorer_runs import HOME, MODEL, NAMES, SECRETS, SIZES

from competency_gaps.checked import write_document
from competency_gaps.dictionary.folder import dictionary_of
from competency_gaps.explorer.parts import Context, Parts
from competency_gaps.findings.statements import answer, answer_dict
from competency_gaps.items.item import Reason
from competency_gaps.runs.open import open_folder
from core_helpers import seal


def info(folder, **options) -> dict:
    run = open_folder(folder)
    return json.loads(Parts(Context(run, "key", **options)).read("run.json"))


@pytest.fixture(scope="module")
def found(hostile) -> dict:
    return info(hostile.run, dictionary=dictionary_of(open_folder(hostile.run), hostile.dictionary))


def test_the_answer_is_the_one_that_the_terminal_gives(hostile, found):
    run = open_folder(hostile.run)
    expected = json.loads(json.dumps(answer_dict(answer(run))))
    told = found["answer"]

    def texts(given: dict) -> list:
        parts = [
            given["opening"],
            *(one for name in ("trust", "findings", "scope", "confidence") for one in given[name]),
        ]
        notes = [note for one in given["benchmarks"] for note in one["notes"]]
        return [(one["code"], one["text"], one["tone"], one["finding"], one["benchmark"]) for one in [*parts, *notes]]

    assert texts(told) == texts(expected) and len(texts(told)) > 8
    assert [one["benchmark"] for one in told["benchmarks"]] == [one["benchmark"] for one in expected["benchmarks"]]
    assert told["trust"][0]["code"] == "gate", "this run's SAE did not pass"
    bad, quoting = found["cautions"]
    assert bad["tone"] == "bad" and "the log is of the model 'another-model'" in bad["text"]
    assert quoting["tone"] == "open" and SECRETS[1] in quoting["text"]


def test_findings_are_those_of_the_table(hostile, found):
    run = open_folder(hostile.run)
    table = run.findings
    assert [one["verdict"] for one in found["findings"]] == table["verdict"].to_list()
    assert table["verdict"][0] == "weak" and "strong" in table["verdict"]
    for one, row in zip(found["findings"], table.iter_rows(named=True), strict=True):
        for name in ("sentence", "leader", "items", "clusters", "feature", "holds", "unseen_splits"):
            assert one[name] == row[name], name
        for name in ("gap", "gap_low", "gap_high", "plain_gap", "mean_score", "feature_score"):
            assert one[name] == pytest.approx(row[name], rel=1e-6), name
        assert [NAMES[part["benchmark"]] for part in one["benchmarks"]] == [p["benchmark"] for p in row["benchmarks"]]
        assert [example["item"] for example in one["failing"]] == list(row["failing"])
    weak = found["findings"][0]
    assert weak["feature"] == "prompt.word:roman" and weak["concepts"][0] in (1, 2, 3)


def test_examples_show_what_differs_and_how_often_it_is_asked(hostile, found):
    run = open_folder(hostile.run)
    shown = [one for finding in found["findings"] for one in (*finding["failing"], *finding["passing"])]
    assert shown
    for one in shown:
        prompt = run.items["prompt"][one["item"]]
        cluster = run.items["cluster"][one["item"]]
        assert one["repeats"] == (run.items["cluster"] == cluster).sum()
        ranges = one["differs"]
        assert ranges == sorted(ranges) and all(0 <= a < b <= len(prompt) for a, b in ranges)
    # Each finding lists its own items.
    parts = Parts(Context(run, "key"))
    for one, row in zip(json.loads(parts.read("findings.json")), run.findings.iter_rows(named=True), strict=True):
        assert one["item_rows"] == row["item_rows"]


def test_a_constant_template_is_no_part_of_what_differs(hostile, tmp_path):
    shutil.copytree(hostile.run, tmp_path / "run")
    path = tmp_path / "run" / "items.parquet"
    table = pl.read_parquet(path)
    before, after = "Solve this and say nothing more: ", " Thank you for your answer."
    table.with_columns(prompt=before + pl.format("[{}]", pl.int_range(pl.len())) + after).write_parquet(path)
    seal(path.parent)
    run = open_folder(tmp_path / "run")
    told = info(tmp_path / "run")
    for finding in told["findings"]:
        for one in (*finding["failing"], *finding["passing"]):
            prompt = run.items["prompt"][one["item"]]
            assert "".join(prompt[a:b] for a, b in one["differs"]).strip("[] ") == str(one["item"])
    items = pl.read_parquet(io.BytesIO(Parts(Context(run, "key")).read("items.parquet")))
    assert items["excerpt"][7] == "… [7] Thank you for your answer."


def test_counts_are_those_of_the_table(hostile, found):
    table = open_folder(hostile.run).concepts
    alive = table.filter("alive")
    ranked = table.filter("ranked")
    weak = ranked.filter(pl.col("performance_status") == "weak")
    strong = ranked.filter(pl.col("performance_status") == "strong")
    assert found["counts"] == {
        "alive": alive.height,
        "covered": alive.filter(pl.col("support") > 0).height,
        "missing": alive.filter(pl.col("support") == 0).height,
        "ranked": ranked.height,
        "tested": ranked["q_value"].drop_nulls().len(),
        "weak": weak.height,
        "strong": strong.height,
        "negligible": ranked.filter(pl.col("performance_status") == "negligible").height,
        "vanishes": ranked["vanishes"].sum(),
        "insufficient": ranked.filter(pl.col("performance_status") == "insufficient").height,
    }
    assert found["counts"]["weak"] == 3 and found["counts"]["missing"] == 4


def test_benchmarks_are_those_of_the_table(hostile, found):
    run = open_folder(hostile.run)
    for place, (one, row) in enumerate(zip(found["benchmarks"], run.benchmarks.iter_rows(named=True), strict=True)):
        assert one["name"] == row["benchmark"] == NAMES[place] and one["items"] == SIZES[place]
        for name in ("kept", "excluded", "scored", "covered", "missing", "alive"):
            assert one[name] == row[name]
        for name in ("mean_score", "mean_span_tokens"):
            assert one[name] == (None if row[name] is None else pytest.approx(row[name], rel=1e-6))
        own = run.concept_benchmarks.filter(pl.col("benchmark") == row["benchmark"])
        assert one["tested"] == own["q_value"].drop_nulls().len()
        assert one["weak"] == (own["performance_status"] == "weak").sum()
        assert one["left_out"] == [
            {
                "where": f"2 records: {HOME}/b{place}.jsonl:7 …",
                "reason": str(Reason("no_prompt", "the record holds no prompt")),
            },
            {"where": f"{HOME}/b{place}.jsonl:11", "reason": f"odd: {SECRETS[2]}"},
        ]
        assert len(one["warnings"]) == 2 * (place == 1)
    assert found["benchmarks"][1]["warnings"] == [
        str(
            Reason(
                "other_model",
                f"the log is of the model 'another-model', the activations come from {MODEL!r}. If "
                "these are two models, the concepts say what the items are about, not what goes "
                "on in the scored model.",
            )
        ),
        f"record 3 of {HOME}/log.json says {SECRETS[1]}",
    ]
    assert found["benchmarks"][3]["mean_score"] is None and found["benchmarks"][2]["mean_score"] is None


def test_overlap_is_the_tables_in_both_orders(hostile, found):
    run = open_folder(hostile.run)
    for name, matrix in found["overlap"].items():
        for a, first in enumerate(NAMES):
            for b, second in enumerate(NAMES):
                pair = run.overlap.filter((pl.col("benchmark_a") == first) & (pl.col("benchmark_b") == second))
                expected = pair[name][0]
                assert matrix[a][b] == (None if expected is None else pytest.approx(expected, rel=1e-6))


def test_redundancy_counts_ranked_concepts(hostile, found):
    run = open_folder(hostile.run)
    ranked = set(run.concepts.filter("ranked")["concept"])
    own = {
        place: ranked
        & set(
            run.concept_benchmarks.filter((pl.col("benchmark") == name) & (pl.col("chi_bench") > 0))[
                "concept"
            ].to_list()
        )
        for place, name in enumerate(NAMES)
    }
    seen: set[int] = set()
    for one in found["redundancy"]:
        assert one["adds"] == len(own[one["benchmark"]] - seen) and one["covered"] == len(own[one["benchmark"]])
        seen |= own[one["benchmark"]]
        assert one["cumulative"] == len(seen)


def test_verdicts_are_read(hostile, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(hostile.run, folder)
    assert info(folder)["verdicts"] is None
    verdict = {"code": "split_halves", "outcome": "few", "tone": "open", "test": "halves", "sentence": "Few."}
    write_document(folder / "robustness.json", {"seed": 0, "verdicts": [verdict]})
    found = info(folder)
    shown = {"code": "split_halves", "test": "halves", "tone": "open"}
    assert found["verdicts"] == [{**shown, "sentence": "Few."}]


def test_themes_are_the_tables(hostile):
    run = open_folder(hostile.run)
    rows = json.loads(Parts(Context(run, "k")).read("themes.json"))["themes"]
    assert len(rows) == run.theme_results.height
    for row in rows:
        this = (pl.col("level") == row["level"]) & (pl.col("id") == row["id"])
        own = run.theme_results.row(by_predicate=this, named=True)
        assert own["name"] == row["name"] and own["parent"] == row["parent"]
        assert row["chi_bench"] == pytest.approx(own["chi_bench"], rel=1e-6)
        for place, name in enumerate(NAMES):
            within = run.theme_benchmarks.row(by_predicate=this & (pl.col("benchmark") == name), named=True)
            shown = row["benchmarks"][place]["chi_bench"]
            assert shown == (None if within["chi_bench"] is None else pytest.approx(within["chi_bench"], rel=1e-6))
            assert row["benchmarks"][place]["support"] == within["support"]
