"""``cgaps concepts``: make a dictionary of an SAE's concepts, put it on a run, and measure or train the SAE."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from competency_gaps.cli import shared
from competency_gaps.cli.shared import print_facts, print_json, print_line, terminal
from competency_gaps.concepts.labelling import Step
from competency_gaps.util.errors import UserError


def exemplars(
    out: Annotated[Path, typer.Option(help="The dictionary's folder.")],
    texts: Annotated[
        list[Path] | None,
        typer.Argument(help="Parquet, JSONL or text files; without any, only promoted tokens are found."),
    ] = None,
    run: Annotated[Path | None, typer.Option(help="Read this run's items instead of texts.")] = None,
    model: Annotated[str | None, typer.Option(help=shared.MODEL_HELP)] = None,
    sae: Annotated[str | None, typer.Option(help=shared.SAE_HELP)] = None,
    tokens: shared.TokensOption = 2_000_000,
    quiet: shared.QuietOption = False,
    as_json: shared.JsonOption = False,
) -> None:
    """Collect the texts in which each concept is active, its promoted tokens and similar concepts."""
    from competency_gaps import make_exemplars

    progress = terminal(quiet)
    summary = make_exemplars(out, texts or (), run=run, model=model, sae=sae, tokens=tokens, progress=progress)
    facts: dict[str, str | int] = {"dictionary": str(out)}
    if (read := summary.collected) is not None:
        facts |= {"texts": read.texts, "tokens": read.tokens, "windows": read.windows}
        facts["concepts"] = f"{read.concepts} of {summary.similar_concepts}"
    promoted = summary.promoted_tokens
    facts["promoted_tokens"] = (
        "none: the SAE does not write to the residual stream" if promoted is None else f"of {promoted} concepts"
    )
    facts["similar_concepts"] = f"of {summary.similar_concepts} concepts"
    print_facts(facts, as_json=as_json)


def label(
    dictionary: shared.DictionaryArgument,
    step: Annotated[
        Step | None,
        typer.Option(
            help="automatic: label from words; explain: by a language model; detection: score each label by how well "
            "a language model finds the concept's texts with it. The last two need --llm."
        ),
    ] = None,
    source: Annotated[
        str, typer.Option("--from", help="Add other people's labels: a file, or neuronpedia:MODEL/SOURCE to download.")
    ] = "",
    run: Annotated[
        list[Path] | None,
        typer.Option(help="Only concepts that matter most in this run; repeatable. With --from: a run with its SAE."),
    ] = None,
    sae: Annotated[
        str | None, typer.Option(help=f"With --from, for a new dictionary: its SAE. {shared.SAE_HELP}")
    ] = None,
    llm: shared.LLMOption = None,
    quiet: shared.QuietOption = False,
    as_json: shared.JsonOption = False,
) -> None:
    """Label concepts from words, by a language model or with other people's labels; or score labels."""
    import competency_gaps as cg

    if (step is None) == (not source):
        raise UserError("give --step to make or score labels or --from to add other people's, one of the two.")
    misplaced = {"--sae": sae} if step else {"--llm": llm, "a second --run": run and run[1:]}
    if wrong := [name for name, value in misplaced.items() if value]:
        raise UserError(f"{wrong[0]} goes with {'--from' if step else '--step'}.")
    config, progress = shared.llm_config(llm), terminal(quiet)
    if step is None:
        only = run[0] if run else None
        imported = cg.import_labels(dictionary, source, sae=sae, run=only, progress=progress)
        counts = {name: getattr(imported, name) for name in ("labelled", "none", "never", "placeholders")}
        facts = {"dictionary": str(dictionary), "identity": imported.identity_check, **counts}
        print_facts({**facts, "left_out": [asdict(left) for left in imported.left_out]}, as_json=as_json)
        return
    taken = cg.label_concepts(dictionary, step, runs=run or (), llm=config, progress=progress)
    if as_json:
        print_json({"dictionary": str(dictionary), "step": step, **taken.as_dict()})
        return
    what = "labels" if step in ("automatic", "explain") else "scores"
    print_line(
        f"{taken.stored:,} {what} stored, {taken.abstained:,} abstentions, {len(taken.failed):,} unusable answers"
    )
    for number, reason in taken.failed[:5]:
        print_line(f"concept {number}: {reason}", error=True)


def atlas(
    dictionary: shared.DictionaryArgument,
    run: shared.RunArgument,
    llm: shared.LLMOption = None,
    quiet: shared.QuietOption = False,
    as_json: shared.JsonOption = False,
) -> None:
    """Build an atlas from a run's items and add it to the dictionary; with --llm, a model names its regions."""
    from competency_gaps import make_atlas

    facts = make_atlas(dictionary, run, llm=shared.llm_config(llm), progress=terminal(quiet))
    print_facts({"dictionary": str(dictionary), **facts}, as_json=as_json)


def name(
    run: shared.RunArgument,
    dictionary: shared.DictionaryArgument,
    as_json: shared.JsonOption = False,
) -> None:
    """Put a dictionary's labels and atlas on a finished run; needs no torch."""
    from competency_gaps import open_run

    named = open_run(run).name(dictionary, progress=terminal(quiet=as_json))
    report = named.report_file
    if as_json:
        print_json({"run": str(run), "dictionary": named.manifest["dictionary"], "report": str(report)})
        return
    print_facts(named.manifest["dictionary"], as_json=False)
    print_line(f"Report: {report.resolve()}")


def train_sae(
    config: Annotated[Path, typer.Argument(help="YAML configuration.")],
    out: Annotated[Path, typer.Option(help="Folder for the SAE, its card and its reference.")],
    set_: shared.SetOption = None,
    quiet: shared.QuietOption = False,
    as_json: shared.JsonOption = False,
) -> None:
    """Train an SAE on a model's activations on your texts, with the trainer of SAELens."""
    from competency_gaps.items.config import TrainingConfig, parse_config, read_yaml
    from competency_gaps.sae.train import CARD
    from competency_gaps.sae.train import train_sae as train

    checked = parse_config(TrainingConfig, read_yaml(config, set_ or []), str(config))
    folder = train(checked, out, terminal(quiet))
    card = json.loads((folder / CARD).read_text(encoding="utf-8"))
    print_facts(card if as_json else card["figures"], as_json=as_json)
    if not as_json:
        print_line(f"\nSAE: {folder.resolve()}")


def reference(
    texts: Annotated[list[Path], typer.Argument(help="Parquet, JSONL or plain-text files.")],
    model: shared.ModelOption,
    sae: shared.SaeOption,
    out: Annotated[Path, typer.Option(help="Parquet file to write; name it as 'reference' in a run's configuration.")],
    tokens: shared.TokensOption = 1_000_000,
    quiet: shared.QuietOption = False,
    as_json: shared.JsonOption = False,
) -> None:
    """Measure how common each concept is in ordinary texts, and how much it depends on single tokens."""
    from competency_gaps import measure_reference

    statistics = measure_reference(texts, out, model=model, sae=sae, tokens=tokens, progress=terminal(quiet))
    figures = {
        "reference": str(out),
        "tokens": statistics.tokens,
        "l0": statistics.l0,
        "explained_variance": statistics.explained_variance,
        "silent": int((statistics.active == 0).sum()),
    }
    print_facts(figures, as_json=as_json)
