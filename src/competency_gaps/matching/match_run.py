"""Match a list of weaknesses to a finished run by labels, by examples, or both, and keep the outcome with the run.

By labels: labelled concepts (``candidates``), the nearest to each entry beyond a null (``match``), verdicts of a model
where one is asked (``confirm``), the file (``kept``). By examples: a run of their own reads them (``examples``),
concepts that tell an entry's from those of others (``by_examples``), the file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from competency_gaps.config import LLMConfig, RunConfig
from competency_gaps.errors import CompetencyGapsError, UserError
from competency_gaps.lock import hold
from competency_gaps.matching.by_examples import ExampleMatching, example_document, match_by_examples
from competency_gaps.matching.candidates import candidates, with_labels_of
from competency_gaps.matching.confirm import apply_verdicts, ask_verdicts, confirm_requests, judges_of, pairs_of
from competency_gaps.matching.embedding import embedding
from competency_gaps.matching.examples import (
    RUN,
    examples_config,
    examples_folder,
    gather_examples,
    has_examples,
    is_read,
)
from competency_gaps.matching.kept import Source, keep_examples, keep_matching, keeping
from competency_gaps.matching.match import match
from competency_gaps.matching.null import shown_draws
from competency_gaps.matching.summary import Matching
from competency_gaps.matching.taxonomy import Taxonomy, read_taxonomy
from competency_gaps.progress import Progress
from competency_gaps.runs.open import RunFolder, open_folder

By = Literal["both", "examples", "labels"]
ReadRun = Callable[[RunConfig, Path], RunFolder]
"""Makes the run of a configuration in a folder."""


@dataclass(frozen=True)
class RunMatching:
    """A list matched to a run's concepts."""

    matching: Matching | None
    """By labels; None: not asked for."""
    by_examples: ExampleMatching | None
    """By examples; None: not asked for, or the list has none."""
    taxonomy: Taxonomy
    judges: list[str]
    """Names of the models that judged pairs; empty: none was asked, or the requests were only written down."""
    failed: tuple[str, ...] = ()
    """Why one of the two ways is missing where both were asked for."""


@dataclass(frozen=True)
class _Listed:
    """A run, a list, and what both ways of matching share."""

    run: RunFolder
    path: Path
    taxonomy: Taxonomy
    alpha: float
    embedder: str | None
    seed: int
    progress: Progress


def match_run(
    run: RunFolder,
    taxonomy: Path,
    *,
    read: ReadRun,
    by: By = "both",
    where: str | None = None,
    kinds: Sequence[str] = (),
    per_entry: int = 5,
    alpha: float = 0.05,
    embedder: str | None = None,
    seed: int = 0,
    llm: LLMConfig | None = None,
    progress: Progress | None = None,
) -> RunMatching:
    """Match a list of weaknesses, qualities or probes to a run's concepts and themes.

    Parameters
    ----------
    taxonomy
        JSON, JSONL, CSV or YAML of entries, an AutoDetect log, or a garak report.
    read
        Makes the run that reads the examples, of a configuration, in a folder.
    by
        ``labels``: entries' descriptions are compared with labels; ``examples``: entries' example prompts with one
        another, by what they excite; ``both``: by examples too if the list has any.
    where
        SQL condition on the entries, e.g. ``level = 'test_point' AND score < 5``; None: all.
    kinds
        Kinds of labels that count, of ``candidates.KINDS``; empty: all.
    per_entry
        Nearest labels of an entry that count.
    alpha
        Chance that an entry which no label fits matches something; by examples, share of the matched entries that may
        be matched by accident.
    embedder
        sentence-transformers model, a hub id or a folder; None: the packaged all-MiniLM-L6-v2. By examples it only
        gives ``label_similarity``, and the matching goes on without it.
    seed
        Seed of the shuffled labels, of the halves of examples and of their shuffles.
    llm
        A language model that confirms pairs; None: none is asked.
    progress
        Shows the progress; None: quiet.

    Raises
    ------
    UserError
        If the list cannot be read, the run has no labels, the list has no examples where these alone are asked for, or
        another process is reading them.
    MissingExtraError
        If the embedding model's package is not installed.
    """
    if by not in get_args(By):
        raise UserError(f"by {by!r}: expected {', '.join(get_args(By))}.")
    of_labels = {"kinds": kinds, "llm": llm}
    unused = [name for name, value in of_labels.items() if value]
    if by == "examples" and unused:
        raise UserError(f"{', '.join(unused)}: only for matching by labels. Leave it out, or match by both.")
    progress = progress or Progress(quiet=True)
    entries = read_taxonomy(taxonomy, where)
    for place, reason in entries.left_out:
        progress.say(f"left out: {place}: {reason}")
    for note in entries.notes:
        progress.say(note)
    listed = _Listed(run, taxonomy, entries, alpha, embedder, seed, progress)
    ways: dict[str, Callable[[], Any]] = {
        "labels": lambda: _by_labels(listed, kinds, per_entry, llm),
        "examples": lambda: _by_examples(listed, read),
    }
    wanted = [by] if by != "both" else ["labels", *(["examples"] if has_examples(entries.entries) else [])]
    made: dict[str, Any] = {}
    failed: list[CompetencyGapsError] = []
    for way in wanted:
        try:
            made[way] = ways[way]()
        except CompetencyGapsError as error:
            failed.append(error)
            if len(failed) == len(wanted):
                raise
            progress.say(f"not matched by {way}: {error}")
    matching, judges = made.get("labels", (None, []))
    return RunMatching(matching, made.get("examples"), entries, judges, tuple(str(error) for error in failed))


def _by_labels(
    listed: _Listed, kinds: Sequence[str], per_entry: int, llm: LLMConfig | None
) -> tuple[Matching, list[str]]:
    """Match by labels; also give the models that judged pairs."""
    run, alpha, seed = listed.run, listed.alpha, listed.seed
    options = candidates(with_labels_of(kinds, run.concepts), None)
    with shown_draws(listed.progress) as on_draw:
        matching = match(
            listed.taxonomy.entries,
            options,
            embedding(listed.embedder),
            seed=seed,
            alpha=alpha,
            per_entry=per_entry,
            on_draw=on_draw,
        )
    answers = ask_verdicts(llm, confirm_requests(pairs_of(matching)), "match", run.path, listed.progress)
    if answers:
        matching = apply_verdicts(matching, answers)
    judges = judges_of(answers)
    facts = {"kinds": list(kinds) or None, "per_entry": per_entry, "alpha": alpha, "embedder": listed.embedder}
    with keeping():
        keep_matching(run, listed.path, listed.taxonomy, {**facts, "seed": seed, "judges": judges}, matching)
    return matching, judges


def _by_examples(listed: _Listed, read: ReadRun) -> ExampleMatching:
    """Read the examples by the run's model and SAE, unless they are there, and match by them.

    Entries that a filter leaves out are read too: they are what the others are compared with.
    """
    run, where = listed.run, listed.taxonomy.where
    every = listed.taxonomy.entries if where is None else read_taxonomy(listed.path).entries
    chosen = {entry.id for entry in listed.taxonomy.entries}
    base = open_folder(run.base)
    folder = examples_folder(listed.path, base, every)
    if not is_read(folder):
        with hold(folder):
            if not is_read(folder):  # by another process, meanwhile
                read(examples_config(base, every, folder), folder / RUN)
    try:
        read_in = open_folder(folder / RUN)
        gathered = gather_examples(read_in, every, listed.seed)
    except (UserError, OSError) as error:
        raise UserError(f"{error} Delete {folder}, and the examples are read again.") from error
    matching = match_by_examples(
        run,
        every,
        gathered,
        asked=np.array([entry.id in chosen for entry in every]),
        q=listed.alpha,
        seed=listed.seed,
        embed=embedding(listed.embedder),
        progress=listed.progress,
    )
    source, document = Source.of_path(listed.path, where), example_document(matching)
    with keeping():
        keep_examples(run, source, document, read_in, where=where, notes=listed.taxonomy.notes)
    return matching
