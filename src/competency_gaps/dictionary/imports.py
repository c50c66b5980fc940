"""Labels of concepts from elsewhere: Neuronpedia's exports and objects, JSON and tables.

Labels are keyed on the index that stands with them, never on their position. Damaged parts are counted and skipped.
"""

from __future__ import annotations

import gzip
import itertools
import json
import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from competency_gaps import jsonl
from competency_gaps.dictionary.labels import (
    LABEL_LIMIT,
    SCHEMA,
    STATED,
    clean_line,
    empty_labels,
    is_placeholder,
    merge_labels,
    today,
)
from competency_gaps.dictionary.neuronpedia import BATCH, LabelServer, fetch_export
from competency_gaps.embedded.weights import cache_folder
from competency_gaps.errors import UserError
from competency_gaps.progress import Progress
from competency_gaps.table_files import read_csv, read_parquet
from competency_gaps.text import shorten, visible

COLUMNS = {
    "concept": ("concept", "index", "feature", "latent"),
    "label": ("label", "description", "explanation"),
    "explainer": ("explainer", "explanationmodelname"),
    "score": ("score", "detection"),
}
"""Names of each column, regardless of case."""
_REMOTE = re.compile(r"neuronpedia:(.*)", re.DOTALL)
_NAME = re.compile(r"([A-Za-z0-9_-][A-Za-z0-9._-]{0,199})/([A-Za-z0-9_-][A-Za-z0-9._-]{0,199})")
"""MODEL/SOURCE: both become parts of paths and addresses."""
_FAILED = re.compile(
    r"(the )?explanation (could not|couldn't|cannot|can't) be parsed|explanation parsing failed"
    r"|(could not|failed to) parse (the )?explanation"
)
"""Texts that explainers write when they cannot read a model's answer [ours]."""


@dataclass(frozen=True)
class Omission:
    """A part of the source that was left out or changed."""

    where: str
    """File or folder."""
    reason: str
    count: int
    """How often."""
    first: str
    """The first place where it occurs; empty if it has none."""


@dataclass(frozen=True)
class ImportedLabels:
    """Labels from a source, and how the import went."""

    table: pl.DataFrame
    """Rows of the label table, kind "imported"."""
    source_kind: str
    """Format of the source."""
    labelled: int
    """Concepts with a label."""
    none: int
    """Concepts that were looked up and have no label."""
    never: int
    """Concepts that the source does not know (never looked up). The three add up to the SAE's width."""
    placeholders: int
    """Labels that are only a token."""
    left_out: list[Omission]
    """Parts that were left out or changed, by place and reason."""
    identity_check: str
    """Whether the source is about this SAE, as far as is known."""


class SourceLabel(NamedTuple):
    """One label as the source has it."""

    concept: int
    text: str | None
    """The raw text; None if the source says that the concept has no label."""
    where: str
    """The file or folder that holds it."""
    source: str
    """Value of the table's column ``source``."""
    explainer: str | None = None
    score: float | None = None
    """A score that the source states without saying how it was made."""


@dataclass
class Reading:
    """All that was read from a source, before it is checked."""

    kind: str
    labels: list[SourceLabel] = field(default_factory=list)
    neuronpedia: set[str] = field(default_factory=set)
    """SAEs that the source says it is about, by ``MODEL/SOURCE`` on Neuronpedia."""
    saelens: set[str] = field(default_factory=set)
    """The same by ``release/id`` in SAELens."""
    widths: set[int] = field(default_factory=set)
    left_out: dict[tuple[str, str], tuple[int, str]] = field(default_factory=dict)
    """(where, reason) -> (count, first place)."""

    def leave_out(self, where: str, reason: str, first: str = "", count: int = 1) -> None:
        """Count something that is left out, with the first place where it occurs."""
        known, place = self.left_out.get((where, reason), (0, first))
        self.left_out[where, reason] = (known + count, place)

    def state(self, row: dict[str, Any]) -> None:
        """Keep what a record says about its SAE."""
        for names, (first, second) in (
            (self.neuronpedia, ("modelId", "layer")),
            (self.neuronpedia, ("modelId", "id")),
            (self.saelens, ("saelensRelease", "saelensSaeId")),
        ):
            both = row.get(first), row.get(second)
            if all(isinstance(name, str) and name for name in both):
                names.add(f"{both[0]}/{both[1]}")
        config = row.get("saelensConfig")
        if isinstance(config, dict) and type(config.get("d_sae")) is int:
            self.widths.add(config["d_sae"])


def import_labels(
    source: str | Path,
    *,
    sae_identity: dict[str, Any],
    width: int,
    progress: Progress,
    force: bool = False,
    cache: Path | None = None,
    server: LabelServer | None = None,
) -> ImportedLabels:
    """Read labels from elsewhere as rows of the label table.

    Parameters
    ----------
    source
        A file or folder (a Neuronpedia export, per-feature objects as JSON or JSONL, ``{concept: label}`` as JSON, a
        CSV, TSV, JSONL or Parquet table), or ``neuronpedia:MODEL/SOURCE`` (its bulk export over the network).
    sae_identity
        The SAE's identity, as ``SparseAutoencoder.identity``.
    width
        Number of concepts of the SAE.
    force
        Take the labels although the source says that it is about another SAE.
    cache
        Where fetched files are kept; None: ``labels`` in the user's cache folder.
    server
        Where to fetch from; None: Neuronpedia's own.

    Raises
    ------
    UserError
        If the source is missing, of no known format, about another SAE (the message names both), or nothing in it can
        be used.
    MissingExtraError
        If httpx is needed and not installed.
    """
    remote = _REMOTE.fullmatch(str(source))
    if remote:
        reading = _fetch(remote[1], cache or cache_folder() / "labels", server or LabelServer(), progress)
    elif (path := Path(source).expanduser()).exists():
        reading = _read(path, progress)
    else:
        raise UserError(
            f"labels {str(source)!r}: there is no such file or folder. Expected a path, or neuronpedia:MODEL/SOURCE."
        )
    check = _check_sae(reading, sae_identity, width, force=force)
    rows = _rows(reading)
    left_out = [
        Omission(_plain(where), reason, count, _plain(first))
        for (where, reason), (count, first) in sorted(reading.left_out.items())
    ]
    if not rows:
        reasons = "; ".join(f"{item.where}: {item.reason} ({item.count:,})" for item in left_out[:5])
        raise UserError(f"no label can be taken from this source ({reading.kind}). {reasons or 'It is empty.'}")
    table = merge_labels(empty_labels(), pl.DataFrame(rows, schema=SCHEMA))
    labelled = table.filter(pl.col("label").is_not_null())["concept"].n_unique()
    looked_up = table["concept"].n_unique()
    counts = labelled, looked_up - labelled, width - looked_up, int(table["placeholder"].sum())
    return ImportedLabels(table, reading.kind, *counts, left_out, check)


def _fetch(name: str, cache: Path, server: LabelServer, progress: Progress) -> Reading:
    match = _NAME.fullmatch(name)
    if not match:
        raise UserError(
            f"labels neuronpedia:{_shown(name)}: expected neuronpedia:MODEL/SOURCE, as in "
            "neuronpedia:gemma-2-2b/20-gemmascope-res-16k."
        )
    model, source = match.groups()
    reading = _read_export(fetch_export(model, source, cache, server, progress), progress)
    reading.state({"modelId": model, "layer": source})
    return reading


def _read(path: Path, progress: Progress) -> Reading:
    """Read a file or folder in the format that it has."""
    if path.is_dir():
        if _batches(path) or _batches(path / "explanations"):
            return _read_export(path, progress)
        raise UserError(
            f"labels {str(path)!r}: a folder without batch-N.jsonl.gz (an export of Neuronpedia), also not under "
            f"'explanations'."
        )
    reading = Reading("json" if path.suffix == ".json" else "table")
    if path.name.endswith((".jsonl", ".jsonl.gz")):
        _add_rows(reading, _json_lines(path, reading), path.name)
    elif path.suffix == ".json":
        _add_rows(reading, _json_rows(path, reading), path.name)
    elif path.suffix in (".csv", ".tsv", ".parquet"):
        try:
            frame = read_parquet(path) if path.suffix == ".parquet" else read_csv(path)
        except (pl.exceptions.PolarsError, OSError) as error:
            brief = _plain(str(error).split("\n")[0])
            raise UserError(f"labels {str(path)!r}: not a readable {path.suffix[1:]} file ({brief}).") from error
        rows = ((f"row {number:,}", row) for number, row in enumerate(frame.iter_rows(named=True), start=1))
        _add_rows(reading, rows, path.name)
    else:
        raise UserError(
            f"labels {str(path)!r}: of no known format; expected .json, .jsonl, .jsonl.gz, .csv, .tsv, .parquet, or a "
            f"folder of Neuronpedia."
        )
    return reading


def _batches(folder: Path) -> list[Path]:
    """The batch files of a folder in the order of their numbers."""
    paths = [path for path in folder.iterdir() if BATCH.fullmatch(path.name)] if folder.is_dir() else []
    return sorted(paths, key=lambda path: (int(path.name.split("-")[1].split(".")[0]), path.name))


def _read_export(path: Path, progress: Progress) -> Reading:
    """Read a bulk export: its folder, or the subfolder ``explanations``."""
    root = path.parent if path.name == "explanations" else path
    explanations = _batches(root / "explanations") or _batches(path)
    reading = Reading("neuronpedia")
    for name in ("source.jsonl", "source.jsonl.gz"):
        for _, row in _json_lines(root / name, reading) if (root / name).is_file() else ():
            reading.state(row)
    with progress.stage("reading labels", total=len(explanations), unit="files") as bar:
        for file in explanations:
            _add_rows(reading, _json_lines(file, reading), file.name)
            bar.advance()
    return reading


def _json_lines(path: Path, reading: Reading) -> Iterator[tuple[str, dict[str, Any]]]:
    """The objects of a JSONL file, gzipped or not, each with its place: the line's number."""
    place = "line 0"
    try:
        with path.open("rb") as raw:
            packed = raw.peek(2)[:2] == b"\x1f\x8b"
            for line in jsonl.json_lines(gzip.GzipFile(fileobj=raw) if packed else raw):
                place = f"line {line.number:,}"
                if line.fault is None:
                    yield place, line.value
                elif line.fault == "object":
                    reading.leave_out(path.name, "line is no JSON object", f"{place}: {_shown(line.value)}")
                else:
                    reading.leave_out(path.name, "line is not JSON", place)
    except (EOFError, zlib.error, OSError) as error:
        first = f"after {place}: {shorten(visible(str(error)), 100)}"
        reading.leave_out(path.name, "file is damaged; what comes after is lost", first)


def _json_rows(path: Path, reading: Reading) -> Iterator[tuple[str, dict[str, Any]]]:
    """The entries of ``{concept: text, texts or null}``, of a list of objects, or of one per-feature object."""

    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"labels {str(path)!r} is not valid JSON: {_plain(str(error))}") from error
    if isinstance(content, dict):
        for key, value in content.items():
            for text in value if isinstance(value, list) and value else [None if value == [] else value]:
                yield f"key {_shown(key)}", {"concept": key, "label": text}
    elif isinstance(content, list) and any(isinstance(row, dict) for row in content):
        for number, row in enumerate(content, start=1):
            if isinstance(row, dict):
                yield f"entry {number:,}", row
            else:
                reading.leave_out(path.name, "entry is no object", f"entry {number:,}")
    else:
        raise UserError(
            f"labels {str(path)!r}: expected an object {{concept: label}}, or a list of objects with the concept's "
            f"index, found {type(content).__name__}. Labels are never taken by their position."
        )


def _add_rows(reading: Reading, rows: Iterable[tuple[str, dict[str, Any]]], where: str) -> None:
    """Add rows of a table, or Neuronpedia's explanations, each with its place in the file."""
    columns: dict[tuple[str, ...], dict[str, str]] = {}
    for place, row in rows:
        names = tuple(row)
        if names not in columns:
            columns[names] = _columns(reading, names, where)
        concept = _index(reading, row.get(columns[names].get("concept", "")), where, place)
        if concept is None:
            continue
        reading.state(row)
        _add(reading, concept, row, columns[names], where, place)


def _columns(reading: Reading, names: Sequence[str], where: str) -> dict[str, str]:
    """The table's name of each of our columns that it has."""
    columns = {}
    for column, known in COLUMNS.items():
        matching = [name for name in names if name.strip().casefold() in known]
        # Our own name wins; between other names, the user must choose.
        if len(matching) > 1 and column not in matching:
            raise UserError(
                f"labels {where!r}: columns {_listed(matching)} could each be the {column}. "
                f"Rename the right one to {column!r}."
            )
        if matching:
            columns[column] = column if column in matching else matching[0]
    if "concept" not in columns:
        reading.leave_out(where, f"no column {' or '.join(COLUMNS['concept'])}", f"it has {_listed(names)}")
    return columns


def _add(reading: Reading, concept: int, row: dict[str, Any], columns: dict[str, str], where: str, place: str) -> None:
    """Add the label of one row."""
    if "label" not in columns:
        reading.leave_out(where, f"no {' or '.join(COLUMNS['label'])}", place)
        return
    text = row[columns["label"]]
    if text != text:  # NaN, as pandas writes a missing value
        text = None
    if text is not None and not isinstance(text, str):
        reading.leave_out(where, "label is no text", f"{place}: {_shown(text)}")
        return
    value = row.get(columns.get("score", ""))
    score = _fraction(value)
    if value is not None and value == value and score is None:
        reading.leave_out(where, "score is no number in [0, 1]: kept without", f"{place}: {_shown(value)}")
    explainer = row.get(columns.get("explainer", ""))
    explainer = clean_line(explainer) if isinstance(explainer, str) else None
    reading.labels.append(SourceLabel(concept, text, where, _source(row, where), explainer, score))


def _source(row: dict[str, Any], where: str) -> str:
    model, source, kind = row.get("modelId"), row.get("layer"), row.get("typeName")
    if isinstance(model, str) and isinstance(source, str):
        return f"neuronpedia:{model}/{source}" + (f"#{kind}" if isinstance(kind, str) and kind else "")
    return f"file:{where}"


def _index(reading: Reading, value: Any, where: str, place: str) -> int | None:
    """A concept's index: a whole number, or its digits as text; None, and counted, for anything else."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,18}", value.strip()):
        return int(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0 and value == value // 1:
        return int(value)
    reading.leave_out(where, "index is no whole number from 0", f"{place}: {_shown(value)}")
    return None


def _fraction(value: Any) -> float | None:
    """A score as a number in [0, 1]; None for anything else."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if 0 <= number <= 1 and not isinstance(value, bool) else None


def _check_sae(reading: Reading, sae: dict[str, Any], width: int, *, force: bool) -> str:
    """Compare what a source says about its SAE with the SAE of the dictionary; a sentence on what was compared.

    Neuronpedia's id decides if both have one, since an SAE may have several names in SAELens (``canonical`` is an
    alias). Otherwise the SAELens name decides, if this SAE is a release. The width must agree where it is stated.
    ``force`` accepts a difference, and leaves out concepts that the SAE lacks.
    """
    for kind, names in (("Neuronpedia sources", reading.neuronpedia), ("SAEs", reading.saelens)):
        if len(names) > 1:
            raise UserError(f"the labels are about several {kind}: {_listed(names)}. Give the labels of one SAE.")
    name, this = str(sae.get("name") or ""), f"{_plain(repr(sae.get('name')))}"
    local = name.startswith(("embedded:", "/", ".", "~")) or "\\" in name or "/" not in name or Path(name).is_dir()
    compared: list[tuple[str, str]] = []
    if sae.get("neuronpedia_id") and reading.neuronpedia:
        compared += [(theirs, str(sae["neuronpedia_id"])) for theirs in reading.neuronpedia]
    elif not local:
        compared += [(theirs, name) for theirs in reading.saelens]
    compared += [(f"{other:,} concepts", f"{width:,} concepts") for other in sorted(reading.widths)]
    last = max(reading.labels, key=lambda label: label.concept, default=None)
    if last is not None and last.concept >= width:
        compared.append((f"concept {last.concept}", f"of concepts 0 to {width - 1}"))
        for concept, where in {
            label.concept: label.where for label in reading.labels if label.concept >= width
        }.items():
            reading.leave_out(where, f"concept beyond the SAE's {width:,}", f"concept {concept}")
        reading.labels = [label for label in reading.labels if label.concept < width]
    differ = [f"{_plain(theirs)}, but this SAE is {_plain(ours)}" for theirs, ours in compared if theirs != ours]
    if differ and not force:
        raise UserError(
            f"the labels belong to another SAE: they are about {differ[0]} (its name: {this}). Give the labels of this "
            f"SAE, or force the import if you know that both are the same."
        )
    if differ:
        return f"differs, taken by force: {'; '.join(differ)}"
    if compared:
        return f"agrees: {_plain(', '.join(theirs for theirs, _ in compared))}"
    if stated := reading.neuronpedia | reading.saelens:
        return f"the source says {_listed(stated)}, which cannot be compared with this SAE ({this})"
    return "not stated by the source; only the index range was checked"


def _rows(reading: Reading) -> list[dict[str, Any]]:
    """Rows of the label table; labels of the same concept, explainer and source are numbered alphabetically [ours]."""
    texts = [(label, text) for label in reading.labels if (text := _text(label, reading)) is not None]
    rows: list[dict[str, Any]] = []
    seen: set[tuple[Any, ...]] = set()
    numbers: dict[tuple[Any, ...], Iterator[int]] = {}
    for label, text in sorted(texts, key=lambda pair: (pair[1], pair[0].explainer or "", pair[0].source)):
        source = clean_line(label.source)
        if (label.concept, text, label.explainer, source) in seen:
            reading.leave_out(label.where, "the same label of the same explainer again", f"concept {label.concept}")
            continue
        seen.add((label.concept, text, label.explainer, source))
        number = next(numbers.setdefault((label.concept, label.explainer, source), itertools.count(1)))
        rows.append(
            {
                **_row(label, f"{(source or '')[: LABEL_LIMIT - 10]} ({number})" if number > 1 else source),
                "label": text,
                "score": label.score,
                "scored_by": None if label.score is None else STATED,
                "placeholder": is_placeholder(label.text or ""),
            }
        )
    labelled = {label.concept for label, _ in texts}
    known = {label.concept: label for label in reversed(reading.labels)}
    return rows + [_row(label, clean_line(label.source)) for concept, label in known.items() if concept not in labelled]


def _row(label: SourceLabel, source: str | None) -> dict[str, Any]:
    """The row of a concept that was looked up and has no label."""
    row = {"concept": label.concept, "kind": "imported", "explainer": label.explainer, "source": source}
    return {**row, "placeholder": False, "date": today()}


def _text(label: SourceLabel, reading: Reading) -> str | None:
    """The text to store; None, and counted, if it is empty or reports an explainer's failure."""
    if label.text is None:
        return None
    text, place = clean_line(label.text), f"concept {label.concept}"
    if text is None:
        reading.leave_out(label.where, "empty label: kept as looked up and none", place)
        return None
    if _FAILED.fullmatch(text.strip(" .[]\"'").casefold()):
        reading.leave_out(label.where, "the explainer failed: kept as looked up and none", place)
        return None
    if len(text) == LABEL_LIMIT and text.endswith("…") and not label.text.rstrip().endswith("…"):
        reading.leave_out(label.where, f"label cut at {LABEL_LIMIT} characters", place)
    return text


def _plain(text: str) -> str:
    return shorten(visible(text), 200)


def _shown(value: Any) -> str:
    """A foreign value for a message."""
    return shorten(visible(repr(value)), 60)


def _listed(values: Iterable[Any], limit: int = 8) -> str:
    """The first few foreign values, for a message."""
    texts = sorted(shorten(visible(str(value)), 100) for value in values)
    return ", ".join(texts[:limit]) + (f", and {len(texts) - limit} more" if len(texts) > limit else "")
