"""Read a list: entries of weaknesses, qualities or attacks with example prompts, or tags of a run's own items."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import scipy.sparse as sp

from competency_gaps.config import LogSource
from competency_gaps.config.load import parse_yaml
from competency_gaps.errors import UserError, nearest
from competency_gaps.items.item import Item
from competency_gaps.jsonl import json_lines
from competency_gaps.logs.find import log_entries, read_log
from competency_gaps.runs.covariates import read_covariates
from competency_gaps.runs.open import RunFolder
from competency_gaps.table_files import read_csv, read_parquet
from competency_gaps.text import plural, shorten, visible

MOST_TAGS = 1_000
"""Most different values of a column whose values are entries."""
_NAME, _DESCRIPTION = 200, 2_000
"""Most characters of a name and of a description."""
_KEYS = ("id", "benchmark")
"""Columns of a table of tags that name an item."""
_TAG = {"1": True, "0": False, "true": True, "false": False, "": False}


@dataclass(frozen=True)
class Entry:
    """An entry of a list."""

    id: str
    name: str
    """What people read, and what is compared with names of slices where there are no examples."""
    domain: str
    """Entries of one domain are compared with one another; may be empty."""
    examples: tuple[str, ...] = ()
    """Different prompts."""
    score: float | None = None
    """The list's own mean score, on its own scale; None: it has none."""


def read_list(path: Path) -> list[Entry]:
    """Read a list.

    Parameters
    ----------
    path
        JSON, JSONL, CSV or YAML of records with ``id`` and ``description`` (or ``tag`` and ``label``), and ``domain``,
        ``score`` and ``examples`` where they have them (prompts, or objects with a ``prompt``). Or a log that ``cgaps
        run`` reads (of AutoDetect, garak, ...): each group of its items is an entry, as AutoDetect's points and
        garak's probes, and so is each of several benchmarks.

    Raises
    ------
    UserError
        If it is missing, malformed, or has no entry.
    """
    if not path.exists():
        siblings = [child.name for child in path.parent.iterdir()] if path.parent.is_dir() else []
        raise UserError(f"the list {path} does not exist.{nearest(path.name, siblings)}")
    records = _records(path)
    entries = [_entry(record, path) for record in records] if records is not None else _of_log(path)
    repeated = [entry.id for entry in entries if [other.id for other in entries].count(entry.id) > 1]
    if not entries or repeated:
        why = f"the id {repeated[0]!r} occurs twice" if repeated else "it has no entry"
        raise UserError(f"the list {path}: {why}. Expected records with different ids and descriptions.")
    return entries


def _records(path: Path) -> list[Any] | None:
    """The records of a list; None: the file, or folder, is a log."""
    if path.is_dir() or path.suffix not in (".json", ".jsonl", ".csv", ".yaml", ".yml"):
        return None
    try:
        if path.suffix == ".csv":
            content: Any = read_csv(path).to_dicts()
        elif path.suffix == ".jsonl":
            with path.open("rb") as file:
                content = [line.value for line in json_lines(file)]
        else:
            text = path.read_bytes().decode("utf-8-sig")
            content = json.loads(text) if path.suffix == ".json" else parse_yaml(text)
    except (ValueError, RecursionError, OSError, pl.exceptions.PolarsError) as error:
        raise UserError(f"the list {path} cannot be read: {shorten(visible(str(error)), 200)}.") from error
    first = content[0] if isinstance(content, list) and content else None
    is_list = isinstance(first, Mapping) and ({"id", "description"} <= set(first) or {"tag", "label"} <= set(first))
    return content if is_list else None


def _entry(record: Any, path: Path) -> Entry:
    if not isinstance(record, Mapping):
        raise UserError(f"the list {path}: {type(record).__name__}, expected an object with id and description.")
    names = ("id", "description") if "description" in record else ("tag", "label")
    key, text = (record.get(name) for name in names)
    if key in (None, "") or not isinstance(text, str) or not text.strip():
        raise UserError(f"the list {path}: {shorten(visible(str(record)), 100)} has no {names[0]} or no {names[1]}.")
    model = record.get("model")
    domain = ", ".join(str(part) for part in (record.get("domain"), model) if isinstance(part, str) and part)
    return Entry(
        visible(str(key))[:_NAME],
        visible(" ".join(text.split()))[:_DESCRIPTION],
        visible(domain)[:_NAME],
        _examples(record.get("examples"), path),
        _number(record.get("score")),
    )


def _examples(given: Any, path: Path) -> tuple[str, ...]:
    """Different prompts of a list (in a table, of a JSON list) of texts, or of objects with a ``prompt``."""
    if isinstance(given, str):
        try:
            given = json.loads(given) if given.lstrip().startswith("[") else [given]
        except (ValueError, RecursionError):
            return ()
    if given is not None and not isinstance(given, (list, tuple)):
        raise UserError(
            f"the list {path}: the examples {shorten(visible(str(given)), 60)}, expected a list of texts, or of "
            "objects with a prompt."
        )
    prompts = [part.get("prompt") if isinstance(part, Mapping) else part for part in given or ()]
    return tuple(dict.fromkeys(text for text in prompts if isinstance(text, str) and text.strip()))


def _number(given: Any) -> float | None:
    try:
        number = float(given)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if np.isfinite(number) and not isinstance(given, bool) else None


def _of_log(path: Path) -> list[Entry]:
    """The groups of a log's items, its benchmarks where it has several, and the tags of garak's probes.

    AutoDetect writes the questions of each domain by themselves, so that they are compared within it; attacks of garak
    and items of other logs are compared with all others on the same model.
    """
    entries: list[Entry] = []
    tagged_with: dict[tuple[str, str], list[Item]] = {}
    found = log_entries([str(path)])
    for configuration in found:
        source = LogSource(**configuration["source"])
        name = str(configuration["name"])
        items = [entry for entry in read_log(source) if isinstance(entry, Item)]
        groups: dict[str, list[Item]] = {}
        for item in items:
            groups.setdefault(item.group or name, []).append(item)
        own = source.format == "autodetect"
        domain = name if own else name.partition("@")[2]
        entries += [_group(f"{name}/{group}", group, domain, members) for group, members in groups.items()]
        if len(found) > 1 and len(groups) > 1 and not own:
            entries.append(_group(name, name, domain, items))
        for item in items:
            for tag in (item.identity or {}).get("tags") or ():
                tagged_with.setdefault((str(tag), domain), []).append(item)
    entries += [_group(f"{tag}@{domain}", tag, domain, items) for (tag, domain), items in tagged_with.items()]
    return entries


def _group(key: str, name: str, domain: str, items: Sequence[Item]) -> Entry:
    scores = [item.score for item in items if item.score is not None]
    prompts = tuple(dict.fromkeys(item.prompt for item in items if isinstance(item.prompt, str)))
    mean = float(np.mean(scores)) if scores else None
    return Entry(visible(key)[:_NAME], visible(name.replace("_", " "))[:_NAME], visible(domain), prompts, mean)


def tagged(run: RunFolder, given: str) -> tuple[list[Entry], sp.csr_array, np.ndarray]:
    """Read tags of a run's items.

    Parameters
    ----------
    given
        CSV or Parquet with ``id``, ``benchmark`` where ids are not unique in the run, and a column of 0 and 1 per tag;
        else a column of the items (``benchmark``, ``group``, ``policy``, a covariate), each value of which is a tag.

    Returns
    -------
    tuple
        The tags as entries, their domain the benchmark where each lies in a single one; their items, of shape (tags,
        items); which items take part: bool of shape (items,).

    Raises
    ------
    UserError
        If there is no such file or column, or the table names items that the run does not have.
    """
    path = Path(given)
    names, member, part = _by_table(run, path) if path.is_file() else _by_column(run, given)
    benchmark = run.items["benchmark"].to_numpy()
    homes = [np.unique(benchmark[own]) for own in member]
    alone = all(len(home) <= 1 for home in homes) and len({str(home) for home in homes}) < len(homes)
    entries = [
        Entry(
            visible(name)[:_NAME], visible(name.replace("_", " "))[:_NAME], str(home[0]) if alone and len(home) else ""
        )
        for name, home in zip(names, homes, strict=True)
    ]
    return entries, sp.csr_array(member.astype(float)), part


def _by_table(run: RunFolder, path: Path) -> tuple[list[str], np.ndarray, np.ndarray]:
    try:
        table = read_parquet(path) if path.suffix == ".parquet" else read_csv(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise UserError(f"the tags {str(path)!r} cannot be read: {shorten(str(error), 200)}.") from error
    names = [name for name in table.columns if name not in _KEYS]
    text = table.with_columns(pl.all().cast(pl.String).fill_null("").str.strip_chars())
    if "id" not in table.columns or not names:
        raise UserError(f"the tags {str(path)!r}: expected a column 'id' and a column per tag, found {table.columns}.")
    known = run.items.select("benchmark", id="item_id").with_row_index("row")
    keys = [name for name in _KEYS if name in table.columns]
    joined = text.join(known, on=keys, how="left", maintain_order="left")
    wrong = joined.filter(pl.col("row").is_null() | joined.select(keys).is_duplicated())
    if wrong.height:
        raise UserError(
            f"the tags {str(path)!r}: {visible(wrong['id'][0])!r} is not exactly one row of the table and one item of "
            f"the run.{nearest(wrong['id'][0], known['id'].to_list())}"
        )
    rows = joined["row"].to_numpy()
    part = np.zeros(run.items.height, bool)
    part[rows] = True
    member = np.zeros((len(names), run.items.height), bool)
    for place, name in enumerate(names):
        values = [_TAG.get(value.lower()) for value in joined[name]]
        if None in values:
            raise UserError(f"the tags {str(path)!r}, column {visible(name)!r}: expected 0, 1, true, false or nothing.")
        member[place, rows] = values
    return names, member, part


def _by_column(run: RunFolder, name: str) -> tuple[list[str], np.ndarray, np.ndarray]:
    items = run.items
    covariates = [read_covariates(text) for text in items["covariates"]]
    further = {key for values in covariates for key in values}
    if name in ("benchmark", "group", "policy"):
        values = items[name].to_list()
    elif name in further:
        values = [own.get(name) for own in covariates]
    else:
        known = ["benchmark", "group", "policy", *sorted(further)]
        raise UserError(
            f"the tags {visible(name)!r} are neither a file nor a column of the run's items, which are "
            f"{', '.join(map(visible, known))}.{nearest(name, known)}"
        )
    text = np.array(["" if value is None else str(value) for value in values], object)
    tags = [value for value in dict.fromkeys(text.tolist()) if value]
    if not 1 < len(tags) <= MOST_TAGS:
        raise UserError(f"the column {name!r} has {plural(len(tags), 'value')}, expected 2 to {MOST_TAGS:,}.")
    return tags, np.stack([text == tag for tag in tags]), text != ""
