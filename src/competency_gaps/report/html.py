"""The report: one self-contained HTML page that loads nothing.

Jinja escapes all text of models, data sets and labels, and a content security policy lets a browser run only the
page's own script, which it names by its hash.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from competency_gaps import text
from competency_gaps.errors import UserError
from competency_gaps.files import write_atomic
from competency_gaps.findings.answer import answer
from competency_gaps.findings.words import alike, scored_name
from competency_gaps.presentation import columns, facts, rankings, themes
from competency_gaps.presentation.columns import glossary
from competency_gaps.report import answer_view
from competency_gaps.report.cards import concept_details, finding_cards, theme_section
from competency_gaps.report.charts import page_svg
from competency_gaps.report.matches import list_sections
from competency_gaps.robustness import read_assessment
from competency_gaps.runs.open import RunFolder

STYLES = ("report", "themes", "findings", "narrow")
"""The page's style sheets, in their order."""


@dataclass(frozen=True)
class Table:
    """One table of concepts."""

    key: str
    title: str
    caption: str
    columns: list[columns.Column]
    rows: list[dict[str, Any]]
    """Rows of ``run.concepts``."""
    tone: str = ""
    """``weak`` or ``strong``: colours the title."""


def write_report(run: RunFolder, out: Path, *, top: int = 20, examples: int = 3) -> Path:
    """Write the report of a run as one HTML file.

    Parameters
    ----------
    run : RunFolder
    out : Path
        The file; its folder is made. It appears whole or not at all.
    top : int
        Concepts per table.
    examples : int
        Best and worst items per concept, each.

    Returns
    -------
    Path
        ``out``.

    Raises
    ------
    UserError
        If ``out`` is a folder.
    """
    if out.is_dir():
        raise UserError(f"{str(out)!r} is a folder. Give a file for the report, e.g. {str(out / 'report.html')!r}.")
    rendered = render(run, top=top, examples=examples)

    def write(part: Path) -> None:
        part.write_text(rendered, encoding="utf-8", newline="\n")

    write_atomic(out, write)
    return out


def render(run: RunFolder, *, top: int, examples: int) -> str:
    """Build the page's text."""
    given = answer(run)
    ranked = rankings.ranking(run.concepts, run.manifest["evidence"])
    tables, frames = _tables(run, ranked, top)
    grouped = themes.read_run_themes(run)
    listed = answer_view.in_order(run.findings)
    evidence = run.concepts.filter(pl.col("concept").is_in(listed["leader"].to_list()))
    details = concept_details(run, [*frames, evidence, *themes.detailed_leaders(grouped, ranked)], examples)
    linked = {int(detail.row["concept"]) for detail in details}
    labelled = facts.dictionary_fact(run)
    section = theme_section(run, grouped, ranked)
    concept_columns = columns.present(columns.CONCEPT, run.concepts)
    per_benchmark = columns.present(columns.PER_BENCHMARK, run.concept_benchmarks)
    lists = list_sections(run)
    speaks = {"themes": section is not None, "labelled": labelled is not None, "lists": bool(lists)}
    environment = _environment()
    script = _asset(environment, "report.js")
    explained = [*concept_columns, *per_benchmark, columns.FOLLOWERS, *columns.present(columns.MISSING, run.concepts)]
    return environment.get_template("report.html.j2").render(
        css=Markup("".join(_asset(environment, f"{name}.css") for name in STYLES)),
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        answer=given,
        cards=finding_cards(run, listed),
        model=scored_name(run.manifest),
        **_facts(run, [labelled] if labelled else []),
        gaps_chart=_gaps_chart(run, ranked),
        most_shared=_most_shared(run.overlap),
        benchmarks=run.benchmarks.sort("mean_score", "benchmark", nulls_last=True).to_dicts(),
        scored={benchmark.benchmark: benchmark for benchmark in given.benchmarks},
        tables=tables,
        caution=rankings.caution(ranked),
        ranked_note=rankings.left_out_note(run.concepts),
        details=details,
        linked=linked,
        grouped=grouped,
        themes=section,
        lists=lists,
        per_benchmark=per_benchmark,
        vanishes=f"vanishes {alike(run.manifest['evidence'])}".rstrip(),
        terms=glossary(explained, run.manifest["evidence"], **speaks),
    )


def _facts(run: RunFolder, more: list[facts.Fact]) -> dict[str, Any]:
    """Gather the facts of the run itself, and what was left out of it."""
    manifest = run.manifest
    return {
        "card": [*facts.run_card(manifest), *more],
        "versions": facts.listing(manifest["versions"]),
        "settings": facts.listing(manifest["settings"]),
        "timings": sorted(manifest["timings"].items(), key=lambda stage: -stage[1]),
        "command": text.shorten(facts.command_text(manifest["command"]), 1000),
        "folder": str(run.path),
        "policies": {entry["name"]: str(entry["policy"] or "") for entry in manifest["benchmarks"]},
        "figures": facts.figure_lines(manifest),
        "source_warnings": facts.source_warnings(manifest),
        "left_out": rankings.left_out(run.items, manifest["benchmarks"]),
        "verdicts": (read_assessment(run) or {}).get("verdicts", []),
    }


def _gaps_chart(run: RunFolder, ranked: rankings.Ranking) -> Markup | None:
    """Draw the gaps of the leading concepts; None where no concept is weak or strong."""
    if not ranked.weak_leaders.height + ranked.strong_leaders.height:
        return None
    return page_svg(run, lambda plots: plots.gaps(), "Net gaps of weak and strong concepts, with their intervals")


def _most_shared(overlap: pl.DataFrame) -> dict[str, tuple[str, float]]:
    """Give for each benchmark the other one that shares most of its concepts, and their Jaccard index."""
    pairs = overlap.filter(pl.col("benchmark_a") != pl.col("benchmark_b")).drop_nulls("jaccard")
    pairs = pairs.sort("jaccard", "benchmark_b", descending=[True, False])
    most = pairs.unique("benchmark_a", keep="first").select("benchmark_a", "benchmark_b", "jaccard")
    return {name: (other, jaccard) for name, other, jaccard in most.iter_rows()}


def _tables(run: RunFolder, ranked: rankings.Ranking, top: int) -> tuple[list[Table], list[pl.DataFrame]]:
    concepts = run.concepts
    most, least = rankings.most_covered(concepts, top), rankings.least_covered(concepts, top)
    absent = rankings.missing(concepts)
    shown = columns.present(columns.CONCEPT, concepts)
    listed = columns.present(columns.CONCEPT, ranked.weak_leaders)
    everywhere = int((concepts["alive"] & concepts["missing"]).sum())
    covered = (
        f"Ordered by χ bench ({facts.unit(run.manifest)}) among ranked concepts that some item exercises, "
        "whatever their n_eff."
    )
    limit = f", the first {top} shown" if absent.height > top else ""
    gaps = (
        f"{text.plural(absent.height, 'ranked concept')} of {everywhere:,} alive ones that no item of any "
        f"benchmark activates; those that the reference text says should have been seen come first{limit}."
    )
    plan = [
        ("weakest", "Weak concepts", ranked.caption("weak"), listed, ranked.weak_leaders.head(top), "weak"),
        ("strongest", "Strong concepts", ranked.caption("strong"), listed, ranked.strong_leaders.head(top), "strong"),
        ("most", "Most covered concepts", covered, shown, most, ""),
        ("least", "Least covered concepts", covered, shown, least, ""),
        ("missing", "Missing concepts", gaps, columns.present(columns.MISSING, concepts), absent.head(top), ""),
    ]
    tables = [
        Table(key, title, caption, used, frame.to_dicts(), tone) for key, title, caption, used, frame, tone in plan
    ]
    return tables, [entry[4] for entry in plan]


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("competency_gaps.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        # Every text that a template writes passes here, so that no place can forget it.
        finalize=lambda value: text.visible(value) if type(value) is str else value,
    )
    environment.filters.update(
        integer=text.integer,
        decimal=text.decimal,
        tenths=text.tenths,
        short=text.shorten,
        token=text.show_token,
        theme_name=themes.theme_name,
        concept_name=rankings.concept_name,
        badges=rankings.badges_of,
        marks=facts.marks_of,
        provenance=facts.provenance,
    )
    environment.tests["automatic"] = themes.is_automatic
    environment.globals["percent"] = text.percent
    return environment


def _asset(environment: Environment, name: str) -> str:
    assert environment.loader is not None
    return environment.loader.get_source(environment, name)[0]
