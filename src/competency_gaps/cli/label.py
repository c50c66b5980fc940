"""``cgaps label``: name concepts, and score the names."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from competency_gaps.cli.asking import AskOptions, asks
from competency_gaps.errors import UserError

if TYPE_CHECKING:
    from competency_gaps.dictionary.folder import Dictionary
    from competency_gaps.dictionary.labelling.labeller import Taken
    from competency_gaps.endpoint.asking import Asking
    from competency_gaps.progress import Progress


class Step(enum.StrEnum):
    """What is done."""

    automatic = "automatic"
    explain = "explain"
    detection = "detection"
    fuzzing = "fuzzing"
    embedding = "embedding"
    themes = "themes"


@asks()
def label(
    dictionary: Annotated[Path, typer.Argument(help="The dictionary's folder.")],
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
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    *,
    ask: AskOptions,
) -> None:
    """Label concepts, or score their labels: without a model, over an endpoint, or through batch files."""
    from competency_gaps.cli.output import print_json
    from competency_gaps.dictionary.folder import open_dictionary
    from competency_gaps.progress import Progress

    way = _way(ask, step)
    opened, progress = open_dictionary(dictionary), Progress(quiet=quiet)
    chosen = _chosen(opened, concepts, run, top)
    if way is None:
        taken: Taken | None = _without_model(opened, step, chosen, progress)
    else:
        taken = _ask(opened, step, chosen, way, seed, progress)
    export = None if way is None else way.config.export
    found = {"dictionary": str(dictionary), "step": str(step)}
    if json_:
        print_json({**found, **(taken.as_dict() if taken else {"exported": str(export)})})
    elif taken is not None:
        _say(taken, step)
    else:
        Console().print(f"Requests written to {export}", highlight=False, markup=False, soft_wrap=True)


def _way(ask: AskOptions, step: Step) -> Asking | None:
    """How a model is asked; None: the step asks none."""
    if step in (Step.automatic, Step.embedding):
        if ask.values:
            raise UserError(f"--step {step} asks no model: leave out {ask.written()}.")
        return None
    return ask.needed(f"--step {step}")


def _chosen(dictionary: Dictionary, concepts: str | None, run: list[Path] | None, top: int) -> list[int] | None:
    from competency_gaps.dictionary.folder import check_same_sae
    from competency_gaps.dictionary.labelling.choose import important, parse_concepts
    from competency_gaps.runs.open import open_folder

    if concepts is not None and run:
        raise UserError("give --concepts or --run, not both.")
    if concepts is not None:
        return parse_concepts(concepts, dictionary.width)
    if not run:
        return None
    runs = [open_folder(path) for path in run]
    for one in runs:
        check_same_sae(dictionary.identity, one.manifest["sae"])
    return important(runs, top)


def _without_model(dictionary: Dictionary, step: Step, concepts: list[int] | None, progress: Progress) -> Taken:
    from competency_gaps.dictionary.labelling.labeller import label_automatically
    from competency_gaps.dictionary.labelling.similarity import score_by_embedding

    if step is Step.embedding:
        return score_by_embedding(dictionary, concepts, progress)
    total = len(dictionary.exemplars.concepts) if dictionary.has_exemplars else 0
    with progress.stage("labelling", total=total, unit="concepts") as bar:
        return label_automatically(dictionary, concepts, bar.advance)


def _ask(
    dictionary: Dictionary,
    step: Step,
    concepts: list[int] | None,
    way: Asking,
    seed: int,
    progress: Progress,
) -> Taken | None:
    from competency_gaps.dictionary.labelling.labeller import questions, read_answer, take_answers
    from competency_gaps.endpoint import Failure, parse

    store = dictionary.folder / "answers"
    if step is Step.themes:
        from competency_gaps.dictionary.labelling.requests import Explanation
        from competency_gaps.dictionary.themes.naming import take_theme_names, theme_requests

        wanted = theme_requests(dictionary)
        said = way.answers(
            list(wanted.values()), store, progress, lambda answer: not isinstance(parse(answer, Explanation), Failure)
        )
        return None if said is None else take_theme_names(dictionary, wanted, said, way.who)
    with progress.stage("preparing questions", unit="questions") as bar:
        asked = []
        for question in questions(dictionary, step.value, concepts, seed):  # type: ignore[arg-type]
            asked.append(question)
            bar.advance()
    if not asked:
        raise UserError(f"--step {step}: there is nothing to ask. Collect exemplars first; scores need labels as well.")
    by_id = {one.request.id: one for one in asked}
    answers = way.answers(
        [one.request for one in asked],
        store,
        progress,
        lambda answer: not isinstance(read_answer(by_id[answer.id], answer), Failure),
    )
    return None if answers is None else take_answers(dictionary, asked, answers, way.who, way.where)


def _say(taken: Taken, step: Step) -> None:
    console = Console()
    what = "labels" if step in (Step.automatic, Step.explain) else "names" if step is Step.themes else "scores"
    text = f"{taken.stored:,} {what} stored, {taken.abstained:,} abstentions, {len(taken.failed):,} answers not usable"
    console.print(text, highlight=False, markup=False, soft_wrap=True)
    noun = "theme" if step is Step.themes else "concept"
    for number, reason in taken.failed[:5]:
        Console(stderr=True).print(f"{noun} {number}: {reason}", highlight=False, markup=False, soft_wrap=True)
