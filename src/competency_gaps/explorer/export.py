"""A static explorer: the page and all parts of some runs as files, which a browser opens without a server."""

from __future__ import annotations

import base64
import gzip
import json
import shutil
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from html import escape
from importlib.metadata import version
from pathlib import Path
from typing import Any

from competency_gaps.errors import UserError
from competency_gaps.explorer.opened import Opened, comparable, run_list
from competency_gaps.explorer.page_files import FILES, content_security_policy, page_files
from competency_gaps.explorer.parts import Parts, as_json
from competency_gaps.explorer.parts.amounts import EXPORTED, EXPORTED_WIDE, WIDE
from competency_gaps.explorer.parts.models import against, paired_runs
from competency_gaps.explorer.parts.records.server import RunList
from competency_gaps.files import no_space_left, write_json
from competency_gaps.progress import Bar, Progress
from competency_gaps.text import shorten, visible

MARK = "cgaps-export.json"
"""Written last: marks a complete export, which the next one may replace."""
BEGUN = "cgaps-export.begun"
"""Written first and removed last: marks an export that is being written or was interrupted."""
DATA = "data"
CONCEPTS, ITEMS, ENTRIES = 256, 128, 32
"""Details in a part."""
_HEAD = b'cgapsPart("'
"""How each part's script begins."""


@dataclass(frozen=True)
class Exported:
    """What was written."""

    folder: Path
    files: int
    size: int
    """Bytes."""
    runs: list[str]
    """Keys, as in addresses."""


def export(
    opened: Sequence[Opened], folder: Path, *, redact: bool = False, progress: Progress | None = None
) -> Exported:
    """Write a static explorer.

    It is written to the folder ``.NAME.part`` beside its place, which is then renamed. If the export is interrupted,
    the place still holds the older export or nothing, and the next export starts over.

    Parameters
    ----------
    opened
        Runs, at least one.
    folder
        The folder to write; if it exists it must be empty or an older export, which is replaced.
    redact
        Leave out prompts, responses, answers, and what is made of them.
    progress
        Shows the progress; None: quiet.

    Raises
    ------
    UserError
        If the folder or ``.NAME.part`` holds anything else, or the page was not built.
    """
    target = folder.resolve()
    _check_place(target)
    page = page_files()
    part = target.with_name(f".{target.name}.part")
    parts = [_parts(run, redact=redact) for run in opened]
    with no_space_left(target):
        _clear(part, BEGUN, MARK)
        _make(part)
        (part / BEGUN).write_bytes(b"")
        _make(part / DATA)
        _write(part / DATA, "runs.json", as_json(_run_list(opened)))
        for run in parts:
            names = list(run.names())
            with (progress or Progress(quiet=True)).stage("exporting", total=len(names), unit="parts") as bar:
                bar.note(run.context.key)
                _write_run(part / DATA, run, names, bar)
        contexts = {run.context.key: run.context for run in parts}
        for baseline, candidate in comparable(opened):
            made = paired_runs(contexts[candidate.key], contexts[baseline.key])
            _write(part / DATA, f"{baseline.key}/{against(candidate.key)}", as_json(made, digits=4))
        for name, content in page.items():
            (part / name).write_bytes(_static(content) if name == "index.html" else content)
        keys = [run.key for run in opened]
        write_json(part / MARK, {"version": version("competency-gaps"), **_facts(keys, redact=redact)})
        (part / BEGUN).unlink()
        _put(part, target)
    files = [path for path in target.rglob("*") if path.is_file()]
    return Exported(target, len(files), sum(path.stat().st_size for path in files), keys)


def read_part(folder: Path, name: str) -> bytes:
    """Read a part of a static explorer as the page does.

    Parameters
    ----------
    folder
        The explorer.
    name
        ``runs.json``, or ``KEY/NAME`` as :meth:`Parts.names` lists them.

    Raises
    ------
    UserError
        If it is not there or damaged.
    """
    path = folder / DATA / f"{name}.js"
    head, end = f'cgapsPart({json.dumps(name)},"', '");\n'
    try:
        text = path.read_bytes().decode("utf-8")
        if not (text.startswith(head) and text.endswith(end)):
            raise ValueError("it is no part")
        return gzip.decompress(base64.b64decode(text[len(head) : -len(end)], validate=True))
    except (OSError, ValueError, EOFError, zlib.error) as error:
        raise UserError(f"{path} is missing or damaged: {error}. Export the run again.") from error


def _run_list(opened: Sequence[Opened]) -> RunList:
    """``runs.json``; runs of one name are numbered, since the name of the folder above may be private."""
    names = [visible(run.run.path.resolve().name) if run.models in (None, run.key) else run.title for run in opened]
    titles = [
        f"{name} ({names[: place + 1].count(name)})" if names.count(name) > 1 else name
        for place, name in enumerate(names)
    ]
    listed = run_list(opened, "static", None)
    return replace(listed, runs=[replace(run, title=title) for run, title in zip(listed.runs, titles, strict=True)])


def _parts(run: Opened, *, redact: bool) -> Parts:
    return Parts(
        run.run,
        key=run.key,
        dictionary=run.dictionary,
        redact=redact,
        portable=True,
        concepts_per_part=CONCEPTS,
        items_per_part=ITEMS,
        entries_per_part=ENTRIES,
        amounts=EXPORTED_WIDE if run.run.width >= WIDE else EXPORTED,
        home=run.models,
    )


def _write_run(data: Path, parts: Parts, names: Sequence[str], bar: Bar) -> None:
    for name in names:
        _write(data, f"{parts.context.key}/{name}", parts.read(name))
        bar.advance()


def _write(data: Path, name: str, content: bytes) -> None:
    """Write a part as a script: a page opened from a folder may load nothing else."""
    path = data / f"{name}.js"
    path.parent.mkdir(parents=True, exist_ok=True)
    held = base64.b64encode(gzip.compress(content, 9, mtime=0)).decode("ascii")
    path.write_text(f'cgapsPart({json.dumps(name)},"{held}");\n', encoding="utf-8", newline="\n")


def _static(index: bytes) -> bytes:
    """The page's HTML, marked as static, with the policy that a server would send."""
    text = index.decode("utf-8")
    policy = escape(content_security_policy(framed=True), quote=True)
    for old, new in {
        "<html ": '<html data-mode="static" ',
        "<head>": f'<head>\n    <meta http-equiv="Content-Security-Policy" content="{policy}" />',
    }.items():
        if text.count(old) != 1:
            raise UserError(f"the explorer's page is damaged: expected one {old!r} in index.html. Build it again.")
        text = text.replace(old, new)
    return text.encode("utf-8")


def _facts(keys: list[str], *, redact: bool) -> dict[str, Any]:
    return {"created": datetime.now(UTC).isoformat(timespec="seconds"), "runs": keys, "redacted": redact}


def _check_place(target: Path) -> None:
    """Raise UserError if the export would overwrite anything that is not an export."""
    if not target.exists():
        return
    if not target.is_dir():
        raise UserError(f"{str(target)!r} is a file. Give a folder to export to.")
    if any(target.iterdir()):
        _check_own(target, MARK)


def _check_own(folder: Path, *marks: str) -> None:
    """Raise UserError unless a folder bears a mark of an export and holds nothing else."""
    held = sorted(path.name for path in folder.iterdir())
    if not set(marks) & set(held):
        if BEGUN in marks:
            raise UserError(
                f"{str(folder)!r}, where the export would be written, holds {_some(held)}, which is not of an "
                "export. Move it elsewhere, or give a folder of another name."
            )
        raise UserError(
            f"{str(folder)!r} is not an older export: it holds {_some(held)}. Give an empty or a new folder."
        )
    foreign = [name for name in held if name not in (MARK, BEGUN, DATA, *FILES)]
    data, whole = folder / DATA, BEGUN not in held
    below = [data, *data.rglob("*")] if data.exists() else []
    foreign += (str(path.relative_to(folder)) for path in below if not _is_own(path, data, whole=whole))
    if foreign:
        raise UserError(
            f"{str(folder)!r} is an export, but also holds {_some(foreign)}, which would be lost. Move that elsewhere, "
            "or give another folder."
        )


def _is_own(path: Path, data: Path, *, whole: bool) -> bool:
    """Whether a file or folder of ``data/`` is an export's: a folder, or a script that gives a part."""
    if path.is_symlink() or path == data:
        return path.is_dir() and not path.is_symlink()
    if path.is_dir():
        return True
    if path.suffix != ".js":
        return False
    with path.open("rb") as file:
        head = file.read(len(_HEAD))
    # A stopped export's last file may be empty, or end anywhere.
    return head == _HEAD or (not whole and _HEAD.startswith(head))


def _some(names: list[str]) -> str:
    return shorten(visible(", ".join(names)), 100)


def _clear(folder: Path, *marks: str) -> None:
    """Remove a folder that is empty or bears one of these marks."""
    if folder.exists():
        if any(folder.iterdir()):
            _check_own(folder, *marks)
        shutil.rmtree(folder)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise UserError(f"{str(folder)!r} cannot be made ({error.strerror}). Give a folder elsewhere.") from error


def _put(part: Path, target: Path) -> None:
    """Put the finished folder in its place."""
    old = target.with_name(f".{target.name}.old")
    _clear(old, MARK)
    try:
        if target.exists():
            target.rename(old)
        part.rename(target)
    except OSError as error:
        # As of a folder where a disk is mounted.
        raise UserError(
            f"{str(target)!r} cannot be replaced ({error.strerror}): the finished export is {str(part)!r}. Move it, "
            "or give a folder inside of that one."
        ) from error
    _clear(old, MARK)
