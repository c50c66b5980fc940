"""The page and the terminal, with friendly and with hostile content."""

from __future__ import annotations

import base64
import hashlib
import io
import re
import stat
from html.parser import HTMLParser

import polars as pl
import pytest
from rich.console import Console

from competency_gaps.errors import UserError
from competency_gaps.items.item import DTYPE, Reason
from competency_gaps.presentation import rankings
from competency_gaps.report import concept_panel, concept_table, html, print_summary, write_report

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)> {{ 7*7 }} \u202e\u200f [red]x[/red] \x1b[31m"
VOID = {"meta", "img", "br", "link", "input", "hr"}


class Page(HTMLParser):
    """Collects elements, addresses and text, and checks that elements nest."""

    def __init__(self):
        super().__init__()
        self.tags, self.links, self.ids, self.text, self.handlers, self.open = [], [], [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        self._attributes(attrs)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self._attributes(attrs)

    def _attributes(self, attrs):
        for key, value in attrs:
            if key in ("href", "src", "xlink:href"):
                self.links.append(value)
            if key == "id":
                self.ids.append(value)
            if key.startswith("on"):
                self.handlers.append(key)

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]}"
        self.open.pop()

    def handle_data(self, data):
        self.text.append(data)


def read(rendered):
    page = Page()
    page.feed(rendered)
    assert page.open == []
    return page


@pytest.fixture(scope="module")
def hostile(run):
    """The run with every free text replaced by an attack, and texts of 100 kB."""
    long = EVIL + "x" * 100_000
    items = run.items.with_columns(
        *(pl.lit(long).alias(column) for column in ("prompt", "text", "response", "answer")),
        item_id=pl.col("item_id") + EVIL,
        excluded=pl.when(pl.col("excluded").is_not_null()).then(pl.lit(Reason("other", EVIL).as_dict(), DTYPE)),
    )
    bad = {"benchmark": pl.col("benchmark") + EVIL}
    manifest = {
        **run.manifest,
        "command": EVIL,
        "settings": {**run.manifest["settings"], EVIL: {"a": EVIL}},
        "hook": {**run.manifest["hook"], "path": EVIL},
    }
    manifest["model"] = {**manifest["model"], "name": EVIL}
    manifest["gate"] = {**manifest["gate"], "passed": False, "forced": True}
    changed = run.changed(
        items=items.with_columns(**bad),
        benchmarks=run.benchmarks.with_columns(**bad),
        concept_benchmarks=run.concept_benchmarks.with_columns(**bad),
        overlap=run.overlap.with_columns(
            benchmark_a=pl.col("benchmark_a") + EVIL, benchmark_b=pl.col("benchmark_b") + EVIL
        ),
        concepts=run.concepts.with_columns(label=pl.lit(long), peak_token=pl.lit(EVIL)),
        manifest=manifest,
        findings=run.findings.with_columns(
            **{name: pl.lit(long) for name in ("label", "sentence", "wording")},
            **{name: pl.lit(EVIL) for name in ("example", "wording_source")},
        ),
    )
    places = {
        "repeats": 3,
        "cas": 1.0,
        "ncas": 0.5,
        "peak_start": 50_000,
        "peak_end": 50_003,
        "own_start": 0,
        "own_end": len(long),
    }
    some = (
        changed.items.filter(pl.col("excluded").is_null())
        .head(2)
        .with_columns(**{k: pl.lit(v) for k, v in places.items()})
    )
    changed.concept_items = lambda concept, **kwargs: some
    return changed


@pytest.fixture(scope="module")
def rendered(run):
    return html.render(run, top=8, examples=2)


def test_the_page_nests_and_asks_for_nothing_from_elsewhere(rendered):
    page = read(rendered)
    assert all(link.startswith("#") for link in page.links)
    assert page.handlers == [] and page.tags.count("script") == 1
    assert not re.search(r"url\((?!#)", rendered) and "@import" not in rendered


def test_every_link_leads_somewhere_and_ids_are_unique(rendered):
    page = read(rendered)
    assert len(page.ids) == len(set(page.ids))
    assert {link[1:] for link in page.links} <= set(page.ids)


def test_the_policy_names_the_one_script(rendered):
    script = re.search(r"<script>(.*?)</script>", rendered, re.S)[1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in rendered and "default-src 'none'" in rendered


def test_no_text_of_a_run_becomes_markup(hostile):
    page = read(html.render(hostile, top=5, examples=2))
    assert page.tags.count("script") == 1 and "img" not in page.tags and page.handlers == []
    text = "".join(page.text)
    assert "<script>alert(1)</script>" in text and "{{ 7*7 }}" in text
    assert "\u202e" not in text and "<U+202E>" in text and "\x1b" not in text


def test_long_texts_are_cut_with_a_count(hostile):
    rendered = html.render(hostile, top=5, examples=2)
    assert len(rendered) < 1_000_000
    assert re.search(r"\[\d\d,\d{3} characters cut\]", rendered) and "(+99," in rendered


def test_a_failed_gate_is_shown_on_the_page(hostile):
    page = html.render(hostile, top=1, examples=1)
    main = page[page.index("<main") :]
    assert main.index("did not pass its gate and the run was forced") < main.index("<h1>"), "what failed comes first"


def test_charts_and_tables_are_there(rendered):
    for words in (
        "Net gaps of leading concepts",
        "most shared with",
        "Weak concepts",
        "Missing concepts",
        "at a false-discovery rate of 20%",
    ):
        assert words in rendered
    assert "empty span" in rendered and "N/A" in rendered


def detail_of(rendered, concept):
    return re.search(rf'<details class="concept" id="concept-{concept}">.*?</details>', rendered, re.S)[0]


def test_undefined_performance_is_not_shown_as_zero(rendered, run):
    shown = [int(found) for found in re.findall(r'id="concept-(\d+)"', rendered)]
    undefined = run.concept_benchmarks.filter(pl.col("concept").is_in(shown) & pl.col("chi_model").is_null())
    somewhere = undefined.join(run.concepts.filter(~pl.col("missing")), on="concept", how="semi")
    concept, benchmark = somewhere.select("concept", "benchmark").row(0)
    row = re.search(rf'<tr><td class="name"><bdi>{benchmark}</bdi>.*?</tr>', detail_of(rendered, concept), re.S)[0]
    assert row.count("N/A") >= 2 and "0.00" not in row


def test_a_missing_concept_says_so_instead_of_showing_zeros(rendered, run):
    detail = detail_of(rendered, rankings.missing(run.concepts)["concept"][0])
    assert "No item of the suite activates this concept" in detail and "<table" not in detail


@pytest.mark.parametrize(
    "shape", [{"benchmarks": 1}, {"per": 4, "n_concepts": 12}, {"n_concepts": 900, "benchmarks": 2}]
)
def test_runs_of_other_shapes_are_reported(make_run, shape, tmp_path):
    run = make_run(**shape)
    read(write_report(run, tmp_path / "report.html", top=3, examples=1).read_text("utf-8"))
    print_summary(run, Console(file=io.StringIO(), width=100), top=2)


def test_a_run_without_any_score_is_reported(run, tmp_path):
    nothing = pl.lit(None, pl.Float64)
    unscored = run.changed(
        items=run.items.with_columns(score=nothing),
        concepts=run.concepts.with_columns(chi_model=nothing),
        concept_benchmarks=run.concept_benchmarks.with_columns(chi_model=nothing),
        benchmarks=run.benchmarks.with_columns(mean_score=nothing, scored=pl.lit(0)),
    )
    text = write_report(unscored, tmp_path / "r.html").read_text("utf-8")
    read(text)
    assert "coverage only" in text and "Where it is strongest" in text


def test_the_file_appears_alone_and_readable(run, tmp_path):
    out = tmp_path / "deep" / "report.html"
    assert write_report(run, out, top=2, examples=1) == out
    assert [path.name for path in out.parent.iterdir()] == ["report.html"]
    assert out.stat().st_mode & stat.S_IRUSR
    for inside in (out / "x.html", out / "deep" / "x.html"):
        with pytest.raises(UserError, match="is, or lies in, a file"):
            write_report(run, inside, top=2, examples=1)


def printed(thing, width=140):
    console = Console(file=io.StringIO(), width=width)
    console.print(thing)
    return console.file.getvalue()


def test_the_summary_says_the_findings(run):
    console = Console(file=io.StringIO(), width=140)
    print_summary(run, console, top=3)
    text = console.file.getvalue()
    for words in (
        "SmolLM2-135M: mean score",
        "Weak concepts",
        "calendar",
        "excluded: empty span",
        "at a false-discovery rate of 20%",
    ):
        assert words in text


def test_no_text_of_a_run_reaches_the_terminal_as_markup(hostile):
    console = Console(file=io.StringIO(), width=200, force_terminal=True, color_system="truecolor")
    print_summary(hostile, console, top=3)
    console.print(concept_panel(hostile, int(hostile.concepts.filter(pl.col("ranked"))["concept"][0])))
    text = re.sub(r"\x1b\[[\d;]*m", "", console.file.getvalue())
    assert "[red]x[/red]" in text and "\x1b" not in text and "<U+001B>" in text
    assert "\x1b[31m" not in console.file.getvalue()


def test_the_table_keeps_the_order_given(run):
    text = printed(concept_table(run.concepts.head(5).reverse()))
    assert [int(found) for found in re.findall(r"^\s*(\d+)  ", text, re.M)] == [4, 3, 2, 1, 0]


def test_the_panel_shows_items_and_undefined_values(run):
    concept = int(run.concepts.filter(pl.col("ranked") & ~pl.col("missing"))["concept"][0])
    assert "Best items" in printed(concept_panel(run, concept))
    absent = int(run.concepts.filter(pl.col("missing"))["concept"][0])
    text = printed(concept_panel(run, absent))
    assert "No item of the suite activates this concept" in text and "N/A" in text


def test_an_unknown_concept_is_the_users_error(run):
    with pytest.raises(UserError, match=r"no concept 99999.*0 to 159"):
        concept_panel(run, 99999)


def test_each_benchmark_names_the_one_that_shares_most_of_its_concepts(rendered, run):
    table = rendered[rendered.index('<section id="benchmarks">') :]
    for name in run.benchmarks["benchmark"]:
        pairs = run.overlap.filter(pl.col("benchmark_a") == name, pl.col("benchmark_b") != name)
        other, jaccard = pairs.sort("jaccard").select("benchmark_b", "jaccard").row(-1)
        row = re.search(rf'<tr><td class="name"><bdi>{name}</bdi>.*?</tr>', table, re.S)[0]
        assert f'<bdi>{other}</bdi> <span class="of">{jaccard:.2f}</span>' in row


def test_a_single_benchmark_shares_with_none(make_run):
    rendered = html.render(make_run(benchmarks=1), top=1, examples=1)
    table = rendered[rendered.index('<section id="benchmarks">') :]
    assert '<td data-label="most shared with"><span class="na">N/A</span></td>' in table


def test_the_table_names_the_unit_of_coverage(run, rendered):
    raw = run.changed(manifest={**run.manifest, "settings": {"metrics": {"normaliser": "none"}}})
    assert "χ bench (1 = mean over alive concepts)" in rendered
    assert "χ bench (mean activation)" in html.render(raw, top=1, examples=1)
