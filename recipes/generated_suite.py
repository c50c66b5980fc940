"""Write the configuration of a generated suite: families of reasoning-gym, with fixed examples before each question.

    python recipes/generated_suite.py configs/generated.yaml

The examples come from another seed, and none of them is an item.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from competency_gaps.config import BenchmarkConfig
from competency_gaps.items.item import Item
from competency_gaps.stages.load import load_benchmark

HEAD = """\
# cgaps run configs/generated.yaml --out generated-run. Made by recipes/generated_suite.py.
# Twelve families of generated tasks, easy enough that a model of 135 million parameters is above chance on
# them: where it is at chance, right and wrong are noise and no gap can be real.
"""


SEED = 1
EXAMPLES_SEED = 900_001


class Family(NamedTuple):
    """One benchmark of the suite."""

    name: str
    family: str
    difficulty: dict[str, Any]
    distractors: str
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
    out = Path(sys.argv[1])
    document = {
        "model": {"name": "embedded:smollm2-135m-instruct"},
        "sae": {"folder": "embedded:smollm2-135m-instruct-l15-8k"},
        "benchmarks": [entry(family) for family in SUITE],
    }
    text = yaml.safe_dump(document, sort_keys=False, width=110, allow_unicode=True)
    out.write_text(HEAD + text, encoding="utf-8")


def entry(family: Family) -> dict[str, Any]:
    """One benchmark's configuration."""
    return {
        "name": family.name,
        "scope": family.scope,
        "source": source(family, seed=SEED, size=family.size),
        "options": {"form": "cloze", "normalise": family.normalise},
        "before": examples(family),
        "after": "\nAnswer:",
    }


def examples(family: Family) -> str:
    """Solved tasks of another seed, none of which is or contains an item."""
    questions = [item.prompt for item in tasks(family, seed=SEED, size=family.size)]
    others = tasks(family, seed=EXAMPLES_SEED, size=40)
    chosen = [item for item in others if not any(question in item.prompt for question in questions)][: family.shots]
    return "".join(f"{item.prompt}\nAnswer: {(item.choices or ('',))[item.answer]}\n\n" for item in chosen)


def tasks(family: Family, *, seed: int, size: int) -> tuple[Item, ...]:
    """A family's tasks as items."""
    config = BenchmarkConfig.model_validate({"name": family.name, "source": source(family, seed=seed, size=size)})
    return load_benchmark(config).items


def source(family: Family, *, seed: int, size: int) -> dict[str, Any]:
    """The source's configuration."""
    return {
        "kind": "reasoning_gym",
        "family": family.family,
        "seed": seed,
        "size": size,
        "difficulty": family.difficulty,
        "options": 4,
        "distractors": family.distractors,
        "distinct": "content",
    }


if __name__ == "__main__":
    main()
