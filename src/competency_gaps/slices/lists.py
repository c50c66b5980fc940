"""Slices by lists of weaknesses, qualities or attacks: an entry's items are its examples, or carry its tag."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import scipy.sparse as sp

from competency_gaps.items.config import LogSource
from competency_gaps.items.config.load import parse_yaml
from competency_gaps.items.item import Item
from competency_gaps.logs.find import log_entries, read_log
from competency_gaps.slices.columns import item_columns
from competency_gaps.slices.family import MIN_ITEMS, Family, family_of
from competency_gaps.util.errors import UserError, nearest
from competency_gaps.util.jsonl import float_or_none, json_lines
from competency_gaps.util.progress import Progress
from competency_gaps.util.table_files import read_csv, read_parquet
from competency_gaps.util.text import plural, shorten, visible

MAX_TAGS = 1_000
"""Maximum number of distinct values of a column that is used as a list."""
_MAX_NAME_LENGTH, _MAX_DESCRIPTION_LENGTH = 200, 2_000
"""Maximum lengths in characters."""
_KEYS = ("id", "benchmark")
"""Columns of a table of tags that identify an item."""
_TAG = {"1": True, "0": False, "true": True, "false": False, "": False}


@dataclass(frozen=True)
class Entry:
    """An entry of a list: a weakness, quality or attack, with examples."""

    id: str
    name: str
    """What people read."""
    domain: str = ""
    """Domain within which entries are compared with one another; may be empty."""
    examples: tuple[str, ...] = ()
    """Distinct prompts, or ids of a run's items."""
    score: float | None = None
    """Mean score that the list states, on the list's scale; None: it states none."""


def lists(items: pl.DataFrame, paths: Sequence[Path], progress: Progress) -> Family | None:
    """Return a slice for each entry of the lists that has at least ``MIN_ITEMS`` items, but not all; None without any.

    Entries of one list and domain form one column, which is tested as a whole.
    """
    kept = items["excluded"].is_null().to_numpy()
    rows: list[sp.csr_array] = []
    names: list[str] = []
    column_of: list[str | None] = []
    for path in paths:
        entries, member, _ = entries_in(items, path)
        member = sp.csr_array(member.multiply(kept[None]))
        count = np.asarray(member.sum(axis=1)).ravel()
        large = np.flatnonzero((count >= MIN_ITEMS) & (count < kept.sum()))
        progress.say(f"{path.name}: {len(large)} of {len(entries)} entries have {MIN_ITEMS} items, as a slice needs")
        rows.append(member[large])
        named = Counter(entry.name for entry in entries)
        for entry in (entries[at] for at in large):
            twice = named[entry.name] > 1 and entry.domain
            names.append(f"{entry.name} ({entry.domain})" if twice else entry.name)
            column_of.append(f"{path.name}, {entry.domain}" if entry.domain else path.name)
    return family_of("lists", sp.csr_array(sp.vstack(rows)), names, column_of) if names else None


def entries_in(items: pl.DataFrame, source: str | Path) -> tuple[list[Entry], sp.csr_array, np.ndarray | None]:
    """Return the entries of a list, and the items of each.

    Parameters
    ----------
    items
        ``items.parquet``.
    source
        A file as :func:`read_list` reads it; else the name of a column of the items (``benchmark``, ``group``,
        ``scorer``, a covariate), each value of which is an entry.

    Returns
    -------
    entries : list of Entry
    member : csr_array of float64 of shape (entries, items)
        1 where an item belongs to an entry.
    part : ndarray of bool of shape (items,), or None
        Items that have a tag or could have one; None: all.

    Raises
    ------
    UserError
        If there is no such file or column, it cannot be read, or it names items that the run does not have.
    """
    path = Path(source)
    columns = {name: items[name].to_list() for name in ("benchmark", "scorer")} | dict(item_columns(items))
    if not path.exists() and str(source) in columns:
        return _of_tags(items, *_by_column(str(source), columns[str(source)]))
    entries = read_list(path, columns)
    if isinstance(entries, pl.DataFrame):
        return _of_tags(items, *_by_table(items, entries, path))
    return entries, _members(items, entries, columns), None


def read_list(path: Path, columns: Mapping[str, Any] = {}) -> list[Entry] | pl.DataFrame:
    """Return the entries of a list, or a table of tags.

    Parameters
    ----------
    path
        JSON, JSONL, CSV or YAML of records with ``id`` and ``description``, and optionally ``domain``, ``score`` and
        ``examples`` (prompts, objects with a ``prompt``, or ids of items). Or a log that ``cgaps run`` reads (of
        AutoDetect, garak, ...): each group of its items is an entry, such as AutoDetect's points and garak's probes,
        and so is each benchmark if there are several. Or tags of items: CSV or Parquet with ``id``, ``benchmark`` where
        ids are not unique, and a column of 0 and 1 per tag.
    columns
        Names of columns, to suggest one if the file is missing.

    Returns
    -------
    list of Entry or DataFrame
        Entries; or the table of tags as it is.

    Raises
    ------
    UserError
        If it is missing, malformed, or has no entry.
    """
    if not path.exists():
        near = [child.name for child in path.parent.iterdir()] if path.parent.is_dir() else []
        names = f" and is not a column of the items ({', '.join(map(visible, columns))})" if columns else ""
        raise UserError(f"the list {visible(str(path))} does not exist{names}.{nearest(path.name, [*near, *columns])}")
    records = _records(path)
    if isinstance(records, pl.DataFrame):
        return records
    entries = [_entry(record, path) for record in records] if records is not None else _of_log(path)
    repeated = [name for name, count in Counter(entry.id for entry in entries).items() if count > 1]
    if not entries or repeated:
        why = f"the id {repeated[0]!r} occurs twice" if repeated else "it has no entry"
        raise UserError(f"the list {path}: {why}. Expected records with unique ids and with descriptions.")
    return entries


def _records(path: Path) -> list[Any] | pl.DataFrame | None:
    """Return the records of a list, or a table of tags; None if the path is a log."""
    if path.is_dir() or path.suffix not in (".json", ".jsonl", ".csv", ".parquet", ".yaml", ".yml"):
        return None
    try:
        if path.suffix in (".csv", ".parquet"):
            table = read_csv(path) if path.suffix == ".csv" else read_parquet(path)
            if "id" in table.columns and "description" not in table.columns:
                return table
            content: Any = table.to_dicts()
        elif path.suffix == ".jsonl":
            with path.open("rb") as file:
                content = [line.value for line in json_lines(file)]
        else:
            text = path.read_bytes().decode("utf-8-sig")
            content = json.loads(text) if path.suffix == ".json" else parse_yaml(text)
    except (ValueError, RecursionError, OSError, pl.exceptions.PolarsError) as error:
        raise UserError(f"the list {path} cannot be read: {shorten(visible(str(error)), 200)}.") from error
    first = content[0] if isinstance(content, list) and content else None
    is_list = isinstance(first, Mapping) and {"id", "description"} <= set(first)
    return content if is_list or content in ([], {}) else None


def _entry(record: Any, path: Path) -> Entry:
    """Return the entry of a record; raises UserError if it is malformed."""
    if not isinstance(record, Mapping):
        raise UserError(f"the list {path}: {type(record).__name__}, expected an object with id and description.")
    key, text = record.get("id"), record.get("description")
    if key in (None, "") or not isinstance(text, str) or not text.strip():
        raise UserError(f"the list {path}: {shorten(visible(str(record)), 100)} has no id or no description.")
    domain = ", ".join(part for part in map(record.get, ("domain", "model")) if isinstance(part, str) and part)
    return Entry(
        visible(str(key))[:_MAX_NAME_LENGTH],
        visible(" ".join(text.split()))[:_MAX_DESCRIPTION_LENGTH],
        visible(domain)[:_MAX_NAME_LENGTH],
        _examples(record.get("examples"), path),
        _number(record.get("score")),
    )


def _examples(value: Any, path: Path) -> tuple[str, ...]:
    """Return the distinct prompts in a list (in a table: a JSON list) of texts, or of objects with a ``prompt``."""
    if isinstance(value, str):
        try:
            value = json.loads(value) if value.lstrip().startswith("[") else [value]
        except (ValueError, RecursionError):
            return ()
    if value is not None and not isinstance(value, (list, tuple)):
        raise UserError(
            f"the list {path}: the examples {shorten(visible(str(value)), 60)}, expected a list of texts, or of "
            "objects with a prompt."
        )
    prompts = [part.get("prompt") if isinstance(part, Mapping) else part for part in value or ()]
    return tuple(dict.fromkeys(text for text in prompts if isinstance(text, str) and text.strip()))


def _number(value: Any) -> float | None:
    """Return a finite number; None for anything else."""
    number = float_or_none(value)
    return number if number is not None and np.isfinite(number) and not isinstance(value, bool) else None


def _of_log(path: Path) -> list[Entry]:
    """Return entries for the groups of a log's items, its benchmarks if it has several, and tags of garak's probes.

    AutoDetect writes the questions of each domain separately, so its entries are compared within a domain; attacks of
    garak and items of other logs are compared with all others on the same model.
    """
    entries: list[Entry] = []
    tagged_with: dict[tuple[str, str], list[Item]] = {}
    logs = log_entries([str(path)])
    for configuration in logs:
        source = LogSource(**configuration["source"])
        name = str(configuration["name"])
        items = [entry for entry in read_log(source) if isinstance(entry, Item)]
        groups: dict[str, list[Item]] = {}
        for item in items:
            groups.setdefault(item.group or name, []).append(item)
        is_autodetect = source.format == "autodetect"
        domain = name if is_autodetect else name.partition("@")[2]
        entries += [_group(f"{name}/{group}", group, domain, members) for group, members in groups.items()]
        if len(logs) > 1 and len(groups) > 1 and not is_autodetect:
            entries.append(_group(name, name, domain, items))
        for item in items:
            for tag in (item.identity or {}).get("tags") or ():
                tagged_with.setdefault((str(tag), domain), []).append(item)
    entries += [_group(f"{tag}@{domain}", tag, domain, items) for (tag, domain), items in tagged_with.items()]
    return entries


def _group(key: str, name: str, domain: str, items: Sequence[Item]) -> Entry:
    """Return the entry of a group of items, with their mean score."""
    scores = [item.score for item in items if item.score is not None]
    prompts = tuple(dict.fromkeys(item.prompt for item in items if isinstance(item.prompt, str)))
    mean = float(np.mean(scores)) if scores else None
    return Entry(
        visible(key)[:_MAX_NAME_LENGTH],
        visible(name.replace("_", " "))[:_MAX_NAME_LENGTH],
        visible(domain),
        prompts,
        mean,
    )


def _members(items: pl.DataFrame, entries: Sequence[Entry], columns: Mapping[str, Sequence[Any]]) -> sp.csr_array:
    """Return which items belong to each entry, as a sparse array of shape (entries, items).

    They are its examples, by text or id, or, if it has none, the items with its tag or name in a column. If several
    items have the same prompt, the one in the benchmark of most of the entry's examples counts.
    """
    rows_of: dict[str, list[int]] = {}
    for name in ("prompt", "item_id"):
        for row, text in enumerate(items[name]):
            rows_of.setdefault((text or "").strip(), []).append(row)
    wanted = {text.casefold() for entry in entries if not entry.examples for text in (entry.id, entry.name)}
    carried: dict[str, set[int]] = {text: set() for text in wanted if any(map(str.isalpha, text))}
    for column, values in columns.items():
        for row, value in enumerate(values):
            # A column of the tag's name holds truth values, any other one texts.
            key = value if isinstance(value, str) else column if value in (1, True) else ""
            if key.casefold() in carried:
                carried[key.casefold()].add(row)
    benchmark = items["benchmark"].to_numpy()
    member = sp.lil_array((len(entries), items.height))
    for number, entry in enumerate(entries):
        matches = [rows_of.get(text.strip(), []) for text in entry.examples]
        names, counts = np.unique(benchmark[[row for match in matches for row in match]], return_counts=True)
        rows = {max(match, key=lambda row: (counts[names == benchmark[row]][0], -row)) for match in matches if match}
        if not entry.examples:
            rows = carried.get(entry.id.casefold(), set()) | carried.get(entry.name.casefold(), set())
        member[number, sorted(rows)] = 1.0
    return sp.csr_array(member)


def _of_tags(
    items: pl.DataFrame, names: Sequence[str], member: np.ndarray, part: np.ndarray
) -> tuple[list[Entry], sp.csr_array, np.ndarray]:
    """Return tags as entries, with their items; the domain is the benchmark if each tag occurs in only one."""
    benchmark = items["benchmark"].to_numpy()
    homes = [np.unique(benchmark[rows]) for rows in member]
    alone = all(len(home) <= 1 for home in homes) and len({str(home) for home in homes}) < len(homes)
    shown = [visible(name)[:_MAX_NAME_LENGTH] for name in names]
    domains = [str(home[0]) if alone and len(home) else "" for home in homes]
    entries = [Entry(name, name.replace("_", " "), domain) for name, domain in zip(shown, domains, strict=True)]
    return entries, sp.csr_array(member.astype(float)), part


def _by_table(items: pl.DataFrame, table: pl.DataFrame, path: Path) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Return the tags of a table, the items of each, and which items the table has."""
    names = [name for name in table.columns if name not in _KEYS]
    text = table.with_columns(pl.all().cast(pl.String).fill_null("").str.strip_chars())
    if not names:
        raise UserError(f"the tags {str(path)!r}: expected a column 'id' and a column per tag, found {table.columns}.")
    known = items.select("benchmark", id="item_id").with_row_index("row")
    keys = [name for name in _KEYS if name in table.columns]
    joined = text.join(known, on=keys, how="left", maintain_order="left")
    wrong = joined.filter(pl.col("row").is_null() | joined.select(keys).is_duplicated())
    if wrong.height:
        raise UserError(
            f"the tags {str(path)!r}: {visible(wrong['id'][0])!r} does not match exactly one row of the table and one "
            f"item of the run.{nearest(wrong['id'][0], known['id'].to_list())}"
        )
    rows = joined["row"].to_numpy()
    part = np.zeros(items.height, bool)
    part[rows] = True
    member = np.zeros((len(names), items.height), bool)
    for number, name in enumerate(names):
        values = [_TAG.get(value.lower()) for value in joined[name]]
        if None in values:
            raise UserError(
                f"the tags {str(path)!r}, column {visible(name)!r}: expected 0, 1, true, false or an empty cell."
            )
        member[number, rows] = values
    return names, member, part


def _by_column(name: str, values: Sequence[Any]) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Return the values of a column as tags, the items of each, and which items have a value."""
    text = np.array(["" if value is None else str(value) for value in values], object)
    tags = [value for value in dict.fromkeys(text.tolist()) if value]
    if not 1 < len(tags) <= MAX_TAGS:
        raise UserError(f"the column {name!r} has {plural(len(tags), 'value')}, expected 2 to {MAX_TAGS:,}.")
    return tags, np.stack([text == tag for tag in tags]), text != ""
