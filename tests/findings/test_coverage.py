"""What items are about and do not test: against loops over the tables, and a planted benchmark."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from rich.console import Console

from competency_gaps.concepts.scopes import near, scope_table
from competency_gaps.findings.coverage import MAX_TOPICS, Map, coverage, likeness
from competency_gaps.runs.open import RunFolder
from competency_gaps.util.errors import UserError
from competency_gaps.view.coverage_words import coverage_answer, coverage_words
from competency_gaps.view.terminal.coverage import coverage_view

COUNT, NAMES = 400, ("quiz", "code")
WORDS = [f"word{i}" for i in range(300)]


class Tables(SimpleNamespace):
    """A run without files."""

    benchmark_entry, check_reading, has_reading = RunFolder.benchmark_entry, RunFolder.check_reading, True


def embed_words(texts):
    """Unit vectors of the words of each text."""
    rows = np.zeros((len(texts), len(WORDS) + 1), np.float32)
    for row, text in zip(rows, texts, strict=True):
        for word in text.replace(",", " ").split():
            row[WORDS.index(word) if word in WORDS else -1] += 1
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)


@pytest.fixture(scope="module")
def run():
    rng = np.random.default_rng(0)
    statuses = np.array([None, "missing", "under", "typical", "over"], dtype=object)
    concepts = pl.DataFrame(
        {
            "concept": pl.Series(range(COUNT), dtype=pl.Int32),
            "label": [f"label {i}" if rng.random() < 0.9 else None for i in range(COUNT)],
            "alive": rng.random(COUNT) < 0.9,
            "ranked": rng.random(COUNT) < 0.8,
            "kind": rng.choice(["contextual", "token", "format"], COUNT),
            "density": rng.random(COUNT),
            "coverage_status": pl.Series(rng.choice(statuses, COUNT).tolist(), dtype=pl.String),
            "chance_seen": rng.random(COUNT),
            "region": pl.Series(rng.integers(24, 72, COUNT), dtype=pl.Int32).replace(30, None),
        }
    ).with_columns(
        label_kind=pl.when(pl.col("label").is_not_null()).then(pl.lit("explained")),
        label_scored_by=pl.when(pl.col("concept") % 2 > 0).then(pl.lit("detection")),
    )
    own = pl.concat(
        concepts.select("concept").with_columns(
            benchmark=pl.lit(name),
            coverage_status=pl.Series(rng.choice(statuses, COUNT).tolist(), dtype=pl.String),
            chance_seen=pl.Series(rng.random(COUNT)),
        )
        for name in NAMES
    )
    # 4 regions, 5 in each, and the 20 as their only children and others: numbers 0-3, 4-23, 24-71.
    parents = [None] * 4 + [i // 5 for i in range(20)] + [4 + i % 20 for i in range(48)]
    named = [" ".join(rng.choice(WORDS[20:], 4, replace=False)) for _ in parents]
    for number in (4, 9, 14):  # what the scope of quiz names
        named[number] = " ".join(rng.choice(WORDS[:20], 4, replace=False))
    level = [1] * 4 + [2] * 20 + [3] * 48
    regions = pl.DataFrame(
        {"region": range(72), "level": level, "parent": parents, "name": named}, schema_overrides={"parent": pl.Int32}
    )
    # quiz: a third in region 4 (24, 44, 64), the rest evenly, but nothing in 9 (29, 49, 69); code: anywhere.
    away = [place for place in range(24, 72) if parents[place] != 9]
    place = np.concatenate([rng.choice([24, 44, 64], 200), rng.choice(away, 400), rng.integers(24, 72, 60)])
    benchmark = ["quiz"] * 600 + ["code"] * 60
    cluster = np.arange(660)
    cluster[580:600] = 580  # twenty repeats of one question
    cluster[:10] = 0  # ten questions on one passage
    kind = np.array([None] * 660, object)
    kind[580:600], kind[:10] = "equal", "given"
    place[580:600] = 71
    items = pl.DataFrame(
        {
            "benchmark": benchmark,
            "excluded": ["no text" if i in (100, 630) else None for i in range(660)],
            "cluster": cluster,
            "cluster_kind": pl.Series(kind.tolist(), dtype=pl.String),
        }
    )
    places = pl.DataFrame({"region": place, "unlike": [50 <= i < 70 for i in range(660)]}).with_columns(
        pl.when(items["excluded"].is_null()).then(pl.all()).name.keep()
    )
    rows = [(name, region, 10) for name in ("even", "ordinary text") for region in range(24, 72)]
    rows += [
        ("like quiz", 24, 300),
        *(("like quiz", region, 10) for region in away),
        ("other", 29, 80),
        ("other", 30, 40),
    ]
    scope = " ".join(WORDS[:20])
    return Tables(
        concepts=concepts,
        concept_benchmarks=own,
        benchmarks=pl.DataFrame({"benchmark": NAMES, "kept": [599, 59]}),
        items=items,
        regions=regions,
        item_regions=places,
        region_counts=pl.DataFrame(rows, schema=["benchmark", "region", "items"], orient="row"),
        scopes=scope_table(regions, {"quiz": scope, "code": None}, embed_words),
        manifest={
            "benchmarks": [{"name": "quiz", "scope": scope}, {"name": "code", "scope": None}],
            "reference": {"lift": True},
        },
        width=COUNT,
        path=None,
    )


def counts(rows):
    missing = [row["coverage_status"] for row in rows].count("missing")
    thin = [row["coverage_status"] for row in rows].count("under")
    return len(rows), missing, thin, pytest.approx(sum(1 - row["chance_seen"] for row in rows))


def of(part):
    return part.concepts, part.missing, part.thin, part.by_chance


def below(run, region):
    """All regions in a region, itself among them."""
    parent = dict(run.regions.select("region", "parent").iter_rows())

    def up(one):
        return one is not None and (one == region or up(parent[one]))

    return {one for one in parent if up(one)}


def test_concepts_are_counted_as_loops_over_the_tables_do(run):
    found = coverage(run)
    base = [row for row in run.concepts.to_dicts() if row["alive"] and row["ranked"] and row["label"]]
    assert of(found.all) == counts(base) and found.whole.items == 658
    assert found.all.concepts + sum(count for _, count in found.left_out) == COUNT
    for part in filter(lambda part: part.concepts, found.regions):
        assert of(part) == counts([row for row in base if row["region"] in below(run, part.region)])
    numbers = {row["concept"] for row in base}
    for name in NAMES:
        own = run.concept_benchmarks.filter(benchmark=name).to_dicts()
        assert of(coverage(run, name).all) == counts([row for row in own if row["concept"] in numbers])


def test_shares_are_those_of_loops_over_the_items(run):
    found = coverage(run, "quiz")
    rows = [
        (place["region"], place["unlike"], 1 / 20 if row["cluster_kind"] == "equal" else 1.0)
        for row, place in zip(run.items.to_dicts(), run.item_regions.to_dicts(), strict=True)
        if row["benchmark"] == "quiz" and row["excluded"] is None
    ]
    whole = sum(weight for *_, weight in rows)
    assert whole == pytest.approx(580) and (found.whole.items, found.whole.unlike) == (599, 20)
    units = 580**2 / (10**2 + 570)  # the passage holds ten items, the repeats are one
    shares = {name: {} for name in ("even", "like quiz", "other")}
    for name, region, count in run.region_counts.iter_rows():
        if name in shares:
            shares[name][region] = count
    for part in found.regions:
        inside = below(run, part.region)
        own = [weight for region, unlike, weight in rows if region in inside and not unlike]
        assert (part.items, part.share) == (len(own), pytest.approx(sum(own) / whole))
        for end in (part.low, part.high):  # Wilson's interval holds what lies within so many standard errors
            assert abs(end - part.share) == pytest.approx(1.959964 * np.sqrt(end * (1 - end) / units), abs=1e-6)
        public = [sum(held.get(region, 0) for region in inside) / sum(held.values()) for held in shares.values()]
        assert part.public == pytest.approx(np.mean(public))
    middle = range(4, 24)
    own = np.array([found.regions[region].share for region in middle])
    for name, alike in found.whole.nearest:
        held = [sum(shares[name].get(region, 0) for region in below(run, one)) for one in middle]
        assert alike == pytest.approx(sum(np.sqrt(own / own.sum() * np.array(held) / sum(held))))
    assert [name for name, _ in found.whole.nearest] == ["like quiz", "even", "other"]
    assert likeness([part.level for part in found.regions], found.whole.shares, found.whole.shares) == pytest.approx(1)


def test_a_planted_benchmark_has_what_was_planted(run, monkeypatch):
    # Half of the items lie elsewhere: the map does not see the scope in them, and says nothing of what it lacks.
    assert not coverage(run, "quiz").whole.within
    monkeypatch.setattr("competency_gaps.findings.coverage.MIN_IN_SCOPE", 0.3)
    found = coverage(run, "quiz")
    assert found.regions[4].status == "crowded" and found.regions[9].status == "missing"
    assert set(found.whole.inside) >= {4, 9, 14} and len(found.whole.inside) <= 6
    assert found.whole.within and [topic.region for topic in found.whole.missing] == [9]
    assert (
        f"Missing: {found.regions[9].name}: none of 599 items; its scope names it (a guess" in coverage_answer(found)[0]
    )
    assert [topic.region for topic in found.absent] == [9]
    named = {lack.concept: lack for topic in found.absent for lack in topic.concepts}
    table = run.concept_benchmarks.filter(benchmark="quiz").join(run.concepts, on="concept").to_dicts()
    for row in (row for row in table if row["concept"] in named):
        assert row["label_scored_by"] == "detection" and row["coverage_status"] == "missing"
    assert 0 < len(named) <= MAX_TOPICS**2
    alone = coverage(run, "code")
    assert alone.whole.inside is None and alone.benchmarks == (alone.whole,)
    assert {part.status for part in alone.regions} <= {None, "missing"}  # 59 items show hardly anything


@pytest.mark.parametrize("width", [40, 80, 140])
def test_a_screen_names_every_coarse_region_in_any_width(run, width, capsys):
    for found in (coverage(run, "quiz"), coverage(run)):
        Console(width=width).print(coverage_view(found, Path("a"), 6, width))
        lines = capsys.readouterr().out.splitlines()
        assert max(map(len, lines)) <= width
        words = [run.regions["name"][region].split()[0] for region in range(4)]
        assert width == 40 or all(any(word in line for line in lines[-40:]) for word in words)


def test_a_hole_is_named_beside_benchmarks_alike_otherwise_and_random_items_are_not():
    # Three kinds of benchmarks, four of each, about four topics apiece in a coarse region of its own.
    parents = [None] * 3 + [row // 4 for row in range(12)]
    regions = pl.DataFrame(
        {"region": range(15), "level": [1] * 3 + [2] * 12, "parent": parents, "name": list(map(str, range(15)))},
        schema_overrides={"parent": pl.Int32},
    )
    rng = np.random.default_rng(3)
    parts = [rng.multinomial(400, rng.dirichlet(np.full(4, 4))) for _ in range(12)]
    rows = [(f"b{row}", 3 + 4 * (row % 3) + at, int(part[at])) for row, part in enumerate(parts) for at in range(4)]
    atlas = Map(regions, pl.DataFrame(rows, schema=["benchmark", "region", "items"], orient="row"))

    def named(row, items, atlas=atlas):
        share = items @ atlas.below.T / items.sum()
        high = share + 2 * np.sqrt(share * (1 - share) / items.sum()) + 4 / items.sum()
        return [topic for topic, *_ in atlas.missing(share, high, [f"b{row}"], None, within=False)]

    for row, part in enumerate(parts):
        items = np.zeros(15, int)
        items[3 + 4 * (row % 3) :][:4] = part
        for topic in 3 + 4 * (row % 3) + np.arange(4):
            hole = np.where(np.arange(15) == topic, 0, items)
            fewer = items - rng.multivariate_hypergeometric(items, items[topic])
            assert (named(row, items), named(row, hole), named(row, fewer)) == ([], [topic], [])
    items = np.where(np.isin(np.arange(15), [4, 5, 6]), 130, 0)
    for topic, asked, rest, expected in (
        (3, (40, 40, 40), 130, [3]),
        (3, (16, 16, 16), 130, []),  # hardly asked by others either
        (3, (520, 520, 520), 43, [3]),  # they look unlike with it
        (3, (200, 0, 0), 130, []),  # only one asks it
        (11, (40, 40, 40), 130, []),  # of a coarse region that the items do not touch
    ):
        alike = [(f"c{row}", at, rest) for row in range(3) for at in (4, 5, 6)]
        alike += [(f"c{row}", topic, count) for row, count in enumerate(asked)]
        others = Map(regions, pl.DataFrame(alike, schema=["benchmark", "region", "items"], orient="row"))
        assert named(0, items, others) == expected
    # Its own row is left out: without it nothing like the benchmark has the topic.
    alone = Map(regions, pl.DataFrame(rows[:4], schema=["benchmark", "region", "items"], orient="row"))
    assert alone.similar(atlas.public[0], ["b0"], 4)[0].tolist() == []


def like_public(run, rows, items, scopes=None):
    """The run with other benchmarks on the map, and its first items in these regions."""
    places = run.item_regions.with_columns(unlike=pl.lit(False)).head(len(items))
    table = pl.DataFrame(
        {"benchmark": ["quiz"] * len(items), "excluded": [None] * len(items), "cluster": range(len(items))},
        schema_overrides={"excluded": pl.String},
    ).with_columns(cluster_kind=pl.lit(None, pl.String))
    entry = {"name": "quiz", "scope": None if scopes is None else "something"}
    return Tables(
        **{
            **vars(run),
            "items": table,
            "item_regions": places.with_columns(region=pl.Series(items)),
            "region_counts": pl.DataFrame(rows, schema=["benchmark", "region", "items"], orient="row"),
            "scopes": None if scopes is None else pl.DataFrame({"benchmark": ["quiz"] * len(scopes), "region": scopes}),
            "manifest": {"benchmarks": [entry], "reference": None},
        }
    )


# Regions 24, 25, 26 and 27 lie in topics 4, 5, 6 and 7 of the first coarse region; 24 to 26 are asked by all.
ALIKE = [
    (name, 24 + (at + turn) % 3, count) for turn, name in enumerate("abc") for at, count in enumerate((200, 90, 40))
]
ASKING = [*ALIKE, ("a", 27, 60), ("b", 27, 90), ("c", 27, 120)]
ASKED = [24, 25, 26] * 40
APART = [("a", 44, 30), ("b", 45, 30), ("c", 46, 30)]
RARELY = [("d", 27, 6), ("d", 29, 94)]
FAR = [("d", 28, 50), ("e", 29, 50)]
HALF_ALIKE = [(name, region, count) for name in "ab" for region, count in ((24, 60), (25, 60), (27, 60), (29, 60))]


@pytest.mark.parametrize(
    ("rows", "items", "scopes", "start", "named"),
    [
        (ASKING + APART, ASKED, None, "Missing: {7}: none of 120 items; the benchmarks most like it", [7]),
        (ASKING + APART, [*ASKED, 27, 27], None, "Missing: {7}: 2 of 122 items", [7]),
        (ASKING + APART, [*ASKED, *[27] * 12], None, "Nothing is clearly missing beside the most similar", []),
        (ASKING + APART, ASKED[:18], None, "Nothing is clearly missing beside the most similar benchmarks", []),
        (ASKING + APART, ASKED, [4, 5, 6, 7], "Missing: {7}: none of 120 items; its scope names it", [7]),
        (ASKING + APART, ASKED, [4, 5, 6], "Nothing is missing: each topic that its scope names", []),
        (ASKING + APART, ASKED, [4, 5, 6, 12], "Nothing is missing: each topic that its scope names", []),
        (ASKING + APART, ASKED, [7], "Missing: {7}: none of 120 items; the benchmarks most like it", [7]),
        (ASKING + APART, ASKED, [12], "What its scope lacks cannot be said: 0% of its items", []),
        (FAR, ASKED, None, "What is missing cannot be said: fewer than two public", []),
        (
            [*(row for row in ASKING if row[0] == "c"), *RARELY],
            ASKED,
            None,
            "Missing: {7}: none of 120 items; the benchmarks",
            [7],
        ),
        ([*(row for row in ALIKE if row[0] == "c"), *FAR], ASKED, None, "Nothing is clearly missing beside", []),
        (HALF_ALIKE + FAR, ASKED, None, "Nothing is clearly missing", []),
        ([("a", 27, 970), *((name, at, 10) for name, at, _ in ALIKE[:3]), *FAR], ASKED, None, "What is missing", []),
        ([*ALIKE, ("a", 27, 900), ("b", 27, 12), ("c", 27, 12), *APART], ASKED * 4, None, "Nothing is clearly", []),
        ([*ASKING[:9], ("a", 27, 60), *APART], ASKED, None, "Nothing is clearly missing", []),
    ],
    ids=[
        *("hole", "leak", "asked", "few items", "scope", "scope met", "scope of another coarse region"),
        *(
            "scope not met, a hole",
            "scope not met",
            "nothing alike",
            "one close benchmark",
            "one close benchmark that lacks it too",
            "twins, not close",
        ),
        *("about hardly anything else", "asked much by one, little by two", "asked by one of three"),
    ],
)
def test_the_answer_says_what_is_missing_or_why_it_cannot(run, rows, items, scopes, start, named):
    found = coverage(like_public(run, rows, items, scopes), "quiz")
    assert coverage_answer(found)[0].startswith(start.format(*run.regions["name"])), coverage_answer(found)
    assert [topic.region for topic in found.whole.missing] == named
    assert ("With 18 items only topics" in coverage_answer(found)[0]) == (len(items) == 18)
    if named:
        assert found.whole.missing[0].asked_by == (("c",) if RARELY[0] in rows else ("c", "b", "a"))


def test_of_several_benchmarks_a_scope_lacks_what_none_asks(run, monkeypatch):
    monkeypatch.setattr("competency_gaps.findings.coverage.MIN_IN_SCOPE", 0.3)
    assert "; the scope of quiz names it (a guess by names)." in coverage_answer(coverage(run))[0]
    assert [topic.region for topic in coverage(run).whole.missing] == [9]
    monkeypatch.setattr("competency_gaps.findings.coverage.MIN_SHARE", 0.001)  # a few items of code lie there
    assert [topic.region for topic in coverage(run, "quiz").whole.missing] == [9]
    assert coverage(run).whole.missing == () and coverage_answer(coverage(run))[0].startswith("Nothing is missing")


def test_a_run_without_an_atlas_says_what_concepts_are_missing(run):
    bare = Tables(**{**vars(run), "regions": None, "region_counts": None, "item_regions": None, "scopes": None})
    found = coverage(bare)
    assert (
        found.regions == ()
        and of(found.all) == of(coverage(run).all)
        and len(coverage_words(found)) == 1
        and not coverage_answer(found)
    )
    with pytest.raises(UserError, match="no atlas"):
        coverage(bare, "quiz", "sums")


def test_an_unrelated_text_is_near_to_as_many_names_as_shuffled_ones():
    names = [" ".join(np.random.default_rng(i).choice(WORDS, 5, replace=False)) for i in range(COUNT)]
    rng = np.random.default_rng(1)
    texts = {str(i): [" ".join(rng.choice(WORDS, 4))] for i in range(60)}
    share = np.mean([len(rows) for rows in near(texts, names, embed_words, 0.03).values()]) / len(names)
    assert share < 0.045


def test_a_description_needs_its_benchmark(run):
    with pytest.raises(UserError, match="name it"):
        coverage(run, None, "sums")
    with pytest.raises(UserError, match="no benchmark 'quix'"):
        coverage(run, "quix")
