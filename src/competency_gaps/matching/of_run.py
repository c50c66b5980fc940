"""Compare a finished run with an outside list, or with what a benchmark claims to test; keep the outcome with it."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import polars as pl

from competency_gaps.config import AskConfig, RunConfig
from competency_gaps.endpoint.asking import Asking
from competency_gaps.endpoint.request import Answer, Request
from competency_gaps.errors import CompetencyGapsError, UserError
from competency_gaps.matching.by_examples import ExampleMatching, example_document, match_by_examples
from competency_gaps.matching.candidates import candidates
from competency_gaps.matching.confirm import Question, apply_verdicts, confirm_requests, pairs_of, readable
from competency_gaps.matching.examples import (
    RUN,
    examples_config,
    examples_folder,
    gather_examples,
    has_examples,
    is_read,
)
from competency_gaps.matching.kept import Source, keep_examples, keep_matching, keep_scope
from competency_gaps.matching.match import match
from competency_gaps.matching.null import OnDraw
from competency_gaps.matching.scope import ScopeFindings, apply_scope_verdicts, confirm_scope_requests, scope
from competency_gaps.matching.summary import Matching
from competency_gaps.matching.tags import tagged_items, tags_of
from competency_gaps.matching.taxonomy import Taxonomy, read_taxonomy
from competency_gaps.model.embed import embed_texts
from competency_gaps.progress import Progress
from competency_gaps.runs.open import RunFolder, open_folder

KINDS = ("explained", "imported", "automatic")
"""Kinds of labels."""
By = Literal["both", "examples", "labels"]
ReadRun = Callable[[RunConfig, Path], RunFolder]
"""Makes the run of a configuration in a folder."""
SHOWN = 20
"""Concepts that the kept document of a scope lists, by default."""


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
class RunScope:
    """What a benchmark lacks of its scope."""

    findings: ScopeFindings
    judges: list[str]
    """Names of the models that judged labels; empty: none was asked, or the requests were only written down."""


def match_run(
    run: RunFolder,
    taxonomy: Path,
    *,
    by: By = "both",
    read: ReadRun | None = None,
    where: str | None = None,
    kinds: Sequence[str] = (),
    per_entry: int = 5,
    alpha: float = 0.05,
    embedder: str | None = None,
    seed: int = 0,
    ask: AskConfig | None = None,
    progress: Progress | None = None,
) -> RunMatching:
    """Match a list of weaknesses, qualities or probes to a run's concepts and themes.

    Parameters
    ----------
    taxonomy
        JSON, JSONL, CSV or YAML of entries, an AutoDetect log, or a garak report.
    by
        ``labels``: entries' descriptions are compared with labels; ``examples``: entries' example prompts with one
        another, by what they excite; ``both``: by examples too if the list has any.
    read
        Makes the run that reads the examples, of a configuration, in a folder.
    where
        SQL condition on the entries, e.g. ``level = 'test_point' AND score < 5``; None: all.
    kinds
        Kinds of labels that count, of ``KINDS``; empty: all.
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
    ask
        A language model that confirms pairs; None: none is asked.
    progress
        Shows the progress; None: quiet.

    Raises
    ------
    UserError
        If the list cannot be read, the run has no labels, or the list has no examples where these alone are asked for.
    MissingExtraError
        If the embedding model's package is not installed.
    """
    if by not in get_args(By):
        raise UserError(f"by {by!r}: expected {', '.join(get_args(By))}.")
    of_labels = {"kinds": kinds, "ask": ask}
    unused = [name for name, value in of_labels.items() if value]
    if by == "examples" and unused:
        raise UserError(f"{', '.join(unused)}: only for matching by labels. Leave it out, or match by both.")
    progress, asking = progress or Progress(quiet=True), None if ask is None else Asking.of(ask)
    listed = read_taxonomy(taxonomy, where)
    for place, reason in listed.left_out:
        progress.say(f"left out: {place}: {reason}")
    for note in listed.notes:
        progress.say(note)
    ways: dict[str, Callable[[], Any]] = {
        "labels": lambda: _match_labels(
            run, taxonomy, listed, kinds, per_entry, alpha, embedder, seed, asking, progress
        ),
        "examples": lambda: _match_examples(run, taxonomy, listed, read, alpha, embedder, seed, progress),
    }
    wanted = [by] if by != "both" else ["labels", *(["examples"] if has_examples(listed.entries) else [])]
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
    return RunMatching(matching, made.get("examples"), listed, judges, tuple(str(error) for error in failed))


def _match_labels(
    run: RunFolder,
    path: Path,
    listed: Taxonomy,
    kinds: Sequence[str],
    per_entry: int,
    alpha: float,
    embedder: str | None,
    seed: int,
    asking: Asking | None,
    progress: Progress,
) -> tuple[Matching, list[str]]:
    options = candidates(_labelled(run, kinds), run.theme_results)
    with _draws(progress) as on_draw:
        matching = match(
            listed.entries, options, _embed(embedder), seed=seed, alpha=alpha, per_entry=per_entry, on_draw=on_draw
        )
    answers = _verdicts(asking, confirm_requests(pairs_of(matching)), run, "match", progress)
    if answers:
        matching = apply_verdicts(matching, answers)
    judges = _judges(answers)
    facts = {"kinds": list(kinds) or None, "per_entry": per_entry, "alpha": alpha, "embedder": embedder}
    _keep(lambda: keep_matching(run, path, listed, {**facts, "seed": seed, "judges": judges}, matching))
    return matching, judges


def _match_examples(
    run: RunFolder,
    path: Path,
    listed: Taxonomy,
    read: ReadRun | None,
    q: float,
    embedder: str | None,
    seed: int,
    progress: Progress,
) -> ExampleMatching:
    """Read the examples by the run's model and SAE, unless they are there, and match by them.

    Entries that a filter leaves out are read too: they are what the others are compared with.
    """
    every = listed.entries if listed.where is None else read_taxonomy(path).entries
    chosen = {entry.id for entry in listed.entries}
    base = open_folder(run.base)
    folder = examples_folder(path, base, every)
    if not is_read(folder):
        if read is None:
            raise UserError("to match by examples a model has to read them: use Run.match, or match by labels.")
        read(examples_config(base, every, folder), folder / RUN)
    try:
        read_in = open_folder(folder / RUN)
        gathered = gather_examples(read_in, every)
    except (UserError, OSError) as error:
        raise UserError(f"{error} Delete {folder}, and the examples are read again.") from error
    asked = np.array([entry.id in chosen for entry in every])
    matching = match_by_examples(
        run, every, gathered, asked=asked, q=q, seed=seed, embed=_embed(embedder), progress=progress
    )
    source = Source.of_path(path, listed.where)
    document = example_document(matching)
    _keep(lambda: keep_examples(run, source, document, read_in, where=listed.where, notes=listed.notes))
    return matching


def match_tags(
    run: RunFolder,
    tags: Path | str | Mapping[str, str],
    *,
    alpha: float = 0.05,
    embedder: str | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> ExampleMatching:
    """Match tags of a run's own items: which concepts tell the items with a tag from those without it?

    Parameters
    ----------
    tags
        CSV or Parquet: ``id``, ``benchmark`` where ids are not unique in the run, and a column of 0 and 1 per tag; or
        a column of the run's items (``group``, ``benchmark``, a covariate), each value of which is a tag; or names of
        tags, each with an SQL condition on the items.
    alpha
        Share of the matched tags that may be matched by accident.
    embedder
        sentence-transformers model for the similarity of labels to tags; None: the packaged all-MiniLM-L6-v2.
    seed
        Seed of the halves and of the nulls.

    Raises
    ------
    UserError
        If there is no such file or column, the table cannot be read or names items that the run does not have, or a
        condition is malformed.
    """
    progress = progress or Progress(quiet=True)
    given = tags_of(run, tags)
    for note in given.notes:
        progress.say(note)
    entries, read = tagged_items(run, given)
    matching = match_by_examples(run, entries, read, q=alpha, seed=seed, embed=_embed(embedder), progress=progress)
    _keep(lambda: keep_examples(run, given.source, example_document(matching), None, notes=given.notes))
    return matching


def scope_run(
    run: RunFolder,
    benchmark: str,
    description: Sequence[str] = (),
    *,
    kinds: Sequence[str] = (),
    alpha: float = 0.01,
    limit: int = SHOWN,
    embedder: str | None = None,
    seed: int = 0,
    ask: AskConfig | None = None,
    progress: Progress | None = None,
) -> RunScope:
    """Rank the concepts that a benchmark lacks by how much they belong to what it claims to test.

    Parameters
    ----------
    benchmark
        A benchmark of the run.
    description
        What it claims to test; empty: its ``scope`` in the run's configuration.
    limit
        Concepts that the kept document lists.
    kinds, alpha, embedder, seed, ask, progress
        As of :func:`match_run`.

    Raises
    ------
    UserError
        If there is no such benchmark, or its scope is neither given nor stated in the configuration.
    """
    progress, asking = progress or Progress(quiet=True), None if ask is None else Asking.of(ask)
    known = {entry["name"]: entry.get("scope") for entry in run.manifest["benchmarks"]}
    stated = list(description) or ([known[benchmark]] if known.get(benchmark) else [])
    if not stated and benchmark in known:
        raise UserError(f"the configuration states no scope of {benchmark!r}: describe it.")
    with _draws(progress) as on_draw:
        findings = scope(
            _labelled(run, kinds),
            run.concept_benchmarks,
            benchmark,
            stated or [""],
            _embed(embedder),
            seed=seed,
            alpha=alpha,
            on_draw=on_draw,
        )
    answers = _verdicts(asking, confirm_scope_requests(findings), run, "scope", progress)
    findings = apply_scope_verdicts(findings, answers)
    judges = _judges(answers)
    facts = {"kinds": list(kinds) or None, "embedder": embedder, "seed": seed, "judges": judges}
    _keep(lambda: keep_scope(run, limit, facts, findings))
    return RunScope(findings, judges)


def _labelled(run: RunFolder, kinds: Sequence[str]) -> pl.DataFrame:
    """The run's concepts, without labels of other kinds than asked for."""
    wrong = sorted(set(kinds) - set(KINDS))
    if wrong:
        raise UserError(f"the kind of labels {wrong[0]!r} is unknown: expected {', '.join(KINDS)}.")
    if not kinds:
        return run.concepts
    return run.concepts.with_columns(label=pl.when(pl.col("label_kind").is_in(kinds)).then(pl.col("label")))


def _embed(model: str | None) -> Callable[[Sequence[str]], np.ndarray]:
    return lambda texts: embed_texts(texts, model)


@contextlib.contextmanager
def _draws(progress: Progress) -> Iterator[OnDraw]:
    """Show the draws of shuffled labels; their number is known after the first."""
    with progress.stage("comparing with shuffled labels", unit="draws") as bar:

        def on_draw(done: int, total: int) -> None:
            bar.expect(total)
            bar.advance(done - bar.done)

        yield on_draw


def _keep(write: Callable[[], Path]) -> None:
    """Keep the outcome in the run folder; if that cannot be written to, warn and go on."""
    try:
        write()
    except (OSError, CompetencyGapsError) as error:
        logging.getLogger(__name__).warning(f"the outcome is not kept in the run folder: {error}")


def _verdicts(
    asking: Asking | None, requests: list[Request], run: RunFolder, question: Question, progress: Progress
) -> list[Answer]:
    """Ask for verdicts; empty: no model is asked, or the requests were only written down."""
    if asking is None:
        return []
    folder = run.path / "answers"
    return list((asking.answers(requests, folder, progress, lambda answer: readable(answer, question)) or {}).values())


def _judges(answers: Sequence[Answer]) -> list[str]:
    """Models that gave verdicts, by name."""
    return sorted({answer.model for answer in answers if answer.model})
