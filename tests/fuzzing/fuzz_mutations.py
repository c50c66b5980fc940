"""Damage and hostile content for files of any kind, drawn from a random generator, so that a seed gives it again."""

from __future__ import annotations

import copy
import io
import json
import random
import re
import struct
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from competency_gaps.table_files import panics_are_errors

OUTSIDE = "../outside/secret.json"
"""Where a path in a mutated file may lead: beside the folder that is read."""
JUNK: list[Any] = [
    *(None, True, -1, 0, 1, 3.5, 1e308, -1e308, float("nan"), float("inf"), 2**31, 2**63, -(2**63), 10**400),
    *("", "x", "\0", "\ud800", "\x1b[31m<b>\u202e", "1e999", "NaN", "9" * 5000, "x" * 100_000, OUTSIDE),
    *([], {}, [1], [None], {"a": 1}, {"": {}}, [[[[[]]]]], {"text": 5}, {"__class__": "os.system"}),
]
"""What stands in the place of a value in JSON."""
_NUMBERS = (0, 1, -1, 2**16, 2**31 - 1, 2**31, 2**32, 2**40, 2**62, 2**63 - 1, 2**64 - 1)
_DIGITS = re.compile(rb"\d+")
_HUGE = (b"99999999999", b"9" * 30, b"9" * 5000, b"1e999", b"-1", b"0", b"9223372036854775807")
_BYTES = (
    b"\0",
    b"\0" * 64,
    b"\xff\xfe",
    b"\xc3\x28",
    b"\xed\xa0\x80",
    b"\xef\xbb\xbf",
    b"\r",
    b"\n\n",
    b'"',
    b"\\u0000",
)
_NEST = 20_000
_MOST = 4_000_000
"""Bytes of a mutated file at most."""
_TEXTS = (".json", ".jsonl", ".yaml", ".yml")


def mutate(content: bytes, suffix: str, rng: random.Random) -> tuple[str, bytes]:
    """Change a file's content; gives how, and the new content.

    Parameters
    ----------
    content
        A valid file's.
    suffix
        Of its name: JSON and YAML are changed by their values as well as by their bytes, Parquet by its columns.
    """
    if suffix in _TEXTS and rng.random() < 0.5:
        changed = _retyped(content, suffix, rng)
        if changed is not None:
            return "value", changed
    if suffix == ".parquet" and rng.random() < 0.5:
        changed = _recolumned(content, rng)
        if changed is not None:
            return "column", changed
    how = rng.choice(list(_OF_BYTES))
    return how, _OF_BYTES[how](content, rng)[:_MOST]


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
        name = file.relative_to(folder) if folder in file.parents else file.name
        whole = rng.random()
        if whole < 0.02:
            file.unlink()
            how = "deleted"
        elif whole < 0.03:
            file.unlink()
            file.mkdir()
            how = "a folder in its place"
        elif whole < 0.06:
            file.write_bytes(rng.choice(files[:50]).read_bytes() if rng.random() < 0.5 and len(files) > 1 else b"")
            how = "another file's content, or none"
        else:
            how, content = mutate(file.read_bytes(), file.suffix, rng)
            file.write_bytes(content)
        lines.append(f"{name}: {how}")
        files = [one for one in files if one.is_file()] or files
    return lines


def _flip(content: bytes, rng: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(min(len(changed), rng.choice((1, 1, 2, 8, 64)))):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _truncate(content: bytes, rng: random.Random) -> bytes:
    return content[: rng.randrange(len(content) + 1)]


def _insert(content: bytes, rng: random.Random) -> bytes:
    place = rng.randrange(len(content) + 1)
    piece = rng.choice((*_BYTES, rng.randbytes(rng.choice((1, 4, 100)))))
    return content[:place] + piece + content[place:]


def _duplicate(content: bytes, rng: random.Random) -> bytes:
    """A piece, or a line, once more somewhere else, or many times."""
    lines = content.splitlines(keepends=True)
    if len(lines) > 1 and rng.random() < 0.5:
        line = rng.choice(lines)
        lines.insert(rng.randrange(len(lines) + 1), line * rng.choice((1, 1, 2, 500)))
        return b"".join(lines)
    start = rng.randrange(len(content) + 1)
    piece = content[start : start + rng.choice((1, 8, 64, 1000))]
    place = rng.randrange(len(content) + 1)
    return content[:place] + piece * rng.choice((1, 1, 3, 200)) + content[place:]


def _declare(content: bytes, rng: random.Random) -> bytes:
    """A number that the file declares becomes huge, negative or none: digits in a text, or 4 or 8 bytes."""
    written = list(_DIGITS.finditer(content[:200_000]))
    if written and rng.random() < 0.6:
        chosen = rng.choice(written)
        return content[: chosen.start()] + rng.choice(_HUGE) + content[chosen.end() :]
    form, size = rng.choice((("<Q", 8), ("<I", 4)))
    # Most formats declare sizes at the beginning or at the end.
    far = max(len(content) - size, 0)
    place = rng.choice((0, 4, 8, far, max(far - 4, 0), rng.randrange(far + 1)))
    number = rng.choice(_NUMBERS) % 2 ** (8 * size)
    return content[:place] + struct.pack(form, number) + content[place + size :]


def _nest(content: bytes, rng: random.Random) -> bytes:
    place = rng.choice((0, rng.randrange(len(content) + 1)))
    opened, closed = rng.choice(((b"[", b"]"), (b'{"a":', b"}"), (b"- ", b""), (b"(", b")")))
    depth = rng.choice((50, 900, _NEST))
    middle = rng.choice((b"", b"1"))
    return content[:place] + opened * depth + middle + closed * rng.choice((0, depth)) + content[place:]


_OF_BYTES: dict[str, Callable[[bytes, random.Random], bytes]] = {
    function.__name__.strip("_"): function for function in (_flip, _truncate, _insert, _duplicate, _declare, _nest)
}


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
            values = [json.loads(line) for line in text.split("\n") if line.strip()]
        else:
            values = json.loads(text) if suffix == ".json" else yaml.safe_load(text)
        changed = changed_value(values, rng)
        # JSON is YAML, and escapes keep what UTF-8 cannot hold.
        if suffix == ".jsonl" and isinstance(changed, list):
            return "".join(json.dumps(line) + "\n" for line in changed).encode()
        return json.dumps(_with_text_keys(changed), default=str).encode()  # YAML knows dates
    except (ValueError, RecursionError, yaml.YAMLError):
        return None


def _with_text_keys(value: Any) -> Any:
    """The same with keys as JSON has them."""
    if isinstance(value, dict):
        return {str(key): _with_text_keys(held) for key, held in value.items()}
    return [_with_text_keys(held) for held in value] if isinstance(value, list) else value


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
        elif drawn < 0.35:
            *path, other = rng.choice(places)  # a value of another place
            source = value
            try:
                for key in path:
                    source = source[key]
                node[last] = copy.deepcopy(source[other])
            except (KeyError, IndexError, TypeError):
                node[last] = None
        else:
            node[last] = copy.deepcopy(rng.choice(JUNK))
    return value


def _places(value: Any, before: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in pairs:
        yield (*before, key)
        yield from _places(part, (*before, key))
