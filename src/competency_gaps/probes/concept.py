"""Probe concepts: test on fresh items, with the run's model and SAE, whether the run's claims about them hold.

Which items excite a concept is measured, not assumed: ``nCAS >= min_saliency`` with the run's own typical activation
(:mod:`competency_gaps.metrics.suite`; so ``CAS > 0``). The other items of the same families serve as
the comparison.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from competency_gaps.config import ModelConfig, RunConfig, parse_config
from competency_gaps.errors import UserError, argument
from competency_gaps.files import finite
from competency_gaps.metrics.suite import saliency
from competency_gaps.probes.fresh import check_same_pair, config_key, duplicates, fresh_config, own_texts
from competency_gaps.probes.kept import FOLDER, KeptProbe, write_probe
from competency_gaps.probes.targets import ProbedConcept
from competency_gaps.probes.verdict import ProbeResult, decide, examine
from competency_gaps.progress import Progress
from competency_gaps.runs.manifest import FILE as MANIFEST
from competency_gaps.runs.manifest import adding_to_run
from competency_gaps.runs.open import RunFolder, open_folder
from competency_gaps.runs.settings import run_config
from competency_gaps.text import plural


@dataclass(frozen=True)
class Criterion:
    """Which items excite a concept, and how certain a verdict must be."""

    min_saliency: float = 0.2
    """nCAS from which an item excites a concept, in (0, 1); 0.46 is a typical activation."""
    q: float = 0.05
    """False-discovery rate over the probed concepts."""
    level: float = 0.95
    """Coverage of the intervals."""
    seed: int = 0
    """Of drawn permutations."""

    def __post_init__(self) -> None:
        for name in ("min_saliency", "q", "level"):
            if not 0 < getattr(self, name) < 1:
                raise UserError(f"{argument(name)} {getattr(self, name):g}: expected a number above 0 and below 1.")


@dataclass(frozen=True)
class Probed:
    """The outcome of a probe."""

    folder: Path
    """Where verdicts and items lie."""
    fresh: Path
    """The run over the fresh items."""
    results: tuple[tuple[ProbedConcept, ProbeResult], ...]
    dropped: dict[str, int]
    """Reason -> fresh items that took no part."""
    left_out: dict[int, str]
    """Concepts that could not be probed, and why."""

    def as_dict(self) -> dict[str, Any]:
        """As one JSON document."""
        rows: Any = finite([_row(target, result) for target, result in self.results])
        return {
            "folder": str(self.folder),
            "fresh": str(self.fresh),
            "concepts": rows,
            "dropped": self.dropped,
            "left_out": {str(concept): why for concept, why in self.left_out.items()},
        }


def probe_generated(
    run: RunFolder,
    wanted: Sequence[ProbedConcept],
    criterion: Criterion,
    progress: Progress,
    *,
    items: int = 300,
    seed: int = 0,
    command: str = "",
) -> Probed:
    """Probe concepts with new items of the run's generated benchmarks; no network and no other model is needed.

    Parameters
    ----------
    items
        Fresh items of each benchmark in which one of the concepts is active.
    seed
        Another seed gives other fresh items.

    Raises
    ------
    UserError
        If none of the concepts is active in a generated benchmark.
    """
    config = run_config(run)
    known = config.generated
    left_out = {target.concept: _not_generated(target) for target in wanted if not set(target.benchmarks) & set(known)}
    chosen = [target for target in wanted if target.concept not in left_out]
    if not chosen:
        raise UserError(f"{next(iter(left_out.values()))} A language model can write items on it.")
    names = {name for target in chosen for name in target.benchmarks}
    benchmarks = [known[name] for name in known if name in names]
    fresh = fresh_run(run, fresh_config(config, benchmarks, items, seed), progress, command)
    folder = run.path / FOLDER / folder_name("concepts", [target.concept for target in chosen])
    return conclude(run, fresh, chosen, criterion, progress, folder=folder, left_out=left_out)


def _not_generated(target: ProbedConcept) -> str:
    return (
        f"concept {target.concept} is active only in {', '.join(target.benchmarks)}, of which no new items can be "
        "generated (they are no reasoning-gym families)."
    )


def fresh_run(run: RunFolder, config: RunConfig, progress: Progress, command: str) -> RunFolder:
    """The run over fresh items: opened if it is finished, else resumed or begun.

    It is not finished while items wait for a judge (a cap was reached, an answer could not be used).
    """
    from competency_gaps.stages import pipeline

    folder = run.path / FOLDER / f"fresh-{config_key(config)}"
    fresh = open_folder(folder) if (folder / MANIFEST).is_file() else None
    if fresh is not None and not _waits(fresh, config):
        progress.say(f"Fresh items are there already: {folder}")
    else:
        # The run has passed the gate with this very pair; a few short items of another kind are no test of the SAE.
        forced = config.model_copy(
            update={
                "sae": config.sae.model_copy(update={"force": True}),
                "model": parse_config(
                    ModelConfig,
                    {**config.model.model_dump(), "dtype": run.manifest["model"]["dtype"]},
                    f"the model of {run.path}",
                ),
            }
        )
        fresh = pipeline.run(forced, folder, progress, command)
    check_same_pair(run, fresh)
    return fresh


def _waits(fresh: RunFolder, config: RunConfig) -> bool:
    """Whether a judge may still score an item."""
    judged = (pl.col("policy") == "judge") & pl.col("score").is_null() & pl.col("excluded").is_null()
    return config.judge is not None and fresh.items.filter(judged).height > 0


def conclude(
    run: RunFolder,
    fresh: RunFolder,
    wanted: Sequence[ProbedConcept],
    criterion: Criterion,
    progress: Progress,
    *,
    folder: Path,
    left_out: dict[int, str],
    unfit: Mapping[str, int] | None = None,
    benchmarks_of: Callable[[ProbedConcept], Sequence[str]] | None = None,
) -> Probed:
    """Compare fresh items and write the verdicts.

    Parameters
    ----------
    folder
        Where verdicts and items go. A hash of the fresh items and the criterion is added to its name, so that another
        probe does not overwrite this one.
    unfit
        Reason -> items that were dropped before the model read them.
    benchmarks_of
        The fresh benchmarks that belong to a concept; None: all.
    """
    table = fresh.items.with_row_index("row")
    again = duplicates(table["prompt"].to_list(), table["benchmark"].to_list(), own_texts(run))
    fate = np.where(table["excluded"].is_not_null().to_numpy(), "excluded", again)
    dropped = {reason: int((fate == reason).sum()) for reason in _WHY}
    for reason, why in _WHY.items():
        if dropped[reason]:
            progress.say(f"{plural(dropped[reason], 'fresh item')} left out: {why}")
    for why, count in table["excluded"].drop_nulls().struct.field("text").value_counts(sort=True).iter_rows():
        dropped[f"excluded: {why}"] = count
        progress.say(f"{plural(count, 'fresh item')} left out, excluded: {why}")
    columns = _columns(fresh, [target.concept for target in wanted])
    compared, frames = [], []
    with progress.stage("testing concepts", total=len(wanted), unit="concepts") as bar:
        for number, target in enumerate(wanted):
            own = np.ones(len(fate), bool)
            if benchmarks_of is not None:
                own = table["benchmark"].is_in(list(benchmarks_of(target))).to_numpy()
            result, frame = _look(table, columns[:, number], np.asarray(fate), own, target, criterion)
            compared.append(result)
            frames.append(frame)
            bar.advance()
    decided = decide(compared, criterion.q)
    digits = hashlib.sha256(json.dumps([fresh.path.name, asdict(criterion)]).encode()).hexdigest()[:6]
    place = folder.with_name(f"{folder.name}-{digits}")
    results = tuple(zip(wanted, decided, strict=True))
    probed = Probed(place, fresh.path, results, {**dropped, **(unfit or {})}, left_out)
    with adding_to_run(run.path, run.manifest):
        _write(probed, pl.concat(frames), criterion)
    return probed


_WHY = {
    "in the run": "the run has asked the same",
    "twice": "an earlier fresh item asks the same",
}


def _columns(fresh: RunFolder, concepts: list[int]) -> np.ndarray:
    """CAS of concepts in all fresh items: float64 of shape (items, concepts)."""
    names = fresh.items["benchmark"].unique(maintain_order=True)
    return np.concatenate([fresh.cas(name)[:, concepts].toarray() for name in names]).astype(np.float64)


def _look(
    table: pl.DataFrame, cas: np.ndarray, fate: np.ndarray, own: np.ndarray, target: ProbedConcept, criterion: Criterion
) -> tuple[ProbeResult, pl.DataFrame]:
    ncas = saliency(cas, np.asarray(target.tau))
    exciting = ncas >= criterion.min_saliency
    kept = own & np.array([why is None for why in fate])
    scores = table["score"].fill_null(float("nan")).to_numpy()
    result = examine(
        cas[kept],
        exciting[kept],
        scores[kept],
        table["benchmark"].to_numpy()[kept],
        target.claim,
        level=criterion.level,
        seed=criterion.seed,
    )
    roles = [
        why if why is not None else "exciting" if on else "comparison" for why, on in zip(fate, exciting, strict=True)
    ]
    frame = table.select("benchmark", "item_id", "prompt", "response", "answer", "score").with_columns(
        pl.lit(target.concept, pl.Int32).alias("concept"),
        pl.Series("cas", cas, pl.Float64),
        pl.Series("ncas", ncas, pl.Float64),
        pl.Series("role", roles, pl.String),
    )
    return result, frame.filter(pl.Series(own))


def folder_name(kind: str, concepts: Sequence[int]) -> str:
    """A folder's name that says which concepts were probed."""
    shown = "-".join(str(concept) for concept in concepts[:6])
    if len(concepts) <= 6:
        return f"{kind}-{shown}"
    digest = hashlib.sha256(" ".join(map(str, concepts)).encode()).hexdigest()[:6]
    return f"{kind}-{shown}-and-{len(concepts) - 6}-more-{digest}"


def _row(target: ProbedConcept, result: ProbeResult) -> dict[str, Any]:
    facts = {key: value for key, value in asdict(target).items() if key != "benchmarks"}
    return {**facts, **asdict(result)}


def _write(probed: Probed, items: pl.DataFrame, criterion: Criterion) -> None:
    rows = [_row(target, result) for target, result in probed.results]
    floats = {key: pl.Float64 for key, value in rows[0].items() if isinstance(value, float)}
    table = pl.DataFrame(rows, schema_overrides={**floats, "label": pl.String})
    table = table.with_columns(pl.col(pl.Float64).fill_nan(None))
    write_probe(probed.folder, KeptProbe(table, items, {"criterion": asdict(criterion), **probed.as_dict()}))
