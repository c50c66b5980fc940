"""The page "Tables": columns of a run's tables, with their types and comments. Called by make_site.py."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

from competency_gaps.items.item import DTYPE
from competency_gaps.runs import schemas
from competency_gaps.sae.reference import SURFACE

SOURCE = Path(schemas.__file__).read_text(encoding="utf-8")
TABLES = {
    name: (body, doc)
    for name, body, doc in re.findall(r'^(\w+): \w+ = \{\n(.*?)^\}\n(?:"""(.*?)""")?', SOURCE, re.M | re.S)
}
"""Name of a schema in the source -> its lines, and its docstring."""


def columns(schema: str) -> Iterator[tuple[str, str]]:
    """Each column of a schema, with the comment above it."""
    comment, last = "", ""
    for line in map(str.strip, TABLES[schema][0].splitlines()):
        if line.startswith("# "):
            comment = f"{comment} {line[2:]}" if last.startswith("#") else line[2:]
        elif spread := re.fullmatch(r"\*\*(\w+),", line):
            yield from columns(spread[1])
        else:
            yield from ((name, comment) for name in (SURFACE if "SURFACE" in line else re.findall(r'^"(\w+)": ', line)))
        last = line


def tables_page() -> str:
    """The page, as Markdown."""
    lines = [
        "# Tables",
        "",
        "Columns of the tables in a [run folder](run-folder.md). Null means undefined or not known.",
        "",
    ]
    for table, schema in schemas.SCHEMAS.items():
        lines += [
            f"## {table}.parquet",
            "",
            TABLES[table.upper()][1],
            "",
            "| column | type | content |",
            "| --- | --- | --- |",
        ]
        for comment, group in itertools.groupby(columns(table.upper()), key=lambda row: row[1]):
            names = [name for name, _ in group]
            types = dict.fromkeys("reason" if schema[name] == DTYPE else str(schema[name]) for name in names)
            content = comment.replace("|", "\\|")
            lines.append(f"| {', '.join(f'`{name}`' for name in names)} | {', '.join(types)} | {content} |")
        lines.append("")
    return "\n".join(lines)
