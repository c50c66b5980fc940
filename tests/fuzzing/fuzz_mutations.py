"""Damage and hostile content for files of any kind, drawn from a random generator, so that a seed gives it again."""

from __future__ import annotations

import copy
import io
import json
import random
import re
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from competency_gaps.util.table_files import panics_are_errors

OUTSIDE = "../outside/secret.json"
"""Where a path in a mutated file may lead: beside the folder that is read."""
JUNK: list[Any] = [
    *(None, True, -1, 0, 3.5, 1e308, float("nan"), float("inf"), 2**31, 2**63, 10**400),
    *("", "\0", "\ud800", "\x1b[31m<b>\u202e", "NaN", "9" * 5000, "x" * 100_000, OUTSIDE),
    *([], {}, [None], {"": {}}, [[[[[]]]]], {"text": 5}, {"__class__": "os.system"}),
]
"""What stands in the place of a value in JSON."""
_NUMBERS = (0, 1, 2**16, 2**31 - 1, 2**31, 2**32, 2**40, 2**62, 2**63 - 1, 2**64 - 1)
_HUGE = (b"99999999999", b"9" * 5000, b"1e999", b"-1", b"0", b"9223372036854775807")
_BYTES = (b"\0" * 64, b"\xff\xfe", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\r", b"\n\n", b'"', b"\\u0000")
_NEST = 20_000
_MOST = 4_000_000
"""Bytes of a mutated file at most."""


def mutate(content: bytes, suffix: str, rng: random.Random) -> tuple[str, bytes]:
    """Change a file's content; gives how, and the new content.

    Parameters
    ----------
    content
        A valid file's.
    suffix
        Of its name: JSON and YAML are changed by their values as well as by their bytes, Parquet by its columns.
    """
    if rng.random() < 0.5:
        changed = None
        if suffix in (".json", ".jsonl", ".yaml", ".yml"):
            changed = _retyped(content, suffix, rng)
        elif suffix == ".parquet":
            changed = _recolumned(content, rng)
        if changed is not None:
            return "value or column", changed
    how = rng.choice(("flip", "truncate", "insert", "repeat", "declare", "nest"))
    return how, _changed_bytes(content, how, rng)[:_MOST]


def mutate_folder(folder: Path, rng: random.Random, only: Sequence[Path] = ()) -> list[str]:
    """Change one to three files of a folder in place; says how, a line for each.

    Parameters
    ----------
    only
        Files that may be changed; empty: all.
    """
    files = list(only) or sorted(path for path in folder.rglob("*") if path.is_file())
    lines = []
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        file = rng.choice(files)
        if not file.is_file():
            continue
        drawn, how = rng.random(), "gone, or a folder"
        if drawn < 0.03:
            file.unlink()
            if drawn < 0.01:
                file.mkdir()
        else:
            how, content = mutate(file.read_bytes(), file.suffix, rng)
            file.write_bytes(content)
        lines.append(f"{file.name}: {how}")
    return lines


def _changed_bytes(content: bytes, how: str, rng: random.Random) -> bytes:
    place = rng.randrange(len(content) + 1)
    before, after = content[:place], content[place:]
    if how == "flip":
        changed = bytearray(content)
        for _ in range(min(len(changed), rng.choice((1, 1, 2, 8, 64)))):
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
        return bytes(changed)
    if how == "truncate":
        return before if rng.random() < 0.5 else before + after[rng.choice((1, 4, 32, 512)) :]
    if how == "insert":
        return before + rng.choice((*_BYTES, rng.randbytes(100))) + after
    if how == "repeat":
        start = rng.randrange(len(content) + 1)
        return before + content[start : start + rng.choice((1, 8, 64, 1000))] * rng.choice((1, 3, 200)) + after
    if how == "nest":
        opened, closed = rng.choice(((b"[", b"]"), (b'{"a":', b"}"), (b"- ", b"")))
        depth = rng.choice((50, 900, _NEST))
        return before + opened * depth + b"1" + closed * rng.choice((0, depth)) + after
    # A number that the file declares becomes huge, negative or none: digits in a text, or 4 or 8 bytes.
    written = list(re.finditer(rb"\d+", content[:200_000]))
    if written and rng.random() < 0.6:
        chosen = rng.choice(written)
        return content[: chosen.start()] + rng.choice(_HUGE) + content[chosen.end() :]
    form, size = rng.choice((("<Q", 8), ("<I", 4)))
    far = max(len(content) - size, 0)
    place = rng.choice((0, 4, 8, far, max(far - 4, 0), rng.randrange(far + 1)))  # most declare sizes at an end
    return content[:place] + struct.pack(form, rng.choice(_NUMBERS) % 2 ** (8 * size)) + content[place + size :]


def _recolumned(content: bytes, rng: random.Random) -> bytes | None:
    """A Parquet file with a column that is gone, or has another name or type; None: the content is none."""
    written = io.BytesIO()
    try:
        with panics_are_errors():  # what was changed before may be such a table
            table = pl.read_parquet(io.BytesIO(content))
            name = rng.choice(table.columns)
            others = [table.with_columns(pl.Series(name, [v] * table.height)) for v in (None, b"\xff", [1], {"a": 1})]
            rng.choice((table.drop(name), table.rename({name: f"{name}\0"}), *others)).write_parquet(written)
    except (pl.exceptions.PolarsError, IndexError, ValueError):
        return None
    return written.getvalue()


def _retyped(content: bytes, suffix: str, rng: random.Random) -> bytes | None:
    """The same JSON or YAML with one to three values of another kind; None: it is neither, or nested too deeply."""
    try:
        text = content.decode("utf-8")
        if suffix == ".jsonl":
            changed = changed_value([json.loads(line) for line in text.split("\n") if line.strip()], rng)
            return "".join(json.dumps(line) + "\n" for line in changed).encode()
        values = json.loads(text) if suffix == ".json" else yaml.safe_load(text)
        # JSON is YAML, and escapes keep what UTF-8 cannot hold; YAML knows dates.
        return json.dumps(changed_value(values, rng), default=str).encode()
    except (ValueError, TypeError, RecursionError, yaml.YAMLError):
        return None


def changed_value(value: Any, rng: random.Random) -> Any:
    """A copy of a JSON value with one to three of its parts gone, twice, or replaced by anything."""
    value = copy.deepcopy(value)
    for _ in range(rng.choice((1, 1, 2, 3))):
        places = list(_places(value))
        if not places:
            return rng.choice(JUNK)
        *path, last = rng.choice(places)
        node = value
        for key in path:
            node = node[key]
        drawn = rng.random()
        if drawn < 0.15:
            del node[last]
        elif drawn < 0.25 and isinstance(node, list):
            node.append(copy.deepcopy(node[last]))
        else:
            node[last] = copy.deepcopy(rng.choice(JUNK))
    return value


def _places(value: Any, before: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in pairs:
        yield (*before, key)
        yield from _places(part, (*before, key))
