"""Match tags of a run's own items, and keep the outcome with the run: nothing has to be read.

Tags become entries, and items their examples (``tags``); concepts that tell an entry's examples from the others
(``by_examples``); the file (``kept``).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from competency_gaps.matching.by_examples import ExampleMatching, example_document, match_by_examples
from competency_gaps.matching.embedding import embedding
from competency_gaps.matching.kept import keep_examples, keeping
from competency_gaps.matching.tags import tagged_items, tags_of
from competency_gaps.progress import Progress
from competency_gaps.runs.open import RunFolder


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
    progress
        Shows the progress; None: quiet.

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
    entries, read = tagged_items(run, given, seed)
    matching = match_by_examples(run, entries, read, q=alpha, seed=seed, embed=embedding(embedder), progress=progress)
    with keeping():
        keep_examples(run, given.source, example_document(matching), None, notes=given.notes)
    return matching
