"""``cgaps sae`` and ``logs``: the SAEs and the logs that a run can use."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from competency_gaps.cli import shared
from competency_gaps.util.errors import UserError, install_command
from competency_gaps.util.text import NOT_DEFINED, decimal, integer, plural, shorten, visible

if TYPE_CHECKING:
    from competency_gaps.items.item import Item, SourceReport
    from competency_gaps.pipeline.logs import InspectedBenchmark, InspectedLog
    from competency_gaps.sae.find import SaeEntry, SaeList

_LAYER = re.compile(r"((?:layer_?|blocks\.|[/.]l))\d+(?=[._/ram]|$)")
"""Matches the number of the layer in an SAE's name."""
_L0 = re.compile(r"_l0_\d+")
"""Matches the L0 in an SAE's name."""
_TRAINED_ON = {
    "same": "Trained on this model ({model})",
    "base": "Trained on the base model {model}: may fit; each run checks",
    "tuned": "Trained on {model}, tuned from this model: may fit; each run checks",
}


def sae(
    model: Annotated[str, typer.Argument(help=shared.MODEL_HELP)],
    layer: Annotated[int | None, typer.Option(min=0, help="Only SAEs for this layer.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="List every SAE, not just one per layer and place.")] = False,
    as_json: shared.JsonOption = False,
) -> None:
    """List the public SAEs that fit a model, layer by layer."""
    from competency_gaps.sae.find import find_saes

    sae_list = find_saes(model, layer=layer)
    proposed = sae_list.proposed()
    model = sae_list.hub_id()
    words = ["--model", model, "--sae", proposed.name, "--benchmark", "FILE", "--out", shared.run_folder(model)]
    command = shlex.join(["cgaps", "run", *words])
    if as_json:
        shared.print_json({**asdict(sae_list), "command": command})
        return
    labels = sum(entry.labels is not None for entry in sae_list.saes)
    head = (
        f"{sae_list.model}: {plural(len(sae_list.saes), 'SAE')}, {labels:,} with public labels (SAELens "
        f"{sae_list.saelens})."
    )
    shown = [entry for entry in sae_list.saes if all_ or entry.recommended]
    for line in (head, "", *_start(proposed, command), *_table(shown, every=all_), *_notes(sae_list, all_=all_)):
        shared.print_line(line)


def _table(saes: Sequence[SaeEntry], *, every: bool) -> Iterator[str]:
    """Yield lines of SAEs by model: one per SAE or, without ``every``, one for all SAEs that differ only in the
    layer.
    """
    for (trained_on, model), entries in groupby(saes, key=lambda entry: (entry.relation, entry.model)):
        yield ""
        yield _TRAINED_ON[trained_on].format(model=model)
        alike: dict[tuple[str, str, bool], list[SaeEntry]] = {}
        for entry in entries:
            name = entry.name if every else _L0.sub("_l0_M", _LAYER.sub(r"\1N", entry.name))
            alike.setdefault((entry.site, name, entry.labels is not None), []).append(entry)
        ranges = [_ranges([entry.layer for entry in group]) for group in alike.values()]
        width = max(map(len, ["layers", *ranges]))
        columns = "width    L0  " if every else ""
        yield f"{'layers':<{width}} reads      {columns} --sae (* has public labels)"
        for layers, ((site, name, labelled), group) in zip(ranges, alike.items(), strict=True):
            l0 = "-" if group[0].l0 is None else f"{group[0].l0:g}"
            facts = f"{group[0].width or '-':>5}  {l0:>4}  " if every else ""
            shown = name if len(group) > 1 else group[0].name
            yield f"{layers:<{width}} {site:<10} {facts}{'*' if labelled else ' '}{shown}"
            if every and labelled:
                yield f"{'':{width + 12}}labels: {group[0].labels}"


def _ranges(layers: Sequence[int]) -> str:
    """Return ascending numbers as text: ``0–5`` if none is missing, else ``3,7``."""
    first, last = layers[0], layers[-1]
    return f"{first}–{last}" if len(layers) == last - first + 1 > 1 else ",".join(map(str, layers))


def _notes(sae_list: SaeList, *, all_: bool) -> Iterator[str]:
    """Yield notes on what the list omits, and on how to read it."""
    from competency_gaps.sae.find import UNREAD_SITES

    lines = []
    if sae_list.unread:
        kinds = [
            plural(count, UNREAD_SITES.get(kind, "SAE of an unknown kind")) for kind, count in sae_list.unread.items()
        ]
        lines.append(f"Not listed, because a run cannot read them: {', '.join(kinds)}.")
    if not all_ and not all(entry.recommended for entry in sae_list.saes):
        lines.append("N is the layer, _l0_M the L0. One per layer and place is listed; --all lists all.")
    yield from ["", *lines] if lines else []


def _start(proposed: SaeEntry, command: str) -> Iterator[str]:
    """Yield the command of a first run, and the command that gets labels for its SAE."""
    from competency_gaps.sae.find import PACKAGE

    added = " (add --set sae.dictionary=dictionary to use the labels)" if proposed.labels not in (None, PACKAGE) else ""
    if proposed.release is not None and find_spec("sae_lens") is None:
        yield f"A run with it needs SAELens: {install_command('run')}"
    yield f"To start with layer {proposed.layer}{added}:"
    yield command
    if proposed.labels == PACKAGE:
        yield "Its labels are included."
    elif proposed.labels is not None:
        yield "Labels, if you want them:"
        yield f"cgaps concepts label dictionary --from neuronpedia:{proposed.labels} --sae {proposed.name}"


_ROWS = 12
"""Maximum number of benchmarks listed."""
_SAMPLES = 3
"""Maximum number of items shown with ``--json``."""
_BEFORE, _OWN, _AFTER = 160, 500, 160
"""Maximum number of characters shown before, in and after an item's own text."""


def logs(
    path: Annotated[str, typer.Argument(help="Another tool's log file or output folder.")],
    metric: shared.MetricOption = None,
    scorer: shared.ScorerOption = None,
    field: shared.FieldOption = None,
    as_json: shared.JsonOption = False,
) -> None:
    """Show what a run would read from another tool's log."""
    from competency_gaps.pipeline.logs import inspect_logs

    log = inspect_logs(path, metric=metric, scorer=scorer, fields=field or [], progress=shared.terminal(quiet=as_json))
    command = _command(path, log, {"metric": metric, "scorer": scorer, "field": field})
    if as_json:
        documents = [_document(benchmark) for benchmark in log.benchmarks]
        shared.print_json({"path": path, "benchmarks": documents, "command": command})
    else:
        _show(log)
        for line in [*_hints(path, log), command] if command else []:
            shared.print_line(line)
    if not log.readable:
        errors = [str(benchmark.error) for benchmark in log.benchmarks]
        raise UserError(errors[0] if len(errors) == 1 else f"none of the {len(errors)} logs can be read as they are.")


def _command(path: str, log: InspectedLog, options: Mapping[str, str | list[str] | None]) -> str | None:
    """Return the next command to type: to show the answer, or to read the items with an SAE; None if nothing can be
    read.
    """
    if not log.readable:
        return None
    from competency_gaps.slices.family import MIN_ITEMS

    words = [
        word
        for option, value in options.items()
        for text in ([value] if isinstance(value, str) else value or [])
        for word in (f"--{option}", text)
    ]
    reader = ["--model", log.model, "--sae", log.sae.name] if log.model and log.sae else []
    if not reader and _scored(path, log) <= MIN_ITEMS:
        reader = ["--read"]
    if not (reader or words) and log.logs == (path,):
        return shlex.join(["cgaps", "show", path])
    name = log.benchmarks[0].name if len(log.benchmarks) == 1 else Path(path).name
    logs = [word for text in log.logs for word in ("--log", text)]
    return shlex.join(["cgaps", "run", *reader, *logs, *words, "--out", shared.run_folder(name)])


def _hints(path: str, log: InspectedLog) -> Iterator[str]:
    """Yield notes to read before making the run."""
    from competency_gaps.slices.family import MIN_ITEMS

    unread = len(log.benchmarks) - len(log.readable)
    if unread:
        todo = "move them out of the folder first." if log.logs == (path,) else "the run leaves them out."
        yield f"{unread} of {len(log.benchmarks)} logs cannot be read as they are: {todo}"
    if (compared := log.compared) is not None:
        yield "What changed between two of these models (needs no SAE):"
        yield f"{shlex.join(['cgaps', 'compare', *compared])}\n"
    scored = _scored(path, log)
    what = "Where the model is weak" if scored > MIN_ITEMS else "What the items test"
    if not scored:
        yield (
            "No item has a score, so nobody can say where the model is weak. Score the answers with the tool that "
            "wrote the log (Inspect: 'inspect score LOG')."
        )
    elif scored <= MIN_ITEMS:
        yield (
            f"Only {plural(scored, 'item')} scored: too few to show where the model is weak, as a slice alone needs "
            f"{MIN_ITEMS}. Evaluate more, or give a folder with more logs."
        )
    if log.sae is None:
        yield f"{what}{' (seconds, without an SAE)' if scored > MIN_ITEMS else ' (the bundled model reads them)'}:"
        return
    if log.sae.relation != "same":
        yield f"The SAE was trained on {log.sae.model}, a relative of {log.model}; the run checks whether it fits."
    if scored > MIN_ITEMS:
        yield f"{what} (seconds, without an SAE):\n{shlex.join(['cgaps', 'show', path])}\n"
    listing = shlex.join(["cgaps", "sae", str(log.model)])
    yield f"{what}, in its own concepts (other SAEs: {listing}):"


def _scored(path: str, log: InspectedLog) -> int:
    """Return the number of items with a score, in the logs or in tables beside them."""
    from competency_gaps.logs.find import suite_logs

    scored = sum(item.score is not None for benchmark in log.readable for item in benchmark.items)
    items = sum(len(benchmark.items) for benchmark in log.readable)
    return scored or (items if log.readable and suite_logs([path]).scores else 0)


def _document(benchmark: InspectedBenchmark) -> dict[str, Any]:
    return {
        "name": benchmark.name,
        "error": benchmark.error,
        "mean_score": benchmark.mean_score,
        "reports": [asdict(report) for report in benchmark.reports],
        "left_out": [asdict(left) for left in benchmark.left_out],
        "items": [asdict(item) for item in benchmark.items[:_SAMPLES]],
    }


def _show(log: InspectedLog) -> None:
    """Print a row per model, or per task if there is only one model, then notes and an item."""
    from competency_gaps.pipeline.logs import report_notes
    from competency_gaps.view.terminal.tables import plain, table_of

    readable = [(benchmark, report) for benchmark in log.readable for report in benchmark.reports]
    models = dict.fromkeys(report.model or "a model that is not named" for _, report in readable)
    rows: dict[str, list[tuple[InspectedBenchmark, SourceReport]]] = {}
    for benchmark, report in readable:
        row = benchmark.name if len(models) == 1 else report.model or "not named"
        rows.setdefault(row, []).append((benchmark, report))
    if readable:
        tools = ", ".join(dict.fromkeys(report.format for _, report in readable))
        of = next(iter(models)) if len(models) == 1 else plural(len(models), "model")
        _print(f"{plural(len(readable), 'log')} of {of} ({tools}):")
        shared.print_line("")
        title = "task" if len(models) == 1 else "model"
        shown = {row: _cells(reports, models=len(models)) for row, reports in list(rows.items())[:_ROWS]}
        columns = {name: [plain(cells[name]) for cells in shown.values()] for name in next(iter(shown.values()))}
        Console().print(table_of(title, list(map(plain, shown)), columns))
        shared.print_line(f"{len(rows) - _ROWS} more: --json\n" if len(rows) > _ROWS else "")
    for line in report_notes([_without_same_name(report) for _, report in readable]):
        _print(line)
    for benchmark in log.benchmarks:
        if benchmark.error is not None and len(log.benchmarks) > 1:
            _print(f"{benchmark.name}: cannot be read as it is: {benchmark.error}")
    if readable:
        _show_item(readable[0][0].items[0])


def _without_same_name(report: SourceReport) -> SourceReport:
    # The rows show the models and names already.
    return replace(report, warnings=tuple(warning for warning in report.warnings if warning.code != "same_name"))


def _cells(reports: Sequence[tuple[InspectedBenchmark, SourceReport]], *, models: int) -> dict[str, str]:
    """Return counts and the mean score of some logs, as the cells of their row."""
    from competency_gaps.pipeline.logs import score_name

    scores = [item.score for benchmark, _ in reports for item in benchmark.items if item.score is not None]
    report = reports[0][1]
    return {
        **({"tasks": integer(len(reports))} if models > 1 else {}),
        "items": integer(sum(report.items for _, report in reports)),
        "scored": integer(len(scores)),
        "mean": f"{sum(scores) / len(scores):.3f}" if scores else NOT_DEFINED,
        **({} if models > 1 else {"score": score_name(report)}),
    }


def _show_item(item: Item) -> None:
    """Print an item as it was asked and answered."""
    group = f", group {item.group}" if item.group else ""
    shared.print_line("")
    _print(f"Item {item.id}, score {decimal(item.score)}{group}:")
    Console().print(Text.assemble("  ", *_pieces(item)), soft_wrap=True)
    if item.response is not None:
        _print(f"  response: {shorten(item.response, 200)}")
    shared.print_line("")


def _pieces(item: Item) -> Iterator[tuple[str, str]]:
    """Yield pieces of the text that the model read, each with a style: the item's own text is emphasised.

    Without colours it stands in ⟦ ⟧.
    """
    if item.seen is not None:
        text, (start, end) = item.seen.text, item.seen.body
    elif item.messages is not None:
        content = next(m["content"] for m in reversed(item.messages) if m["role"] == "user")
        earlier = "".join(f"[{m['role']}] {m['content']}\n" for m in item.messages[:-1]) + "[user] "
        start, end = item.body or (0, len(content))
        text, start, end = earlier + content, start + len(earlier), end + len(earlier)
    else:
        text, start, end = item.prompt, 0, len(item.prompt)
    before, after = text[:start], text[end:]
    if len(before) > _BEFORE:
        before = f"({len(before) - _BEFORE:,} characters) …{before[-_BEFORE:]}"
    yield _indented(before), "dim"
    yield f"⟦{_indented(shorten(text[start:end], _OWN))}⟧", "bold"
    yield _indented(shorten(after, _AFTER)), "dim"


def _print(text: str) -> None:
    shared.print_line(" ".join(text.split("\n")))


def _indented(text: str) -> str:
    return visible(text).replace("\n", "\n  ")
