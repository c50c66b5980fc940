"""``cgaps label``: name concepts, and score the names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from competency_gaps.api.dictionary import WITHOUT_MODEL, Step
from competency_gaps.cli.asking import AskOptions, asks
from competency_gaps.cli.options import DictionaryArgument, JsonOption, QuietOption, parse_concepts
from competency_gaps.cli.output import print_json, print_line, terminal
from competency_gaps.errors import UserError

if TYPE_CHECKING:
    from competency_gaps.config import AskConfig
    from competency_gaps.dictionary.labelling.labeller import Taken


@asks()
def label(
    dictionary: DictionaryArgument,
    step: Annotated[
        Step,
        typer.Option(
            help="automatic: from words, no model. explain: a model reads exemplars. detection, fuzzing: a model "
            "scores labels. embedding: scores without a language model. themes: a model names themes."
        ),
    ],
    concepts: Annotated[str | None, typer.Option(help="Only these, as 5,17,100-200; by default all.")] = None,
    run: Annotated[list[Path] | None, typer.Option(help="Only what matters in these runs; may be repeated.")] = None,
    top: Annotated[int, typer.Option(min=1, help="With --run: how many concepts.")] = 600,
    seed: Annotated[int, typer.Option(help="Seed of the order of scored windows.")] = 0,
    quiet: QuietOption = False,
    json_: JsonOption = False,
    *,
    ask: AskOptions,
) -> None:
    """Label concepts, or score their labels: without a model, over an endpoint, or through batch files."""
    from competency_gaps import label_concepts

    asked = _asked(ask, step)
    taken = label_concepts(
        dictionary,
        step,
        concepts=None if concepts is None else parse_concepts(concepts),
        runs=run or (),
        top=top,
        ask=asked,
        seed=seed,
        progress=terminal(quiet),
    )
    exported = None if asked is None else asked.export
    if json_:
        outcome = {"exported": str(exported)} if taken is None else taken.as_dict()
        print_json({"dictionary": str(dictionary), "step": step, **outcome})
    elif taken is None:
        print_line(f"Requests written to {exported}")
    else:
        _print(taken, step)


def _asked(ask: AskOptions, step: Step) -> AskConfig | None:
    """The model that is asked; None: the step asks none."""
    if step not in WITHOUT_MODEL:
        return ask.needed(f"--step {step}")
    if ask.values:
        raise UserError(f"--step {step} asks no model: leave out {ask.written()}.")
    return None


def _print(taken: Taken, step: Step) -> None:
    what = "labels" if step in ("automatic", "explain") else "names" if step == "themes" else "scores"
    print_line(
        f"{taken.stored:,} {what} stored, {taken.abstained:,} abstentions, {len(taken.failed):,} answers not usable"
    )
    noun = "theme" if step == "themes" else "concept"
    for number, reason in taken.failed[:5]:
        print_line(f"{noun} {number}: {reason}", error=True)
