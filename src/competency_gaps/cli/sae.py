"""``cgaps sae``: the public SAEs that fit a model."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from importlib.util import find_spec
from itertools import groupby
from typing import TYPE_CHECKING, Annotated

import typer

from competency_gaps.cli import shared
from competency_gaps.cli.shared import print_json, print_line, run_folder
from competency_gaps.errors import install_command
from competency_gaps.text import plural

if TYPE_CHECKING:
    from competency_gaps.sae.find import SaeEntry, SaeList

_LAYER = re.compile(r"((?:layer_?|blocks\.|[/.]l))\d+(?=[._/ram]|$)")
"""The layer's number in a name."""
_L0 = re.compile(r"_l0_\d+")
"""The L0 in a name."""
_TRAINED_ON = {
    "same": "Trained on this model ({model})",
    "base": "Trained on the base model {model}: may fit; each run checks",
    "tuned": "Trained on {model}, tuned from this model: may fit; each run checks",
}


def sae(
    model: Annotated[str, typer.Argument(help=shared.MODEL_HELP)],
    layer: Annotated[int | None, typer.Option(min=0, help="Only SAEs for this layer.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="List every SAE, not just one per layer and place.")] = False,
    json_: shared.JsonOption = False,
) -> None:
    """List the public SAEs that fit a model, layer by layer."""
    from competency_gaps.sae.find import find_saes

    sae_list = find_saes(model, layer=layer)
    proposed = sae_list.proposed()
    model = sae_list.hub_id()
    words = ["--model", model, "--sae", proposed.name, "--benchmark", "FILE", "--out", run_folder(model)]
    command = shlex.join(["cgaps", "run", *words])
    if json_:
        print_json({**asdict(sae_list), "command": command})
        return
    labels = sum(entry.labels is not None for entry in sae_list.saes)
    head = (
        f"{sae_list.model}: {plural(len(sae_list.saes), 'SAE')}, {labels:,} with public labels (SAELens "
        f"{sae_list.saelens})."
    )
    shown = [entry for entry in sae_list.saes if all_ or entry.recommended]
    for line in (head, "", *_start(proposed, command), *_table(shown, every=all_), *_notes(sae_list, all_=all_)):
        print_line(line)


def _table(saes: Sequence[SaeEntry], *, every: bool) -> Iterator[str]:
    """By model: a line for each SAE, or without ``every`` one for all layers whose SAEs differ only in the layer."""
    for (trained_on, model), entries in groupby(saes, key=lambda entry: (entry.relation, entry.model)):
        yield ""
        yield _TRAINED_ON[trained_on].format(model=model)
        alike: dict[tuple[str, str, bool], list[SaeEntry]] = {}
        for entry in entries:
            name = entry.name if every else _L0.sub("_l0_M", _LAYER.sub(r"\1N", entry.name))
            alike.setdefault((entry.place, name, entry.labels is not None), []).append(entry)
        ranges = [_ranges([entry.layer for entry in own]) for own in alike.values()]
        width = max(map(len, ["layers", *ranges]))
        columns = "width    L0  " if every else ""
        yield f"{'layers':<{width}} reads      {columns} --sae (* has public labels)"
        for layers, ((place, name, labelled), own) in zip(ranges, alike.items(), strict=True):
            l0 = "-" if own[0].l0 is None else f"{own[0].l0:g}"
            facts = f"{own[0].width or '-':>5}  {l0:>4}  " if every else ""
            shown = name if len(own) > 1 else own[0].name
            yield f"{layers:<{width}} {place:<10} {facts}{'*' if labelled else ' '}{shown}"
            if every and labelled:
                yield f"{'':{width + 12}}labels: {own[0].labels}"


def _ranges(layers: Sequence[int]) -> str:
    """Ascending numbers: ``0–5`` if none is left out, else ``3,7``."""
    first, last = layers[0], layers[-1]
    return f"{first}–{last}" if len(layers) == last - first + 1 > 1 else ",".join(map(str, layers))


def _notes(sae_list: SaeList, *, all_: bool) -> Iterator[str]:
    """What the list leaves out, and how to read it."""
    from competency_gaps.sae.find import UNREAD

    lines = []
    if sae_list.unread:
        kinds = [plural(count, UNREAD.get(kind, "SAE of an unknown kind")) for kind, count in sae_list.unread.items()]
        lines.append(f"Not listed, because a run cannot read them: {', '.join(kinds)}.")
    if not all_ and not all(entry.recommended for entry in sae_list.saes):
        lines.append("N is the layer, _l0_M the L0. One per layer and place is listed; --all lists all.")
    yield from ["", *lines] if lines else []


def _start(proposed: SaeEntry, command: str) -> Iterator[str]:
    """The run to start with, and how to get its labels."""
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
