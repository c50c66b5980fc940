"""Do a suite's benchmarks lack what the article says that benchmarks lack?

    python validation/article.py sample BENCHMARKS FOLDER [--each 60]    # prompts of a folder of benchmarks
    cgaps run --model MODEL --sae SAE --set ask=false $(cat FOLDER/arguments.txt) --out RUN
    python validation/article.py topics RUN [--draws 10000]

The article (arXiv 2512.20638) finds benchmarks full of following instructions and obedience, and short of time,
letters, sarcasm, safety and boundaries. For each of these: the concepts with a read label whose words name it, their
median lift (log2 of how much more they are active in the suite than in ordinary text), and the same of as many labelled
concepts drawn at random, with Holm's correction over topics. Words decide what belongs to a topic, so the labels are
printed to be looked at. ``sample`` takes those of each benchmark's different prompts that a hash of their ids chooses.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path

import numpy as np
import polars as pl

import competency_gaps as cg
from competency_gaps.findings.compare import holm

TOPICS = {
    "being given a task": r"prompt (to|asking|for|instructing)|prompts? (generating|instructing)|instruction prompt|"
    r"instructions to|imperative request|request to (translate|write|create|explain)",
    "authority, duties and rules": r"authorit|obedien|obey|comply|\bdut(y|ies)\b|oaths?|prohibition|conduct must",
    "dates, clock times and durations": r"\b(dates?|clock|calendar|hours?|weekdays?|schedule|times? of (day|a)|"
    r"(pickup|pick-up|departure|free|showtimes?) times?|time windows?|date ranges)\b",
    "spelling and notation": r"\b(letters of|spelling|alphabet\w*|abbreviations?|punctuation)\b",
    "jokes, banter and amusement": r"sarcas|iron(y|ic)|joke|humou?r|banter|amused|teas(e|ing)",
    "harm, crime and danger": r"\b(unsafe|harm(s|ing|ful)?|dangerous|violen(t|ce)|abuse|crim(e|inal)|weapons?)\b",
    "refusing and declining": r"\brefus|\bdeclin(e|es|ing) (further|or|a|to|an|some)|unable to|privacy|consent\b",
}
"""Topic -> what the label of one of its concepts holds, as a regular expression."""
FEWEST = 3
"""Fewest concepts of a topic that are compared."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    sample = commands.add_parser("sample")
    sample.add_argument("benchmarks", type=Path)
    sample.add_argument("folder", type=Path)
    sample.add_argument("--each", type=int, default=60)
    topics = commands.add_parser("topics")
    topics.add_argument("run")
    topics.add_argument("--draws", type=int, default=10_000)
    args = parser.parse_args()
    if args.command == "sample":
        write_sample(args.benchmarks, args.folder, args.each)
    else:
        print_topics(args.run, args.draws)


def write_sample(benchmarks: Path, folder: Path, each: int) -> None:
    """Write a file of prompts for each benchmark, and the arguments that name these files to ``cgaps run``."""
    folder.mkdir(parents=True, exist_ok=True)
    arguments = []
    for source in sorted(path for path in benchmarks.iterdir() if path.is_dir()):
        lines = [
            line for path in sorted(source.glob("*.jsonl")) for line in path.read_text("utf-8").split("\n") if line
        ]
        records = sorted(map(json.loads, lines), key=lambda row: hashlib.sha256(row["id"].encode()).hexdigest())
        first = {row["prompt"]: row for row in reversed(records) if row.get("prompt")}
        chosen = [row for row in records if row.get("prompt") and first[row["prompt"]] is row][:each]
        target = folder / f"{source.name}.jsonl"
        kept = ({"id": row["id"], "prompt": row["prompt"], "metric": "none"} for row in chosen)
        target.write_text("".join(json.dumps(row) + "\n" for row in kept), encoding="utf-8")
        arguments.append(f"--benchmark {source.name}={target}")
    (folder / "arguments.txt").write_text(" ".join(arguments) + "\n", encoding="utf-8")


def print_topics(run: str, draws: int) -> None:
    """Print each topic's lift, and the labels that belong to it."""
    concepts = cg.open_run(run).concepts
    read = concepts.filter(pl.col("ranked") & (pl.col("label_kind") == "explained")).drop_nulls("lift")
    lift, rng = read["lift"].to_numpy(), np.random.default_rng(0)
    print(f"{read.height} ranked concepts have a read label and a lift; median lift {np.median(lift):.2f}\n")
    rows, p_values = [], []
    for topic, words in TOPICS.items():
        own = read["label"].str.contains(f"(?i){words}").to_numpy()
        if own.sum() < FEWEST:
            rows.append([topic, str(own.sum()), "too few", ""])
            p_values.append(1.0)
            continue
        median = float(np.median(lift[own]))
        drawn = np.array([np.median(rng.choice(lift, own.sum(), replace=False)) for _ in range(draws)])
        low, high = np.quantile(drawn, [0.025, 0.975])
        p_values.append(min(1.0, 2 * min((1 + (drawn <= median).sum()), (1 + (drawn >= median).sum())) / (1 + draws)))
        rows.append([topic, str(own.sum()), f"{median:.2f}", f"{np.median(drawn):.2f} ({low:.2f} to {high:.2f})"])
    print("| topic | concepts | median lift | at random (95% of draws) | p | Holm |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for row, p_value, corrected in zip(rows, p_values, holm(np.array(p_values)), strict=True):
        print(f"| {' | '.join(row)} | {p_value:.4f} | {corrected:.3f} |")
    for topic, words in TOPICS.items():
        labels = read.filter(pl.col("label").str.contains(f"(?i){words}")).sort("lift")["label"].to_list()
        print(f"\n{topic}: {'; '.join(labels)}")


if __name__ == "__main__":
    main()
