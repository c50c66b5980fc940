"""Real models' results read through one small model's concepts: the figures of docs/real-models.md.

    python validation/real_models.py RUN [--part PART ...] [--model NAME ...] [--without NAME ...]

RUN is a finished run with scores of several models (``cgaps run --scores``, ``cgaps score``). Prints Markdown.

counts   weak and strong concepts and slices of each model, by its scores and against its peers, and the gap that the
         median concept and slice would need to be found
nulls    the same with outcomes shuffled within benchmarks and lengths, 20 draws: what is listed by chance
halves   what one half of the items lists, looked up on the other half
carry    what one set of scores lists, looked up in another set (pairs NAME=NAME of --pair), without the items whose
         question both sets ask (--shared keeps them)
subjects each model's mean score against its peers by the items' own group, which no concept knows of
sizes    the same by the size of the item's numeric answer
items    items on which strong models are wrong and weak ones right, and items on which models agree against the key
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from real_concepts import carry, counts, halves, nulls
from real_items import items, sizes, subjects

import competency_gaps as cg


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--part", nargs="+", default=["counts", "nulls", "halves", "items"])
    parser.add_argument("--model", action="append")
    parser.add_argument("--without", nargs="+", default=[])
    parser.add_argument("--pair", action="append", default=[])
    parser.add_argument("--shared", action="store_true")
    given = parser.parse_args()
    run = cg.open_run(given.run)
    models = [name for name in given.model or run.models["model"].to_list() if name not in given.without]
    parts: dict[str, Callable[[], None]] = {
        "counts": lambda: counts(run, models),
        "nulls": lambda: nulls(run, models),
        "halves": lambda: halves(run, models),
        "carry": lambda: carry(run, given.pair, shared=given.shared),
        "subjects": lambda: subjects(run, models),
        "sizes": lambda: sizes(run, models),
        "items": lambda: items(run),
    }
    for part in given.part:
        print(f"\n## {part}\n", flush=True)
        parts[part]()


if __name__ == "__main__":
    main()
