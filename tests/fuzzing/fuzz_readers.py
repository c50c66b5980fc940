"""Every reader of files that may come from elsewhere: how it is asked to read all of a path."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

import fuzz_samples as samples
from rich.console import Console

import competency_gaps as cg
from competency_gaps.concepts.atlas import read_atlas
from competency_gaps.concepts.folder import open_dictionary
from competency_gaps.concepts.imports import import_labels
from competency_gaps.improve.broken_items import read_broken_items
from competency_gaps.items.config import BenchmarkConfig, FileSource, LogSource, RunConfig, SAEConfig, ScoresConfig
from competency_gaps.items.config.load import parse_config, read_yaml
from competency_gaps.logs.find import find_parts
from competency_gaps.logs.scores import read_score_log, read_score_table
from competency_gaps.pipeline.load import load_benchmark
from competency_gaps.runs.scores import read_scores
from competency_gaps.slices import lists
from competency_gaps.util.errors import CompetencyGapsError
from competency_gaps.util.progress import Progress
from competency_gaps.view.page.opened import open_runs
from competency_gaps.view.terminal.improve import broken_view

Made = Callable[[Path], Sequence[Path]]
"""Writes valid samples into an empty folder; gives the paths to read, within it."""


class Reader(NamedTuple):
    """A reader with its samples."""

    write: Made
    read: Callable[[Path], object]
    """Reads everything at a path. ``CompetencyGapsError`` is the only exception that it may raise."""
    heavy: bool = False
    """Whether it needs torch."""


REFUSALS: list[str] = []
"""What readers said when they refused a part; whoever counts them clears it."""


@contextmanager
def refusing() -> Iterator[None]:
    """Go on after a part that is refused as it should be."""
    try:
        yield
    except CompetencyGapsError as error:
        REFUSALS.append(str(error))


def read_log(path: Path) -> None:
    """Every benchmark of a log, as items and as scores."""
    for part in find_parts(path):
        source = {"kind": "log", "path": str(path), "format": part.format, "benchmark": part.benchmark}
        with refusing():
            load_benchmark(BenchmarkConfig(name="x", source=source)).content_hash()
        with refusing():
            read_score_log(ScoresConfig(path=path, format=part.format, part=part.benchmark))


def read_table(path: Path) -> None:
    """A table as a benchmark, as a log and as scores."""
    fields = {"prompt": "prompt", "score": "big"}
    file = FileSource(kind="file", path=path, fields={"prompt": "id"} if path.stem == "scores" else {})
    for source in (file, LogSource(kind="log", path=path, format="table", fields={**fields, **file.fields})):
        with refusing():
            load_benchmark(BenchmarkConfig(name="x", source=source, scorer="none")).content_hash()
    if path.stem == "scores":
        with refusing():
            read_score_table(path)


def read_config(path: Path) -> None:
    """A configuration of a run."""
    parse_config(RunConfig, read_yaml(path, ["span=prompt"]), str(path))


def read_labels(path: Path) -> None:
    """Labels, in the format that is found."""
    with refusing():
        import_labels(path, sae_identity=samples.SAE, progress=Progress(quiet=True))


def read_list(path: Path) -> None:
    """A list of weaknesses."""
    with refusing():
        lists.read_list(path)


def read_sae(path: Path) -> None:
    """An SAE, from its header to its latents, and its reference statistics."""
    import torch

    from competency_gaps.sae.load import load_sae
    from competency_gaps.sae.reference import read_reference

    config = SAEConfig(folder=path)
    with refusing():
        sae = load_sae(config, "cpu")
        sae.encode(torch.zeros(2, sae.d_in, dtype=sae.sae.dtype))
    with refusing():
        read_reference(path / samples.REFERENCE, samples.LATENTS)


def read_run(path: Path) -> None:
    """All that a run holds: tables, activations, documents, the explorer and its queries."""
    asked = (_tables, _activations, _concepts, _models, _explorer)
    opened = cg.open_run(path)
    for question in asked:
        with refusing():
            question(opened)


def _tables(run: Any) -> None:
    for name in ("items", "concepts", "concept_benchmarks", "benchmarks", "overlap", "slices"):
        with refusing():
            getattr(run, name)
    for name in ("regions", "region_counts", "item_regions"):
        with refusing():
            getattr(run, name)


def _activations(run: Any) -> None:
    with refusing():
        run.by_concept.columns(0, run.width)
    for entry in run.manifest["benchmarks"]:
        with refusing():
            run.cas(entry["name"]).sum()
    rows = range(min(run.items.height, 400))
    with refusing():
        for row in rows:
            run.item_rows.row(row)
    list(run.token_activations(1, rows))


def _concepts(run: Any) -> None:
    for concept in (0, 1, run.width - 1):
        for order in ("best", "worst"):
            with refusing():
                run.concept_items(concept, order=order)


def _models(run: Any) -> None:
    with refusing():
        read_scores(run.path)
    run.models.write_json()


def _explorer(run: Any) -> None:
    shown = open_runs([run.path])[0]
    parts = shown.now().parts
    for name in parts.names():
        if "/" not in name or name.split("/")[1].startswith(("0.", "3.")):
            with refusing():
                parts.read(name)
    for query, arguments in (
        ("overview", {}),
        ("answer", {}),
        ("slices", {}),
        ("concept", {"number": 1}),
        ("concepts", {}),
    ):
        shown.ask(query, arguments)


def read_dictionary(path: Path) -> None:
    """All that a dictionary holds."""
    opened = open_dictionary(path)
    for name in ("labels", "shown", "logits", "similar", "has_exemplars"):
        with refusing():
            value = getattr(opened, name)
            _ = value() if callable(value) else value
    with refusing():
        opened.exemplars.table, opened.exemplars.windows  # noqa: B018 - they are read when asked for
    read_atlas(path, opened.width)


def read_improvements(path: Path) -> None:
    """What ``cgaps improve --items`` wrote, as it is shown."""
    Console(file=StringIO()).print(broken_view(read_broken_items(path), None, 100))


READERS: dict[str, Reader] = {
    **{f"log of {name}": Reader(write, read_log) for name, write in samples.LOGS.items()},
    "table": Reader(samples.tables, read_table),
    "configuration": Reader(samples.configurations, read_config),
    "taxonomy": Reader(samples.taxonomies, read_list),
    "labels": Reader(samples.labels, read_labels),
    "SAE": Reader(samples.saes, read_sae, heavy=True),
    "run": Reader(samples.run, read_run),
    "dictionary": Reader(samples.dictionary, read_dictionary),
    "broken items": Reader(samples.broken_items, read_improvements),
}
"""By what they read."""
