"""Compare this package's near-repeats with the pairs that libraries for near-duplicates find.

    pip install -r validation/requirements.txt
    python validation/near_duplicates.py FOLDER

FOLDER is as for ``repeats.py``. Counts, among the distinct questions of each benchmark: pairs whose words (or five-word
shingles) have a Jaccard similarity of at least 0.8, found with datasketch's MinHash LSH; those with the same answer; of
the pairs by words with the same answer, those with a ``token_sort_ratio`` of rapidfuzz of at least 95. ``shared``: how
many of these pairs are near-repeats here.
"""

from __future__ import annotations

import argparse
import re
from collections import Counter
from pathlib import Path

import numpy as np
from datasketch import MinHash, MinHashLSH
from rapidfuzz import fuzz
from repeats import benchmarks

from competency_gaps.benchmarks.near_repeats import DEFAULT, FoldedQuestion, near_pairs
from competency_gaps.benchmarks.repeats import question_of
from competency_gaps.items.item import Benchmark

SHINGLE = 5
"""Words of a shingle."""
HASHES = 128
SORTED_RATIO = 95
"""Least ``token_sort_ratio`` of rapidfuzz (0 to 100) at which two texts count as alike."""
Pairs = set[tuple[int, int]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    total = Counter[str]()
    for benchmark in benchmarks(parser.parse_args().folder):
        total += counts(different_questions(benchmark))
        print(f"{benchmark.name}: read", flush=True)
    for name, count in total.items():
        print(f"{name:<48}{count:>10,}")


def different_questions(benchmark: Benchmark) -> list[FoldedQuestion]:
    """The distinct questions of a benchmark."""
    known: dict[object, FoldedQuestion] = {}
    for question in map(question_of, benchmark.items):
        known.setdefault((question.prompt, question.context, question.answer or question.choices), question)
    return list(known.values())


def counts(questions: list[FoldedQuestion]) -> Counter[str]:
    """Number of pairs that each way finds, and how many of them are near-repeats."""
    ours = {(i, j) for i, j in near_pairs(questions, np.zeros(len(questions), np.int64), DEFAULT).tolist()}
    words = [re.findall(r"\w+", question.prompt) for question in questions]
    shingles = [{" ".join(text[i : i + SHINGLE]) for i in range(max(1, len(text) - SHINGLE + 1))} for text in words]
    count = Counter({"questions": len(questions), "near-repeats": len(ours)})
    for name, sets in (("words", list(map(set, words))), ("shingles", shingles)):
        pairs = alike(sets)
        answered = {(i, j) for i, j in pairs if questions[i].answer == questions[j].answer}
        count += Counter({name: len(pairs), f"{name}, same answer": len(answered)})
        count += Counter({f"{name}, shared": len(ours & pairs)})
        if name == "words":
            kept = {(i, j) for i, j in answered if sorted_ratio(questions[i], questions[j]) >= SORTED_RATIO}
            count += Counter({"words, same answer, token_sort_ratio": len(kept)})
            count += Counter({"words, same answer, token_sort_ratio, shared": len(ours & kept)})
    return count


def alike(sets: list[set[str]]) -> Pairs:
    """Pairs proposed by MinHash LSH whose Jaccard similarity is at least the threshold."""
    index = MinHashLSH(threshold=DEFAULT, num_perm=HASHES)
    pairs: Pairs = set()
    hashes = MinHash.bulk([[word.encode() for word in words] for words in sets], num_perm=HASHES, seed=1)
    for j, hashed in enumerate(hashes):
        for i in index.query(hashed):
            if len(sets[i] & sets[j]) >= DEFAULT * max(1, len(sets[i] | sets[j])):
                pairs.add((i, j))
        index.insert(j, hashed)
    return pairs


def sorted_ratio(first: FoldedQuestion, second: FoldedQuestion) -> float:
    return float(fuzz.token_sort_ratio(first.prompt, second.prompt))


if __name__ == "__main__":
    main()
