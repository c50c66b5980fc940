"""Wrong options for tasks that come without options.

All rules are deterministic under the seed, and blind to the model: an option is chosen by its form, never by
how likely a model finds it.
"""

from __future__ import annotations

import difflib
import functools
import random
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Literal, NamedTuple

from competency_gaps.items.item import Reason
from competency_gaps.text import plural

Rule = Literal["answers", "similar_answers", "near_numbers", "labels"]

_NUMBER = re.compile(r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?")
_STEPS = (1, 2, 3, 4, 5, 9, 10, 11, 20, 90, 100)


class Options(NamedTuple):
    """The options of one item."""

    choices: tuple[str, ...]
    """All different."""
    answer: int
    """0-based index of the gold."""


def make_options(
    golds: Sequence[str],
    *,
    options: int,
    rule: Rule,
    seed: int,
    wrong: Callable[[int, str], bool],
) -> list[Options | Reason]:
    """Options for every task, or the reason why a task gets none.

    Parameters
    ----------
    golds
        The right answers; those of the other tasks are the pool of ``answers`` and ``labels``.
    options
        Number of options, the gold included; at least 2.
    rule
        ``answers``: other tasks' answers, nearest in form (letters and digits taken together) and length
        first; ``similar_answers``: other tasks' answers, most alike letter by letter first;
        ``near_numbers``: numbers a few last-digit units away, written as the gold is; so many of them smaller that
        in every block of ``options`` successive tasks the gold takes each rank once (a gold that has too few numbers
        below it takes the highest rank that it can, as options are negative only where some gold is);
        ``labels``: drawn from all different answers of the tasks.
    wrong
        Whether a text is a wrong answer to the task of an index: equivalent answers must not be options.

    Returns
    -------
    list
        One entry per task. In every block of ``options`` successive tasks, the gold takes each position once.
    """
    pool = sorted(set(golds))
    positions = _positions(len(golds), options, random.Random(f"{seed} positions"))
    ranks = _positions(len(golds), options, random.Random(f"{seed} ranks"))
    negative = any(gold.strip().startswith("-") for gold in golds)
    result: list[Options | Reason] = []
    for index, gold in enumerate(golds):
        rng = random.Random(f"{seed} {index}")
        if rule == "near_numbers":
            candidates: Iterable[str] = _near_numbers(gold, ranks[index], negative, rng)
        elif rule == "labels":
            candidates = rng.sample(pool, len(pool))
        elif rule == "similar_answers":
            candidates = _most_alike(gold, pool, rng)
        else:
            candidates = _nearest_in_form(gold, pool, rng)
        chosen = _pick(candidates, gold, options - 1, functools.partial(wrong, index))
        if len(chosen) < options - 1:
            result.append(_shortage(gold, rule, len(chosen), options))
            continue
        rng.shuffle(chosen)
        choices = [*chosen[: positions[index]], gold, *chosen[positions[index] :]]
        result.append(Options(tuple(choices), positions[index]))
    return result


def _positions(count: int, options: int, rng: random.Random) -> list[int]:
    """A position per task; each block of ``options`` tasks is a permutation, so that all are equally frequent."""
    positions: list[int] = []
    while len(positions) < count:
        positions += rng.sample(range(options), options)
    return positions[:count]


def _pick(candidates: Iterable[str], gold: str, count: int, wrong: Callable[[str], bool]) -> list[str]:
    chosen: list[str] = []
    taken = {gold.strip().casefold()}
    for text in candidates:
        if len(chosen) == count:
            break
        if text.strip().casefold() not in taken and wrong(text):
            chosen.append(text)
            taken.add(text.strip().casefold())
    return chosen


def _nearest_in_form(gold: str, pool: Sequence[str], rng: random.Random) -> list[str]:
    # Equally near answers are shuffled; otherwise the same few would be the distractors of every task.
    shuffled = rng.sample(pool, len(pool))
    form = _form(gold)
    return sorted(shuffled, key=lambda text: (_form(text) != form, abs(len(text) - len(gold))))


def _most_alike(gold: str, pool: Sequence[str], rng: random.Random) -> list[str]:
    matcher = difflib.SequenceMatcher(autojunk=False)
    matcher.set_seq2(gold)

    def likeness(text: str) -> float:
        matcher.set_seq1(text)
        return -matcher.ratio()

    return sorted(rng.sample(pool, len(pool)), key=likeness)


def _form(text: str) -> str:
    return re.sub(r"[^\W\d_]+", "a", re.sub(r"\d+", "0", text))


def _near_numbers(gold: str, below: int, negative: bool, rng: random.Random) -> Iterator[str]:
    """First ``below`` smaller numbers, then larger ones; without the ranks, the gold would mostly be a middle one."""
    text = gold.strip()
    if not _NUMBER.fullmatch(text):
        return
    decimals = len(text.partition(".")[2])
    value = Decimal(text.replace(",", ""))
    unit = Decimal(1).scaleb(-decimals)
    separator = "," if "," in text else ""
    smaller, larger = (rng.sample(_STEPS, len(_STEPS)) for _ in range(2))
    steps = [-step for step in smaller if negative or value - step * unit >= 0][:below] + larger
    for step in [*steps, *range(max(_STEPS) + 1, max(_STEPS) + 1000)]:
        yield f"{value + step * unit:{separator}.{decimals}f}"


def _shortage(gold: str, rule: Rule, count: int, options: int) -> Reason:
    if rule == "near_numbers" and not _NUMBER.fullmatch(gold.strip()):
        return Reason(
            "no_plain_number",
            f"its answer {gold[:80]!r} is not a plain number, which the distractors 'near_numbers' need",
        )
    return Reason(
        "too_few_options",
        f"only {plural(count, 'wrong option')} could be found for {options} options under the distractors {rule!r}",
        (count, options),
    )
