"""Comparisons of two models: against SciPy, planted losses, a null, and inputs that do not pair."""

from __future__ import annotations

import itertools
import json
import re
import shutil

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp
from scipy.stats import binomtest
from typer.testing import CliRunner

import competency_gaps as cg
from competency_gaps.cli.app import app
from competency_gaps.evidence import paired_differences
from competency_gaps.findings.compare import _judged, _p_values
from competency_gaps.runs.scores import model_scores
from competency_gaps.slices import read_slices
from competency_gaps.util.errors import UserError
from competency_gaps.view.page.parts import Context
from competency_gaps.view.page.parts.answers import model_pair
from competency_gaps.view.terminal.compare import sentences
from core_helpers import seal, with_groups, write_lines
from log_samples import sample

NAMES = ("before", "after")


def scored(run, after, before):
    """Add two models with these scores, in the order of the items."""
    items = run.items
    run.add_scores(
        pl.DataFrame({"id": items["item_id"], "benchmark": items["benchmark"], "before": before, "after": after})
    )
    return run


def overall(made, weighting="items"):
    """The row of the overall difference under a weighting."""
    return made.overall.row(by_predicate=pl.col("weighting") == weighting, named=True)


def models(run, lost=0, seed=0):
    rng = np.random.default_rng(seed)
    before = (rng.random(run.items.height) < 0.7).astype(float)
    after = before.copy()
    after[np.flatnonzero(before)[:lost]] = 0
    return after, before


def test_counts_and_p_values_are_mcnemars(run):
    rng = np.random.default_rng(1)
    after, before = (rng.integers(0, 2, run.items.height).astype(float) for _ in NAMES)
    made = scored(run, after, before).compare("after", "before")
    kept = run.items["excluded"].is_null().to_numpy()
    better, worse = (int((kept & (sign * (after - before) > 0)).sum()) for sign in (1, -1))
    row = overall(made)
    assert run.items["cluster"].n_unique() == run.items.height  # no repeats, so that clusters are items
    assert (row["better"], row["worse"]) == (better, worse)
    assert row["p_value"] == pytest.approx(binomtest(better, better + worse).pvalue)
    assert row["difference"] == pytest.approx((after - before)[kept].mean())
    assert made.items.height == better + worse and made.items["difference"].is_sorted()


def test_a_planted_loss_is_a_regression_its_opposite_none(run):
    after, before = models(run, lost=20)
    scored(run, after, before)
    lost = run.compare("after", "before")
    assert lost.verdict == "regression" and "overall" in lost.reasons
    assert lost.items["difference"].to_list() == [-1.0] * lost.items.height
    won = run.compare("before", "after")
    assert won.verdict == "no regression"
    assert won.overall["difference"].to_list() == (-lost.overall["difference"]).to_list()
    assert run.compare("after", "before", min_effect=0.6).verdict == "no regression"


def test_what_hardly_pairs_cannot_be_told(run):
    after, before = models(run, lost=20)
    after[10:] = np.nan
    made = scored(run, after, before).compare("after", "before")
    assert made.verdict == "not comparable" and len(made.only_baseline) > 0
    assert any("20 are needed" in reason for reason in made.reasons)


def test_two_runs_pair_by_id_and_text(run, tmp_path):
    shutil.copytree(run.path, tmp_path / "other")
    items = pl.read_parquet(tmp_path / "other" / "items.parquet")
    changed = pl.when(pl.arange(pl.len()) == 0).then(pl.lit("asked otherwise")).otherwise("prompt").alias("prompt")
    items.with_columns(changed).write_parquet(tmp_path / "other" / "items.parquet")
    seal(tmp_path / "other")
    made = cg.compare(tmp_path / "other", run)
    assert made.paired == int((~np.isnan(run.outcomes)).sum()) - 1
    assert len(made.only_candidate) == len(made.only_baseline) == 1
    assert made.overall["difference"].to_list() == [0, 0]
    assert made.candidate != made.baseline
    nothing = pl.read_parquet(tmp_path / "other" / "items.parquet").with_columns(
        item_id=pl.lit("x") + pl.col("item_id")
    )
    nothing.write_parquet(tmp_path / "other" / "items.parquet")
    seal(tmp_path / "other")
    with pytest.raises(UserError, match="no item is scored for both"):
        cg.compare(tmp_path / "other", run)


@pytest.mark.parametrize(
    ("lost", "paired", "status", "verdict"),
    [(0, None, 0, "no regression"), (20, None, 3, "regression"), (20, 10, 4, "not comparable")],
)
def test_the_command_exits_with_3_on_a_regression_and_with_4_where_little_pairs(
    run, tmp_path, lost, paired, status, verdict
):
    after, before = models(run, lost=lost)
    after[paired or len(after) :] = np.nan
    scored(run, after, before)
    summary = tmp_path / "summary.md"
    arguments = ["compare", str(run.path), "after", "before", "--fail-on", "regression"]
    done = CliRunner().invoke(app, [*arguments, "--markdown", str(summary)])
    assert done.exit_code == status
    assert "after" in summary.read_text() and len(summary.read_text().splitlines()) < 60
    document = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).stdout)
    assert document["verdict"] == verdict
    assert CliRunner().invoke(app, arguments[:-2]).exit_code == 0  # without --fail-on


def test_slices_of_a_comparison_are_those_of_their_items(run):
    """The categories of columns, against plain means, McNemar's test and Holm's correction."""
    with_groups(run.path, ("first", "second"))
    run, rng = cg.open_run(run.path), np.random.default_rng(3)
    after, before = (rng.integers(0, 2, run.items.height).astype(float) for _ in NAMES)
    made = scored(run, after, before).compare("after", "before")
    (family,) = (own for own in read_slices(run) if own.name == "columns")
    kept = run.items["excluded"].is_null().to_numpy()
    assert set(made.slices["name"]) >= {"first", "second"}
    for row in made.slices.iter_rows(named=True):
        (place,) = np.flatnonzero(family.number == row["slice"])
        own = kept & (family.weights[[place]].toarray().ravel() > 0)
        assert row["name"] == family.names[place]
        assert (row["before"], row["after"]) == pytest.approx((before[own].mean(), after[own].mean()))
        better, worse = (int((own & (sign * (after - before) > 0)).sum()) for sign in (1, -1))
        assert row["p_value"] == pytest.approx(binomtest(better, better + worse).pvalue)
    for kind in (pl.col("column") == "benchmark", pl.col("column") != "benchmark"):
        p = made.slices.filter(kind).sort("p_value")["p_value"].to_list()
        adjusted = [max((len(p) - i) * p[i] for i in range(k + 1)) for k in range(len(p))]
        expected = [min(1, 3 * value) for value in adjusted]  # overall, benchmarks, groups
        assert made.slices.filter(kind).sort("p_value")["p_adjusted"].to_list() == pytest.approx(expected)
    assert made.answer.kind == "difference" and made.answer.outcome == pytest.approx((after - before)[kept].mean())


def test_a_category_of_which_little_pairs_gets_no_verdict(run):
    with_groups(run.path, ("first", "second", "second", "second"))
    run = cg.open_run(run.path)
    after, before = models(run)
    own = np.flatnonzero((run.items["group"] == "second").to_numpy() & run.items["excluded"].is_null().to_numpy())
    after[own[: int(0.54 * len(own))]] = np.nan
    assert np.isfinite(after[own]).sum() > 20, "enough pairs for a test, but less than half of the category"
    row = (
        scored(run, after, before)
        .compare("after", "before")
        .slices.row(by_predicate=pl.col("name") == "second", named=True)
    )
    assert (row["reason"], row["verdict"], row["change"], row["p_adjusted"]) == ("unscored", None, None, None)


def test_two_logs_are_compared_by_the_columns_of_their_items(tmp_path):
    """Two logs of lm-eval; one subject is lost, and one item is asked in one log only."""
    rng = np.random.default_rng(0)
    subjects = np.repeat(["algebra", "history", "law"], 60)
    before = (rng.random(180) < 0.8).astype(int)
    after = np.where(subjects == "algebra", before * (rng.random(180) < 0.4), before)
    for name, scores in (("before", before), ("after", after)):
        rows = [
            sample(i, f"Question {i} on {subjects[i]}?", exact_match=float(score)) for i, score in enumerate(scores)
        ]
        for row, subject in zip(rows, subjects, strict=True):
            row["doc"]["subject"] = str(subject)
        write_lines(tmp_path / name / "samples_quiz_2026-01-01T00-00-00.000000.jsonl", rows[name == "after" :])
    made = cg.compare(tmp_path / "after", tmp_path / "before")
    assert made.paired == 179 and made.only_baseline and made.verdict == "regression"
    assert sentences(made)[0][-1].startswith("Not compared: 1 item that only before is scored on")
    assert (made.candidate, made.baseline) == ("after", "before")
    assert made.overall["difference"][0] == pytest.approx((after - before)[1:].mean())


def clustered(run, cluster, kind):
    """The run with these clusters."""
    table = pl.read_parquet(run.path / "items.parquet")
    kinds = pl.Series("cluster_kind", [kind] * table.height, dtype=table.schema["cluster_kind"])
    table = table.with_columns(pl.Series("cluster", cluster).cast(table.schema["cluster"]), kinds)
    table.write_parquet(run.path / "items.parquet")
    seal(run.path)
    return cg.open_run(run.path)


def every_flip(values, cluster, weight):
    """The two-sided p-value of a weighted mean difference over all ways to flip whole clusters."""
    terms = np.bincount(cluster, weight * values)
    signs = np.array(list(itertools.product([-1, 1], repeat=len(terms))))
    return (np.abs(signs @ terms) >= abs(terms.sum()) - 1e-9).mean()


@pytest.mark.parametrize("kind", ["equal", "given"])
def test_one_flip_of_clusters_holds_across_benchmarks(run, kind):
    """Eleven clusters, some of them with items of both benchmarks, against every choice of their signs."""
    rng = np.random.default_rng(5)
    number = rng.integers(0, 11, run.items.height)
    run = clustered(run, number, kind)
    shift = rng.normal(0.1, 0.3, 11)[number]
    before = rng.uniform(0.4, 0.6, run.items.height)
    made = scored(run, np.clip(before + shift, 0, 1), before).compare("after", "before")
    kept = run.items["excluded"].is_null().to_numpy()
    values = (np.clip(before + shift, 0, 1) - before)[kept]
    cluster, benchmark = number[kept], run.items["benchmark"].rank("dense").to_numpy()[kept] - 1
    assert len(np.unique(np.stack([cluster, benchmark]), axis=1).T) > len(np.unique(cluster))
    repeated = kind == "equal"  # one text counts once, however often it is asked
    items = 1 / np.bincount(cluster)[cluster] if repeated else np.ones(len(values))
    place = cluster * (benchmark.max() + 1) + benchmark
    within = 1 / np.bincount(place)[place] if repeated else np.ones(len(values))
    for weighting, weight in {"items": items, "benchmarks": within / np.bincount(benchmark, within)[benchmark]}.items():
        row = overall(made, weighting)
        assert row["clusters"] == 11
        assert row["difference"] == pytest.approx(np.average(values, weights=weight))
        assert row["p_value"] == pytest.approx(every_flip(values, cluster, weight), abs=0.012)
        assert row["low"] < row["difference"] < row["high"]
    assert len(set(made.overall["p_value"])) == 2


def test_deciding_answers_without_a_score_fail_closed(run):
    """The candidate's lost items give no score: left out there is no loss, counted as wrong there is one."""
    after, before = models(run)
    after[np.flatnonzero(before)[:20]] = np.nan
    made = scored(run, after, before).compare("after", "before")
    assert made.verdict == "not comparable"
    assert "counting them as wrong gives a loss (overall" in made.reasons[0] and "20 unscored" in made.reasons[0]
    assert run.compare("before", "after").verdict == "no regression"  # a gain, or none: either way no loss


def alarm(made, differences, slices):
    """Whether the gate sees a loss on items of disjoint slices."""
    rows = sp.csr_array((np.ones(len(slices)), (slices, np.arange(len(slices)))))
    paired = paired_differences(rows, differences)
    frame = pl.DataFrame({"low": paired.low, "high": paired.high, "p_value": _p_values(paired, made.min_effect)})
    verdicts = _judged(frame, np.zeros(frame.height, bool), 2, made.min_effect)["verdict"]
    return "lost" in verdicts or "lost" in made.overall["verdict"]


@pytest.mark.parametrize("case", ["others improved", "a loss of just the tolerated size"])
def test_the_gates_false_alarms_stay_within_5_percent(run, case):
    """At most 7 of 60 worlds: more than that has a chance of 1 in 100 at 5%."""
    tolerated, alarms = case.startswith("a loss"), 0
    made = scored(run, *models(run)).compare("after", "before", min_effect=0.1 if tolerated else 0.0)
    for seed in range(60):
        rng = np.random.default_rng(seed)
        slices = rng.integers(0, 50, 20_000 if tolerated else 6000)
        lost = rng.random(len(slices)) < 0.1
        won = (rng.random(len(slices)) < np.where(slices < 25, 0.4, 0.1)) & (not tolerated)
        alarms += alarm(made, won.astype(float) - lost, slices)
    assert alarms <= 7


def logs_of_three_subjects(folder, each=400):
    """Two models that differ on algebra (−40 points) and law (+25), and not on history; with their scores."""
    rng = np.random.default_rng(0)
    subjects = np.repeat(["algebra", "history", "law"], each)
    before = (rng.random(3 * each) < 0.6).astype(int)
    chance = np.select([subjects == "algebra", subjects == "law"], [0.2, 0.85], 0.6)
    scores = {"before": before, "after": (rng.random(3 * each) < chance).astype(int)}
    for name, own in scores.items():
        rows = [sample(i, f"Question {i} on {subjects[i]}?", exact_match=float(score)) for i, score in enumerate(own)]
        for row, subject in zip(rows, subjects, strict=True):
            row["doc"]["subject"] = str(subject)
        write_lines(folder / name / "samples_quiz_2026-01-01T00-00-00.000000.jsonl", rows)
    return subjects, scores["after"] - scores["before"]


def test_with_many_items_a_change_is_the_mean_difference(tmp_path):
    """Of 400 items hardly anything is shrunk: the change and its interval are nearly those of a plain mean."""
    subjects, difference = logs_of_three_subjects(tmp_path)
    made = cg.compare(tmp_path / "after", tmp_path / "before")
    of_subjects = made.slices.filter(pl.col("name").is_in(subjects))
    for row in of_subjects.iter_rows(named=True):
        own = difference[subjects == row["name"]]
        reach = 1.96 * own.std() / np.sqrt(len(own))
        assert row["change"] == pytest.approx(own.mean(), abs=0.01)
        assert (row["high"] - row["low"]) / 2 == pytest.approx(reach, rel=0.25)
    verdicts = dict(of_subjects.select("name", "verdict").iter_rows())
    assert verdicts == {"algebra": "lost", "history": "no clear change", "law": "gained"}
    assert made.reasons[-1] == "algebra" and "law" not in made.reasons


def written(value):
    """Points as views write them, by other means than theirs."""
    text = f"{100 * value:+.{0 if abs(value) >= 0.0195 else 1}f}"
    return (text if float(text) else text[1:]).replace("-", "\N{MINUS SIGN}")


def ends(low, high):
    digits = 0 if max(abs(low), abs(high)) >= 0.0195 else 1
    texts = (f"{100 * value:+.{digits}f}" for value in (low, high))
    return " to ".join(text if float(text) else text[1:] for text in texts).replace("-", "\N{MINUS SIGN}")


def test_terminal_json_and_page_show_one_change_of_each_category(run):
    """Among them categories that are listed too; one group was lost."""
    with_groups(run.path, ("first", "second"))
    run, rng = cg.open_run(run.path), np.random.default_rng(0)
    before = (rng.random(run.items.height) < 0.8).astype(float)
    first = (run.items["group"] == "first").to_numpy()
    run = scored(run, np.where(first, before * (rng.random(len(before)) < 0.1), before), before)
    arguments = ["compare", str(run.path), "after", "before"]
    screen = CliRunner().invoke(app, arguments, env={"COLUMNS": "120"}).stdout
    document = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).stdout)
    models = model_scores(run).models
    page = model_pair(Context(run, "key"), models.index("after") * len(models) + models.index("before"))
    table, _, listed = screen.partition("\n\nafter: ")
    assert {"lost", "no clear change"} <= {row["verdict"] for row in document["slices"]}
    found = {one["slice"]: one for one in document["answer"]["findings"]}
    lines, verdict = {}, None
    for line in table.splitlines():
        if line.startswith("  ") and verdict:
            lines[line.split("  ")[1]] = (verdict, re.split(r"  +", line.strip()))
        elif line.strip().split("  ")[0] in ("lost", "gained", "no clear change"):
            verdict = line.strip().split("  ")[0]
    assert len(lines) == len(document["slices"]) and found
    for row, shown in zip(document["slices"], page.categories, strict=True):
        change, spread = written(row["change"]), ends(row["low"], row["high"])
        verdict, cells = lines[row["name"]]
        assert (verdict, cells[3], cells[4]) == (row["verdict"], change, f"({spread})")
        assert (shown.name, shown.verdict, shown.points, shown.spread) == (row["name"], verdict, change, spread)
        assert (verdict == "lost") == (row["p_adjusted"] <= 0.05 and row["high"] < 0)
        assert (row["name"] in document["reasons"]) == (verdict == "lost")
        if row["slice"] in found:
            one = found[row["slice"]]
            assert [one[name] for name in ("change", "change_low", "change_high")] == pytest.approx(
                [row[name] for name in ("change", "low", "high")]
            )
            assert f"{change}  ({spread})" in re.sub(r"  +", "  ", listed)
    assert {row["slice"] for row in document["slices"]} & set(found)
