"""Findings on the page: what a card holds is what the tables say."""

from __future__ import annotations

import re
from html import unescape

import polars as pl
import pytest

from competency_gaps.findings import support
from competency_gaps.findings.answer import answer
from competency_gaps.presentation import columns
from competency_gaps.presentation.columns import glossary
from competency_gaps.report import html
from competency_gaps.report.answer_view import in_order
from competency_gaps.report.cards import finding_cards

EVIDENCE = {"min_gap": 0.03, "strata": ["length"]}


@pytest.fixture(scope="module")
def rendered(run):
    return html.render(run, top=8, examples=1)


def text_of(markup):
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", markup)).split())


def card_of(rendered, number):
    return re.search(
        rf'<details class="finding \w+" id="finding-{number}".*?(?=<details class="finding |<h2>)', rendered, re.S
    )[0]


def test_every_finding_has_a_card_and_those_of_the_answer_are_open(rendered, run):
    found = re.findall(r'<details class="finding (\w+)" id="finding-(\d+)"( open)?>', rendered)
    ordered = in_order(run.findings)
    assert [(verdict, int(number)) for verdict, number, _ in found] == ordered.select("verdict", "finding").rows()
    first = [one.finding for one in answer(run).findings]
    assert [int(number) for _, number, opened in found if opened] == first
    hero = rendered[: rendered.index('<section id="findings">')]
    assert [int(number) for number in re.findall(r'href="#finding-(\d+)"', hero)] == first


def test_a_card_shows_its_sentence_figures_and_items(rendered, run):
    row = run.findings.row(0, named=True)
    text = text_of(card_of(rendered, row["finding"]))
    assert row["sentence"] in text and support(row, run.concepts) in text
    sizes = run.items.filter(pl.col("cluster").is_not_null()).group_by("cluster").len()
    sizes = dict(sizes.iter_rows())
    for number in (*row["failing"], *row["passing"]):
        item = run.items.row(number, named=True)
        assert item["prompt"] in text and item["response"] in text
        assert f"{item['benchmark']} · {item['item_id']} · {sizes[item['cluster']]} times in the suite" in text
        expected = (
            f"{item['choices'][item['answer_index']]} expected" if item["choices"] else f"expected {item['answer']}"
        )
        assert expected in text
    assert f"cgaps probe {run.path} --concept {row['leader']}" in text


def test_failing_and_passing_items_stand_side_by_side(run):
    (card, *_) = finding_cards(run, run.findings.head(1))
    row = run.findings.row(0, named=True)
    fails, passes = zip(*card.pairs, strict=True)
    for shown, numbers in ((fails, row["failing"]), (passes, row["passing"])):
        ids = [card.item.item_id for card in shown if card is not None]
        assert ids == run.items[list(numbers)]["item_id"].to_list() and ids
    assert all(card.item.score == 0 for card in fails if card)
    assert all(card.item.score == 1 for card in passes if card)


def test_what_is_the_same_in_all_prompts_is_folded_away(run):
    text = "Decrypt this text: " + pl.col("prompt") + " Answer with one word."
    templated = run.changed(items=run.items.with_columns(prompt=text, text="An example.\n" + text + "\nAnswer:"))
    (card, *_) = finding_cards(templated, run.findings.head(1))
    row = run.findings.row(0, named=True)
    shown, number = next(one for one, _ in card.pairs if one is not None), row["failing"][0]
    own = run.items["prompt"][number]
    # Every drawn prompt ends with a question mark, which therefore is constant too.
    assert shown.prompt.own == own.removesuffix("?")
    pieces = "".join(piece for piece, _ in shown.prompt.pieces)
    assert pieces == f"An example.\nDecrypt this text: {own} Answer with one word.\nAnswer:"
    constant = "".join(piece for piece, same in shown.prompt.pieces if same)
    assert "Decrypt this text" in constant and shown.prompt.own not in constant


def test_a_models_words_stand_under_the_sentence_with_their_source(run, rendered):
    worded = run.findings.head(1).with_columns(wording=pl.lit("sums below zero"), wording_source=pl.lit("gpt-x"))
    words = "In a language model's words: sums below zero (gpt-x)"
    assert words not in text_of(rendered)
    assert words in text_of(html.render(run.changed(findings=worded), top=3, examples=1))


def test_a_run_without_findings_has_a_page_that_says_so(run):
    page = html.render(run.changed(findings=run.findings.clear()), top=3, examples=1)
    assert 'class="finding ' not in page and "No group of items does reliably worse or better" in page


def test_what_vanishes_and_what_is_negligible_is_shown_with_both_gaps(rendered, run):
    every = run.changed(concepts=run.concepts.with_columns(vanishes=pl.col("performance_status") == "typical"))
    page = html.render(every, top=20, examples=1)
    assert "vanishes at equal length" in page and ">vanishes<" in page and "plain gap" in page
    listed = run.concepts.filter(pl.col("ranked"), pl.col("performance_status") == "negligible")
    assert listed.height and "negligible" in page


def test_each_header_leads_to_an_explained_word(rendered, run):
    terms = dict(re.findall(r'<dt id="term-([^"]+)">(.*?)</dt>', rendered))
    links = set(re.findall(r'href="#term-([^"]+)"', rendered))
    assert links and links <= set(terms)
    for column in columns.present(columns.CONCEPT, run.concepts):
        assert column.key in links and terms[column.key] == column.title
    for key in ("stratum", "cluster", "unseen", "scope", "points", "finding", "vanishes"):
        assert key in terms


def test_a_glossary_explains_each_column_once():
    shown = glossary([columns.GAP, columns.GAP, columns.LIFT], EVIDENCE, themes=False, labelled=False, lists=False)
    keys = [one.key for one in shown]
    assert keys.count("gap") == 1 and keys[-1] == "lift" and "theme" not in keys and "marks" not in keys
    more = glossary([], EVIDENCE, themes=True, labelled=True, lists=True)
    assert {"theme", "marks"} <= {one.key for one in more}
    assert all(one.meaning.endswith(".") and ".." not in one.meaning for one in (*shown, *more))


def test_the_glossary_names_what_the_run_compares_items_at():
    def said(strata):
        known = {
            one.key: f"{one.title}: {one.meaning}"
            for one in glossary([], {**EVIDENCE, "strata": strata}, themes=False, labelled=False, lists=False)
        }
        assert "0.03" in known["negligible"]
        return known

    both = said(["answer_position", "hops"])
    words = "at the same place of the right option and hops"
    assert words in both["stratum"] and both["vanishes"].count(words) == 2 and "length" not in both["vanishes"]
    none = said([])
    assert "vanishes" not in none and "length" not in none["stratum"] and "all of them" in none["stratum"]
