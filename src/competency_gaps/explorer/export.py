"""Runs as files: a folder with the page and all parts, or one file with what matters most; both need no server."""

from __future__ import annotations

import base64
import functools
import gzip
import hashlib
import json
import logging
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from html import escape
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from typing import Any

from competency_gaps.errors import UserError
from competency_gaps.explorer.opened import Opened, comparable, open_runs, run_list
from competency_gaps.explorer.page_files import FILES, POLICY, PageMissingError, page_files
from competency_gaps.explorer.parts import Context, Parts, as_json
from competency_gaps.explorer.parts.answers import against, paired_runs
from competency_gaps.explorer.parts.concept import concept_details
from competency_gaps.explorer.parts.context import EXPORTED, ONE_FILE
from competency_gaps.explorer.parts.improve import improve_file
from competency_gaps.explorer.parts.item import item_details
from competency_gaps.explorer.parts.records.details import RunList
from competency_gaps.files import no_space_left, write_text
from competency_gaps.findings.answer import two_at_a_time
from competency_gaps.progress import Progress
from competency_gaps.runs.open import RunFolder
from competency_gaps.slices import CONCEPTS as CONCEPT_SLICES
from competency_gaps.text import shorten, visible

log = logging.getLogger(__name__)
MARK = "cgaps-export.json"
"""Written first: marks an export, whole or begun, which the next one may replace."""
DATA = "data"
CONCEPTS, ITEMS = 256, 128
"""Details in a part of a folder."""
LARGEST = 5_000_000
"""Bytes of one file, at most; a page of a suite with very many concepts or items alone may take more [ours]."""
FILE_CONCEPTS = 400
"""Concepts whose details one file holds, at most [ours]."""
TOGETHER = 25
"""Of these, concepts whose items are in memory at once."""
IMPROVED = 100
"""Kept items, or items that look broken, whose texts it holds first [ours]."""
FILE_ITEMS = 3_000
"""Items whose texts it holds, at most: those of findings and of these concepts, then others [ours]."""
_BOOT = """\
(async()=>{const read=async n=>{const t=atob(document.getElementById(n).textContent);\
const b=Uint8Array.from(t,c=>c.charCodeAt(0));\
return new Response(new Blob([b]).stream().pipeThrough(new DecompressionStream("gzip"))).text()};\
const add=async(tag,n)=>{const e=document.createElement(tag);e.textContent=await read(n);document.head.append(e)};\
await add("style","app.css");await add("script","app.js")})()"""
"""Unpacks the page's style and script."""


@dataclass(frozen=True)
class Exported:
    """What was written."""

    path: Path
    """The folder or file."""
    files: int
    size: int
    """Bytes."""
    runs: list[str]
    """Keys, as in addresses."""


def export(opened: Sequence[Opened], folder: Path, *, texts: bool = True, progress: Progress | None = None) -> Exported:
    """Write a static explorer into a folder.

    It is written to the folder ``.NAME.part`` beside its place, which is then renamed. If the export is interrupted,
    the place still holds the older export or nothing, and the next export starts over.

    Parameters
    ----------
    opened
        Runs, at least one.
    folder
        The folder to write; if it exists it must be empty or an older export, which is replaced.
    texts
        Whether prompts, responses and expected answers are written.
    progress
        Shows the progress; None: quiet.

    Raises
    ------
    UserError
        If the folder or ``.NAME.part`` holds anything else, lies in a run, or the page was not built.
    """
    target = folder.resolve()
    _check_outside(target, opened)
    _check_own(target)
    page = page_files()
    part = target.with_name(f".{target.name}.part")
    contexts = {run.key: _context(run, texts=texts) for run in opened}
    with no_space_left(target):
        _clear(part)
        facts = {"created": datetime.now(UTC).isoformat(timespec="seconds"), "runs": list(contexts), "texts": texts}
        write_text(part / MARK, json.dumps({"version": version("competency-gaps"), **facts}))
        _write(part / DATA, "runs.json", as_json(_run_list(opened)))
        for context in contexts.values():
            parts = Parts(context)
            names = list(parts.names())
            with (progress or Progress(quiet=True)).stage("exporting", total=len(names), unit="parts") as bar:
                bar.note(context.key)

                def make(name: str, parts: Parts = parts) -> None:
                    _write(part / DATA, f"{parts.context.key}/{name}", parts.read(name))

                # Half of the time goes to compression and arithmetic, which two threads do at once.
                for _ in two_at_a_time(make, names):
                    bar.advance()
        for baseline, candidate in comparable(opened):
            made = paired_runs(contexts[candidate.key], contexts[baseline.key])
            _write(part / DATA, f"{baseline.key}/{against(candidate.key)}", as_json(made, digits=4))
        for name, content in page.items():
            (part / name).write_bytes(_static(content) if name == "index.html" else content)
        _put(part, target)
    files = [path for path in target.rglob("*") if path.is_file()]
    return Exported(target, len(files), sum(path.stat().st_size for path in files), list(contexts))


def export_file(
    opened: Sequence[Opened], file: Path, *, texts: bool = True, progress: Progress | None = None
) -> Exported:
    """Write a static explorer as one HTML file, which opens by itself.

    It holds the answer, tables, and the concepts that matter most with their examples, up to :data:`LARGEST` bytes; of
    what is left out the page says where it would stand that a folder has it.

    Parameters
    ----------
    opened
        Runs, at least one.
    file
        The file to write.
    texts
        Whether prompts, responses and expected answers are written.
    progress
        Shows the progress; None: quiet.

    Raises
    ------
    UserError
        If the file is a folder, or the page was not built.
    """
    if file.is_dir():
        raise UserError(f"{str(file)!r} is a folder. Give a file, such as {str(file / 'report.html')!r}.")
    with (progress or Progress(quiet=True)).stage("writing the report"):
        shell = _shell()
        blocks = [_block("runs.json", as_json(replace(_run_list(opened), mode="file")))]
        # A little is left for the ends of lines.
        room = LARGEST - len(shell.encode()) - len(blocks[0]) - 1_000
        for run in opened:
            blocks += _blocks_of(run, room // len(opened), texts=texts)
        write_text(file, shell.replace("<!-- data -->", "\n".join(blocks)))
    return Exported(file.resolve(), 1, file.stat().st_size, [run.key for run in opened])


def write_report(run: RunFolder, file: Path, *, progress: Progress | None = None) -> None:
    """Write a run's report, one file of it alone; in a checkout whose page was not built, a warning says so."""
    try:
        export_file(open_runs([run.path])[:1], file, progress=progress)
    except PageMissingError as error:
        log.warning("There is no report: %s", error)


def _blocks_of(run: Opened, room: int, *, texts: bool) -> Iterator[str]:
    """The parts of a run that one file has room for, what matters most first."""
    parts = Parts(Context(run.run, run.key, run.dictionary, portable=True, texts=texts, amounts=ONE_FILE))
    whole = [name for name in parts.names() if name.startswith(("answers/", "coverage/")) or "/" not in name]
    for name in whole:
        block = _block(f"{run.key}/{name}", parts.read(name))
        room -= len(block)
        yield block
    for kind, details in _chosen_details(parts.context).items():
        share = room * 0.7
        while details and len(block := _block(f"{run.key}/{kind}.json", as_json(details, digits=None))) > share:
            details = dict(list(details.items())[: int(len(details) * 0.95 * share / len(block))])
        if details:
            room -= len(block)
            yield block
    for name in (name for name in parts.names() if name.startswith("concepts/")):
        block = _block(f"{run.key}/{name}", parts.read(name))
        if len(block) <= room:
            room -= len(block)
            yield block


def _chosen_details(context: Context) -> dict[str, dict[str, Any]]:
    """Details of the concepts that matter most, and of the items that show them, by kind and number."""
    evidence = [number - CONCEPT_SLICES for number in sorted(context.named_slices) if number >= CONCEPT_SLICES]
    ranked = context.concepts.filter("ranked").sort(["q_value", "support"], descending=[False, True], nulls_last=True)
    concepts = list(dict.fromkeys([*evidence, *ranked["concept"].to_list()]))[:FILE_CONCEPTS]
    cuts = (concepts[first : first + TOGETHER] for first in range(0, len(concepts), TOGETHER))
    details = {str(detail.concept): detail for cut in cuts for detail in concept_details(context, cut)}
    rows = dict.fromkeys(_shown_items(context))
    for detail in details.values():
        rows |= dict.fromkeys(use.item for uses in vars(detail.items).values() for use in uses)
    rows |= dict.fromkeys(range(max(0, min(context.items.height, FILE_ITEMS - len(rows)))))
    items: dict[str, Any] = {}
    # Neighbours are read together: each time all columns of a part of the table are unpacked.
    for _, near in groupby(sorted(rows), lambda row: row // (8 * ITEMS)):
        items |= {str(detail.item): detail for detail in item_details(context, [*near])}
    items = {str(row): items[str(row)] for row in rows}
    return {"concept": details, "item": items}


def _shown_items(context: Context) -> Iterator[int]:
    """The items that a page of answers and slices shows first."""
    for answer in context.found:
        yield from (finding.example for finding in answer.findings if finding.example is not None)
    for improvement in improve_file(context).results:
        yield from (item.row for item in improvement.items[:IMPROVED])
    for family in context.families:
        yield from (row for rows in family.typical for row in rows)


def _run_list(opened: Sequence[Opened]) -> RunList:
    """``runs.json``; runs of one name are numbered, since the name of the folder above may be private."""
    names = [visible(run.run.path.resolve().name) for run in opened]
    titles = [
        f"{name} ({names[: place + 1].count(name)})" if names.count(name) > 1 else name
        for place, name in enumerate(names)
    ]
    listed = run_list(opened, "static", None)
    return replace(listed, runs=[replace(run, title=title) for run, title in zip(listed.runs, titles, strict=True)])


def _context(run: Opened, *, texts: bool) -> Context:
    return Context(run.run, run.key, run.dictionary, True, texts, CONCEPTS, ITEMS, EXPORTED)


def _packed(content: bytes) -> str:
    return base64.b64encode(gzip.compress(content, 6, mtime=0)).decode("ascii")


def _write(data: Path, name: str, content: bytes) -> None:
    """Write a part as a script: a page opened from a folder may load nothing else."""
    path = data / f"{name}.js"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'cgapsPart({json.dumps(name)},"{_packed(content)}");\n', encoding="utf-8", newline="\n")


def _block(name: str, content: bytes) -> str:
    """A part inside of a page: a script of a type that no browser runs."""
    return f'<script type="text/plain" id="{escape(name)}">{_packed(content)}</script>'


def _static(index: bytes) -> bytes:
    """The page's HTML, marked as static, with the policy that a server would send."""
    text = index.decode("utf-8").replace("<html ", '<html data-mode="static" ', 1)
    meta = f'<head>\n    <meta http-equiv="Content-Security-Policy" content="{escape(POLICY)}" />'
    return text.replace("<head>", meta, 1).encode("utf-8")


@functools.cache
def _shell() -> str:
    """One file without its data: the page's script and style packed, and a policy that runs these and loads nothing."""
    page = page_files()
    hashed = {
        name: f"'sha256-{base64.b64encode(hashlib.sha256(content).digest()).decode()}'"
        for name, content in {**page, "boot": _BOOT.encode()}.items()
    }
    policy = (
        f"default-src 'none'; script-src {hashed['boot']} {hashed['app.js']}; style-src {hashed['app.css']}; "
        "img-src data:; font-src data:; base-uri 'none'; form-action 'none'"
    )
    icon = base64.b64encode(page["icon.svg"]).decode()
    assets = "\n".join(_block(name, page[name]) for name in ("app.css", "app.js", "licenses.txt", "font-license.txt"))
    return f"""\
<!doctype html>
<html lang="en" data-mode="file">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>Competency Gaps</title>
<link rel="icon" href="data:image/svg+xml;base64,{icon}">
</head>
<body>
<div id="app"></div>
<noscript>This report needs JavaScript. Without it, read the run's tables, which are Parquet files.</noscript>
{assets}
<!-- data -->
<script>{_BOOT}</script>
</body>
</html>
"""


def _check_outside(target: Path, opened: Sequence[Opened]) -> None:
    """Raise UserError if an export would be written into a run."""
    for run in opened:
        folder = run.run.base.resolve()
        if folder in (target, *target.parents):
            raise UserError(f"{str(target)!r} lies inside the run {str(folder)!r}. Give a folder outside it.")


def _check_own(folder: Path) -> None:
    """Raise UserError if a folder holds anything but an export, whole or begun."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise UserError(f"{str(folder)!r} is a file. Give a folder to export to.")
    held = sorted(path.name for path in folder.iterdir())
    foreign = [name for name in held if name not in (MARK, DATA, *FILES)]
    if foreign or (held and MARK not in held):
        shown = shorten(visible(", ".join(foreign or held)), 100)
        raise UserError(
            f"{str(folder)!r} holds {shown}, which is not part of an export. Give an empty or a new folder."
        )


def _clear(folder: Path) -> None:
    _check_own(folder)
    if folder.exists():
        shutil.rmtree(folder)


def _put(part: Path, target: Path) -> None:
    """Put the finished folder in its place."""
    old = target.with_name(f".{target.name}.old")
    _clear(old)
    try:
        if target.exists():
            target.rename(old)
        part.rename(target)
    except OSError as error:
        # As of a folder where a disk is mounted.
        raise UserError(
            f"{str(target)!r} cannot be replaced ({error.strerror}): the finished export is {str(part)!r}. Move it, "
            "or give a folder inside that one."
        ) from error
    _clear(old)
