"""Build the corpus for a sparse autoencoder: a folder of texts, and conversations that the model wrote.

    python recipes/stretches/build_corpus.py --texts TEXTS --conversations converse --without BENCHMARKS --out corpus

TEXTS holds JSON Lines with the fields ``text``, ``kind``, ``source`` (repository, path and commit) and ``licence``; the
kinds, sources and licences are counted in ``sources.json`` beside the corpus. Repeated and degenerate texts go, and
those that share 13 words in a row with a text below BENCHMARKS (shorter texts cannot be recognised). Texts that are
dialogues of a user and an assistant are rendered in the model's chat template half of the time.

Texts are cut into passages about as long as a benchmark's item, and the passages shuffled in rounds: the first of every
text, then the second of every text, and so on. However much of the corpus is read, it comes from as many texts as
possible; a dictionary trained on few texts learns these texts.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import re
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

HELD_OUT = 0.06
CHAT_SHARE = 0.5
RUN = 13
"""Words in a row that a text may not share with a benchmark."""
TURN = re.compile(r"^(User|Assistant): ", re.MULTILINE)
SHORTEST = 200
PASSAGE = (400, 900)
"""Shortest and longest length in characters at which a passage ends with the next sentence; drawn for each."""
SENTENCE_END = re.compile(r"(?<=[.!?:;])\s+|\n+")
REPEATS = 4.0
"""Most by which a conversation may be compressible: those in which the model repeats itself are more so."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=Path, required=True)
    parser.add_argument("--conversations", type=Path)
    parser.add_argument("--without", type=Path, nargs="*", default=[])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    dropped: Counter[str] = Counter()
    rows = list(text_rows(args.texts, args.seed))
    if args.conversations:
        rows += conversation_rows(args.conversations, dropped)
    rows = list(without_repeats(rows, dropped))
    if args.without:
        known = benchmark_runs(args.without)
        kept = [row for row in rows if known.isdisjoint(word_runs(words_of(row)))]
        dropped["shares 13 words with a benchmark"] = len(rows) - len(kept)
        rows = kept
    args.out.mkdir(parents=True, exist_ok=True)
    schema = {**dict.fromkeys(("id", "source", "kind", "text", "messages"), pl.String), "passage": pl.Int32}
    held = [int(row["id"][:8], 16) / 0xFFFFFFFF < HELD_OUT for row in rows]
    for name, part in (("train", False), ("heldout", True)):
        chosen = [row for row, is_held in zip(rows, held, strict=True) if is_held == part]
        table = pl.DataFrame(in_rounds(chosen, args.seed), schema=schema)
        table.write_parquet(args.out / f"{name}.parquet")
    facts = {"dropped": dict(dropped), "sources": summary(rows)}
    (args.out / "sources.json").write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n")
    print(f"{args.out}: {len(rows)} texts, {sum(held)} of them held out; left out: {dict(dropped)}")


def text_rows(folder: Path, seed: int) -> Iterator[dict[str, Any]]:
    """Rows of a folder of texts; half of the dialogues become chat messages."""
    rng = random.Random(seed)
    for path in sorted(folder.glob("*.jsonl")):
        with path.open(encoding="utf-8") as file:
            for record in map(json.loads, file):
                turns = turns_of(record["text"]) if rng.random() < CHAT_SHARE else []
                row = {"source": record["source"], "kind": record["kind"], "licence": record["licence"]}
                if turns:
                    yield {**row, "text": None, "messages": json.dumps(turns, ensure_ascii=False)}
                else:
                    yield {**row, "text": record["text"], "messages": None}


def turns_of(text: str) -> list[dict[str, str]]:
    """Chat messages of a text that consists of turns of a user and an assistant; empty for other texts."""
    parts = TURN.split(text)
    if parts[0].strip() or len(parts) < 5:
        return []
    pairs = zip(parts[1::2], parts[2::2], strict=True)
    return [{"role": speaker.lower(), "content": words.strip()} for speaker, words in pairs]


def conversation_rows(folder: Path, dropped: Counter[str]) -> Iterator[dict[str, Any]]:
    """Rows of the conversations that the model wrote, without degenerate ones."""
    for path in sorted(folder.glob("*.jsonl")):
        with path.open(encoding="utf-8") as file:
            for record in map(json.loads, file):
                content = "\n".join(m["content"] for m in record["messages"] if m["role"] != "system")
                packed = len(content.encode()) / len(zlib.compress(content.encode()))
                if len(content) < SHORTEST or packed > REPEATS:
                    dropped["degenerate conversation"] += 1
                    continue
                if not content.isascii():
                    dropped["conversation with other characters than ASCII"] += 1
                    continue
                yield {
                    "source": "written by SmolLM2-135M-Instruct",
                    "kind": "conversation",
                    "licence": "Apache-2.0 (of the model)",
                    "text": None,
                    "messages": json.dumps(record["messages"], ensure_ascii=False),
                }


def words_of(row: dict[str, Any]) -> list[str]:
    """Lower-case words of a row's text."""
    text = row["text"] or "\n".join(message["content"] for message in json.loads(row["messages"]))
    return re.findall(r"[a-z0-9]+", text.lower())


def without_repeats(rows: list[dict[str, Any]], dropped: Counter[str]) -> Iterator[dict[str, Any]]:
    """Rows with an id, the hash of their text; texts and users' requests that were there before are left out."""
    seen: set[str] = set()
    for row in rows:
        words = " ".join(words_of(row))
        request = ""
        if row["kind"] == "conversation":
            request = next(m["content"] for m in json.loads(row["messages"]) if m["role"] == "user").lower()[:80]
        if words in seen or (request and request in seen):
            dropped[f"repeated ({row['kind']})"] += 1
            continue
        seen |= {words, request} - {""}
        yield {"id": hashlib.sha256(words.encode()).hexdigest()[:16], **row}


def word_runs(words: list[str]) -> set[int]:
    """Hashes of all runs of 13 words."""
    return {hash(tuple(words[i : i + RUN])) for i in range(len(words) - RUN + 1)}


def benchmark_runs(folders: list[Path]) -> set[int]:
    """Hashes of all runs of 13 words of the prompts, choices and texts of JSON Lines files."""
    runs: set[int] = set()
    for path in sorted(path for folder in folders for path in folder.rglob("*.jsonl")):
        with path.open(encoding="utf-8") as file:
            for record in map(json.loads, file):
                texts = [record.get(key) for key in ("prompt", "question", "text", "point")]
                texts += record.get("choices") or record.get("options") or []
                for text in texts:
                    if isinstance(text, str):
                        runs |= word_runs(re.findall(r"[a-z0-9]+", text.lower()))
    return runs


def in_rounds(rows: list[dict[str, Any]], seed: int) -> list[dict[str, Any]]:
    """Passages of texts: the first of all texts in random order, then the second, and so on."""
    cut = [
        {**row, **part, "passage": number}
        for row in sorted(rows, key=lambda row: row["id"])
        for number, part in enumerate(passages_of(row, seed))
    ]
    random.Random(seed).shuffle(cut)
    return sorted(cut, key=lambda row: row["passage"])


def passages_of(row: dict[str, Any], seed: int) -> Iterator[dict[str, str | None]]:
    """A text's passages; of a chat, stretches of whole turns that begin with the user's."""
    rng = random.Random(f"{seed}/{row['id']}")
    aim = rng.randint(*PASSAGE)
    if row["text"] is not None:
        start = 0
        for end in [*(match.end() for match in SENTENCE_END.finditer(row["text"])), len(row["text"])]:
            if end - start >= aim or (end == len(row["text"]) and end - start >= SHORTEST):
                yield {"text": row["text"][start:end].strip(), "messages": None}
                start, aim = end, rng.randint(*PASSAGE)
        return
    turns: list[dict[str, str]] = []
    for turn in json.loads(row["messages"]):
        if turn["role"] == "user" and sum(len(t["content"]) for t in turns) >= aim:
            yield {"text": None, "messages": json.dumps(turns, ensure_ascii=False)}
            turns, aim = [], rng.randint(*PASSAGE)
        turns.append(turn)
    yield {"text": None, "messages": json.dumps(turns, ensure_ascii=False)}


def summary(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Per kind, repository and commit: texts and characters."""
    frame = pl.DataFrame(
        {
            "kind": [row["kind"] for row in rows],
            "source": [re.sub(r":.*(@[0-9a-f]{7,40}).*$", r"\1", row["source"]) for row in rows],
            "licence": [row["licence"] for row in rows],
            "characters": [len(row["text"] or row["messages"]) for row in rows],
        }
    )
    figures = [pl.len().alias("texts"), pl.col("characters").sum()]
    return frame.group_by("kind", "source", "licence").agg(figures).sort("kind", "source").to_dicts()


if __name__ == "__main__":
    main()
