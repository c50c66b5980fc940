"""Export runs for viewing without a server: a folder with the page and all parts, or one file with the essentials."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import logging
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from html import escape
from importlib.metadata import version
from itertools import groupby, permutations, starmap
from pathlib import Path
from typing import Any, Literal

from competency_gaps.findings.items import against_of, sides_of, slice_weights
from competency_gaps.runs.open import RunFolder
from competency_gaps.slices import CONCEPTS as CONCEPT_SLICES
from competency_gaps.util.errors import UserError
from competency_gaps.util.files import no_space_left, write_text
from competency_gaps.util.progress import Progress
from competency_gaps.util.text import shorten, visible
from competency_gaps.view.page.opened import Opened, open_runs
from competency_gaps.view.page.page_files import FILES, POLICY, PageMissingError, page_files
from competency_gaps.view.page.parts import Context, Parts, as_json
from competency_gaps.view.page.parts.answers import against, paired_runs
from competency_gaps.view.page.parts.concept import concept_details
from competency_gaps.view.page.parts.context import EXPORTED, ONE_FILE
from competency_gaps.view.page.parts.improve import improve_file
from competency_gaps.view.page.parts.item import item_details
from competency_gaps.view.page.parts.names import numbered
from competency_gaps.view.page.parts.records.details import ItemDetail, ListedRun, RunList

log = logging.getLogger(__name__)
MARK = "cgaps-export.json"
"""File written first, which marks a folder as a finished or interrupted export that may be replaced."""
DATA = "data"
CONCEPTS, ITEMS = 256, 128
"""Number of details per part of a folder."""
MAX_FILE_BYTES, USUAL_FILE_BYTES = 8_000_000, 5_000_000
"""Bytes of one file: at most, where its findings rest on much, and up to which there is room for more; the tables of
very many concepts or items alone may take more [ours]."""
TEXTS = (None, 20_000, 6_000, 2_000, 500)
"""Candidates for the maximum number of characters of a text; the first with which all that findings rest on fits is
used; None: no limit [ours]."""
MORE_CONCEPTS, MORE_ITEMS = 400, 3_000
"""Maximum numbers of concepts, and of items beside those of findings, with details in one file [ours]."""
TOGETHER = 25
"""Number of details per block of one file."""
IMPROVED = 100
"""Maximum number of kept items, and of items that look broken, whose texts one file includes first [ours]."""
_WHOLE = ("answers/", "coverage/", "gaps/")
_BOOT = """\
(async()=>{const read=async n=>{const t=atob(document.getElementById(n).textContent);\
const b=Uint8Array.from(t,c=>c.charCodeAt(0));\
return new Response(new Blob([b]).stream().pipeThrough(new DecompressionStream("gzip"))).text()};\
const add=async(tag,n)=>{const e=document.createElement(tag);e.textContent=await read(n);document.head.append(e)};\
await add("style","app.css");await add("script","app.js")})()"""
"""Unpacks the page's style and script."""


@dataclass(frozen=True)
class Exported:
    """The path and size of an export."""

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
    _refuse_foreign(target)
    page = page_files()
    part = target.with_name(f".{target.name}.part")
    contexts = {run.key: _context(run, texts=texts) for run in opened}
    with no_space_left(target):
        _clear(part)
        facts = {"created": datetime.now(UTC).isoformat(timespec="seconds"), "runs": list(contexts), "texts": texts}
        write_text(part / MARK, json.dumps({"version": version("competency-gaps"), **facts}))
        _write(part / DATA, "runs.json", as_json(_run_list(opened, "static")))
        for context in contexts.values():
            parts = Parts(context)
            names = list(parts.names())
            with (progress or Progress(quiet=True)).stage("exporting", total=len(names), unit="parts") as bar:
                bar.note(context.key)
                for name in names:
                    _write(part / DATA, f"{parts.context.key}/{name}", parts.read(name))
                    bar.advance()
        for name, content in _paired(opened, contexts):
            _write(part / DATA, name, content)
        for name, content in page.items():
            (part / name).write_bytes(_static(content) if name == "index.html" else content)
        _put(part, target)
    files = [path for path in target.rglob("*") if path.is_file()]
    return Exported(target, len(files), sum(path.stat().st_size for path in files), list(contexts))


def export_file(
    opened: Sequence[Opened], file: Path, *, texts: bool = True, progress: Progress | None = None
) -> Exported:
    """Write a static explorer as one HTML file, which opens by itself.

    It holds the answers, tables, the items that findings rest on, whole, with the responses of the models that these
    are findings about, and, as there is room, concepts and further items. The page links to nothing that is left out.

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
        blocks = [_block("runs.json", as_json(_run_list(opened, "file")))]
        # A little is left for the ends of lines.
        spent = len(shell.encode()) + len(blocks[0]) + 10_000
        for run in opened:
            usual, most = ((size - spent) // len(opened) for size in (USUAL_FILE_BYTES, MAX_FILE_BYTES))
            blocks += _blocks_of(run, usual, most, texts=texts)
        blocks += starmap(_block, _paired(opened, {run.key: _context(run, texts=texts) for run in opened}))
        write_text(file, shell.replace("<!-- data -->", "\n".join(blocks)))
    return Exported(file.resolve(), 1, file.stat().st_size, [run.key for run in opened])


def write_report(run: RunFolder, file: Path, *, progress: Progress | None = None) -> None:
    """Write a run's report as one file; in a checkout whose page was not built, a warning says so."""
    try:
        export_file(open_runs([run.path])[:1], file, progress=progress)
    except PageMissingError as error:
        log.warning("There is no report: %s", error)


def _blocks_of(run: Opened, usual: int, most: int, *, texts: bool) -> Iterator[str]:
    """Yield the parts of a run: complete ones and what findings rest on up to ``most`` bytes, others up to
    ``usual``.
    """
    context = Context(run.run, run.key, run.dictionary, portable=True, texts=texts, amounts=ONE_FILE)
    parts, shown = Parts(context), _items_shown(context)
    improved = _improved(context)
    shown |= {row: models for row, models in improved.items() if row in shown}
    names = list(parts.names())
    whole = [name for name in names if name.startswith(_WHOLE) or "/" not in name]
    blocks = {name: _block(f"{run.key}/{name}", parts.read(name)) for name in whole}
    for limit in TEXTS:
        context = replace(context, amounts=replace(ONE_FILE, text=limit))
        # It says how many texts are cut.
        blocks["run.json"] = _block(f"{run.key}/run.json", Parts(context).read("run.json"))
        items = list(_item_blocks(context, sorted(shown), shown))
        spent = sum(map(len, (*blocks.values(), *items)))
        if spent <= most:
            break
    yield from (*blocks.values(), *items)
    room = max(usual - spent, (most - spent) / 4)
    # Tables are for comparing benchmarks: all of them, or none.
    tables = [_block(f"{run.key}/{name}", parts.read(name)) for name in names if name.startswith("concepts/")]
    if sum(map(len, tables)) <= room / 2:
        room -= sum(map(len, tables))
        yield from tables
    others = _item_blocks(context, [row for row in _others(context) if row not in shown], improved)
    for more, share in ((_concept_blocks(context), 0.5), (others, 1.0)):
        left = (1 - share) * room
        for block in more:
            if room - len(block) < left:
                break
            room -= len(block)
            yield block


def _items_shown(context: Context) -> dict[int, Collection[str]]:
    """Return the items that findings show, each with the models whose findings these are."""
    shown: dict[int, Collection[str]] = {}
    for answer in context.all_answers:
        sides = sides_of(context.run, answer.model, against_of(answer))
        for finding in answer.findings:
            failing, passing = sides.choose(slice_weights(context.families, finding.slice), finding)
            for row in (*failing, *passing, *finding.typical):
                shown[row] = {*shown.get(row, ()), answer.model}
    return shown


def _improved(context: Context) -> dict[int, Collection[str]]:
    """Return items that look broken or are kept, each with all models, whose answers explain why."""
    items = (item for result in improve_file(context).results for item in result.items[:IMPROVED])
    return {item.row: context.model_scores.models for item in items}


def _others(context: Context) -> list[int]:
    """Return rows of items that do not belong to findings alone, the most important first."""
    rows = list(_improved(context))
    rows += [row for family in context.families for typical in family.typical for row in typical]
    rows += range(min(context.items.height, MORE_ITEMS))
    return list(dict.fromkeys(rows))[:MORE_ITEMS]


def _item_blocks(context: Context, rows: Sequence[int], shown: Mapping[int, Collection[str]]) -> Iterator[str]:
    """Yield blocks of items; they include other models' responses only where ``shown`` names the model."""
    answers = context.answers_of([(row, model) for row in rows for model in shown.get(row, ())])
    details: dict[int, ItemDetail] = {}
    # Neighbours are read together: each time all columns of a part of the table are unpacked.
    for _, near in groupby(sorted(rows), lambda row: row // (8 * ITEMS)):
        details |= {detail.item: detail for detail in item_details(context, [*near], answers)}
    for first in range(0, len(rows), TOGETHER):
        yield _details(context, "item", {row: details[row] for row in rows[first : first + TOGETHER]})


def _concept_blocks(context: Context) -> Iterator[str]:
    """Yield blocks of concepts: those named in findings, then the most important."""
    evidence = [number - CONCEPT_SLICES for number in sorted(context.named_slices) if number >= CONCEPT_SLICES]
    ranked = context.run.concepts.filter("ranked").sort(
        ["q_value", "support"], descending=[False, True], nulls_last=True
    )
    concepts = list(dict.fromkeys([*evidence, *ranked["concept"].to_list()]))[:MORE_CONCEPTS]
    for first in range(0, len(concepts), TOGETHER):
        few = concept_details(context, concepts[first : first + TOGETHER])
        yield _details(context, "concept", {detail.concept: detail for detail in few})


def _details(context: Context, kind: str, details: Mapping[int, Any]) -> str:
    """A block of details, with their numbers: the page links to no others."""
    numbers = " ".join(map(str, details))
    block = _block(f"{context.key}/{kind}/{next(iter(details))}", as_json(details, digits=None))
    return block.replace(">", f' data-numbers="{numbers}">', 1)


def _paired(opened: Sequence[Opened], contexts: Mapping[str, Context]) -> Iterator[tuple[str, bytes]]:
    """Yield the name and content of each part that compares two runs."""
    for baseline, candidate in permutations(opened, 2):
        comparison = paired_runs(contexts[candidate.key], contexts[baseline.key])
        yield f"{baseline.key}/{against(candidate.key)}", as_json(comparison, digits=4)


def _run_list(opened: Sequence[Opened], mode: Literal["static", "file"]) -> RunList:
    """Return ``runs.json``; runs of the same name are numbered, since the name of the folder above may be private."""
    titles = numbered([visible(run.run.shown_path.resolve().name) for run in opened])
    return RunList([ListedRun(run.key, title) for run, title in zip(opened, titles, strict=True)], mode)


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
    """Return a part as a script element of a type that browsers do not run."""
    return f'<script type="text/plain" id="{escape(name)}">{_packed(content)}</script>'


def _static(index: bytes) -> bytes:
    """Return the page's HTML, marked as static, with the content security policy that a server would send."""
    text = index.decode("utf-8").replace("<html ", '<html data-mode="static" ', 1)
    meta = f'<head>\n    <meta http-equiv="Content-Security-Policy" content="{escape(POLICY)}" />'
    return text.replace("<head>", meta, 1).encode("utf-8")


def _shell() -> str:
    """Return one file without data: the page's packed script and style, with a policy that loads nothing else."""
    page = page_files()
    hashed = {
        name: f"'sha256-{base64.b64encode(hashlib.sha256(content).digest()).decode()}'"
        for name, content in {**page, "boot": _BOOT.encode()}.items()
    }
    scorer = (
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
<meta http-equiv="Content-Security-Policy" content="{scorer}">
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
        folder = run.run.path.resolve()
        if folder in (target, *target.parents):
            raise UserError(f"{str(target)!r} lies inside the run {str(folder)!r}. Give a folder outside it.")


def _refuse_foreign(folder: Path) -> None:
    """Raise UserError if a folder holds anything but an export, whole or begun."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise UserError(f"{str(folder)!r} is a file. Give a folder to export to.")
    names = sorted(path.name for path in folder.iterdir())
    foreign = [name for name in names if name not in (MARK, DATA, *FILES)]
    if foreign or (names and MARK not in names):
        shown = shorten(visible(", ".join(foreign or names)), 100)
        raise UserError(
            f"{str(folder)!r} holds {shown}, which is not part of an export. Give an empty or a new folder."
        )


def _clear(folder: Path) -> None:
    _refuse_foreign(folder)
    if folder.exists():
        shutil.rmtree(folder)


def _put(part: Path, target: Path) -> None:
    """Move the finished folder to its place, replacing an older export."""
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
