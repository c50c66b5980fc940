"""One benchmark of another tool's log, as a source of items."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path

from competency_gaps.config import LogSource
from competency_gaps.errors import UserError, nearest
from competency_gaps.harnesses.detect import find_parts
from competency_gaps.harnesses.shared.further import refuse_fields
from competency_gaps.harnesses.shared.part import LogEntry, LogPart
from competency_gaps.registry import LOGS


def read_log(source: LogSource) -> Iterator[LogEntry]:
    """The entries of the one benchmark that a source names, or of the only one at its path.

    Raises
    ------
    UserError
        If nothing can be read there, several benchmarks lie there and none is named, the name is not there, or a
        metric, filter, scorer or column is not there.
    """
    if source.format == "table":
        from competency_gaps.harnesses.table import read_table

        yield from read_table(source)
        return
    part = _chosen(_parts(source.path.expanduser(), source.format), source)
    refuse_fields(source, part)
    yield from LOGS[part.format].read(part, source)


def _parts(path: Path, format_: str | None) -> list[LogPart]:
    """``find_parts``, once for all benchmarks of a folder as long as no file in it changes."""
    if not path.is_dir():
        return find_parts(path, format_)
    files = [(str(file), file.stat()) for file in sorted(path.rglob("*")) if file.is_file()]
    return list(_found(path, format_, tuple((name, stat.st_mtime_ns, stat.st_size) for name, stat in files)))


@functools.lru_cache(maxsize=4)
def _found(path: Path, format_: str | None, _state: tuple[tuple[str, int, int], ...]) -> tuple[LogPart, ...]:
    return tuple(find_parts(path, format_))


def _chosen(parts: list[LogPart], source: LogSource) -> LogPart:
    names = [part.benchmark for part in parts]
    listed = ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
    if source.benchmark is None:
        if len(parts) > 1:
            raise UserError(f"{source.path} holds {len(parts)} benchmarks ({listed}). Name one with 'benchmark'.")
        return parts[0]
    for part in parts:
        if part.benchmark == source.benchmark:
            return part
    raise UserError(
        f"{source.path} holds no benchmark {source.benchmark!r}; there are {listed}.{nearest(source.benchmark, names)}"
    )
