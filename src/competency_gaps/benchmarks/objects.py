"""A benchmark from plain Python objects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from competency_gaps.benchmarks.records import gather
from competency_gaps.benchmarks.rows import Record
from competency_gaps.config import ObjectsSource
from competency_gaps.errors import UserError
from competency_gaps.items.benchmark import Benchmark
from competency_gaps.items.item import Item


def benchmark_from_objects(
    name: str,
    objects: Iterable[Mapping[str, Any] | Item],
    *,
    fields: Mapping[str, str] | None = None,
    policy: str | None = None,
) -> Benchmark:
    """Make a benchmark of mappings (as they would stand in a JSONL file) or ready items.

    Parameters
    ----------
    fields
        Our field -> the mappings' key, where they differ.
    policy
        The policy that the items will be scored by, if one for all; decides how ``answer`` is read.

    Raises
    ------
    UserError
        If an object is neither a mapping nor an item, or is wrong, or there are none.
    """
    gathered = gather(_entries(name, objects), source=f"benchmark {name!r}", fields=fields or {}, policy=policy)
    return Benchmark(name, tuple(gathered.items), tuple(gathered.left_out))


def read_objects(source: ObjectsSource) -> Iterator[Record]:
    """The records of a source that holds them itself."""
    yield from (Record(entry, f"object {number}") for number, entry in enumerate(source.items, start=1))


def _entries(name: str, objects: Iterable[Mapping[str, Any] | Item]) -> Iterator[Record | Item]:
    for number, entry in enumerate(objects, start=1):
        if isinstance(entry, Item):
            yield entry
        elif isinstance(entry, Mapping):
            yield Record(entry, f"benchmark {name!r}, object {number}")
        else:
            raise UserError(
                f"benchmark {name!r}, object {number}: {type(entry).__name__}, expected a mapping or an Item."
            )
