"""Write a generated suite: families of reasoning-gym with wrong options, and fixed examples before each question.

    python recipes/generated_suite.py generated
    cgaps run generated/suite.yaml --out generated-run

The examples come from another seed, and none of them is an item.
"""

from __future__ import annotations

import difflib
import functools
import json
import random
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, NamedTuple

import yaml

from competency_gaps.items.config import BenchmarkConfig
from competency_gaps.items.generate import unpack
from competency_gaps.items.reasoning_gym import make_dataset, verifier_score
from competency_gaps.pipeline.load import load_benchmark

HEAD = """\
# Made by recipes/generated_suite.py.
# Twelve families of generated tasks, easy enough that a model of 135 million parameters is above chance on
# them: where it is at chance, right and wrong are noise and no gap can be real.
"""


SEED = 1
EXAMPLES_SEED = 900_001


Rule = Literal["answers", "similar_answers", "near_numbers"]


class Family(NamedTuple):
    """One benchmark of the suite."""

    name: str
    family: str
    difficulty: dict[str, Any]
    distractors: Rule
    scope: str
    shots: int = 1
    normalise: str = "raw"
    size: int = 240


SUITE = (
    Family(
        "addition",
        "chain_sum",
        {"min_terms": 2, "max_terms": 2, "min_digits": 2, "max_digits": 2},
        "near_numbers",
        "sums and differences of two numbers of two digits",
        shots=3,
    ),
    Family(
        "three-terms",
        "chain_sum",
        {"min_terms": 3, "max_terms": 3, "min_digits": 1, "max_digits": 1},
        "near_numbers",
        "sums and differences of three one-digit numbers",
        shots=2,
    ),
    Family(
        "signed-numbers",
        "chain_sum",
        {"min_terms": 2, "max_terms": 2, "min_digits": 1, "max_digits": 1, "allow_negation": True},
        "near_numbers",
        "sums and differences of two one-digit numbers that may be negative",
        shots=3,
    ),
    Family(
        "decimals",
        "decimal_chain_sum",
        {
            "min_terms": 2,
            "max_terms": 2,
            "min_digits": 1,
            "max_digits": 1,
            "min_decimal_places": 1,
            "max_decimal_places": 1,
        },
        "near_numbers",
        "sums and differences of two numbers with a decimal place",
        shots=2,
    ),
    Family(
        "four-operations",
        "basic_arithmetic",
        {
            "min_terms": 2,
            "max_terms": 2,
            "min_digits": 1,
            "max_digits": 2,
            "allow_parentheses": False,
            "format_style": "natural",
        },
        "near_numbers",
        "adding, subtracting, multiplying or dividing two small numbers",
        shots=3,
    ),
    Family("products", "products", {"min_digits": 1, "max_digits": 2}, "near_numbers", "products of small numbers"),
    Family("common-multiple", "lcm", {"min_value": 1, "max_value": 30}, "near_numbers", "least common multiples"),
    Family(
        "number-sequence",
        "number_sequence",
        {"max_complexity": 2, "min_terms": 5, "max_terms": 7},
        "near_numbers",
        "the next number of a sequence",
        shots=2,
    ),
    Family(
        "spelling-backward",
        "spell_backward",
        {"min_word_len": 4, "max_word_len": 7},
        "similar_answers",
        "a word's letters in reverse order",
        shots=2,
        normalise="characters",
    ),
    Family(
        "sentence-order",
        "sentence_reordering",
        {"min_words_in_sentence": 4, "max_words_in_sentence": 10},
        "similar_answers",
        "putting the words of a sentence in order",
        size=190,
    ),
    Family(
        "unscrambling",
        "letter_jumble",
        {"min_words": 1, "max_words": 1, "min_word_len": 5},
        "similar_answers",
        "a word whose letters were swapped",
        size=120,
    ),
    Family(
        "family-relations",
        "family_relationships",
        {"min_family_size": 3, "max_family_size": 4},
        "answers",
        "who is whose relative, from a few statements",
        shots=2,
    ),
)


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    document = {
        "model": {"name": "embedded:smollm2-135m-instruct"},
        "sae": {"folder": "embedded:smollm2-135m-instruct-l15-8k"},
        "benchmarks": [write(family, folder) for family in SUITE],
    }
    text = yaml.safe_dump(document, sort_keys=False, width=110, allow_unicode=True)
    (folder / "suite.yaml").write_text(HEAD + text, encoding="utf-8")


def write(family: Family, folder: Path) -> dict[str, Any]:
    """Write one benchmark's items; its configuration."""
    items, file = tasks(family, seed=SEED, size=family.size), folder / f"{family.name}.jsonl"
    file.write_text("".join(f"{json.dumps(item)}\n" for item in items), encoding="utf-8")
    return {
        "name": family.name,
        "scope": family.scope,
        "source": {"kind": "file", "path": str(file)},
        "options": {"form": "cloze", "normalise": family.normalise},
        "before": examples(family, items),
        "after": "\nAnswer:",
    }


def examples(family: Family, items: list[dict[str, Any]]) -> str:
    """Solved tasks of another seed, none of which is or contains an item."""
    others = tasks(family, seed=EXAMPLES_SEED, size=40)
    chosen = [other for other in others if not any(item["prompt"] in other["prompt"] for item in items)]
    return "".join(
        f"{item['prompt']}\nAnswer: {item['choices'][item['answer']]}\n\n" for item in chosen[: family.shots]
    )


def tasks(family: Family, *, seed: int, size: int) -> list[dict[str, Any]]:
    """A family's tasks with four options; those without enough wrong ones are left out."""
    drawn = {"family": family.family, "seed": seed, "size": size, "difficulty": family.difficulty}
    source = {"kind": "reasoning_gym", **drawn, "distinct": "content"}
    items = load_benchmark(BenchmarkConfig.model_validate({"name": family.name, "source": source})).items
    dataset = make_dataset(family.family, family.difficulty, seed=seed, size=size)
    entries = [unpack(item.metadata["verifier"]["entry"]) for item in items]
    made = make_options(
        [str(entry["answer"]) for entry in entries],
        options=4,
        rule=family.distractors,
        seed=seed,
        wrong=lambda task, text: verifier_score(dataset, text, entries[task]) < 1,
    )
    return [
        {"id": item.id, "prompt": item.prompt, "choices": options.choices, "answer": options.answer}
        for item, options in zip(items, made, strict=True)
        if options is not None
    ]


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
) -> list[Options | None]:
    """Options for every task, or None for one that has too few wrong ones.

    Parameters
    ----------
    golds
        The right answers; those of the other tasks are the pool of ``answers``.
    options
        Number of options, the gold included; at least 2.
    rule
        ``answers``: other tasks' answers, nearest in form (letters and digits taken together) and length
        first; ``similar_answers``: other tasks' answers, most alike letter by letter first;
        ``near_numbers``: numbers a few last-digit units away, written as the gold is; so many of them smaller that
        in every block of ``options`` successive tasks the gold takes each rank once (a gold that has too few numbers
        below it takes the highest rank that it can, as options are negative only where some gold is).
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
    result: list[Options | None] = []
    for index, gold in enumerate(golds):
        rng = random.Random(f"{seed} {index}")
        if rule == "near_numbers":
            candidates: Iterable[str] = _near_numbers(gold, ranks[index], negative, rng)
        elif rule == "similar_answers":
            candidates = _most_alike(gold, pool, rng)
        else:
            candidates = _nearest_in_form(gold, pool, rng)
        chosen = _pick(candidates, gold, options - 1, functools.partial(wrong, index))
        if len(chosen) < options - 1:
            result.append(None)
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


if __name__ == "__main__":
    main()
