"""Details of a finding: failing, passing and typical items, slices that overlap it, and its parts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl

from competency_gaps.items.options import stem
from competency_gaps.runs.covariates import repeats
from competency_gaps.runs.scores import model_scores, read_scores

if TYPE_CHECKING:
    from competency_gaps.findings.answer import Against
    from competency_gaps.findings.finding import Answer, Finding
    from competency_gaps.runs.open import RunFolder
    from competency_gaps.slices import Family

_TOKEN = re.compile(r"\w+|\s+|[^\w\s]")
COMPARED = 12
"""Maximum number of prompts, evenly spaced, from which a template is formed."""
MAX_TEXT_LENGTH = 2_000
"""Maximum number of tokens of a prompt that are compared, beyond the shared beginning and end; with more, all
differ."""
MIN_ITEMS = 3
"""Minimum number of words of a constant part inside a prompt: single shared words are not a template."""
EXAMPLES = 6
"""Maximum number of failing items chosen of a slice, and of passing ones."""
SHOWN = 3
"""How many of these a terminal or an assistant shows."""
MIN_SHARE = 0.1
"""Minimum share of a finding's items that another slice must contain to be named as where it lies."""
MIN_LIFT = 1.5
"""Minimum ratio of this share to the other slice's share of the other items."""
MAX_SLICES = 3


class Piece(NamedTuple):
    """A piece of a prompt, constant or not."""

    text: str
    is_constant: bool
    """Whether all prompts of its benchmark have it."""


@dataclass(frozen=True)
class ShownItem:
    """An item as a finding shows it."""

    row: int
    """Of ``items.parquet``."""
    benchmark: str
    item_id: str
    prompt: tuple[Piece, ...]
    """Its own text, split into what all prompts of its benchmark share and what is its own."""
    choices: tuple[str, ...] | None
    answer: str | None
    """What was expected."""
    response: str | None
    score: float | None
    outcome: float | None
    """What the answer is about: the score, or the score less what peers or another model make of the item."""
    repeats: int
    """Items that ask the same, this one included; 1 where its cluster holds different texts that belong together."""


class Part(NamedTuple):
    """A slice that a finding's slice contains."""

    slice: int
    name: str
    items: int
    gap: float | None
    """Plain evidence, as of :func:`~competency_gaps.findings.answer.slice_table`; None: no scored item."""


@dataclass(frozen=True)
class Detail:
    """Details of one finding."""

    failing: tuple[ShownItem, ...]
    passing: tuple[ShownItem, ...]
    typical: tuple[ShownItem, ...]
    lies_in: tuple[tuple[str, float], ...]
    """Other slices that hold an unusual share of its items, with that share in [0, 1], the largest first."""
    parts: tuple[Part, ...]
    """Nodes below it in its tree, the lowest gap first."""


def detail(run: RunFolder, answer: Answer, finding: Finding) -> Detail:
    """Return the details of a finding of an answer.

    Parameters
    ----------
    run
        The run itself, not a view of it.
    """
    from competency_gaps.findings.answer import slice_table, slices_of

    asked = run, answer.model, against_of(answer)
    families, parsed = slices_of(run), answer.kind == "parsed"
    sides, inside = sides_of(*asked, parsed=parsed), slice_weights(families, finding.slice)
    failing, passing = sides.choose(inside, finding)
    shown = _shown(run, answer.model, sides.values, [*failing, *passing, *finding.typical])
    table = slice_table(*asked, parsed=parsed)
    below = table.filter(parent=finding.slice).sort("gap", nulls_last=True)
    return Detail(
        failing=tuple(shown[row] for row in failing),
        passing=tuple(shown[row] for row in passing),
        typical=tuple(shown[row] for row in finding.typical),
        lies_in=tuple(_lies_in(families, finding, inside > 0)),
        parts=tuple(Part(*row) for row in below.select(Part._fields).iter_rows()),
    )


def against_of(answer: Answer) -> Against:
    """Return the argument ``against`` with which an answer was made."""
    if answer.kind == "difference":
        return answer.against[0]
    return list(answer.against) if answer.kind == "peers" else None if answer.kind == "parsed" else "benchmark"


def slice_weights(families: Sequence[Family], number: int) -> np.ndarray:
    """Return the weights of a slice: float32 of shape (N,), in [0, 1].

    Raises
    ------
    KeyError
        If no family has the slice.
    """
    for family in families:
        position = np.flatnonzero(family.number == number)
        if len(position):
            return np.asarray(family.weights[[int(position[0])]].toarray()[0])
    raise KeyError(number)


@dataclass(frozen=True)
class Sides:
    """Chooses the items of a slice that show best what a model fails and passes. N items."""

    values: np.ndarray
    """float64 of shape (N,): the outcome; NaN: none."""
    above: np.ndarray
    """float64 of shape (N,): the outcome less its benchmark's mean."""
    passed: np.ndarray
    """float64 of shape (N,): below 0 where an item counts as failed: against peers the score less its benchmark's mean,
    since an item that peers fail as well has an outcome near 0; else ``above``."""
    cluster: np.ndarray

    def choose(self, weights: np.ndarray, finding: Finding | None = None) -> tuple[list[int], list[int]]:
        """Return failing and passing items, the most telling first: by weight times distance from the mean.

        Parameters
        ----------
        weights : ndarray of float of shape (N,)
            Weights of a slice.
        finding
            If given, its example comes first on its side.

        Returns
        -------
        failing, passing : list of int
            At most ``EXAMPLES`` each, and at most one of each cluster.
        """
        rows, sides = np.flatnonzero(weights), list[list[int]]()
        for sign in (-1, 1):
            inside = rows[sign * self.passed[rows] > 0]
            worth = sign * weights[inside] * self.above[inside]
            if finding is not None and sign * finding.gap > 0:
                worth[inside == finding.example] = np.inf
            order = inside[np.argsort(-worth, kind="stable")]
            order = order[~np.isin(self.cluster[order], self.cluster[[row for side in sides for row in side]])]
            first = np.unique(self.cluster[order], return_index=True)[1]
            sides.append(order[np.sort(first)[:EXAMPLES]].tolist())
        return sides[0], sides[1]


def sides_of(run: RunFolder, model: str, against: Against, *, parsed: bool = False) -> Sides:
    """Return the chooser of failing and passing items; parameters as in
    :func:`~competency_gaps.findings.answer.find_answer`.
    """
    from competency_gaps.findings.answer import chosen_outcome

    scores = model_scores(run)
    outcome = chosen_outcome(run, scores, model, against, parsed=parsed)[0]
    above = _above_benchmark(run.items, outcome.values)
    above_own_mean = _above_benchmark(run.items, scores.of(model)) if outcome.kind == "peers" else above
    passed = np.where(np.isnan(above), np.nan, above_own_mean)
    return Sides(outcome.values, above, passed, run.items["cluster"].to_numpy())


def _above_benchmark(items: pl.DataFrame, values: np.ndarray) -> np.ndarray:
    """Return values less the mean of their benchmark; NaN where there is no value."""
    frame = items.select("benchmark", value=pl.Series(values).fill_nan(None))
    return frame.select(pl.col("value") - pl.col("value").mean().over("benchmark"))["value"].to_numpy()


def _lies_in(families: Sequence[Family], finding: Finding, inside: np.ndarray) -> list[tuple[str, float]]:
    places: list[tuple[str, float]] = []
    for family in families:
        if family.name == finding.family or family.name not in ("columns", "regions", "profiles", "clusters"):
            continue
        member = (family.weights > 0).astype(np.float64)
        share = np.asarray(member @ inside) / max(1, inside.sum())
        lift = share * len(inside) / np.maximum(1, np.asarray(member.sum(axis=1)).ravel())
        chosen = np.flatnonzero((share >= MIN_SHARE) & (lift >= MIN_LIFT))
        places += [(family.names[i], float(share[i])) for i in chosen[np.argsort(-share[chosen])][:MAX_SLICES]]
        if places:
            break  # columns say it best, where there are any
    return places


def example_texts(run: RunFolder, findings: Sequence[Finding]) -> list[str | None]:
    """Return the example of each finding, without what all prompts of its benchmark share; None: no example."""
    wanted = sorted({finding.example for finding in findings if finding.example is not None})
    folded = _folded(run, wanted)
    return [None if finding.example is None else body_part(folded[finding.example]) for finding in findings]


def _folded(run: RunFolder, rows: Sequence[int]) -> dict[int, list[Piece]]:
    """Return the prompts of some items, without lettered options, split by the template of their benchmarks."""
    if not rows:
        return {}
    names, table = run.items["benchmark"], run.items.select("prompt", "choices")

    def texts(of: Iterable[int]) -> list[str]:
        return [stem(prompt) if choices else prompt for prompt, choices in table[list(of)].iter_rows()]

    templates = {}
    for name in names.gather(list(rows)).unique().to_list():
        of_benchmark = (names == name).arg_true()
        chosen = of_benchmark.gather_every(max(1, len(of_benchmark) // COMPARED))[:COMPARED]
        templates[name] = template_of(texts(chosen))
    return {row: fold(text, templates[names[row]]) for row, text in zip(rows, texts(rows), strict=True)}


def _shown(run: RunFolder, model: str, values: np.ndarray, rows: Sequence[int]) -> dict[int, ShownItem]:
    """Return some items with the scores and responses of a model, by row."""
    folded = _folded(run, rows)
    scores = model_scores(run).of(model)
    response = dict(zip(rows, run.items["response"].gather(list(rows)), strict=True))
    if run.own_model != model:
        rows_of_scores = read_scores(run.path).filter((pl.col("model") == model) & pl.col("item").is_in(list(rows)))
        response = dict(rows_of_scores.select("item", "response").iter_rows())
    same = run.items.filter(pl.Series(repeats(run.items)))
    sizes = dict(same["cluster"].value_counts().iter_rows())
    shown = {}
    for row in rows:
        item = run.items.row(row, named=True)
        shown[row] = ShownItem(
            row,
            item["benchmark"],
            item["item_id"],
            tuple(folded[row]),
            None if item["choices"] is None else tuple(item["choices"]),
            item["answer"],
            response.get(row),
            None if np.isnan(scores[row]) else float(scores[row]),
            None if np.isnan(values[row]) else float(values[row]),
            int(sizes.get(item["cluster"], 1)),
        )
    return shown


def template_of(prompts: Sequence[str]) -> list[str]:
    """Return the tokens that all prompts share, in the same order.

    Parameters
    ----------
    prompts
        Prompts of one benchmark; at most ``COMPARED`` of them are compared.

    Returns
    -------
    list of str
        Words, white space and marks. Empty with fewer than two different prompts, which do not show what is constant.
    """
    distinct = list(dict.fromkeys(prompts))
    if len(distinct) < 2:
        return []
    step = max(1, len(distinct) // COMPARED)
    template: list[str] | None = None
    for prompt in distinct[::step][:COMPARED]:
        tokens = _TOKEN.findall(prompt)
        template = tokens if template is None else [template[i] for i, _ in _shared(template, tokens)]
    return template or []


def fold(prompt: str, template: Sequence[str]) -> list[Piece]:
    """Return a prompt split into pieces of its template and other pieces; their texts add up to the prompt.

    Parameters
    ----------
    template
        From :func:`template_of`; empty: nothing is constant.
    """
    tokens = _TOKEN.findall(prompt)
    constant = [False] * len(tokens)
    for _, at in _shared(list(template), tokens):
        constant[at] = True
    groups = groupby(zip(constant, tokens, strict=True), itemgetter(0))
    runs = [(of_template, [token for _, token in run]) for of_template, run in groups]
    pieces = []
    for at, (of_template, run) in enumerate(runs):
        fewest = 1 if at in (0, len(runs) - 1) else MIN_ITEMS
        pieces.append(Piece("".join(run), of_template and sum(token[0].isalnum() for token in run) >= fewest))
    return [Piece("".join(piece.text for piece in same), kept) for kept, same in groupby(pieces, itemgetter(1))]


def body_part(pieces: Sequence[Piece]) -> str:
    """Return the variable part of a prompt on one line, with an ellipsis for constant parts in between."""
    text = " … ".join(" ".join(piece.text.split()) for piece in pieces if not piece.is_constant and piece.text.strip())
    return text or " ".join("".join(piece.text for piece in pieces).split())


def _shared(first: list[str], second: list[str]) -> list[tuple[int, int]]:
    """Return pairs of positions of the tokens that two texts share, in order: equal beginnings, ends, and blocks
    between.
    """
    most = min(len(first), len(second))
    head = next((i for i in range(most) if first[i] != second[i]), most)
    tail = next((i for i in range(most - head) if first[-1 - i] != second[-1 - i]), most - head)
    places = [(i, i) for i in range(head)]
    inner = first[head : len(first) - tail], second[head : len(second) - tail]
    if max(map(len, inner)) <= MAX_TEXT_LENGTH:
        for a, b, size in SequenceMatcher(None, *inner, autojunk=False).get_matching_blocks():
            places += [(head + a + i, head + b + i) for i in range(size)]
    return places + [(len(first) - tail + i, len(second) - tail + i) for i in range(tail)]
