"""Scores of other models, matched to the items of a run: by benchmark and id, else by the text of the prompt."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

import polars as pl

from competency_gaps.errors import UserError, argument, no_such
from competency_gaps.items.item import Reason
from competency_gaps.items.options import stem
from competency_gaps.runs.schemas import SCORES
from competency_gaps.text import plural


class Scored(NamedTuple):
    """One model's result on one item, as a file states it."""

    model: str
    id: str
    benchmark: str | None
    """None: the id alone says which item it is."""
    score: float | None
    """In [0, 1]; None = unscored."""
    response: str | None = None
    prompt: str | None = None
    """The item's own text, by which it is matched where no item of the id asks this; None: by the id alone."""
    unscored: Reason | None = None


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
    rows: Iterable[Scored],
    own_model: str | None = None,
    present: Mapping[tuple[str, int], Sequence[float | str | None]] = MappingProxyType({}),
    *,
    strict: bool = True,
) -> MatchedScores:
    """Find the items that scores belong to.

    Parameters
    ----------
    items
        Benchmark, id and prompt of each item of the run, in order.
    rows
        The scores.
    own_model
        The model whose scores the items have already; None: they have none.
    present
        Score and response of models and items of which the run has a score that must not be replaced by another.
    strict
        Whether a model none of whose rows belongs to an item is an error.

    Raises
    ------
    UserError
        If a model is the run's own, an item has a row of the model already or two rows of it, a score is outside
        [0, 1], an id stands in several benchmarks, or no row of a model belongs to an item.
    """
    known = _Items(items)
    matched: dict[str, dict[int, Scored]] = {}
    lost: dict[str, list[_Match]] = {}
    by_prompt = Counter[str]()
    asked, match = None, _Match("")
    for row in rows:
        _check(row, own_model)
        own = matched.setdefault(row.model, {})
        # A table has the scores of all models on an item one after another.
        if asked != (asked := (row.id, row.benchmark, row.prompt)):
            match = known.find(row)
        if match.item is None:
            lost.setdefault(row.model, []).append(match)
            continue
        _check_alone(row, own.get(match.item), present.get((row.model, match.item)))
        own[match.item] = row
        by_prompt[row.model] += match.by_prompt
    added = [_added(model, own, by_prompt[model], lost.get(model, [])) for model, own in matched.items()]
    for one in added if strict else ():
        if not one.matched:
            raise UserError(
                f"none of the {one.unmatched} rows of {one.model!r} belongs to an item of the run, such as "
                f"{', '.join(one.examples)}{_other_text(one.other_text)}; the run's ids look like "
                f"{', '.join(known.examples())}."
            )
    tables = [_table(model, own) for model, own in matched.items()]
    return MatchedScores(pl.concat([pl.DataFrame(schema=SCORES), *tables]), added)


def _check(row: Scored, own_model: str | None) -> None:
    if not row.model.strip():
        raise UserError(f"the scores of item {row.id!r} belong to a model without a name: name it or drop the column.")
    if row.model == own_model:
        raise UserError(f"{row.model!r} is the run's own model: choose another name.")
    if row.score is not None and not 0 <= row.score <= 1:
        raise UserError(f"{row.model}, item {row.id!r}: the score {row.score:g} is outside [0, 1].")


def _check_alone(row: Scored, other: Scored | None, present: Sequence[float | str | None] | None) -> None:
    """Refuse a second row of an item and model: ``other`` came with it, ``present`` is the run's score and response."""
    if present is not None and list(present) != [row.score, row.response]:
        raise UserError(
            f"the run already has another score of {row.model!r} on the item {row.id!r}: choose another name or "
            f"give {argument('replace')}."
        )
    if other is not None:
        raise UserError(
            f"{row.model} has two rows for the item {row.id!r} (scores {_number(other.score)} and "
            f"{_number(row.score)}). Keep one, or average them first."
        )


def _added(model: str, own: Mapping[int, Scored], by_prompt: int, lost: Sequence[_Match]) -> Added:
    """What became of a model's rows: its own by their items, and those that are lost."""
    examples = tuple(match.id for match in lost[:3])
    scored = sum(row.score is not None for row in own.values())
    other_text = sum(match.other_text for match in lost)
    return Added(model, len(own), scored, by_prompt, len(lost), other_text, examples)


def _table(model: str, rows: dict[int, Scored]) -> pl.DataFrame:
    ordered = sorted(rows.items())
    return pl.DataFrame(
        {
            "item": [item for item, _ in ordered],
            "model": [model] * len(ordered),
            "score": [row.score for _, row in ordered],
            "response": [row.response for _, row in ordered],
            "unscored": [
                None
                if row.score is not None
                else (row.unscored or Reason("source_no_score", "the source gives no score")).as_dict()
                for _, row in ordered
            ],
        },
        schema=SCORES,
    )


def _other_text(count: int) -> str:
    return f" ({count:,} of them have an item's id but another prompt)" if count else ""


def _number(score: float | None) -> str:
    return "none" if score is None else f"{score:g}"


class _Match(NamedTuple):
    """The item that a row belongs to."""

    id: str
    """The row's."""
    item: int | None = None
    """Its number; None: there is none."""
    by_prompt: bool = False
    other_text: bool = False
    """Whether an item has the row's id, but asks something else."""


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

    def find(self, row: Scored) -> _Match:
        """The item of a row: of its id, unless that asks something else, or of its prompt."""
        if row.benchmark is not None and row.benchmark not in self._benchmarks:
            raise no_such(f"scores of {row.model!r}: the run has no benchmark", row.benchmark, self._benchmarks)
        places = self._by_id.get(row.id, {})
        if row.benchmark is not None:
            places = {name: item for name, item in places.items() if name == row.benchmark}
        if len(places) > 1:
            raise UserError(
                f"the id {row.id!r} occurs in several benchmarks ({', '.join(places)}): name the benchmark of the "
                "scores."
            )
        asked = _words(row.prompt or "")
        for item in places.values():
            # A log may hold the options in another form, examples or a template as well.
            if not asked or asked in self._prompts[item] or self._stems[item] in asked:
                return _Match(row.id, item)
        alike = [item for name, item in self._by_prompt.get(asked, []) if asked and row.benchmark in (None, name)]
        # Items that ask the same cannot be told apart by their prompts.
        if len(alike) == 1:
            return _Match(row.id, alike[0], by_prompt=True)
        return _Match(row.id, other_text=bool(places))

    def examples(self) -> list[str]:
        return list(self._by_id)[:3]


def _words(text: str) -> str:
    return " ".join(text.split())
