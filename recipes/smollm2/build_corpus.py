"""Build the corpus for a sparse autoencoder of SmolLM2-135M-Instruct: Debian packages and generated tasks.

Usage: python recipes/smollm2/build_corpus.py --out DIR --work DIR --characters 32000000
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import os
import random
import re
import subprocess
import sys
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cloze
import polars as pl
import sources

import tasks

LOG = logging.getLogger("build_corpus")
SHARES = {"prose": 0.30, "dictionary": 0.15, "documentation": 0.15, "code": 0.12, "task": 0.28}
WORDNET = "wordnet-base"
SHORTEST, LONGEST = 300, 6000
FAMILY_CAP = 0.015
HELD_OUT = 0.14
CHAT_SHARE = 0.6
LICENCE = re.compile(
    r"(?i)copyright (?:\(c\)|©|\d)|general public licen[cs]e|licensed under|permission is hereby|SPDX|"
    r"all rights reserved|without (?:any )?warranty|redistribution and use|"
    r"free software[;:,] you can redistribute|received a copy of the GNU|license as published by"
)
# navigation and notices that stand on every page of one manual
BOILERPLATE = re.compile(
    r"(?:Download the ebook|- (?:Prev|Next|Home|Up|Document Home).*|Prev|Next|Up|Home|Module|Contents|"
    r"Related Topics|LibreOffice [\d.]+ Help|Enable JavaScript in the browser.*|"
    r"To access this (?:command|function)\.\.\.|Page \d+|"
    r"The Debian Administrator's Handbook|- The Debian Administrator's Handbook|Table of Contents)\s*"
)
COMMON = re.compile(r"\b(?:the|of|and|to|in|is|a|that|for|it|you|as|with|be|or|are|was)\b")


def unpack(work: Path, packages: Iterable[str]) -> dict[str, str]:
    """Download and unpack the packages that are not there yet; their versions."""
    names = list(packages)
    store = work / "deb"
    store.mkdir(parents=True, exist_ok=True)
    missing = [p for p in names if not list(store.glob(f"{p}_*.deb"))]
    if missing:
        subprocess.run(["apt-get", "download", "-q", *missing], cwd=store, check=True, stdout=subprocess.DEVNULL)
    versions = {}
    for name in names:
        deb = sorted(store.glob(f"{name}_*.deb"))[-1]
        root = work / "x" / name
        if not root.is_dir():
            part = root.with_suffix(".part")  # a package is there whole or not at all
            part.mkdir(parents=True, exist_ok=True)
            subprocess.run(["dpkg-deb", "-x", str(deb), str(part)], check=True)
            part.rename(root)
        shown = subprocess.run(["dpkg-deb", "-f", str(deb), "Version"], check=True, capture_output=True, text=True)
        versions[name] = shown.stdout.strip()
    return versions


def acceptable(text: str, kind: str) -> bool:
    """English (or code) of ordinary density: no tables of numbers, no binary, not one line over and over."""
    if len(text) < 80 or "\ufffd" in text or "\x00" in text:
        return False
    plain = sum(c < "\x7f" or c in "“”‘’—–…é£" for c in text) / len(text)
    letters = sum(c.isalpha() or c == " " or c == "\n" for c in text) / len(text)
    packed = len(zlib.compress(text.encode())) / len(text.encode())
    if kind == "code":
        return plain > 0.98 and letters > 0.5 and packed > 0.18
    common = len(COMMON.findall(text.lower())) / (len(text.split()) + 1)
    return plain > 0.97 and letters > 0.72 and packed > 0.24 and common > (0.04 if kind == "dictionary" else 0.1)


def split(text: str, rng: random.Random) -> Iterator[str]:
    """Pieces of SHORTEST..LONGEST characters that end with a paragraph; their lengths vary on purpose."""
    aim, held, size = rng.randint(500, 4500), [], 0
    for paragraph in re.split(r"\n\s*\n", text):
        paragraph = paragraph.rstrip()
        lines = paragraph.strip().split("\n")
        if not paragraph.strip() or LICENCE.search(paragraph) or all(BOILERPLATE.fullmatch(x) for x in lines):
            continue
        for piece in cut(paragraph):
            if (held and size + len(piece) > LONGEST) or size >= aim:
                yield "\n\n".join(held)
                aim, held, size = rng.randint(500, 4500), [], 0
            held.append(piece)
            size += len(piece) + 2
    if size >= SHORTEST:
        yield "\n\n".join(held)


def cut(paragraph: str) -> Iterator[str]:
    """A paragraph longer than a document may be, cut at line ends (a line longer than that is dropped)."""
    if len(paragraph) <= LONGEST - 500:
        yield paragraph
        return
    held: list[str] = []
    for line in paragraph.split("\n"):
        if sum(map(len, held)) + len(line) > 3000 and held:
            yield "\n".join(held)
            held = []
        if len(line) < LONGEST - 500:
            held.append(line)
    if held:
        yield "\n".join(held)


def pack(items: list[str], rng: random.Random) -> Iterator[str]:
    """Short items, in random order, joined to documents of varied length."""
    rng.shuffle(items)
    aim, held, size = rng.randint(SHORTEST, 2000), [], 0
    for item in items:
        held.append(item[: LONGEST - 2000])
        size += len(held[-1])
        if size >= aim:
            yield "\n\n".join(held)
            aim, held, size = rng.randint(SHORTEST, 2000), [], 0


def read_source(source: sources.Source, work: Path, seed: int) -> list[str]:
    """All acceptable documents of a source, shuffled."""
    rng = random.Random(f"{seed}/{source.name}")
    items = [t for p in source.packages for t in source.reader(work / "x" / p)]
    pieces = pack(items, rng) if source.pack else (d for t in items for d in split(t, rng))
    kept = [d for d in pieces if acceptable(d, source.kind)]
    rng.shuffle(kept)
    LOG.info("%s: %d documents, %d characters available", source.name, len(kept), sum(map(len, kept)))
    return kept


def share_out(have: dict[str, tuple[int, float]], budget: int) -> dict[str, int]:
    """Split a budget over sources by weight; what a short source cannot give goes to the others."""
    given: dict[str, int] = {}
    left = dict(have)
    while left:
        level = max(0, budget - sum(given.values())) / sum(w for _, w in left.values())
        short = {n: a for n, (a, w) in left.items() if a <= level * w}
        if not short:
            return given | {n: int(level * w) for n, (_, w) in left.items()}
        given |= short
        left = {n: v for n, v in left.items() if n not in short}
    return given


def text_rows(work: Path, characters: int, seed: int, net: tasks.WordNet) -> Iterator[dict[str, Any]]:
    """Rows of the prose, dictionary, documentation and code kinds, near their shares."""
    for kind in ("prose", "dictionary", "documentation", "code"):
        chosen = {s.name: s for s in sources.SOURCES if s.kind == kind}
        texts = {name: read_source(s, work, seed) for name, s in chosen.items()}
        weights = {name: s.weight for name, s in chosen.items()}
        if kind == "dictionary":
            rng = random.Random(f"{seed}/{WORDNET}")
            # two thirds of the entries: the others are left to the questions
            entries = [net.entry(s) for s in net.synsets.values() if rng.random() < 0.67]
            texts[WORDNET] = [d for d in pack(entries, rng) if acceptable(d, kind)]
            weights[WORDNET] = 1.0
        have = {n: (sum(map(len, t)), weights[n]) for n, t in texts.items()}
        for name, budget in share_out(have, int(characters * SHARES[kind])).items():
            used = 0
            for text in texts[name]:
                if used >= budget:
                    break
                used += len(text)
                yield {"source": name, "kind": kind, "text": text, "messages": None}


def task_rows(characters: int, seed: int, net: tasks.WordNet) -> Iterator[dict[str, Any]]:
    """Rows of the task kind: reasoning-gym, word questions and everyday cloze questions."""
    from reasoning_gym.factory import DATASETS

    rng = random.Random(f"{seed}/tasks")
    budget = int(characters * SHARES["task"])
    pairs: dict[str, list[tasks.Pair]] = defaultdict(list)
    for form, pair in tasks.word_pairs(net, rng, int(0.27 * budget)):
        pairs[f"{WORDNET}:{form}"].append(pair)
    for form, pair in cloze.pairs(rng, int(0.03 * budget)):
        pairs[f"cloze:{form}"].append(pair)
    left = budget - sum(len(q) + len(a) for p in pairs.values() for q, a in p)
    families = sorted(set(DATASETS) - tasks.LEFT_OUT)
    for done, family in enumerate(families):
        # what slow families cannot give goes to those after them, up to the cap
        quota = min(int(left / (len(families) - done)), int(FAMILY_CAP * characters))
        made = list(tasks.gym_pairs(family, quota, seed))
        left -= sum(len(q) + len(a) for q, a in made)
        pairs[f"reasoning-gym:{family}"] = made
        LOG.info(
            "%s: %d items, %d of %d characters",
            family,
            len(made),
            sum(len(q) + len(a) for q, a in made),
            quota,
        )
    for name in sorted(pairs):
        cap = int(FAMILY_CAP * characters)
        for row in dialogues(list(dict.fromkeys(pairs[name])), rng):
            cap -= len(row["text"] or row["messages"])
            if cap > 0:
                yield {"source": name, "kind": "task", **row}


def dialogues(pairs: list[tasks.Pair], rng: random.Random) -> Iterator[dict[str, str | None]]:
    """Pairs as chats (short ones often two or three turns) or as plain "Question: ... Answer: ..." text."""
    place = 0
    while place < len(pairs):
        chat = rng.random() < CHAT_SHARE
        size = 0
        group: list[tasks.Pair] = []
        wanted = SHORTEST if not chat or rng.random() < 0.35 else 1
        while place < len(pairs) and size < wanted and len(group) < 6:
            group.append(pairs[place])
            size += sum(map(len, pairs[place]))
            place += 1
        if chat:
            turns = [{"role": r, "content": c} for q, a in group for r, c in (("user", q), ("assistant", a))]
            yield {"text": None, "messages": json.dumps(turns, ensure_ascii=False)}
        else:
            yield {"text": "\n\n".join(f"Question: {q}\nAnswer: {a}" for q, a in group), "messages": None}


def finish(rows: Iterable[dict[str, Any]], seed: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Drop repeated documents, name each by the hash of its text, shuffle, split off the held-out part."""
    seen: dict[str, dict[str, Any]] = {}
    for row in rows:
        normal = " ".join((row["text"] or row["messages"]).lower().split())
        row_id = hashlib.sha256(normal.encode()).hexdigest()[:16]
        seen.setdefault(row_id, {"id": row_id, **row})
    order = sorted(seen)
    random.Random(seed).shuffle(order)
    schema = dict.fromkeys(("id", "source", "kind", "text", "messages"), pl.String)
    held = {i for i in order if int(i[:8], 16) / 0xFFFFFFFF < HELD_OUT}
    train = pl.DataFrame([seen[i] for i in order if i not in held], schema=schema)
    return train, pl.DataFrame([seen[i] for i in order if i in held], schema=schema)


def summary(frame: pl.DataFrame, versions: dict[str, str], work: Path) -> dict[str, Any]:
    """Per kind and per source: documents and characters; per package: version and licences."""
    sizes = frame.with_columns(size=pl.coalesce("text", "messages").str.len_chars())
    count = [pl.len().alias("documents"), pl.col("size").sum().alias("characters")]
    return {
        "kinds": {r["kind"]: r for r in sizes.group_by("kind").agg(count).sort("kind").to_dicts()},
        "sources": sizes.group_by("source", "kind").agg(count).sort("kind", "source").to_dicts(),
        "packages": {
            p: {"version": v, "licences": sources.licences(work / "x" / p, p)} for p, v in sorted(versions.items())
        },
        "python": {"reasoning_gym": version("reasoning_gym"), "polars": version("polars")},
        "parts": {s.name: list(s.packages) for s in sources.SOURCES if len(s.packages) > 1},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="where packages are downloaded and unpacked")
    parser.add_argument("--characters", type=int, default=32_000_000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s")
    versions = unpack(args.work, [p for s in sources.SOURCES for p in s.packages] + [WORDNET])
    net = tasks.WordNet(args.work / "x" / WORDNET / "usr/share/wordnet")
    rows = [
        *text_rows(args.work, args.characters, args.seed, net),
        *task_rows(args.characters, args.seed, net),
    ]
    train, held = finish(rows, args.seed)
    args.out.mkdir(parents=True, exist_ok=True)
    train.write_parquet(args.out / "train.parquet")
    held.write_parquet(args.out / "heldout.parquet")
    facts = summary(pl.concat([train, held]), versions, args.work)
    (args.out / "sources.json").write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n")
    LOG.info("train %d documents, heldout %d: %s", len(train), len(held), args.out)


if __name__ == "__main__":
    if os.environ.get("PYTHONHASHSEED") != "0":
        # some reasoning-gym families walk sets of strings, whose order hangs on this variable
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | {"PYTHONHASHSEED": "0"})
    main()
