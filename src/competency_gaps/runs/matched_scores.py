"""Scores of other models, matched to the items of a run: by benchmark and id, else by the text of the prompt."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import polars as pl

from competency_gaps.items.item import Reason
from competency_gaps.items.options import stem
from competency_gaps.runs.schemas import SCORES, Schema
from competency_gaps.util.errors import UserError, argument, no_such
from competency_gaps.util.text import plural

ROWS: Schema = {
    "model": pl.String,
    "id": pl.String,
    # null: the id alone says which item it is.
    "benchmark": pl.String,
    # In [0, 1]; null: unscored.
    "score": pl.Float64,
    "response": pl.String,
    # The item's own text, by which it is matched where no item of the id asks this; null: by the id alone.
    "prompt": pl.String,
}
"""Models' results on items, as files state them: one row per item and model."""
_ASKED = ["id", "benchmark", "prompt"]


@dataclass(frozen=True)
class Added:
    """What became of the rows of one model."""

    model: str
    matched: int
    """Items of the run that have a row now."""
    scored: int
    """Of these, those with a score."""
    by_prompt: int
    """Matched by the text of the prompt."""
    unmatched: int
    """Rows that belong to no item of the run."""
    other_text: int
    """Of these, rows that have an item's id, but ask something else."""
    examples: tuple[str, ...]
    """Ids of some of the unmatched."""

    def sentence(self) -> str:
        """Say what was added, and what was not."""
        text = f"{self.model}: scores of {self.scored:,} of {plural(self.matched, 'item')} that match the run's"
        if self.by_prompt:
            text += f" ({self.by_prompt:,} by their prompt)"
        if self.unmatched:
            text += f"; {plural(self.unmatched, 'row')} match no item, such as {', '.join(self.examples)}"
            text += _other_text(self.other_text)
        return text + "."


class MatchedScores(NamedTuple):
    """Scores of models, matched to the items of a run."""

    table: pl.DataFrame
    """As ``scores.parquet``."""
    added: list[Added]
    """What became of each model's rows."""


def match_scores(
    items: Iterable[tuple[str, str, str]],
    rows: pl.DataFrame,
    own_model: str | None = None,
    present: pl.DataFrame | None = None,
    *,
    strict: bool = True,
) -> MatchedScores:
    """Find the items that scores belong to.

    Parameters
    ----------
    items
        Benchmark, id and prompt of each item of the run, in order.
    rows
        The scores, as ``ROWS``.
    own_model
        The model whose scores the items have already; None: they have none.
    present
        Scores and responses of the run, as ``scores.parquet``, that must not be replaced by others.
    strict
        Whether a model none of whose rows belongs to an item is an error.

    Raises
    ------
    UserError
        If a model is the run's own, an item has a row of the model already or two rows of it, a score is outside
        [0, 1], an id stands in several benchmarks, or no row of a model belongs to an item.
    """
    _check(rows, own_model)
    known = _Items(items)
    asked = rows.unique(_ASKED, keep="first", maintain_order=True).select("model", *_ASKED)
    matches = pl.DataFrame(list(map(known.find, *asked)), _MATCH, orient="row")
    rows = rows.join(asked.drop("model").hstack(matches), _ASKED, "left", nulls_equal=True, maintain_order="left")
    _check_alone(rows.filter(pl.col("item").is_not_null()), present)
    of_models = rows.partition_by("model", maintain_order=True)
    added = [_added(matched_rows) for matched_rows in of_models]
    for one in added if strict else ():
        if not one.matched:
            raise UserError(
                f"none of the {one.unmatched} rows of {one.model!r} belongs to an item of the run, such as "
                f"{', '.join(one.examples)}{_other_text(one.other_text)}; the run's ids look like "
                f"{', '.join(known.examples())}."
            )
    why = pl.lit(Reason("source_no_score", "the source gives no score").as_dict(), dtype=SCORES["unscored"])
    tables = [
        matched_rows.filter(pl.col("item").is_not_null())
        .sort("item")
        .select("item", "model", "score", "response", pl.when(pl.col("score").is_null()).then(why).alias("unscored"))
        for matched_rows in of_models
    ]
    return MatchedScores(pl.concat([pl.DataFrame(schema=SCORES), *tables]), added)


def _check(rows: pl.DataFrame, own_model: str | None) -> None:
    for item in rows.filter(pl.col("model").str.strip_chars() == "")["id"]:
        raise UserError(f"the scores of item {item!r} belong to a model without a name: name it or drop the column.")
    if own_model is not None and own_model in rows["model"]:
        raise UserError(f"{own_model!r} is the run's own model: choose another name.")
    for model, item, score in rows.filter(~pl.col("score").is_between(0, 1)).select("model", "id", "score").iter_rows():
        raise UserError(f"{model}, item {item!r}: the score {score:g} is outside [0, 1].")


def _check_alone(rows: pl.DataFrame, present: pl.DataFrame | None) -> None:
    """Refuse a second row of an item and model, and another result than the run has ``present``."""
    keys = ["model", "item"]
    if present is not None:
        both = rows.join(present, keys, suffix="_present", maintain_order="left")
        changed = [pl.col(name).ne_missing(pl.col(f"{name}_present")) for name in ("score", "response")]
        for model, item in both.filter(pl.any_horizontal(changed)).select("model", "id").iter_rows():
            raise UserError(
                f"the run already has another score of {model!r} on the item {item!r}: choose another name or "
                f"give {argument('replace')}."
            )
    twice = rows.group_by(keys, maintain_order=True).agg("id", "score").filter(pl.col("id").list.len() > 1)
    for model, _, ids, scores in twice.iter_rows():
        raise UserError(
            f"{model} has two rows for the item {ids[1]!r} (scores {_number(scores[0])} and {_number(scores[1])}). "
            "Keep one, or average them first."
        )


def _added(rows: pl.DataFrame) -> Added:
    """What became of a model's rows: its own by their items, and those that are lost."""
    matched, lost = rows.filter(pl.col("item").is_not_null()), rows.filter(pl.col("item").is_null())
    return Added(
        model=rows["model"][0],
        matched=matched.height,
        scored=matched["score"].count(),
        by_prompt=int(matched["by_prompt"].sum()),
        unmatched=lost.height,
        other_text=int(lost["other_text"].sum()),
        examples=tuple(lost["id"].head(3)),
    )


def _other_text(count: int) -> str:
    return f" ({count:,} of them have an item's id but another prompt)" if count else ""


def _number(score: float | None) -> str:
    return "none" if score is None else f"{score:g}"


_MATCH: Schema = {
    # Number of the item that a row belongs to; null: there is none.
    "item": pl.Int32,
    "by_prompt": pl.Boolean,
    # Whether an item has the row's id, but asks something else.
    "other_text": pl.Boolean,
}


class _Items:
    """The run's items by benchmark and id, and by prompt."""

    def __init__(self, items: Iterable[tuple[str, str, str]]) -> None:
        self._benchmarks: list[str] = []
        self._by_id: dict[str, dict[str, int]] = {}
        self._prompts: list[str] = []
        self._stems: list[str] = []
        # The whole text and, since a log may lack the options, the stem.
        self._by_prompt: dict[str, list[tuple[str, int]]] = {}
        for number, (benchmark, item, prompt) in enumerate(items):
            self._prompts.append(_words(prompt))
            self._stems.append(_words(stem(prompt)))
            self._by_id.setdefault(item, {})[benchmark] = number
            for text in {self._prompts[number], self._stems[number]}:
                self._by_prompt.setdefault(text, []).append((benchmark, number))
            if benchmark not in self._benchmarks:
                self._benchmarks.append(benchmark)

    def find(self, model: str, row_id: str, benchmark: str | None, prompt: str | None) -> tuple[int | None, bool, bool]:
        """The item of a row, as ``_MATCH``: of its id, unless that asks something else, or of its prompt."""
        if benchmark is not None and benchmark not in self._benchmarks:
            raise no_such(f"scores of {model!r}: the run has no benchmark", benchmark, self._benchmarks)
        places = self._by_id.get(row_id, {})
        if benchmark is not None:
            places = {name: item for name, item in places.items() if name == benchmark}
        if len(places) > 1:
            raise UserError(
                f"the id {row_id!r} occurs in several benchmarks ({', '.join(places)}): name the benchmark of the "
                "scores."
            )
        asked = _words(prompt or "")
        for item in places.values():
            # A log may hold the options in another form, examples or a template as well.
            if not asked or asked in self._prompts[item] or self._stems[item] in asked:
                return item, False, False
        alike = [item for name, item in self._by_prompt.get(asked, []) if asked and benchmark in (None, name)]
        # Items that ask the same cannot be told apart by their prompts.
        return (alike[0], True, False) if len(alike) == 1 else (None, False, bool(places))

    def examples(self) -> list[str]:
        return list(self._by_id)[:3]


def _words(text: str) -> str:
    return " ".join(text.split())
