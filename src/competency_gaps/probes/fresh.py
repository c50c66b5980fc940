"""Fresh items on a run's concepts: the same generated families with seeds that the run has not seen."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

import numpy as np

from competency_gaps.config import BenchmarkConfig, ReasoningGymSource, RunConfig, as_dict
from competency_gaps.errors import UserError
from competency_gaps.runs.open import RunFolder

FAR = 1_000_000
"""Distance of fresh seeds: item ``i`` of a family under a seed is item 0 under ``seed + i``, so that near seeds share
items."""


def fresh_config(config: RunConfig, benchmarks: Sequence[BenchmarkConfig], items: int, seed: int) -> RunConfig:
    """The run's configuration with new items of these benchmarks.

    Family, difficulty, options, prompt and policy stay as they are; only seed and number change.

    Parameters
    ----------
    items
        Fresh items of each benchmark; several sources share them in proportion to their sizes.
    seed
        Another seed gives other fresh items.
    """
    used = [
        (source.family, source.seed, source.seed + source.size)
        for benchmark in config.benchmarks
        for source in benchmark.all_sources
        if isinstance(source, ReasoningGymSource)
    ]
    return config.model_copy(update={"benchmarks": [_fresh(benchmark, items, seed, used) for benchmark in benchmarks]})


def _fresh(benchmark: BenchmarkConfig, items: int, seed: int, used: Sequence[tuple[str, int, int]]) -> BenchmarkConfig:
    sources = [source for source in benchmark.all_sources if isinstance(source, ReasoningGymSource)]
    whole = sum(source.size for source in sources)
    new = [
        source.model_copy(
            update={
                "seed": _unused(source.family, source.seed + FAR * (seed + 1), items, used),
                "size": max(1, round(items * source.size / whole)),
            }
        )
        for source in sources
    ]
    places = {"source": new[0]} if benchmark.source is not None else {"sources": new}
    return benchmark.model_copy(update={**places, "limit": None})


def _unused(family: str, seed: int, size: int, used: Sequence[tuple[str, int, int]]) -> int:
    """The next seed none of whose items are in the run."""
    while any(name == family and seed < end and start < seed + size for name, start, end in used):
        seed += FAR
    return seed


def config_key(config: RunConfig) -> str:
    """Eight hexadecimal digits that identify a configuration, without a judge's settings of speed and cost."""
    settings = {**as_dict(config), "out": None}
    if config.judge is not None:
        settings["judge"] = {key: settings["judge"][key] for key in ("base_url", "model", "answer_tokens")}
    text = json.dumps(settings, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def own_texts(run: RunFolder) -> frozenset[str]:
    """Texts of the run's items, with normalised white space."""
    return frozenset(_plain(text) for text in run.items["prompt"])


def duplicates(prompts: Sequence[str], benchmarks: Sequence[str], known: frozenset[str]) -> np.ndarray:
    """Mark fresh items that repeat known ones.

    Returns
    -------
    ndarray of object of shape (items,)
        ``in the run``, ``twice`` (an earlier fresh item of the benchmark asks the same), or None.
    """
    seen: set[tuple[str, str]] = set()
    repeats = np.full(len(prompts), None, dtype=object)
    for i, (text, benchmark) in enumerate(zip(prompts, benchmarks, strict=True)):
        plain = _plain(text)
        if plain in known:
            repeats[i] = "in the run"
        elif (benchmark, plain) in seen:
            repeats[i] = "twice"
        seen.add((benchmark, plain))
    return repeats


def _plain(text: str) -> str:
    return " ".join(text.split())


def check_same_pair(run: RunFolder, fresh: RunFolder) -> None:
    """Check that fresh items were read by the run's own model and SAE.

    Raises
    ------
    UserError
        If what the run's settings name has changed since.
    """
    for part in ("model", "sae"):
        before, now = (folder.manifest[part] for folder in (run, fresh))
        if before["content_sha256"] != now["content_sha256"]:
            raise UserError(
                f"the {part} {run.manifest[part].get('name')!r} has other weights than when {run.path} was made: what "
                f"it reads now says nothing about that run. Restore the {part}, or make the run anew."
            )
