"""The part of real_models.py that looks for families of models."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import polars as pl
from scipy.stats import false_discovery_control

import competency_gaps as cg
from competency_gaps.stages.compare import holm

RELABELLED = 9_999
"""Random assignments of families to models; all, where there are no more than twice as many."""
FAMILIES = {
    "Llama": r"llama",
    "Mistral": r"mistral|mixtral",
    "Qwen": r"qwen",
    "Yi": r"yi-",
    "Gemma and Gemini": r"gemma|gemini",
    "Claude": r"claude",
    "GPT": r"gpt-|o1-",
    "DeepSeek": r"deepseek",
}
"""Family -> what its models' names begin with, apart from a maker's prefix. mathstral, a specialist, is in none."""


class Labels(NamedTuple):
    """Families of models: number of each model's, and their names."""

    number: np.ndarray
    names: tuple[str, ...]


def families_of(models: list[str]) -> Labels:
    """Find the family of each model; -1: none, or it is the only one of its family."""
    own = []
    for model in models:
        name = re.sub(r"^meta-", "", model.lower())
        own.append(next((family for family, start in FAMILIES.items() if re.match(start, name)), ""))
    names = tuple(family for family in FAMILIES if own.count(family) > 1)
    return Labels(np.array([names.index(family) if family in names else -1 for family in own]), names)


def relabelled(number: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, bool]:
    """Deal families out among models anew.

    Returns
    -------
    ndarray of int64 of shape (draws, models), the real assignment first; and whether these are all that are possible
    """
    sizes = np.bincount(number)
    ways = math.factorial(len(number)) // math.prod(map(math.factorial, sizes.tolist()))
    if ways > 2 * RELABELLED:
        return np.stack([number, *(rng.permutation(number) for _ in range(RELABELLED))]), False
    others = [labels for labels in assignments(sizes.tolist()) if labels != number.tolist()]
    return np.array([number.tolist(), *others]), True


def assignments(sizes: list[int]) -> Iterator[list[int]]:
    """Go through all different assignments of families of these sizes."""
    if not any(sizes):
        yield []
    for family, size in enumerate(sizes):
        if size:
            left = [other - (place == family) for place, other in enumerate(sizes)]
            yield from ([family, *rest] for rest in assignments(left))


def between_share(gaps: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Share of the variance that lies between families, for all themes together and for each.

    The first is the R^2 of PERMANOVA with Euclidean distances (Anderson, Austral Ecology 26, 2001).

    Parameters
    ----------
    gaps : ndarray of float64 of shape (models, themes)
    labels : ndarray of int64 of shape (draws, models)

    Returns
    -------
    ndarray of shape (draws,), ndarray of shape (draws, themes)
    """
    centred = gaps - gaps.mean(axis=0)
    member = (labels[:, None, :] == np.arange(labels.max() + 1)[None, :, None]).astype(float)
    size = member.sum(axis=2)
    between = ((member @ centred) ** 2 / size[:, :, None]).sum(axis=1)
    total = (centred**2).sum(axis=0)
    return between.sum(axis=1) / total.sum(), between / total


def families(run: cg.Run, models: list[str]) -> None:
    """Print whether families of models differ in their themes, against peers."""
    table = run.model_themes(against_peers=True, models=models)
    complete = table.filter(pl.col("gap").is_not_null().all().over("name"))
    wide = complete.pivot(on="name", index="model", values="gap")
    labels = families_of(wide["model"].to_list())
    kept = labels.number >= 0
    gaps, names = wide.drop("model").to_numpy()[kept], wide.columns[1:]
    draws, exact = relabelled(labels.number[kept], np.random.default_rng(0))
    whole, each = between_share(gaps, draws)
    p_value = np.mean(np.stack([all_draws >= all_draws[0] - 1e-12 for all_draws in each.T]), axis=1)
    by_holm = holm(p_value)
    fdr = false_discovery_control(p_value)
    sizes = ", ".join(f"{name} {int((labels.number == place).sum())}" for place, name in enumerate(labels.names))
    print(f"{kept.sum()} models ({sizes}), {len(names)} themes; {len(draws):,} assignments{' (all)' if exact else ''}.")
    chance = whole[1:].mean() if not exact else whole.mean()
    low, high = np.quantile(whole, [0.025, 0.975])
    print(
        f"Between families: {whole[0]:.0%} of the variance; by chance {chance:.0%} ({low:.0%} to {high:.0%}); "
        f"p = {np.mean(whole >= whole[0] - 1e-12):.4f}.\n"
    )
    print(f"| theme | share | p | Holm | FDR | {' | '.join(labels.names)} |")
    print(f"| --- | ---: | ---: | ---: | ---: |{' ---: |' * len(labels.names)}")
    for place in np.argsort(p_value, kind="stable")[:10]:
        means = [gaps[draws[0] == family, place].mean() for family in range(len(labels.names))]
        cells = [
            f"{p_value[place]:.4f}",
            f"{by_holm[place]:.3f}",
            f"{fdr[place]:.3f}",
            *(f"{100 * m:+.1f}" for m in means),
        ]
        print(f"| {names[place]} | {each[0, place]:.0%} | {' | '.join(cells)} |")
