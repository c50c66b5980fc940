"""The tables that a page reads, against the run's own."""

from __future__ import annotations

import io
import json
import shutil

import numpy as np
import polars as pl
import pytest
from explorer_runs import HUGE, NAMES, SECRETS, hostile_run

from competency_gaps.errors import UserError
from competency_gaps.explorer.parts import Context, NoSuchPartError, Parts, tables
from competency_gaps.explorer.parts.records import as_json
from competency_gaps.explorer.parts.records.run import Thresholds
from competency_gaps.presentation.rankings import ranking
from competency_gaps.runs.open import open_folder
from competency_gaps.text import visible
from core_helpers import seal


@pytest.fixture
def parts(hostile) -> Parts:
    return Parts(open_folder(hostile.run), key="a")


def read(parts: Parts, name: str) -> pl.DataFrame:
    return pl.read_parquet(io.BytesIO(parts.read(name)))


def same(found: pl.Series, expected: pl.Series) -> None:
    """Equal as the page's type holds it; null where the run says null."""
    assert found.null_count() == expected.null_count(), found.name
    assert found.equals(expected.cast(found.dtype), null_equal=True), found.name


def test_concepts_are_the_runs(parts, hostile):
    run, found = open_folder(hostile.run), read(parts, "concepts.parquet")
    assert found.height == run.width
    for name in set(found.columns) - {"followers", "finding", *tables.THEMES}:
        same(found[name], run.concepts[name])
    for name in tables.THEMES:
        same(found[name], run.themes.sort("concept")[name])
    evidence = {concept: row["finding"] for row in reversed(run.findings.to_dicts()) for concept in row["concepts"]}
    assert found["finding"].to_list() == [evidence.get(concept) for concept in range(run.width)] and evidence
    assert found["chi_model"].dtype == pl.Float32 and found["chi_model"].null_count() > 0


def test_followers_are_counted_by_hand(parts, hostile):
    run, found = open_folder(hostile.run), read(parts, "concepts.parquet")
    rows = run.concepts.to_dicts()
    for row, followers in zip(rows, found["followers"], strict=True):
        leads = row["performance_status"] in ("weak", "strong") and row["leader"] == row["concept"]
        others = [
            other
            for other in rows
            if other["leader"] == row["concept"] and other["performance_status"] == row["performance_status"]
        ]
        assert followers == (len(others) - 1 if leads else None)
    assert found["followers"].max() == 2
    assert ranking(run.concepts, run.manifest["evidence"]).weak_leaders["followers"].max() == 2


def test_a_benchmarks_concepts_are_its_own(parts, hostile):
    run = open_folder(hostile.run)
    for place, name in enumerate(NAMES):
        found = read(parts, f"concepts/{place}.parquet")
        own = run.concept_benchmarks.filter(pl.col("benchmark") == name).sort("concept")
        for column in found.columns:
            same(found[column], own[column])
    assert read(parts, "concepts/3.parquet")["chi_bench"].null_count() == run.width, "nothing is kept of the last"


def test_a_table_in_another_order_is_refused(hostile, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(hostile.run, folder)
    path = folder / "concept_benchmarks.parquet"
    pl.read_parquet(path).sort("concept", "benchmark").write_parquet(path)
    seal(folder)
    with pytest.raises(UserError, match="expected its concept in order"):
        Parts(open_folder(folder), key="a").read("concepts/0.parquet")
    path.unlink()
    with pytest.raises(UserError, match="is missing"):
        Parts(open_folder(folder), key="a").read("concepts/0.parquet")


def test_items_are_the_runs(parts, hostile):
    run, found = open_folder(hostile.run), read(parts, "items.parquet")
    assert found.height == run.items.height
    assert [NAMES[place] for place in found["benchmark"]] == run.items["benchmark"].to_list()
    for name in ("item_id", "group", "score", "policy", "n_tokens"):
        same(found[name], run.items[name])
    for name in ("excluded", "unscored"):
        same(found[name], run.items[name].struct.field("text"))


def test_excerpts_are_one_visible_line_of_160_characters(parts, hostile):
    found = read(parts, "items.parquet")["excerpt"]
    for prompt, excerpt in zip(open_folder(hostile.run).items["prompt"], found, strict=True):
        line = " ".join(prompt[: 2 * tables.EXCERPT].split())
        expected = visible(line[: tables.EXCERPT]) + ("…" if len(line) > tables.EXCERPT else "")
        assert excerpt == expected
        assert "\n" not in excerpt and "\u202e" not in excerpt and "\x1b" not in excerpt
    texts = " ".join(found)
    assert "<U+202E>" in texts and "<U+0000>" in texts and "𝒳" in texts
    assert found.str.len_chars().max() <= tables.EXCERPT + 40
    assert max(len(prompt) for prompt in open_folder(hostile.run).items["prompt"]) == HUGE


def test_a_text_of_blanks_goes_on(hostile, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(hostile.run, folder)
    path = folder / "items.parquet"
    texts = ["one" + " \n\t" * 500 + "two", "", "\u2028\u3000wide  blanks\u00a0here ", "x" * 160, "x" * 161]
    table = pl.read_parquet(path)
    table.head(5).with_columns(prompt=pl.Series(texts)).vstack(table.tail(-5)).write_parquet(path)
    seal(folder)
    found = read(Parts(open_folder(folder), key="a"), "items.parquet")["excerpt"].head(5).to_list()
    assert found == ["one…", "", "wide blanks here", "x" * 160, "x" * 160 + "…"]


def test_redacted_tables_hold_no_text_of_items(hostile):
    parts = Parts(open_folder(hostile.run), key="a", redact=True)
    assert read(parts, "items.parquet")["excerpt"].null_count() == open_folder(hostile.run).items.height
    concepts = read(parts, "concepts.parquet")
    kept = concepts.filter(pl.col("peak_token").is_not_null())
    assert kept.height and kept["missing"].all() and kept["peak_token"].str.starts_with("ref").all()
    for name in ("items.parquet", "concepts.parquet", "themes.json", "run.json"):
        content = parts.read(name)
        assert not [secret for secret in SECRETS if secret.encode() in content], name
    assert SECRETS[0].encode() in Parts(open_folder(hostile.run), key="a").read("run.json"), "settings hold a prompt"


def test_json_has_the_digits_of_a_float32_but_of_other_peoples_numbers_all():
    value = Thresholds(min_n_eff=12345.678901234, q=0.1 + 0.2, level=float("nan"), min_gap=-1e-50, alike="x")
    shown = json.loads(as_json([value, {"price": 0.12345678912345, "none": float("inf")}]))
    assert shown[0] == {"min_n_eff": 12345.68, "q": 0.3, "level": None, "min_gap": -1e-50, "alike": "x"}
    assert shown[1] == {"price": 0.12345678912345, "none": None}
    for number in np.random.default_rng(3).lognormal(0, 8, 2_000).astype(np.float32):
        (held,) = json.loads(as_json([float(number)]))
        assert abs(held - float(number)) <= 5.1e-7 * number


@pytest.mark.parametrize(
    "name",
    [
        "",
        "run.json/",
        "../manifest.json",
        "concepts/-1.parquet",
        "concepts/00.parquet",
        "concepts/4.parquet",
        "concepts/0.json",
        "concept/96.json",
        "concept/1.parquet",
        "concept/1.json\n",
        "item/352.json",
        "active/352.json",
        "item/１.json",
        "concept/../../plan.json",
        "item/99999999999999999999.json",
    ],
)
def test_other_names_are_no_parts(parts, name):
    with pytest.raises(NoSuchPartError):
        parts.read(name)


def test_items_without_texts_are_read_narrow(hostile):
    context = Context(open_folder(hostile.run), "a")
    assert "text" not in context.items.columns and context.items.height == 352
    assert "items" not in context.run.__dict__, "the texts were not read"


def test_a_run_of_no_labels_and_no_themes(tmp_path):
    made = hostile_run(tmp_path, themes=False, labels=False)
    found = read(Parts(open_folder(made.run), key="a"), "concepts.parquet")
    assert found["label"].null_count() == found.height and not set(tables.THEMES) & set(found.columns)
