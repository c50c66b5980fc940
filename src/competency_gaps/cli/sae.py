"""``cgaps sae``: which public SAEs fit a model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from itertools import groupby
from typing import Annotated

import typer
from rich.console import Console

from competency_gaps.cli.command_line import run_command
from competency_gaps.installation import install_command
from competency_gaps.sae.directory import PLACES, UNREAD
from competency_gaps.sae.find import PACKAGE, SaeEntry, SaeList, find_saes
from competency_gaps.text import plural

_TRAINED_ON = {
    "same": "Trained on this model ({model})",
    "base": "Trained on the base model {model}: may fit, each run checks it",
    "tuned": "Trained on {model}, tuned from this model: may fit, each run checks it",
}
_BESIDE = 29
"""Columns that a row with width and L0 needs beside the SAE's name."""


def sae(
    model: Annotated[str, typer.Argument(help="Hub id, folder, .gguf file, or embedded:NAME.")],
    layer: Annotated[int | None, typer.Option(min=0, help="Only SAEs that read this layer.")] = None,
    labelled: Annotated[bool, typer.Option("--labelled", help="Only SAEs with public labels.")] = False,
    all_: Annotated[bool, typer.Option("--all", help="Every SAE, not only one per layer and place.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """List the public SAEs that fit a model, layer by layer, and whether they have public labels."""
    sae_list = find_saes(model, layer=layer, labelled=labelled)
    proposed = sae_list.proposed()
    command = run_command(model, proposed.name, ["--benchmark", "FILE"])
    if json_:
        from competency_gaps.cli.output import print_json

        print_json({**asdict(sae_list), "command": command})
        return
    console = Console()
    lines = _every(sae_list.saes) if all_ else _short(sae_list, console.width)
    for line in (_head(sae_list), "", *lines, *_notes(sae_list, all_=all_), *_labels(proposed), command):
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def _head(sae_list: SaeList) -> str:
    labels = sum(entry.labels is not None for entry in sae_list.saes)
    return f"{sae_list.model}: {plural(len(sae_list.saes), 'SAE')}, {labels:,} with public labels."


def _short(sae_list: SaeList, width: int) -> Iterator[str]:
    """One line for each model, layer and place: counts, and the recommended SAE."""
    counts: dict[tuple[str, str, int], list[SaeEntry]] = {}
    for entry in sae_list.saes:
        counts.setdefault((entry.model, entry.place, entry.layer), []).append(entry)
    places = list(PLACES)
    recommended = [entry for entry in sae_list.saes if entry.recommended]
    for (trained_on, model), of_model in groupby(recommended, key=lambda e: (e.relation, e.model)):
        yield _TRAINED_ON[trained_on].format(model=model)
        for place, of_place in groupby(sorted(of_model, key=lambda e: places.index(e.place)), key=lambda e: e.place):
            yield f"{place}: {PLACES[place]}"
            rows = list(of_place)
            # Width and L0 are shown where they fit beside the longest id.
            wide = max(len(entry.name) for entry in rows) + _BESIDE <= width
            yield "layer   labels  " + ("width    L0  " if wide else "") + "--sae"
            for entry in rows:
                group = counts[entry.model, entry.place, entry.layer]
                share = f"{sum(other.labels is not None for other in group)}/{len(group)}"
                yield f"{entry.layer:>5}  {share:>7}  {_facts(entry) if wide else ''}{entry.name}"
            yield ""


def _every(saes: Iterable[SaeEntry]) -> Iterator[str]:
    """Every SAE, by model, layer, place and release."""
    for (trained_on, model), of_model in groupby(saes, key=lambda e: (e.relation, e.model)):
        yield _TRAINED_ON[trained_on].format(model=model)
        for (layer, place, release), rows in groupby(of_model, key=lambda e: (e.layer, e.place, e.release)):
            yield f"layer {layer}, {place}, {release or 'of this package'}"
            yield "width    L0  --sae"
            for entry in rows:
                yield f"{_facts(entry)}{entry.name}"
                if entry.labels is not None:
                    yield f"{'':13}labels: {entry.labels}"
            yield ""


def _facts(entry: SaeEntry) -> str:
    l0 = "-" if entry.l0 is None else f"{entry.l0:g}"
    return f"{entry.width or '-':>5}  {l0:>4}  "


def _notes(sae_list: SaeList, *, all_: bool) -> Iterator[str]:
    """What the list leaves out, and how to read it."""
    lines = []
    if sae_list.unread:
        kinds = [plural(count, UNREAD.get(kind, "SAE of an unknown kind")) for kind, count in sae_list.unread.items()]
        lines.append(f"Not listed, because a run cannot read them: {', '.join(kinds)}.")
    if not sae_list.saelens:
        lines.append(
            f"SAELens' directory was not searched, because sae-lens is not installed: {install_command('run')}"
        )
    if not all_ and not all(entry.recommended for entry in sae_list.saes):
        lines.append("labels 3/12: 3 of 12 SAEs have public labels. The recommended SAE is listed;")
        lines.append("--all lists every SAE, --layer N those of layer N, --labelled those with labels.")
    yield from [*lines, ""] if lines else []


def _labels(proposed: SaeEntry) -> Iterator[str]:
    if proposed.labels == PACKAGE:
        yield "Its labels come with it."
    elif proposed.labels is not None:
        yield "To fetch labels, for the run's option --set sae.dictionary=labels:"
        yield f"cgaps import-labels labels neuronpedia:{proposed.labels} --sae {proposed.name}"
    yield "To run it:"
