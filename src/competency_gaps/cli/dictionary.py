"""``cgaps exemplars``, ``label``, ``import-labels``, ``themes`` and ``name``: make a dictionary, put it on a run."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from competency_gaps.api.dictionary import Step
from competency_gaps.cli import options
from competency_gaps.cli.output import print_facts, print_json, print_line, terminal

if TYPE_CHECKING:
    from competency_gaps.dictionary.labelling.labeller import Taken


def exemplars(
    out: Annotated[Path, typer.Option(help="The dictionary's folder.")],
    texts: Annotated[list[Path] | None, typer.Argument(help="Parquet, JSONL or plain-text files.")] = None,
    run: Annotated[Path | None, typer.Option(help="Read a run's items instead of texts.")] = None,
    model: Annotated[str | None, typer.Option(help=options.MODEL_HELP)] = None,
    sae: Annotated[str | None, typer.Option(help=options.SAE_HELP)] = None,
    hook_name: options.HookOption = None,
    ranking: Annotated[
        Literal["activation", "reconstruction"],
        typer.Option(help="By activation, or by how much the reconstruction error rises without the concept."),
    ] = "activation",
    tokens: Annotated[int, typer.Option(min=1, help="Read at most so many tokens.")] = 2_000_000,
    top: Annotated[int, typer.Option(min=1, help="Strongest windows of each concept.")] = 20,
    spread: Annotated[int, typer.Option(min=0, help="Windows spread over its range of activations.")] = 20,
    negatives: Annotated[int, typer.Option(min=0, help="Similar windows in which the concept is silent.")] = 16,
    context: options.ContextOption = 256,
    seed: Annotated[int, typer.Option(help="Seed of the sampled windows.")] = 0,
    logits_only: Annotated[
        bool, typer.Option("--logits-only", help="Only promoted tokens and similar concepts: no text is needed.")
    ] = False,
    quiet: options.QuietOption = False,
    json_: options.JsonOption = False,
) -> None:
    """Collect each concept's windows (strongest, spread, near silent ones), promoted tokens, and similar concepts."""
    from competency_gaps import make_exemplars
    from competency_gaps.dictionary.collect import ExemplarSettings

    made = make_exemplars(
        out,
        texts or (),
        run=run,
        model=model,
        sae=sae,
        hook_name=hook_name,
        settings=ExemplarSettings(ranking, tokens, top, spread, negatives, seed=seed),
        context=context,
        logits_only=logits_only,
        progress=terminal(quiet),
    )
    facts: dict[str, str | int] = {"dictionary": str(out)}
    if (read := made.collected) is not None:
        facts |= {"texts": read.texts, "tokens": read.tokens, "windows": read.windows}
        facts["concepts"] = f"{read.concepts} of {made.similar_concepts}"
    promoted = made.promoted_tokens
    facts["promoted_tokens"] = (
        "none: the SAE does not write to the residual stream" if promoted is None else f"of {promoted} concepts"
    )
    facts["similar_concepts"] = f"of {made.similar_concepts} concepts"
    print_facts(facts, json_=json_)


def label(
    dictionary: options.DictionaryArgument,
    step: Annotated[
        Step,
        typer.Option(
            help="automatic: from words, no model. subjects: the nearest topic or skill of a list. explain: a model "
            "reads exemplars. detection, fuzzing: a model scores labels. embedding: scores without a language model. "
            "themes: a model names themes."
        ),
    ],
    concepts: Annotated[str | None, typer.Option(help="Only these, as 5,17,100-200; by default all.")] = None,
    run: Annotated[
        list[Path] | None, typer.Option(help="Only the concepts that matter most in these runs; may be repeated.")
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="With --run: how many concepts.")] = 600,
    seed: Annotated[int, typer.Option(help="Seed of the order of scored windows.")] = 0,
    llm: options.LLMOption = None,
    requests: options.RequestsOption = None,
    answers: options.AnswersOption = None,
    quiet: options.QuietOption = False,
    json_: options.JsonOption = False,
) -> None:
    """Label concepts, or score their labels: without a model, over an endpoint, or through batch files."""
    from competency_gaps import label_concepts

    taken = label_concepts(
        dictionary,
        step,
        concepts=None if concepts is None else options.parse_concepts(concepts),
        runs=run or (),
        top=top,
        llm=options.llm_config(llm, requests, answers),
        seed=seed,
        progress=terminal(quiet),
    )
    if json_:
        outcome = {"requests": str(requests)} if taken is None else taken.as_dict()
        print_json({"dictionary": str(dictionary), "step": step, **outcome})
    elif taken is None:
        print_line(f"Requests written to {requests}")
    else:
        _print(taken, step)


def _print(taken: Taken, step: Step) -> None:
    what = "labels" if step in ("automatic", "subjects", "explain") else "names" if step == "themes" else "scores"
    print_line(
        f"{taken.stored:,} {what} stored, {taken.abstained:,} abstentions, {len(taken.failed):,} answers not usable"
    )
    noun = "theme" if step == "themes" else "concept"
    for number, reason in taken.failed[:5]:
        print_line(f"{noun} {number}: {reason}", error=True)


def import_labels(
    dictionary: options.DictionaryArgument,
    source: Annotated[
        str,
        typer.Argument(
            help="Neuronpedia export, delphi folder, JSON, CSV, TSV, JSONL or Parquet; or neuronpedia:MODEL/SOURCE, "
            "neuronpedia-api:MODEL/SOURCE to fetch."
        ),
    ],
    sae: Annotated[
        str | None, typer.Option(help="For a new dictionary: SAE folder, RELEASE/ID of SAELens, or embedded:NAME.")
    ] = None,
    run: Annotated[Path | None, typer.Option(help="For a new dictionary: a run that uses its SAE.")] = None,
    module: Annotated[str | None, typer.Option(help="Of a delphi folder with several modules: which one.")] = None,
    concepts: Annotated[str | None, typer.Option(help="With neuronpedia-api: which, as 5,17,100-200.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Import even if the source names another SAE.")] = False,
    quiet: options.QuietOption = False,
    json_: options.JsonOption = False,
) -> None:
    """Add labels that others made to a dictionary."""
    import competency_gaps as cg

    imported = cg.import_labels(
        dictionary,
        source,
        sae=sae,
        run=run,
        module=module,
        concepts=options.parse_concepts(concepts) if concepts else None,
        force=force,
        progress=terminal(quiet),
    )
    facts = {
        "dictionary": str(dictionary),
        "source": imported.source_kind,
        "identity": imported.identity_check,
        "labelled": imported.labelled,
        "none": imported.none,
        "never": imported.never,
        "placeholders": imported.placeholders,
        "left_out": [asdict(left) for left in imported.left_out],
    }
    print_facts(facts, json_=json_)


def themes(
    dictionary: options.DictionaryArgument,
    sae: Annotated[
        str | None, typer.Option(help="SAE folder, RELEASE/ID or embedded:NAME; by default the dictionary's own.")
    ] = None,
    fewest: Annotated[int, typer.Option(min=1, help="Fewest themes.")] = 20,
    most: Annotated[int, typer.Option(min=1, help="Most themes.")] = 60,
    seed: Annotated[int, typer.Option(help="Seed of the layout.")] = 0,
    quiet: options.QuietOption = False,
    json_: options.JsonOption = False,
) -> None:
    """Group concepts into themes and subthemes, and lay out their map."""
    from competency_gaps import make_themes

    facts = make_themes(dictionary, sae=sae, fewest=fewest, most=most, seed=seed, progress=terminal(quiet))
    print_facts({"dictionary": str(dictionary), **facts}, json_=json_)


def name(
    run: options.RunArgument,
    dictionary: options.DictionaryArgument,
    quiet: options.QuietOption = False,
    json_: options.JsonOption = False,
) -> None:
    """Put a dictionary on a finished run: labels, themes and their statistics. Needs no torch."""
    from competency_gaps import open_run

    named = open_run(run).name(dictionary, progress=terminal(quiet))
    report = named.report_file
    if json_:
        print_json({"run": str(run), "dictionary": named.manifest["dictionary"], "report": str(report)})
        return
    print_facts(named.manifest["dictionary"], json_=False)
    print_line(f"Report: {report.resolve()}")
