"""Do a suite's benchmarks lack what the article says that benchmarks lack?

    python validation/article.py RUN [--draws 10000]

The article (arXiv 2512.20638) finds benchmarks full of following instructions and obedience, and short of time,
letters, sarcasm, safety and boundaries. For each of these: the concepts with a read label whose words name it, their
median lift (log2 of how much more they are active in the suite than in ordinary text), and the same of as many labelled
concepts drawn at random. Words decide what belongs to a topic, so the labels are printed to be looked at. RUN needs no
scores, only a reference and labels.
"""

from __future__ import annotations

import argparse

import numpy as np
import polars as pl

import competency_gaps as cg

TOPICS = {
    "following instructions": r"instruction prompt|instructions? (to|for|prompt)|prompt (to|asking|for|instructing)|"
    r"(request|asking|command) (to|for) (write|create|translate|explain|generate|fix|implement)|imperative request",
    "authority and obedience": r"authorit|obedien|obey|comply|dut(y|ies)|oath|prohibition|required|must conform",
    "time": r"\b(times?|dates?|clock|calendar|hours?|days?|weekdays?|schedule|period)\b",
    "letters and spelling": r"\b(letters of|spelling|alphabet\w*|rhym\w+|abbreviations?|punctuation|notation and|"
    r"word forms?)\b",
    "sarcasm and humour": r"sarcas|iron(y|ic)|joke|humou?r|banter|amused|teas(e|ing)|playful",
    "safety and harm": r"\b(safety|unsafe|harm\w*|danger\w*|violen\w+|abuse\w*|crim(e|inal)\w*|weapons?)\b",
    "refusing and boundaries": r"refus|declin(e|ing) (further|or|a|to|an|some)|unable to|boundar(y|ies) between people|"
    r"not (wanting|want)|privacy|consent",
}
"""Topic -> what the label of one of its concepts holds, as a regular expression."""
FEWEST = 3
"""Fewest concepts of a topic that are compared."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("--draws", type=int, default=10_000)
    args = parser.parse_args()
    concepts = cg.open_run(args.run).concepts
    read = concepts.filter(pl.col("ranked") & (pl.col("label_kind") == "explained")).drop_nulls("lift")
    lift, rng = read["lift"].to_numpy(), np.random.default_rng(0)
    print(f"{read.height} ranked concepts have a read label and a lift; median lift {np.median(lift):.2f}\n")
    print("| topic | concepts | median lift | at random (95% of draws) | p |\n| --- | ---: | ---: | ---: | ---: |")
    for topic, words in TOPICS.items():
        own = read["label"].str.contains(f"(?i){words}").to_numpy()
        if own.sum() < FEWEST:
            print(f"| {topic} | {own.sum()} | too few | | |")
            continue
        median = float(np.median(lift[own]))
        drawn = np.array([np.median(rng.choice(lift, own.sum(), replace=False)) for _ in range(args.draws)])
        low, high = np.quantile(drawn, [0.025, 0.975])
        p_value = min(1.0, 2 * min((1 + (drawn <= median).sum()), (1 + (drawn >= median).sum())) / (1 + args.draws))
        chance = f"{np.median(drawn):.2f} ({low:.2f} to {high:.2f})"
        print(f"| {topic} | {own.sum()} | {median:.2f} | {chance} | {p_value:.4f} |")
    for topic, words in TOPICS.items():
        labels = read.filter(pl.col("label").str.contains(f"(?i){words}")).sort("lift")["label"].to_list()
        print(f"\n{topic}: {'; '.join(labels)}")


if __name__ == "__main__":
    main()
