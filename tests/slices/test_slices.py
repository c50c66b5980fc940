"""Slices against brute force and planted truth; they survive storage, new labels and machines without scikit-learn."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp

import competency_gaps as cg
from competency_gaps.items.config import LLMConfig, SlicesConfig
from competency_gaps.items.registry import SLICES
from competency_gaps.model.embed import NoModelError
from competency_gaps.reading.profiles import cas_of, profiles_of, scale_of
from competency_gaps.runs.open import open_folder
from competency_gaps.slices import MIN_ITEMS, read_slices
from competency_gaps.slices import names as of_names
from competency_gaps.slices.columns import columns, readable_category
from competency_gaps.slices.concepts import concepts
from competency_gaps.slices.family import family_of, ones_at, subset
from competency_gaps.slices.features import features
from competency_gaps.slices.make import Source, write_slices
from competency_gaps.slices.names import (
    LEAD_ALONE,
    LEAD_OF_WORDS,
    NAME_LIMIT,
    PHRASE_LEAD,
    Vocabulary,
    labels_for,
    phrases_for,
    with_names,
)
from competency_gaps.slices.skills import phrases
from competency_gaps.slices.tree import concept_space, tree_of
from competency_gaps.util.errors import UserError
from fake_endpoint import question_of, serve


def rows_of(family, name: str) -> list[int]:
    place = family.names.index(name)
    return sorted(family.weights[[place]].indices.tolist())


def test_columns_are_the_categories_of_kept_items():
    rng = np.random.default_rng(0)
    size = 240
    frame = pl.DataFrame(
        {
            "benchmark": np.repeat(["a", "b"], size // 2),
            "group": ["rare"] * 9 + rng.choice(["x", "y", None], size - 9).tolist(),
            "covariates": [json.dumps({"year": float(v), "hard": bool(v % 2)}) for v in rng.integers(0, 50, size)],
            "excluded": [{"code": "empty"} if i % 40 == 0 else None for i in range(size)],
        }
    )
    family = columns(frame)
    kept = frame.with_row_index().filter(pl.col("excluded").is_null())
    for name, where in (
        ("group: x", pl.col("group") == "x"),
        ("group: y (b)", (pl.col("group") == "y") & (pl.col("benchmark") == "b")),
        ("a", pl.col("benchmark") == "a"),
    ):
        assert rows_of(family, name) == kept.filter(where)["index"].to_list()
    assert not any("rare" in name for name in family.names)
    asked = dict(zip(family.names, family.column, strict=True))
    assert (asked["group: x"], asked["group: y (b)"], asked["a"]) == ("group", "group in b", "benchmark")
    bins = [k for k, column in enumerate(family.column) if column == "year"]
    assert len(bins) == 4 and family.weights[bins].sum(axis=0).max() == 1 and family.weights[bins].sum() == len(kept)
    one = columns(frame.filter(pl.col("benchmark") == "a"))
    assert rows_of(one, "group: x") == [i for i in rows_of(family, "group: x") if i < size // 2]


def test_a_category_has_a_name_of_its_own():
    """Numbers that agree in their first digits, categories that are numbers in a column of texts, one beyond floats."""
    size = 200
    held = [{"day": 20190100 + i, "big": 10**7 + i % 5, "mixed": "x" if i % 2 else 1.0} for i in range(size)]
    held[7]["big"] = 10**400
    frame = pl.DataFrame(
        {"benchmark": ["a"] * size, "group": [None] * size, "covariates": list(map(json.dumps, held))},
        schema_overrides={"group": pl.String},
    ).with_columns(excluded=pl.lit(None, pl.String))
    names = columns(frame).names
    assert len(set(names)) == len(names) == 4 + 5 + 2
    assert {"day 20190100 to 20190148", "big 10000004", "mixed: 1.0", "mixed: x"} <= set(names)


def planted(rng, topics: int = 6, each: int = 60, d: int = 12):
    """Unit vectors of items in groups that are far apart, and each item's group."""
    centres = np.linalg.qr(rng.normal(size=(d, topics)))[0].T
    group = np.repeat(np.arange(topics), each)
    space = centres[group] + 0.08 * rng.normal(size=(len(group), d))
    return (space / np.linalg.norm(space, axis=1, keepdims=True)).astype(np.float32), group


def test_the_tree_finds_planted_groups_and_is_the_same_each_time():
    space, group = planted(np.random.default_rng(1))
    rows = np.arange(len(group)) + 5
    tree = tree_of("profiles", space, rows, 400)
    nodes = [set(tree.weights[[k]].indices.tolist()) for k in range(len(tree.names))]
    for number in range(6):
        wanted = set(rows[group == number].tolist())
        assert max(len(wanted & node) / len(wanted | node) for node in nodes) > 0.95
    below = [(k, parent) for k, parent in enumerate(tree.parent) if parent >= 0]
    assert below and all(len(nodes[k] & nodes[parent]) > len(nodes[k]) / 2 for k, parent in below)
    assert all(set(own) <= node for own, node in zip(tree.typical, nodes, strict=True))
    again = tree_of("profiles", space, rows, 400)
    assert (again.weights != tree.weights).nnz == 0 and min(map(len, nodes)) >= MIN_ITEMS


class Activations:
    """CAS in memory, as ``ByConcept`` gives them."""

    def __init__(self, cas: np.ndarray) -> None:
        self._cas = sp.csr_array(cas.astype(np.float32))
        self.support = np.diff(self._cas.indptr)
        self.rows = cas.shape[1]

    def cas(self, numbers, items):
        return self._cas[np.asarray(numbers)]


def test_profiles_equal_the_formula():
    rng = np.random.default_rng(2)
    cas = rng.random((15, 90)) * (rng.random((15, 90)) < 0.5)
    cas[3] = 0
    held = Activations(cas)
    cas = np.delete(cas, 3, axis=0).T
    share = (cas > 0).mean(axis=0)
    grown = np.log1p(cas * share / cas.mean(axis=0))
    wanted = grown / np.sqrt((grown**2).mean(axis=0)) * np.log(1 / share)
    wanted /= np.linalg.norm(wanted, axis=1, keepdims=True)
    concepts = np.delete(np.arange(15), 3)
    scores = cas_of(held, np.arange(90), concepts)
    assert profiles_of(scores, scale_of(scores, concepts)).toarray() == pytest.approx(wanted, abs=1e-5)
    counts = 1.0 + np.arange(90) % 3  # an item of weight 3 counts as three
    more = np.repeat(np.arange(90), counts.astype(int))
    for one, other in zip(scale_of(scores, concepts, counts), scale_of(scores[:, more], concepts), strict=True):
        assert one == pytest.approx(other, rel=1e-5)
    u, s, _ = np.linalg.svd(wanted, full_matrices=False)
    reduced = u[:, :13] * s[:13]
    reduced /= np.linalg.norm(reduced, axis=1, keepdims=True)
    space = concept_space(held, np.arange(90))
    assert space @ space.T == pytest.approx(reduced @ reduced.T, abs=1e-3)


SUBJECTS = [
    ("cells", "enzyme"),
    ("court", "verdict"),
    ("orbit", "planet"),
    ("tax", "invoice"),
    ("verb", "poem"),
    ("goal", "team"),
]


def named_tree(change=(), vocabulary=None, taken=()):
    """The names of the nodes of six subjects, as ``change`` has their items; all, and those of each subject's first."""
    space, group = planted(np.random.default_rng(3))
    tree = tree_of("profiles", space, np.arange(len(group)), len(group))
    texts = [f"{i} times: the {SUBJECTS[g][0]} and the {SUBJECTS[g][1]} were seen" for i, g in enumerate(group)]
    items = pl.DataFrame(
        {"prompt": texts, "group": None, "benchmark": "some quiz", "subject": group, "i": range(len(group))},
        schema_overrides={"group": pl.String},
    )
    vocabulary = vocabulary and vocabulary(tree, space, group)
    named = with_names(tree, items.with_columns(change), vocabulary, taken)
    names = named.names
    assert len({name.casefold() for name in names}) == len(names) and not {*names} & {*taken}
    first = [int(group[tree.weights[[node]].indices[0]]) for node in range(len(names))]
    return names, [names[first.index(number)] for number in range(6)]


def test_nodes_are_named_by_the_phrases_nearest_to_their_items():
    """Six phrases lie where the six subjects are, all others nowhere near."""
    planted_phrases = of_names.phrases()[5:306:60]

    def vocabulary(tree, space, group):
        rng = np.random.default_rng(4)
        vectors = rng.normal(size=(len(of_names.phrases()), space.shape[1])).astype(np.float32)
        for number in range(6):
            vectors[5 + 60 * number] = 100 * space[group == number].mean(axis=0)
        return phrases_for(tree, np.arange(len(group)), space, vectors)

    names, named = named_tree((), vocabulary)
    assert sum(phrase in name for phrase, name in zip(planted_phrases, named, strict=True)) == 6
    halves = pl.format("half {}", pl.col("subject") // 3)
    assert all(name.startswith("half ") for name in named_tree(halves.alias("group"), vocabulary)[1])
    again, _ = named_tree((), vocabulary, taken=[planted_phrases[0]])
    assert planted_phrases[0] in names and planted_phrases[0] not in again
    assert len(of_names.phrases()) == len(set(of_names.phrases())) <= 1000
    assert all(2 <= len(phrase.split()) <= 5 and len(phrase) <= NAME_LIMIT for phrase in of_names.phrases())


def test_a_phrase_that_leads_by_little_must_be_spelled_out():
    """Half of the subjects have a phrase of their words, half one of others; then all lead far, then none is near."""
    phrases_of = [*(f"{word}s of all kinds" for word, _ in SUBJECTS[:3]), "old maps", "loud music", "ripe fruit"]

    def named_with(lead, near=1.0):
        def vocabulary(tree, space, group):
            subject = sp.csr_array((group[None, :] == np.arange(6)[:, None]).astype(np.float32))
            inside = (tree.member @ subject.T).toarray() / tree.member.sum(axis=1)[:, None]
            return Vocabulary(phrases_of, lead * inside, near * subject, PHRASE_LEAD, LEAD_ALONE)

        return [name.split(":")[0] for name in named_tree((), vocabulary)[1]]

    assert 0.3 < LEAD_ALONE < 0.3 + LEAD_OF_WORDS
    named = named_with(0.3)
    assert named[:3] == phrases_of[:3] and all(name.startswith("“") for name in named[3:])
    assert named_with(0.6) == phrases_of
    assert not {*named_with(0.6, near=0.0)} & {*phrases_of}


def test_words_that_mark_a_node_are_nouns():
    """Nouns stand after articles and before words of no subject; verbs and adjectives do not."""
    rng = np.random.default_rng(6)
    texts, inside = [], rng.random(200) < 0.3
    for marked in inside:
        noun, verb, adjective = ("kettle", "boils", "copper") if marked else ("ladder", "wobbles", "wooden")
        texts.append(f"the {noun} which {verb} is {adjective}, says the judge")
    by_noun, by_word = (
        of_names._marking_words(sp.csr_array(inside[None, :].astype(np.float32)), sets)[0]
        for sets in of_names._nouns_and_words(texts)
    )
    assert {*by_noun[0]} >= {"kettle"} and not {*by_noun[0]} & {"boils", "copper", "judge", "ladder"}
    assert {"boils", "copper"} <= {*by_word[0]} and by_noun[1] == by_word[1] == 1


def test_words_are_chosen_so_that_most_items_have_one():
    """Of 40 items 24 have two words and 14 others a third; none of 160 outside has any."""
    sets = [{"kettle", "copper"}] * 24 + [{"ladder"}] * 14 + [set()] * 162
    inside = sp.csr_array((np.arange(200) < 40)[None, :].astype(np.float32))
    words, covered = of_names._marking_words(inside, sets)[0]
    assert words[1] == "ladder" and set(words) == {"kettle", "copper", "ladder"} and covered == 38 / 40


def test_words_name_a_node_if_enough_items_have_one():
    def name(having, category):
        """Of 40 of 400 items, of which some have a word; a category holds them and 60 others."""
        texts = ["the kettle" if i < having else "the ladder" for i in range(400)]
        groups = [category if i < 100 else "other subjects" for i in range(400)]
        items = pl.DataFrame({"prompt": texts, "benchmark": "quiz", "group": groups if category else None})
        family = family_of("clusters", np.stack([np.arange(400) < size for size in (400, 40)]), ["", ""])
        return with_names(family, items.cast({"group": pl.String})).names[1]

    assert [name(having, "tea") for having in (10, 14)] == ["mostly tea", "tea: “kettle”"]
    assert [name(having, None) for having in (20, 28)] == ["", "“kettle”"]


def test_a_numbered_name_says_which_words_it_quotes():
    """A page without texts hides names by these words."""
    inside = np.arange(60) < 20
    items = pl.DataFrame({"prompt": ["the kettle" if own else "the ladder" for own in inside], "benchmark": "quiz"})
    family = family_of("clusters", np.stack([inside, inside]), ["", ""], parent=np.array([-1, 0]))
    named = with_names(family, items.with_columns(group=pl.lit(None, pl.String)))
    assert named.names == ["“kettle”", "“kettle” (2)"] and named.words == [["kettle"]] * 2


def test_a_node_that_nothing_marks_goes_and_its_children_move_up():
    """A chain of three nodes that no word marks, above one that a word does."""
    texts = [f"Why did {name} go {'past the kettle' if i > 23 else 'there'} alone?" for i, name in enumerate("ab" * 20)]
    items = pl.DataFrame({"prompt": texts, "benchmark": "quiz"}).with_columns(group=pl.lit(None, pl.String))
    rows = [np.arange(40), np.arange(39), np.arange(38), np.arange(24, 40)]
    family = family_of("clusters", ones_at(rows, 40), [""] * 4, parent=np.array([-1, 0, 1, 2]))
    named = with_names(family, items)
    assert named.names == ["", "", "", "“kettle, past”"]
    kept = subset(named, np.array([0, 3]))
    assert kept.names == ["", "“kettle, past”"] and kept.parent.tolist() == [-1, 0]
    assert kept.weights.indices[40:].tolist() == rows[3].tolist()


def test_without_phrases_nodes_are_named_by_labels_and_words():
    def labels(tree, space, group):
        strong = (group[None, :] == np.arange(6)[:, None]) * 2.0
        columns = {"concept": range(6), "label": ["cell biology", *["x" * (NAME_LIMIT + 1)] * 5]}
        table = pl.DataFrame(columns, schema_overrides={"concept": pl.Int32})
        table = table.with_columns(label_kind=pl.lit("explained"), ranked=True, tau=1.5)
        return labels_for(tree, table, Activations(strong))

    named = named_tree((), labels)[1]
    assert named[0].startswith("mostly cell biology")
    for name, words in zip(named[1:], SUBJECTS[1:], strict=True):
        assert name.startswith("“") and all(word in name for word in words)


def test_nodes_are_named_by_their_groups():
    tenth, subject = pl.col("i") % 10, pl.col("subject")
    groups = (
        pl.when(subject == 0)
        .then(pl.when(tenth < 7).then(pl.lit("old_masters")).otherwise(pl.lit("sculpture")))
        .when(subject == 1)
        .then(pl.when(tenth < 5).then(pl.lit("taxes")).otherwise(pl.lit("bonds")))
        .when(subject == 2)
        .then(pl.lit("other"))
    )
    named = named_tree(groups.alias("group"))[1]
    assert named[0].startswith("mostly old masters") and "sculpture" not in named[0]
    assert named[1].startswith(("mostly taxes and bonds", "mostly bonds and taxes"))
    assert not any("mostly" in name for name in named[2:])  # it says nothing by itself
    several = pl.when(subject == 4).then(pl.lit("rare quiz")).otherwise("benchmark").alias("benchmark")
    named = named_tree(several)[1]
    assert named[4].startswith("mostly rare quiz") and not any("some quiz" in name for name in named)
    assert readable_category("group", "other") == "other subjects (group)"
    assert (readable_category("level", "3"), readable_category("group", "law")) == ("level: 3", "law")


def test_concepts_are_the_items_where_they_are_strongest():
    rng = np.random.default_rng(4)
    cas = rng.random((5, 200)) * (rng.random((5, 200)) < [[0.3], [0.9], [0.05], [0.4], [0.4]])
    held = Activations(cas)
    labels = ["a", "b", "c", "d", "answering a question"]
    table = pl.DataFrame({"concept": range(5), "label": labels, "ranked": [i != 3 for i in range(5)], "tau": 0.5})
    family = concepts(table.with_columns(label_kind=pl.lit("explained")), held, 200)
    assert family.names == ["a", "b"] and family.number.tolist() == [1_000_000, 1_000_001]
    few = cas[0][cas[0] > 0]
    assert rows_of(family, "a") == np.flatnonzero(cas[0] >= np.quantile(few, 0.25)).tolist()
    assert len(rows_of(family, "b")) == 50


LONG = ("x", "1", "_", "1. ", "SELECT a ", "a(a", "; ", "statement ")
"""What patterns may begin to match at every place."""


def test_features_are_read_off_items():
    texts = ["Is it not so?", "What is 3 + 4 of 12 and 5?", "Привет, как дела сегодня", "The sky is ____ today."]
    answers = ["yes", "7", "a word", None]
    frame = pl.DataFrame(
        {
            "prompt": [texts[i % 4] for i in range(48)],
            "answer": [answers[i % 4] for i in range(48)],
            "choices": [["a word", "no"] if i % 4 == 2 else None for i in range(48)],
            "answer_index": [0 if i % 4 == 2 else None for i in range(48)],
            "excluded": [None] * 48,
        },
        schema_overrides={"choices": pl.List(pl.String), "answer_index": pl.Int32},
    )
    family = features(frame)
    has = {name: sorted({i % 4 for i in rows_of(family, name)}) for name in family.names}
    assert has["a negation in the question"] == [0] and has["answer: yes or no"] == [0]
    assert has["answer: a number"] == has["three numbers or more"] == [1]
    assert has["in Cyrillic script"] == [2] and has["a blank to fill in"] == [3]
    # Long prompts are read in time that grows with its length alone.
    long = frame.with_columns(prompt=pl.Series([part * (100_000 // len(part)) for part in LONG] + texts * 10)[:48])
    assert features(long).names
    # What the key or the form alone decides is no competence.
    assert not any("option" in name or "length" in name for name in has)


def test_families_are_read_as_they_were_made_without_scikit_learn(run, monkeypatch):
    half = np.arange(run.items.height) % 2

    @cg.slice_family("halves")
    def halves(held):
        return {"even": 1 - half, "some": half * 0.25}

    try:
        write_slices(run, Source(run, SlicesConfig(families=["columns", "halves"])))
        with pytest.raises(UserError, match=r"expected .* from 0 to 1"):
            SLICES.forget("halves")
            cg.slice_family("halves")(lambda held: {"two": 2 * half})
            write_slices(run, Source(run, SlicesConfig(families=["halves"])))
    finally:
        SLICES.forget("halves")
    monkeypatch.setitem(sys.modules, "sklearn", None)
    families = {family.name: family for family in read_slices(open_folder(run.path))}
    added = families["halves"]
    assert added.weights.toarray().tolist() == [(1 - half).tolist(), (half * 0.25).tolist()]
    assert added.number[0] == len(families["columns"].names if "columns" in families else []) and added.made_with
    assert open_folder(run.path).manifest["slices"]["halves"]["slices"] == 2
    with pytest.raises(UserError, match=r"there is no 'profile'.*'profiles'"):
        write_slices(run, Source(run, SlicesConfig(families=["profile"])))


def test_skills_are_asked_once(run):
    rows, prompts = np.arange(4), run.items["prompt"][:4].to_list()

    def plan(body, attempt):
        row = next(row for row, prompt in enumerate(prompts) if question_of(body).startswith(prompt))
        return ("message", {"content": json.dumps({"skill": f" adding {row}. "} if row < 3 else {})}, "stop", None)

    quiet = cg.Progress(quiet=True)
    assert phrases(run, rows, None, quiet) == {}
    with serve(plan) as fake:
        named = phrases(run, rows, LLMConfig(base_url=fake.url, model="m"), quiet)
    assert named == {0: "adding 0", 1: "adding 1", 2: "adding 2"}
    assert phrases(run, rows, None, quiet) == named


def test_clusters_and_skills_of_vectors(run, monkeypatch):
    """The same tree of another space; the embedding itself is tested with the model."""
    from competency_gaps.slices import make

    space, group = planted(np.random.default_rng(5))
    frame = pl.DataFrame(
        {
            "prompt": [f"{SUBJECTS[g][0]} {i}" for i, g in enumerate(group)],
            "choices": None,
            "group": None,
            "excluded": None,
            "benchmark": "b",
        }
    )
    held = SimpleNamespace(items=frame, concepts=run.concepts.head(0), has_reading=False)
    held.manifest = {"evidence": {"seed": 0}}
    source = SimpleNamespace(run=held, kept=np.arange(len(group)), config=SlicesConfig(skills=True), llm=None, seed=0)
    source.progress = None
    monkeypatch.setattr(make, "embed_texts", lambda texts, *_: space[: len(texts)])
    monkeypatch.setattr(make.by_skill, "phrases", lambda *_: {i: f"skill {g}" for i, g in enumerate(group)})
    made = make.clusters(source)
    assert set(make.skills(source).names[:6]) == {f"skill {number}" for number in range(6)}

    def missing(*_):
        raise NoModelError("there is none")

    monkeypatch.setattr(make, "embed_texts", missing)
    other = replace(made, name="features", names=["“cells”", *map(str, range(1, len(made.names)))])
    unchanged, named = make.with_tree_names(held, [other, made], held.concepts, None)
    assert unchanged.names == other.names and not set(named.names) & set(other.names)
    assert {name.strip("“”") for name in named.names[:6]} >= {subject for subject, _ in SUBJECTS} - {"cells"}
