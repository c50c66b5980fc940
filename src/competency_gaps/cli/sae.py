"""``cgaps sae``: the public SAEs that fit a model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from importlib.util import find_spec
from itertools import groupby
from typing import TYPE_CHECKING, Annotated

import typer

from competency_gaps.cli import options
from competency_gaps.cli.output import print_json, print_line, run_command
from competency_gaps.errors import install_command
from competency_gaps.text import plural

if TYPE_CHECKING:
    from competency_gaps.sae.find import SaeEntry, SaeList

_TRAINED_ON = {
    "same": "Trained on this model ({model})",
    "base": "Trained on the base model {model}: may fit, each run checks it",
    "tuned": "Trained on {model}, tuned from this model: may fit, each run checks it",
}


def sae(
    model: Annotated[str, typer.Argument(help=options.MODEL_HELP)],
    layer: Annotated[int | None, typer.Option(min=0, help="Only SAEs that read this layer.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Every SAE, not only one per layer and place.")] = False,
    json_: options.JsonOption = False,
) -> None:
    """List the public SAEs that fit a model, layer by layer."""
    from competency_gaps.sae.find import find_saes

    sae_list = find_saes(model, layer=layer)
    proposed = sae_list.proposed()
    command = run_command(model, proposed.name, ["--benchmark", "FILE"])
    if json_:
        print_json({**asdict(sae_list), "command": command})
        return
    labels = sum(entry.labels is not None for entry in sae_list.saes)
    head = (
        f"{sae_list.model}: {plural(len(sae_list.saes), 'SAE')}, {labels:,} with public labels (SAELens "
        f"{sae_list.saelens})."
    )
    shown = [entry for entry in sae_list.saes if all_ or entry.recommended]
    for line in (head, "", *_table(shown, all_=all_), *_notes(sae_list, all_=all_), *_labels(proposed), command):
        print_line(line)


def _table(saes: Sequence[SaeEntry], *, all_: bool) -> Iterator[str]:
    """A line for each SAE, by model, layer and place; with ``all_`` also its width and L0, and where its labels are."""
    for (trained_on, model), entries in groupby(saes, key=lambda entry: (entry.relation, entry.model)):
        yield _TRAINED_ON[trained_on].format(model=model)
        yield "layer place       " + ("width    L0  " if all_ else "") + "--sae (*: with public labels)"
        for entry in entries:
            l0 = "-" if entry.l0 is None else f"{entry.l0:g}"
            facts = f"{entry.width or '-':>5}  {l0:>4}  " if all_ else ""
            yield f"{entry.layer:>5} {entry.place:<10}{'*' if entry.labels else ' '} {facts}{entry.name}"
            if all_ and entry.labels is not None:
                yield f"{'':18}labels: {entry.labels}"
        yield ""


def _notes(sae_list: SaeList, *, all_: bool) -> Iterator[str]:
    """What the list leaves out, and how to read it."""
    from competency_gaps.sae.find import UNREAD

    lines = []
    if sae_list.unread:
        kinds = [plural(count, UNREAD.get(kind, "SAE of an unknown kind")) for kind, count in sae_list.unread.items()]
        lines.append(f"Not listed, because a run cannot read them: {', '.join(kinds)}.")
    if not all_ and not all(entry.recommended for entry in sae_list.saes):
        lines.append("The recommended SAE of each layer and place is listed; --all lists every SAE.")
    yield from [*lines, ""] if lines else []


def _labels(proposed: SaeEntry) -> Iterator[str]:
    from competency_gaps.sae.find import PACKAGE

    if proposed.labels == PACKAGE:
        yield "Its labels come with it."
    elif proposed.labels is not None:
        yield "To fetch labels, for the run's option --set sae.dictionary=labels:"
        yield f"cgaps concepts import labels neuronpedia:{proposed.labels} --sae {proposed.name}"
    if proposed.release is not None and find_spec("sae_lens") is None:
        yield f"To run it, first install SAELens ({install_command('run')}), then:"
    else:
        yield "To run it:"
