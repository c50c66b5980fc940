"""Small finished run folders with hostile texts, written without a model by the project's own writers.

Tokens are words. A word excites the same few concepts wherever it stands, so that coverage, scores and activations of
tokens belong together: on items with the word ``Roman`` the drawn model fails, on others with ``family`` it does not.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from explorer_dictionary import HOSTILE, RARE, SAE, WIDTH, WORDS, write_dictionary_folder

from competency_gaps.concepts.kinds import LatentFacts
from competency_gaps.items.config import RunConfig, as_dict
from competency_gaps.items.item import NO_SCORE, Reason, SourceReport
from competency_gaps.pipeline.naming import name_finished_run, name_run
from competency_gaps.pipeline.results import write_results
from competency_gaps.reading.pooling import SparseRow, token_row
from competency_gaps.reading.rows import CasStore, make_block, token_tensors
from competency_gaps.runs.manifest import write_manifest, write_tables
from competency_gaps.runs.open import open_folder
from competency_gaps.runs.schemas import ITEMS, SLICES
from competency_gaps.sae.reference import SURFACE, Reference
from competency_gaps.slices.make import write_slices

NAMES = ("sums", '<img src=x onerror="alert(1)">', "=cmd|' /C calc'!A0", "nothing kept")
"""Benchmarks: scored; scored, with unscored and excluded items; imported without any score; all excluded."""
SIZES = (240, 90, 20, 2)
REPEATED = (110, 111, 112)
"""Items of the first benchmark that belong together: they count once."""
HUGE = 1_000_000
"""Characters of the longest prompt."""
BEFORE, AFTER = "Answer the question.\n\n", "\nAnswer:"
SECRETS = ("zebrafish", "quartzite", "marzipan")
"""Words that stand only in prompts, only in responses, and only in expected answers; and where such texts may be
quoted: in the command, in settings, warnings, reasons, ids and groups."""
HOME = "/home/alice"
"""A folder of somebody's; what is mailed must not name it."""
MODEL = f"{HOME}/models/<b>tiny"
WARNINGS = (
    Reason("other_model", f"the log is of the model 'another-model', the activations come from {MODEL!r}."),
    Reason("other", f"record 3 of {HOME}/log.json says {SECRETS[1]}"),
)
"""Of the second benchmark's log."""


@dataclass(frozen=True)
class Made:
    """A run and its dictionary on disk."""

    run: Path
    dictionary: Path


def hostile_run(folder: Path, *, atlas: bool = True, labels: bool = True, seed: int = 0) -> Made:
    """Write a run and its dictionary.

    Parameters
    ----------
    folder
        Gets ``run`` and ``dictionary``.
    atlas, labels
        Whether the dictionary has them; the run is named with it where it has any.
    seed
        Another one gives other items' scores, and so a run to compare with.
    """
    rng = np.random.default_rng(seed)
    run, dictionary = folder / "run", folder / "dictionary"
    run.mkdir(parents=True)
    items = _items(rng)
    store, words = CasStore(run / "activations", WIDTH), _Words()
    shards = {name: _shards(store, items, name, number, words) for number, name in enumerate(NAMES)}
    config = _config()
    setting = SimpleNamespace(config=config, lm=SimpleNamespace(tokenizer=words), reference=_reference())
    sampled = LatentFacts.of_sample(_density(), np.full(WIDTH, np.nan))
    evidence = write_results(run, store, shards, items, setting, sampled)
    pl.DataFrame(schema=SLICES).write_parquet(run / "slices.parquet")
    write_manifest(run, {**_manifest(items, shards, config, evidence), "slices": {}})
    write_slices(open_folder(run))
    write_dictionary_folder(dictionary, atlas=atlas, labels=labels)
    if atlas or labels:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("competency_gaps.pipeline.naming.embed_texts", _letters)
            name_finished_run(run, dictionary)
    else:
        tables, changed = name_run(open_folder(run), None)
        write_tables(run, tables, **changed)
    return Made(run, dictionary)


def _letters(texts: Sequence[str]) -> np.ndarray:
    """Texts by their letters, in place of a sentence embedding."""
    counts = np.array([[1, *map(text.lower().count, "etaoinshr")] for text in texts], np.float32)
    return counts / np.linalg.norm(counts, axis=1, keepdims=True)


def _items(rng: np.random.Generator) -> pl.DataFrame:
    rows = []
    for number, (name, size) in enumerate(zip(NAMES, SIZES, strict=True)):
        for i in range(size):
            rows.append(_item(rng, name, number, i))
    return pl.DataFrame(rows, schema={name: kind for name, kind in ITEMS.items() if name != "stratum"})


def _item(rng: np.random.Generator, name: str, number: int, i: int) -> dict[str, object]:
    words = [*rng.choice(WORDS, 7), *rng.choice(RARE[3 * number : 3 * number + 7], 2), SECRETS[0]]
    rng.shuffle(words)
    prompt = " ".join(words) + "?"
    if i < len(HOSTILE):
        prompt = f"{HOSTILE[i]} {prompt}"
    if (number, i) == (0, len(HOSTILE)):
        prompt = f"{prompt} " + "x" * (HUGE - len(prompt) - 1)
    excluded = number == 3 or (number == 1 and i % 40 == 39)
    unscored = not excluded and (number == 2 or (number == 1 and i % 11 == 5))
    chance = 0.05 if "Roman" in prompt else 1.0 if "family" in prompt else 0.4
    score = float(rng.random() < chance)
    repeated = number == 0 and i in REPEATED
    text = f"{BEFORE}{prompt}{AFTER}"
    hostile = HOSTILE[i % len(HOSTILE)] if i % 5 == 0 else "plain"
    return {
        "benchmark": name,
        "item_id": _id(number, i),
        "prompt": prompt,
        "text": text,
        "response": None if excluded else f"{SECRETS[1]} {hostile}",
        "answer": None if number == 2 else f"{SECRETS[2]} {i}",
        "score": None if excluded or unscored else score,
        "epochs": 1,
        "scorer": ("exact", "choice", "imported", "exact")[number],
        "group": (None, ("even", "<i>odd</i>")[i % 2], f"on {SECRETS[0]}", None)[number],
        "choices": ["first", f"{SECRETS[2]} {i}"] if number == 1 else None,
        "answer_index": 1 if number == 1 else None,
        "cluster": sum(SIZES[:number]) + (REPEATED[0] if repeated else i),
        "cluster_kind": "near" if repeated else None,
        "covariates": f'{{"source": "{SECRETS[0]}"}}' if number == 1 else None,
        "n_span_tokens": 0 if excluded else len(_tokens(prompt)),
        "n_tokens": len(_tokens(text)),
        "excluded": Reason("too_long", "longer than the context: 600 > 512 tokens", (600, 512)).as_dict()
        if excluded
        else None,
        "unscored": Reason("excluded", "excluded").as_dict() if excluded else _reason(number, i) if unscored else None,
        "body_start": len(BEFORE),
        "body_end": len(BEFORE) + len(prompt),
        "logprobs": [-0.5 * (i % 7) - 0.1, -2.25] if number == 1 and not excluded else [],
        "greedy": [True, False] if number == 1 and not excluded else [],
        "details": f'{{"verdict": "<b>{SECRETS[1]}</b>", "n": {i}}}' if i % 4 == 0 else None,
        "identity": None,
    }


def _id(number: int, i: int) -> str:
    """An item's id; of an imported benchmark it is the question."""
    plain = f"{i}" if i % 9 else f"{i}<b>&amp;\u202e"
    return f"What of {SECRETS[0]} {plain}?" if number == 2 else plain


def _reason(number: int, i: int) -> dict[str, object]:
    """Why an item has no score: in the project's own words, or in somebody else's."""
    foreign = Reason("other", f"the judge says {SECRETS[1]}, see {HOME}/judge.log")
    return (foreign if number == 2 and i % 2 else NO_SCORE).as_dict()


def _tokens(text: str) -> list[tuple[str, int, int]]:
    """Words with the blanks before them, as most tokenizers cut a text."""
    return [(found.group(), found.start(), found.end()) for found in re.finditer(r"\s*\S+|\s+$", text)]


class _Words:
    """A vocabulary that grows with the words that are read."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._numbers: dict[str, int] = {}

    def number(self, word: str) -> int:
        if word not in self._numbers:
            self._numbers[word] = len(self.texts)
            self.texts.append(word)
        return self._numbers[word]

    def batch_decode(self, ids: list[list[int]]) -> list[str]:
        return [self.texts[one[0]] for one in ids]


def excited(word: str) -> dict[int, float]:
    """Concepts that a word excites, and how strongly; concept 0 is dense, the last eight are never active."""
    word = word.strip()
    rng = np.random.default_rng(sum((place + 1) * ord(letter) for place, letter in enumerate(word[:60])))
    own = {"Roman": [1, 2, 3], "family": [4, 5, 6]}.get(word, rng.integers(7, WIDTH - 8, 5))
    concepts = np.unique([0, *own])
    return dict(zip(concepts.tolist(), rng.lognormal(0, 0.6, len(concepts)).astype(np.float32), strict=True))


def _read(
    text: str, own: tuple[int, int], words: _Words
) -> tuple[SparseRow, np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """An item's row, the places of its span's tokens, and all its tokens."""
    tokens = _tokens(text)
    place = np.array([i for i, (_, a, b) in enumerate(tokens) if a < own[1] and b > own[0]], np.int64)
    found = [(t, c, v) for t, i in enumerate(place) for c, v in excited(tokens[i][0]).items()]
    where, who, strength = (np.array(part) for part in zip(*found, strict=True))
    dense = np.zeros((len(place), WIDTH), np.float32)
    dense[where, who] = strength
    active = np.flatnonzero(dense.any(axis=0)).astype(np.int32)
    row = SparseRow(
        active,
        dense.mean(axis=0)[active],
        dense.argmax(axis=0)[active].astype(np.int32),
        token_row(where, who, strength),
    )
    ids = np.array([words.number(word) for word, _, _ in tokens], np.int32)
    return row, place, (ids, np.array([(a, b) for _, a, b in tokens], np.int32))


def _shards(store: CasStore, items: pl.DataFrame, name: str, number: int, words: _Words, size: int = 50) -> list[str]:
    own = items.filter(pl.col("benchmark") == name)
    kept = [i for i, why in enumerate(own["excluded"]) if why is None]
    kept.sort(key=lambda i: -own["n_tokens"][i])
    names = []
    for start in range(0, len(kept), size):
        some = kept[start : start + size]
        made = [_read(own["text"][i], (own["body_start"][i], own["body_end"][i]), words) for i in some]
        rows, places, tokens = (list(part) for part in zip(*made, strict=True))
        shard = f"b{number:03d}-{start // size:04d}"
        on = token_tensors([row.tokens for row in rows], places)
        block = make_block(np.array(some), rows, places, tokens, WIDTH)
        store.shards.commit(shard, store.draft(shard, block, on))
        names.append(shard)
    return names


def _density() -> np.ndarray:
    density = np.full(WIDTH, 0.01)
    density[0] = 0.9
    return density


def _reference() -> Reference:
    """Base rates; of the eight concepts that are never active in a run four are alive, so they are missing."""
    density = _density()
    density[-4:] = 0
    mean = density * 0.8
    token = [f"ref{concept}" for concept in range(WIDTH)]
    known = np.where(density > 0, 0.3, np.nan)
    lexical = np.where(np.arange(WIDTH) % 12 == 11, 0.8, known)
    surface = dict.fromkeys(SURFACE, known / 10)
    surface |= {"lexical_share": lexical, "coherence": known}
    return Reference(
        mean, density, mean / mean.sum(), known, known, 10 * density.clip(0, 0.1), known, **surface, token=token
    )


def _config() -> RunConfig:
    names = [{"name": name, "source": {"kind": "file", "path": f"b{i}.jsonl"}} for i, name in enumerate(NAMES)]
    names[0] |= {"before": f"Few shots: {SECRETS[0]}", "scope": "sums of small numbers"}
    return RunConfig.model_validate(
        {
            "out": f"{HOME}/runs/a run",
            "model": {"name": MODEL, "system_prompt": f"You like {SECRETS[0]}."},
            "sae": {"folder": f"{HOME}/sae", "dictionary": f"{HOME}/dictionary"},
            "benchmarks": names,
        }
    )


def _manifest(
    items: pl.DataFrame, shards: dict[str, list[str]], config: RunConfig, evidence: dict[str, object]
) -> dict[str, object]:
    report = SourceReport(benchmark=NAMES[1], format="inspect", model="another-model", warnings=WARNINGS)
    left_out = (
        ("7", Reason("no_prompt", "the record has no prompt")),
        ("9", Reason("no_prompt", "the record has no prompt")),
        ("11", Reason("other", f"odd: {SECRETS[2]}")),
    )
    declined = Reason("declined_wrongly", "declined 10% of 90 items that should be answered", (0.1, 0.05, 0.2, 90))
    benchmarks = [
        {
            "name": name,
            "items": SIZES[number],
            "content_sha256": "cd" * 32,
            "scorer": ", ".join(items.filter(pl.col("benchmark") == name)["scorer"].unique()),
            "scope": (None, "sums of small numbers")[number == 0],
            "left_out": [
                {"where": f"{HOME}/b{number}.jsonl:{line}", "reason": why.as_dict()} for line, why in left_out
            ],
            "source": [asdict(report)] if number == 1 else [],
            "figures": {"refusal": {"scorer": "refusal", "summary": [declined.as_dict()]}} if number == 1 else {},
            "shards": shards[name],
        }
        for number, name in enumerate(NAMES)
    ]
    return {
        "created": "2026-11-24T15:40:00+00:00",
        "command": f"cgaps run {HOME}/tiny.yaml --out 'a <b>run</b>' --note 'of {SECRETS[0]}'",
        "versions": {"python": "3.11.7", "competency-gaps": "0.1.0"},
        "scored_model": MODEL,
        "model": {
            "name": MODEL,
            "class": "LlamaForCausalLM",
            "dtype": "float32",
            "hidden_size": 32,
            "layers": 4,
            **dict.fromkeys(("weights_sha256", "content_sha256"), "5a" * 32),
        },
        "sae": SAE,
        "hook": {"name": SAE["hook_name"], "path": "model.layers.2", "side": "output", "layer": 2},
        "span": config.span,
        "pooling": config.pooling,
        "paper": config.paper,
        "bos_id": 0,
        "gate": {
            "tokens": 512,
            "l0": 6.0,
            "explained_variance": 0.41,
            "dead_share": 0.1,
            "d_sae": WIDTH,
            "passed": False,
            "forced": True,
        },
        "reference": {"name": "reference.parquet", "sha256": "ef" * 32, "lift": True},
        "dictionary": None,
        "evidence": evidence,
        "benchmarks": benchmarks,
        "settings": as_dict(config),
        "timings": {"load": 1.0, "reading": 2.5},
    }
