"""``cgaps match`` and ``cgaps scope``: a run's concepts beside what others say a model or a benchmark is about."""

from __future__ import annotations

import contextlib
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import polars as pl
import typer
from rich.console import Console
from rich.table import Table

from competency_gaps.cli.asking import AskOptions, asks
from competency_gaps.errors import MachineError, UserError
from competency_gaps.text import decimal, magnitude, shorten, visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import numpy as np

    from competency_gaps.endpoint import Answer
    from competency_gaps.matching import ScopeFindings
    from competency_gaps.matching.null import OnDraw
    from competency_gaps.progress import Progress
    from competency_gaps.runs.open import RunFolder

RunArgument = Annotated[Path, typer.Argument(help="Run folder.")]
KindOption = Annotated[
    list[str] | None, typer.Option(help="Only labels of this kind (explained, imported, automatic); may be repeated.")
]
EmbedderOption = Annotated[str | None, typer.Option(help="sentence-transformers model: hub id or folder.")]
AlphaOption = Annotated[float, typer.Option(help="Chance that what belongs to nothing matches something.")]
QuietOption = Annotated[bool, typer.Option("--quiet", help="No progress.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


@asks()
def match(
    run: RunArgument,
    taxonomy: Annotated[
        Path, typer.Option(help="JSON, JSONL, CSV or YAML of entries, an AutoDetect log, or a garak report.")
    ],
    where: Annotated[str | None, typer.Option(help="Only entries with e.g. level=test_point,score<5.")] = None,
    kind: KindOption = None,
    per_entry: Annotated[int, typer.Option(min=1, help="Nearest labels of an entry that count.")] = 5,
    alpha: AlphaOption = 0.05,
    embedder: EmbedderOption = None,
    seed: Annotated[int, typer.Option(help="Seed of the shuffled labels.")] = 0,
    quiet: QuietOption = False,
    json_: JsonOption = False,
    *,
    ask: AskOptions,
) -> None:
    """Match a list of weaknesses, qualities or probes to concepts: which does the run recover, which does it add?"""
    from competency_gaps.cli.output import print_json
    from competency_gaps.matching import candidates, read_taxonomy
    from competency_gaps.matching import match as find
    from competency_gaps.matching.confirm import apply_verdicts, confirm_requests, pairs_of, readable
    from competency_gaps.matching.documents import matching_document
    from competency_gaps.matching.kept import keep_matching
    from competency_gaps.matching.lines import matching_lines
    from competency_gaps.progress import Progress
    from competency_gaps.runs.open import open_folder

    way = ask.asking()
    opened, progress = open_folder(run), Progress(quiet=quiet)
    read = read_taxonomy(taxonomy, where)
    for left in read.left_out:
        progress.say(f"left out: {left[0]}: {left[1]}")
    for note in read.notes:
        progress.say(note)
    options = candidates(_labelled(opened, kind), opened.theme_results)
    with _draws(progress) as on_draw:
        found = find(
            read.entries, options, _embed(embedder), seed=seed, alpha=alpha, per_entry=per_entry, on_draw=on_draw
        )
    answers = None
    if way is not None:
        wanted = confirm_requests(pairs_of(found))
        answers = way.answers(wanted, run / "answers", progress, lambda one: readable(one, "match"))
        found = found if answers is None else apply_verdicts(found, list(answers.values()))
    judges = {"judges": _judges(answers)}
    facts = {"kinds": kind, "per_entry": per_entry, "alpha": alpha, "embedder": embedder, "seed": seed, **judges}
    _keep(lambda: keep_matching(opened, taxonomy, read, facts, found))
    if json_:
        source = {"taxonomy": str(taxonomy), "left_out": len(read.left_out), "notes": read.notes}
        print_json({"run": str(run), **source, **matching_document(found), **judges})
        return
    for line in matching_lines(found):
        Console().print(line, markup=False, highlight=False, soft_wrap=True)


@asks()
def scope(
    run: RunArgument,
    benchmark: Annotated[str, typer.Option(help="Benchmark of the run.")],
    describe: Annotated[
        list[str] | None, typer.Option(help="What it claims to test; by default its 'scope' in the configuration.")
    ] = None,
    kind: KindOption = None,
    alpha: AlphaOption = 0.01,
    limit: Annotated[int, typer.Option(min=1, help="Rows shown.")] = 20,
    embedder: EmbedderOption = None,
    seed: Annotated[int, typer.Option(help="Seed of the shuffled labels.")] = 0,
    quiet: QuietOption = False,
    json_: JsonOption = False,
    *,
    ask: AskOptions,
) -> None:
    """Rank what a benchmark lacks by how much it belongs to what the benchmark claims to test."""
    from competency_gaps.cli.output import print_json
    from competency_gaps.matching import scope as find
    from competency_gaps.matching.confirm import readable
    from competency_gaps.matching.documents import scope_document
    from competency_gaps.matching.kept import keep_scope
    from competency_gaps.matching.scope import apply_scope_verdicts, confirm_scope_requests
    from competency_gaps.progress import Progress
    from competency_gaps.runs.open import open_folder

    way = ask.asking()
    opened, progress = open_folder(run), Progress(quiet=quiet)
    known = {entry["name"]: entry.get("scope") for entry in opened.manifest["benchmarks"]}
    stated = describe or ([known[benchmark]] if known.get(benchmark) else None)
    if stated is None and benchmark in known:
        raise UserError(f"the configuration states no scope of {benchmark!r}: give --describe.")
    with _draws(progress) as on_draw:
        found = find(
            _labelled(opened, kind),
            opened.concept_benchmarks,
            benchmark,
            stated or [""],
            _embed(embedder),
            seed=seed,
            alpha=alpha,
            on_draw=on_draw,
        )
    answers = None
    if way is not None:
        wanted = confirm_scope_requests(found)
        answers = way.answers(wanted, run / "answers", progress, lambda one: readable(one, "scope"))
        found = found if answers is None else apply_scope_verdicts(found, list(answers.values()))
    judges = {"judges": _judges(answers)}
    facts = {"kinds": kind, "embedder": embedder, "seed": seed, **judges}
    _keep(lambda: keep_scope(opened, limit, facts, found))
    if json_:
        print_json({"run": str(run), **scope_document(found, limit), **judges})
        return
    _print_scope(found, limit)


def _labelled(run: RunFolder, kinds: list[str] | None) -> pl.DataFrame:
    """The run's concepts; labels of other kinds than asked for do not count."""
    if not kinds:
        return run.concepts
    wrong = sorted(set(kinds) - {"explained", "imported", "automatic"})
    if wrong:
        raise UserError(f"--kind {wrong[0]!r}: expected explained, imported or automatic.")
    wanted = pl.col("label_kind").is_in(kinds)
    return run.concepts.with_columns(label=pl.when(wanted).then(pl.col("label")))


def _embed(model: str | None) -> Callable[[Sequence[str]], np.ndarray]:
    from competency_gaps.dictionary.embed import embed_texts

    return lambda texts: embed_texts(texts, model)


@contextlib.contextmanager
def _draws(progress: Progress) -> Iterator[OnDraw]:
    """Count the draws of shuffled labels; their number is known after the first."""
    with progress.stage("comparing with shuffled labels", unit="draws") as bar:

        def on_draw(done: int, total: int) -> None:
            bar.expect(total)
            bar.advance(done - bar.done)

        yield on_draw


def _keep(write: Callable[[], Path]) -> None:
    """Keep the outcome in the run folder; where that cannot be written to, the outcome is shown all the same."""
    try:
        write()
    except (OSError, MachineError) as error:
        logging.getLogger(__name__).warning(f"the outcome is not kept in the run folder: {error}")


def _judges(answers: Mapping[str, Answer] | None) -> list[str]:
    """Models that gave verdicts, by name."""
    return sorted({one.model for one in (answers or {}).values() if one.model})


def _print_scope(found: ScopeFindings, limit: int) -> None:
    from competency_gaps.matching.lines import share_text

    console = Console()
    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in ("concept", "label", "similarity", "in scope", "coverage", "χ bench elsewhere"):
        table.add_column(title, overflow="fold")
    for row in found.lacking.head(limit).iter_rows(named=True):
        elsewhere = row["chi_bench_elsewhere"]
        cells = (str(row["concept"]), shorten(row["label"], 60), decimal(row["similarity"]))
        rest = (
            "yes" if row["in_scope"] else "",
            row["coverage_status"],
            "" if elsewhere is None else magnitude(elsewhere),
        )
        table.add_row(*(visible(cell) for cell in (*cells, *rest)))
    console.print(table, markup=False)
    for line in (
        f"in-scope concepts that {found.benchmark} covers: {share_text(found.covered)}; under-represents: "
        f"{share_text(found.under)}; lacks: {share_text(found.missing)}",
        f"null: shuffled labels are in scope {share_text(found.null_rate)} of the time; ranked concepts without a "
        f"label: {found.unlabelled}",
    ):
        console.print(visible(line), markup=False, highlight=False, soft_wrap=True)
