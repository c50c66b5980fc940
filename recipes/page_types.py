"""Write ``frontend/src/data/types.ts`` from the records that the page reads.

``python recipes/page_types.py`` writes it. With ``--check`` nothing is written, and the command fails where
the file is not what would be written.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
import sys
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from competency_gaps.findings.match import Matching
from competency_gaps.slices import CONCEPTS
from competency_gaps.util.text import HIDDEN
from competency_gaps.view.page.parts.excerpts import ANSWER_EXCERPT, EXCERPT
from competency_gaps.view.page.parts.records.answers import (
    ImproveFile,
    ListedSlice,
    ModelAnswers,
    ModelGaps,
    ModelsFile,
    WordedCoverage,
)
from competency_gaps.view.page.parts.records.details import (
    ConceptDetail,
    ItemConcepts,
    ItemDetail,
    Pairing,
    RunList,
    SearchResult,
)
from competency_gaps.view.page.parts.records.run import RunInfo
from competency_gaps.view.terminal.models import WHOLE

FILE = Path(__file__).resolve().parents[1] / "frontend" / "src" / "data" / "types.ts"
ROOTS = (
    *(RunList, RunInfo, ModelAnswers, ModelGaps, ListedSlice, ModelsFile, WordedCoverage, ConceptDetail),
    *(
        ItemDetail,
        ItemConcepts,
        Matching,
        ImproveFile,
        Pairing,
        SearchResult,
    ),
)
"""What is read as a whole, or in lists, in the order in which the file has it."""
_HEAD = """\
/**
 * What the explorer reads. Written by `python recipes/page_types.py`; change it there
 * (`view/page/parts/records/`). null: undefined or not known.
 */
"""
_PLAIN = {str: "string", int: "number", float: "number", bool: "boolean", NoneType: "null", Any: "unknown"}
_WIDTH = 120


def types_file() -> str:
    """The text of ``types.ts``."""
    written: dict[type, str] = {}
    for root in ROOTS:
        _write(root, written)
    return "\n".join([_HEAD, *written.values(), _constants()])


def _constants() -> str:
    """Values that the page shares with Python; strings in JavaScript may also hold lone surrogates."""
    ranges = re.findall(".-.|.", f"{HIDDEN}\ud800-\udfff", re.DOTALL)
    escaped = ("-".join(f"\\\\u{{{ord(end):x}}}" for end in span.split("-")) for span in ranges)
    lines = [f'  "{span}",' for span in escaped]
    parts = [
        ("Characters that are shown by their code, as ranges of a regular expression.", "HIDDEN = [", *lines, "];"),
        ("Characters of an item's own text in `items.parquet`.", f"EXCERPT = {EXCERPT};"),
        ("Characters of its response, expected answer and choices there.", f"ANSWER_EXCERPT = {ANSWER_EXCERPT};"),
        ("Number of the slice of concept 0.", f"CONCEPTS = {CONCEPTS};"),
        ("Share of the items from which a mean of the scored ones stands for all.", f"WHOLE = {WHOLE};"),
    ]
    return "\n".join(
        line for comment, first, *rest in parts for line in (f"/** {comment} */", f"export const {first}", *rest, "")
    )


def _write(record: type, written: dict[type, str]) -> None:
    """Add a record's interface, and before it those that it names."""
    if record in written:
        return
    hints, docs = get_type_hints(record), _docs(record)
    for hint in hints.values():
        for part in _records(hint):
            _write(part, written)
    lines = [*_comment(inspect.getdoc(record) or "", ""), f"export interface {record.__name__} {{"]
    for field in dataclasses.fields(record):
        kind = _type(hints[field.name])
        line = f"  {field.name}: {kind};"
        if len(line) > _WIDTH:
            line = f"  {field.name}:\n    | {kind.replace(' | ', f'{chr(10)}    | ')};"
        lines += [*_comment(docs.get(field.name, ""), "  "), line]
    written[record] = "\n".join([*lines, "}", ""])


def _records(hint: Any) -> list[type]:
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return [hint]
    return [record for part in get_args(hint) for record in _records(part)]


def _type(hint: Any) -> str:
    """A type of Python as TypeScript writes it."""
    origin, parts = get_origin(hint), get_args(hint)
    if hint in _PLAIN:
        return _PLAIN[hint]
    if origin is Literal:
        return " | ".join(f'"{word}"' if isinstance(word, str) else str(word) for word in parts)
    if origin in (Union, UnionType):
        return " | ".join(dict.fromkeys(_type(part) for part in parts))
    if origin is tuple and parts[-1] is not ...:
        return f"[{', '.join(_type(part) for part in parts)}]"
    if origin in (tuple, list, Sequence):
        inner = _type(parts[0])
        return f"({inner})[]" if "|" in inner and not inner.endswith("]") else f"{inner}[]"
    if origin is Mapping:
        return f"Record<{_type(parts[0])}, {_type(parts[1])}>"
    return str(hint.__name__)


def _docs(record: type) -> dict[str, str]:
    """Texts that stand under a record's fields."""
    (body,) = ast.parse(textwrap.dedent(inspect.getsource(record))).body
    declared, name = {}, ""
    for line in body.body:  # type: ignore[attr-defined]
        if isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant) and name:
            declared[name] = inspect.cleandoc(str(line.value.value))
        name = line.target.id if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name) else ""
    return declared


def _comment(text: str, indent: str) -> list[str]:
    """A comment in the words of TypeScript, wrapped."""
    words = re.sub(r":\w+:`([^`]+)`", r"`\1`", text.replace("``", "`")).replace("None", "null")
    if not words:
        return []
    short = f"{indent}/** {' '.join(words.split())} */"
    if len(short) <= _WIDTH:
        return [short]
    prefix = f"{indent} * "
    lines = textwrap.wrap(words, _WIDTH, initial_indent=prefix, subsequent_indent=prefix, break_on_hyphens=False)
    return [f"{indent}/**", *lines, f"{indent} */"]


def main(arguments: Sequence[str]) -> int:
    """Write the file, or check it."""
    text = types_file()
    if "--check" in arguments:
        return int(FILE.read_text(encoding="utf-8") != text)
    FILE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
