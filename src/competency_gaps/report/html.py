"""One self-contained page: no network, no fonts, no scripts but its own.

Whatever comes from a model, a data set or a label is escaped by Jinja, and a content security policy that
names our one script by its hash keeps a browser from running any other.
"""

from __future__ import annotations

import base64
import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from competency_gaps import text
from competency_gaps.report import colours, columns, findings, headline, judged, labels, page, sources, themes
from competency_gaps.report.protocol import RunView
from competency_gaps.report.theme_page import origins, theme_section
from competency_gaps.robustness import read_assessment


@dataclass(frozen=True)
class Row:
    """One concept in a table."""

    concept: int
    name: str
    labelled: bool
    marks: list[str]
    """What its label is warned of: ``auto``, ``doubtful``."""
    peak: str
    flags: list[str]
    values: dict[str, Any]


@dataclass(frozen=True)
class Table:
    """One table of concepts."""

    key: str
    title: str
    caption: str
    columns: list[columns.Column]
    rows: list[Row]
    tone: str = ""
    """``weak`` or ``strong``: colours the performance bar."""


def write_report(run: RunView, out: Path, *, top: int = 20, examples: int = 3) -> Path:
    """Write the report of a run as one HTML file.

    Parameters
    ----------
    run : RunView
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
    """
    rendered = render(run, top=top, examples=examples)
    out.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=out.parent, prefix=f".{out.name}.", suffix=".part")
    partial = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(rendered)
        # mkstemp makes files that only their owner reads; a report is as readable as any new file.
        umask = os.umask(0)
        os.umask(umask)
        partial.chmod(0o666 & ~umask)
        partial.replace(out)
    finally:
        partial.unlink(missing_ok=True)
    return out


def render(run: RunView, *, top: int, examples: int) -> str:
    """Build the page's text."""
    view = headline.overview(run)
    ranked = findings.ranking(run.concepts, run.manifest["evidence"])
    tables, frames = _tables(run, ranked, top)
    grouped = themes.read_run_themes(run)
    details = findings.details(run, [*frames, *themes.detailed_leaders(grouped, ranked)], examples)
    labelled = labels.dictionary_fact(run)
    means = run.benchmarks["mean_score"].drop_nulls().to_numpy()
    mean_score = float(means.mean()) if means.size else None
    coverage, performance = page.multiples(run)
    environment = _environment()
    script = _asset(environment, "report.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment.get_template("report.html.j2").render(
        css=Markup(_asset(environment, "report.css") + _asset(environment, "themes.css")),
        scales={theme: Markup(colours.scale_css(theme)) for theme in ("light", "dark")},
        scale_classes=Markup(colours.class_css()),
        script=Markup(script),
        script_hash=digest,
        view=view,
        question=headline.question(view),
        findings=headline.findings(run, view, ranked),
        warning=page.gate_warning(run.manifest),
        card=[*page.run_card(run.manifest), *([labelled] if labelled else [])],
        versions=page.listing(run.manifest["versions"]),
        settings=page.listing(run.manifest["settings"]),
        timings=sorted(run.manifest["timings"].items(), key=lambda stage: -stage[1]),
        command=text.shorten(_command(run.manifest["command"]), 1000),
        folder=str(run.path),
        map=page.concept_map(run, ranked, view),
        distributions=page.distributions(run, view, mean_score),
        benchmarks=run.benchmarks.to_dicts(),
        policies={entry["name"]: str(entry["policy"] or "") for entry in run.manifest["benchmarks"]},
        figures=judged.figure_lines(run.manifest),
        source_warnings=sources.source_warnings(run.manifest),
        left_out=findings.left_out(run.items, run.manifest["benchmarks"]),
        missing_bars=page.missing_bars(run),
        multiples=(
            ("Coverage χ bench", coverage, page.mark_note(run.manifest)),
            (
                "Performance χ model",
                performance,
                "line at the benchmark's mean score; only concepts whose n_eff in the benchmark is at least "
                f"{page.SMALL_FLOOR:g}",
            ),
        ),
        overlap=page.overlap_map(run),
        verdicts=(read_assessment(run.path) or {}).get("verdicts", []),
        tables=tables,
        caution=findings.caution(ranked),
        ranked_note=findings.left_out_note(run.concepts),
        details=details,
        labelled=labelled is not None,
        origins=origins(grouped, details),
        themes=theme_section(run, grouped, ranked, {int(one.row["concept"]) for one in details}),
        per_benchmark=columns.present(columns.PER_BENCHMARK, run.concept_benchmarks),
        concept_columns=columns.present(columns.CONCEPT, run.concepts),
        small_floor=page.SMALL_FLOOR,
    )


def _command(command: Any) -> str:
    return command if isinstance(command, str) else " ".join(str(part) for part in command)


def _tables(run: RunView, ranked: findings.Ranking, top: int) -> tuple[list[Table], list[pl.DataFrame]]:
    concepts = run.concepts
    most, least = findings.most_covered(concepts, top), findings.least_covered(concepts, top)
    absent = findings.missing(concepts)
    shown = columns.present(columns.CONCEPT, concepts)
    listed = columns.present(columns.CONCEPT, ranked.weak_leaders)
    everywhere = int((concepts["alive"] & concepts["missing"]).sum())
    covered = "Ordered by χ bench among ranked concepts that some item exercises; no n_eff is asked of them."
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
        Table(key, title, caption, used, [_row(row) for row in frame.iter_rows(named=True)], tone)
        for key, title, caption, used, frame, tone in plan
    ]
    return tables, [entry[4] for entry in plan]


def _row(row: dict[str, Any]) -> Row:
    return Row(
        row["concept"],
        findings.concept_name(row),
        bool(row["label"]),
        labels.marks_of(row),
        text.show_token(row["peak_token"]),
        findings.flags_of(row),
        row,
    )


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
        signed=text.signed,
        magnitude=text.magnitude,
        short=text.shorten,
        plural=text.plural,
        step=colours.step,
    )
    environment.globals.update(percent=text.percent, share_of=text.share_of)
    return environment


def _asset(environment: Environment, name: str) -> str:
    assert environment.loader is not None
    return environment.loader.get_source(environment, name)[0]
