"""What ``damage.py`` asks of a run folder: everything that reads it, and two commands that change it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
from typer.testing import CliRunner

import competency_gaps as cg
from competency_gaps.cli.app import app
from competency_gaps.dictionary.folder import open_dictionary
from competency_gaps.explorer.opened import open_runs
from competency_gaps.probes.concept import FILE, FOLDER, probe_rows
from competency_gaps.runs.scores import read_scores

TABLES = (
    *("items", "concepts", "concept_benchmarks", "benchmarks", "overlap", "findings"),
    *("themes", "theme_results", "theme_benchmarks"),
)
Question = Callable[[Path, Path], Any]
"""Asks something of a run folder and a dictionary's folder; its answer can be written as JSON."""


def tables(run: Path, _: Path) -> Any:
    """Every table as the Python API gives it."""
    opened = cg.open_run(run)
    held = {name: getattr(opened, name) for name in TABLES}
    held["tokens"] = opened.scan("tokens").collect()
    return {name: None if table is None else table.write_json() for name, table in held.items()}


def activations(run: Path, _: Path) -> Any:
    """All rows of activations, by item and by concept, and those of tokens."""
    opened = cg.open_run(run)
    names = [entry["name"] for entry in opened.manifest["benchmarks"]]
    rows = {name: hash_of(*(part.tobytes() for part in _csr(opened.cas(name)))) for name in names}
    by_concept = opened.by_concept.columns(0, opened.width)
    by_item = [opened.item_rows.row(row) for row in range(opened.items.height)]
    tokens = opened.token_activations(1, range(opened.items.height))
    return [
        rows,
        hash_of(*(part.tobytes() for part in by_concept)),
        [hash_of(*(part.tobytes() for part in row)) for row in by_item],
        [None if own is None else hash_of(*(part.tobytes() for part in own)) for own in tokens],
        opened.has_token_activations,
    ]


def concepts(run: Path, _: Path) -> Any:
    """Some concepts with their items."""
    opened = cg.open_run(run)
    chosen = range(0, opened.width, max(1, opened.width // 6))
    asked = [opened.concept_items(concept, order=order) for concept in chosen for order in ("best", "worst")]
    return [table.write_json() for table in asked]


def report(run: Path, _: Path) -> Any:
    """The report."""
    done = cg.open_run(run).export(run.parent / "out.html", one_file=True)
    return done.path.read_text(encoding="utf-8")


def commands(run: Path, _: Path) -> Any:
    """What commands print."""
    shown = [["show"], ["show", "--json"], ["show", "--themes"], ["show", "--models"]]
    given = [*shown, ["concept", "1"], ["findings"]]
    return [_typed(command, str(run), *rest) for command, *rest in given]


def models(run: Path, _: Path) -> Any:
    """Scores of other models, the run as one of them, and the run against itself."""
    opened = cg.open_run(run)
    added = read_scores(run)
    asked = [opened.models.write_json(), opened.item_models().write_json(), added.write_json()]
    for model in added["model"].unique(maintain_order=True).to_list()[:1]:
        other = opened.as_model(model)
        asked += [other.concepts.write_json(), other.findings.write_json(), other.items.write_json()]
    return [*asked, cg.compare(run, run).overall.write_json()]


def explorer(run: Path, dictionary: Path) -> Any:
    """Parts of the explorer, and what its tools answer."""
    opened = open_runs([run], dictionary if dictionary.is_dir() else None)
    shown: list[Any] = []
    for own in opened:
        parts = own.now().parts
        names = [name for name in parts.names() if "/" not in name or name.split("/")[1].startswith(("0.", "3."))]
        shown += [(name, hash_of(parts.read(name))) for name in names]
    shown += [own.ask("overview", {}) for own in opened]
    shown += [opened[0].ask("concept", {"number": 1}), opened[0].ask("concepts", {"status": "weak"})]
    return shown


def labels(run: Path, dictionary: Path) -> Any:
    """The dictionary's tables."""
    if not dictionary.is_dir():
        return None
    opened = open_dictionary(dictionary)
    held = [opened.labels(), opened.shown(), opened.logits, opened.similar]
    held += [opened.exemplars.table, opened.exemplars.windows] if opened.has_exemplars else []
    return [None if table is None else table.write_json() for table in held]


def probes(run: Path, _: Path) -> Any:
    """What probes of concepts keep."""
    opened = cg.open_run(run)
    return [probe_rows(opened.document(file), file) for file in sorted((run / FOLDER).glob(f"*/{FILE}"))]


def score(run: Path, _: Path) -> Any:
    """Add another model."""
    opened = cg.open_run(run)
    given = opened.items.select("benchmark", id="item_id", fresh=pl.lit(0.5))
    opened.add_scores(given.filter(given["id"].is_first_distinct()))
    return [cg.open_run(run).models.write_json(), read_scores(run).write_json()]


def name(run: Path, dictionary: Path) -> Any:
    """Put the dictionary on the run."""
    if not dictionary.is_dir():
        return None
    named = cg.open_run(run).name(dictionary)
    return [named.concepts.write_json(), named.findings.write_json(), str(named.manifest["dictionary"])]


QUESTIONS: dict[str, Question] = {
    question.__name__: question
    for question in (tables, activations, concepts, report, commands, models, explorer, labels, probes, score, name)
}


def _typed(*arguments: str) -> str:
    done = CliRunner().invoke(app, list(arguments))
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.stdout


def _csr(matrix: Any) -> tuple[Any, Any, Any]:
    return matrix.data, matrix.indices, matrix.indptr


def hash_of(*parts: bytes) -> str:
    """SHA-256 of some bytes, one after the other."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()
