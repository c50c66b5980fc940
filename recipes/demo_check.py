"""Does the demo's suite measure the model? Beside each score: what the options alone give away, and repeats.

    python recipes/demo_check.py demo-run

reads a finished run of the demo and asks its model once more, with the scene hidden. *hidden*: share of items whose
right option is the likeliest when only the last four words of the prompt stand before it. *rule*: the best of a few
rules that read the options alone. *lead*: score minus the better of both, with a 95% interval. A benchmark is marked
*fits* if its lead's interval is above 0 and its score lies between chance + 0.1 and 0.9.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from competency_gaps import open_run
from competency_gaps.api.make import demo_config
from competency_gaps.items.config import BenchmarkConfig, RunConfig
from competency_gaps.items.item import Item
from competency_gaps.model.batches import Attempts
from competency_gaps.model.load import LanguageModel, load_model
from competency_gaps.model.prompts import prepare
from competency_gaps.model.respond import respond
from competency_gaps.pipeline.load import load_suite
from competency_gaps.scoring.choice import Choice
from competency_gaps.util.progress import Progress

COLUMNS = ("benchmark", "items", "distinct", "near", "chance", "score", "hidden", "rule", "lead", "low", "high", "fits")


def main() -> None:
    config, run = demo_config(), open_run(sys.argv[1])
    suite = load_suite(config.benchmarks, Progress(quiet=True))
    lm = load_model(config.model)
    rows = []
    for benchmark in config.benchmarks:
        items = list(suite[benchmark.name].items)
        table = run.items.filter(pl.col("benchmark") == benchmark.name)
        if table["item_id"].to_list() != [item.id for item in items]:
            raise SystemExit(f"{sys.argv[1]} is no run of the demo as it is: {benchmark.name} has other items")
        rows.append(row(benchmark, items, table, hidden_scores(lm, config, benchmark, items)))
    with pl.Config(tbl_rows=-1, tbl_cols=-1, tbl_width_chars=160, float_precision=2, tbl_hide_column_data_types=True):
        print(pl.DataFrame(rows, schema=COLUMNS, orient="row"))


def row(
    benchmark: BenchmarkConfig, items: Sequence[Item], table: pl.DataFrame, hidden: np.ndarray
) -> tuple[object, ...]:
    """One benchmark's line."""
    score = table["score"].to_numpy()
    scores = {name: rule_scores(items, rule) for name, rule in rules(items).items()}
    best = max(scores, key=lambda name: float(scores[name].mean()))
    lead = score - max(hidden, scores[best], key=lambda one: float(one.mean()))
    width = 1.96 * lead.std(ddof=1) / np.sqrt(len(lead))
    chance = float(np.mean([1 / len(item.choices or ()) for item in items]))
    fits = bool(lead.mean() - width > 0 and chance + 0.1 < score.mean() < 0.9)
    shown = (score.mean(), hidden.mean(), f"{scores[best].mean():.2f} {best}", lead.mean())
    distinct = table["prompt"].str.replace_all(r"\s+", " ").str.strip_chars().str.to_lowercase().n_unique()
    near = len(items) - table["cluster"].n_unique()
    return (benchmark.name, len(items), distinct, near, chance, *shown, lead.mean() - width, lead.mean() + width, fits)


def hidden_scores(
    lm: LanguageModel, config: RunConfig, benchmark: BenchmarkConfig, items: Sequence[Item]
) -> np.ndarray:
    """Scores without the scene, of shape (items,): the last words of the prompts, and the options."""
    scorer = Choice(**benchmark.options)
    tails = [replace(item, prompt=last_words(item)) for item in items]
    asked = [prepare(item, scorer, benchmark, config.model, lm, None) for item in tails]
    answers = respond(
        lm,
        asked,
        [""] * len(asked),
        bos_id=None,
        config=config.generation,
        token_budget=4096,
        advance=lambda count: None,
        attempts=Attempts(),
    )
    return np.array([scorer.score(item, one.output).value for item, one in zip(items, answers, strict=True)])


def last_words(item: Item) -> str:
    """What stands directly before the options."""
    return " ".join(item.prompt.split()[-4:])


def rules(items: Sequence[Item]) -> dict[str, Callable[[Item], Sequence[float]]]:
    """What rates an item's options without its question, the highest being chosen."""
    golds = Counter(texts(item)[item.answer] for item in items)
    found: dict[str, Callable[[Item], Sequence[float]]] = {
        "first": lambda item: [-index for index, _ in enumerate(texts(item))],
        "longest": lambda item: [len(text) for text in texts(item)],
        "shortest": lambda item: [-len(text) for text in texts(item)],
        # How often it is the answer of another item.
        "usual answer": lambda item: [golds[text] - (index == item.answer) for index, text in enumerate(texts(item))],
    }
    try:
        values = {text: float(text.replace(",", "")) for item in items for text in texts(item)}
    except ValueError:
        return found
    return {
        **found,
        "smallest": lambda item: [-values[text] for text in texts(item)],
        "largest": lambda item: [values[text] for text in texts(item)],
        "central": lambda item: [
            -sum(abs(values[text] - values[other]) for other in texts(item)) for text in texts(item)
        ],
    }


def texts(item: Item) -> tuple[str, ...]:
    """The options."""
    return item.choices or ()


def rule_scores(items: Sequence[Item], rule: Callable[[Item], Sequence[float]]) -> np.ndarray:
    """Scores of a rule, of shape (items,); options that it rates alike share the point."""
    found = []
    for item in items:
        rated = rule(item)
        best = [index for index, value in enumerate(rated) if value == max(rated)]
        found.append((item.answer in best) / len(best))
    return np.array(found)


if __name__ == "__main__":
    main()
