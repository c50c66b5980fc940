"""Probe concepts: test on fresh items, with the run's model and SAE, whether the run's claims about them hold.

Which items excite a concept is measured, not assumed: ``nCAS >= min_saliency`` with the run's own typical activation
(:func:`competency_gaps.metrics.suite.saliency`). The other items of the same families serve as the comparison. Here
the items are the run's generated families with seeds that it has not seen; :mod:`competency_gaps.probes.written` has a
language model write them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import polars as pl
import pydantic

from competency_gaps.checked import damaged, write_document
from competency_gaps.config import BenchmarkConfig, ModelConfig, ReasoningGymSource, RunConfig, as_dict, parse_config
from competency_gaps.errors import UserError, argument
from competency_gaps.files import write_atomic
from competency_gaps.metrics.suite import saliency
from competency_gaps.probes.verdict import Claim, ProbeResult, decide, examine
from competency_gaps.progress import Progress
from competency_gaps.runs.manifest import FILE as MANIFEST
from competency_gaps.runs.manifest import adding_to_run
from competency_gaps.runs.open import RunFolder, open_folder
from competency_gaps.runs.search import judged
from competency_gaps.runs.settings import run_config
from competency_gaps.text import decimal, magnitude, plural, shorten, signed, visible

FOLDER = "probes"
FILE = "verdicts.json"
"""In a folder of its own there, beside the items; written last."""
SHARE = 0.02
"""Least share of a concept's activation in a benchmark that is probed for it."""
FAR = 1_000_000
"""Distance of fresh seeds: item ``i`` of a family under a seed is item 0 under ``seed + i``, so that near seeds share
items."""


@dataclass(frozen=True)
class ProbedConcept:
    """A concept to probe."""

    concept: int
    label: str | None
    claim: Claim
    """By the sign of the run's adjusted gap."""
    gap: float
    """The run's adjusted gap, in [-1, 1]."""
    status: str
    """The run's verdict: weak, strong, typical, insufficient or untested."""
    tau: float
    """Typical CAS, > 0."""
    benchmarks: tuple[str, ...]
    """Where it is active in the run, most first."""


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
        rows = [{**asdict(target), **asdict(result)} for target, result in self.results]
        return {
            "folder": str(self.folder),
            "fresh": str(self.fresh),
            "concepts": [{key: value for key, value in row.items() if key != "benchmarks"} for row in rows],
            "dropped": self.dropped,
            "left_out": {str(concept): why for concept, why in self.left_out.items()},
        }


def targets(run: RunFolder, concepts: Sequence[int]) -> list[ProbedConcept]:
    """The run's facts about concepts, in the order given.

    Raises
    ------
    UserError
        If there is no such concept, or the run says nothing about its performance.
    """
    active = {name: run.cas(name).sum(axis=0) for name in run.benchmarks["benchmark"]}
    chosen = []
    for concept in dict.fromkeys(concepts):
        run.check_concept(concept)
        row = run.concepts.row(concept, named=True)
        if row["gap"] is None or not row["tau"]:
            raise UserError(
                f"concept {concept} is active in no scored item of {run.path}: the run says nothing of it that could "
                "hold or not. Choose another ('cgaps show' lists them)."
            )
        weights = {name: float(values[concept]) for name, values in active.items()}
        names = [name for name in weights if weights[name] >= SHARE * sum(weights.values())]
        claim: Claim = "weak" if row["gap"] < 0 else "strong"
        facts = (row["label"], claim, row["gap"], row["performance_status"], row["tau"])
        chosen.append(ProbedConcept(concept, *facts, tuple(sorted(names, key=lambda name: -weights[name]))))
    return chosen


def weakest(run: RunFolder, count: int) -> list[int]:
    """The run's weak concepts, most certain first: those that lead a group of overlapping ones before the others.

    Raises
    ------
    UserError
        If the run has none, or fewer than one is asked for.
    """
    if count < 1:
        raise UserError(f"{argument('weak')} is {count}, expected 1 or more concepts.")
    weak = judged(run.concepts, "weak", surest=True)
    if not weak.height:
        raise UserError(f"{run.path} has no weak concept: say which concepts to probe.")
    return weak["concept"].head(count).to_list()


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
    left_out = {
        target.concept: f"concept {target.concept} is active only in {', '.join(target.benchmarks)}, of which no new "
        "items can be generated (they are no reasoning-gym families)."
        for target in wanted
        if not set(target.benchmarks) & set(known)
    }
    chosen = [target for target in wanted if target.concept not in left_out]
    if not chosen:
        raise UserError(f"{next(iter(left_out.values()))} A language model can write items on it.")
    names = {name for target in chosen for name in target.benchmarks}
    benchmarks = [known[name] for name in known if name in names]
    fresh = fresh_run(run, fresh_config(config, benchmarks, items, seed), progress, command)
    return conclude(run, fresh, chosen, criterion, progress, left_out=left_out)


def fresh_config(config: RunConfig, benchmarks: Sequence[BenchmarkConfig], items: int, seed: int) -> RunConfig:
    """The run's configuration with new items of these benchmarks: only seeds and numbers change.

    Parameters
    ----------
    items
        Fresh items of each benchmark; several sources share them in proportion to their sizes.
    """
    used = [
        (source.family, source.seed, source.seed + source.size)
        for benchmark in config.benchmarks
        for source in benchmark.all_sources
        if isinstance(source, ReasoningGymSource)
    ]
    made = []
    for benchmark in benchmarks:
        sources = [source for source in benchmark.all_sources if isinstance(source, ReasoningGymSource)]
        whole, new = sum(source.size for source in sources), []
        for source in sources:
            start = source.seed + FAR * (seed + 1)
            while any(name == source.family and start < end and first < start + items for name, first, end in used):
                start += FAR
            size = max(1, round(items * source.size / whole))
            new.append(source.model_copy(update={"seed": start, "size": size}))
        places = {"source": new[0]} if benchmark.source is not None else {"sources": new}
        made.append(benchmark.model_copy(update={**places, "limit": None}))
    return config.model_copy(update={"benchmarks": made})


def fresh_run(run: RunFolder, config: RunConfig, progress: Progress, command: str) -> RunFolder:
    """The run over fresh items: opened if it is finished, else resumed or begun."""
    from competency_gaps.stages import pipeline

    key = hashlib.sha256(json.dumps({**as_dict(config), "out": None}, sort_keys=True).encode()).hexdigest()[:8]
    folder = run.path / FOLDER / f"fresh-{key}"
    if (folder / MANIFEST).is_file():
        progress.say(f"Fresh items are there already: {folder}")
        fresh = open_folder(folder)
    else:
        # The run has passed the gate with this very pair; a few short items of another kind are no test of the SAE.
        model = {**config.model.model_dump(), "dtype": run.manifest["model"]["dtype"]}
        forced = config.model_copy(
            update={
                "sae": config.sae.model_copy(update={"force": True}),
                "model": parse_config(ModelConfig, model, f"the model of {run.path}"),
            }
        )
        fresh = pipeline.run(forced, folder, progress, command)
    check_same_pair(run, fresh)
    return fresh


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


def conclude(
    run: RunFolder,
    fresh: RunFolder,
    wanted: Sequence[ProbedConcept],
    criterion: Criterion,
    progress: Progress,
    *,
    left_out: dict[int, str],
    unfit: Mapping[str, int] | None = None,
    benchmarks_of: Callable[[ProbedConcept], Sequence[str]] | None = None,
) -> Probed:
    """Compare fresh items and write the verdicts.

    Parameters
    ----------
    unfit
        Reason -> items that were dropped before the model read them.
    benchmarks_of
        The fresh benchmarks that belong to a concept; None: all.
    """
    table = fresh.items
    names, known = table["benchmark"].unique(maintain_order=True), run.items["prompt"].to_list()
    concepts = [target.concept for target in wanted]
    cas = np.concatenate([fresh.cas(name)[:, concepts].toarray() for name in names]).astype(np.float64)
    fate = _repeats(table["prompt"].to_list(), table["benchmark"].to_list(), known)
    fate = np.where(table["excluded"].is_not_null().to_numpy(), "excluded", fate)
    dropped = {why: int((fate == why).sum()) for why in ("in the run", "twice", "excluded")}
    for why, count in dropped.items():
        if count:
            progress.say(f"{plural(count, 'fresh item')} left out: {why}")
    compared = []
    with progress.stage("testing concepts", total=len(wanted), unit="concepts") as bar:
        for number, target in enumerate(wanted):
            own = np.ones(len(fate), bool)
            if benchmarks_of is not None:
                own = table["benchmark"].is_in(list(benchmarks_of(target))).to_numpy()
            compared.append(_look(table, cas[:, number], fate, own, target, criterion))
            bar.advance()
    decided = tuple(zip(wanted, decide([result for result, _ in compared], criterion.q), strict=True))
    # Another probe does not overwrite this one.
    asked = json.dumps([fresh.path.name, concepts, asdict(criterion)])
    folder = run.path / FOLDER / f"concept-{concepts[0]}-{hashlib.sha256(asked.encode()).hexdigest()[:8]}"
    probed = Probed(folder, fresh.path, decided, {**dropped, **(unfit or {})}, left_out)
    with adding_to_run(run.path, run.manifest):
        folder.mkdir(parents=True, exist_ok=True)
        write_atomic(folder / "items.parquet", pl.concat([frame for _, frame in compared]).write_parquet)
        write_document(folder / FILE, {"criterion": asdict(criterion), **probed.as_dict()})
    return probed


def _repeats(prompts: Sequence[str], benchmarks: Sequence[str], known: Sequence[str]) -> np.ndarray:
    """``in the run``, ``twice`` (an earlier fresh item of the benchmark asks the same), or None: objects, by item."""
    asked = {" ".join(text.split()) for text in known}
    seen: set[tuple[str, str]] = set()
    repeats = np.full(len(prompts), None, dtype=object)
    for i, (text, benchmark) in enumerate(zip(prompts, benchmarks, strict=True)):
        plain = " ".join(text.split())
        repeats[i] = "in the run" if plain in asked else "twice" if (benchmark, plain) in seen else None
        seen.add((benchmark, plain))
    return repeats


def _look(
    table: pl.DataFrame, cas: np.ndarray, fate: np.ndarray, own: np.ndarray, target: ProbedConcept, criterion: Criterion
) -> tuple[ProbeResult, pl.DataFrame]:
    """Compare the items of one concept; also a table of them, with their roles."""
    ncas = saliency(cas, np.asarray(target.tau))
    exciting = ncas >= criterion.min_saliency
    kept = own & np.array([why is None for why in fate])
    scores, families = table["score"].fill_null(float("nan")).to_numpy()[kept], table["benchmark"].to_numpy()[kept]
    items = cas[kept], exciting[kept], scores, families
    result = examine(*items, target.claim, level=criterion.level, seed=criterion.seed)
    roles = [why or ("exciting" if on else "comparison") for why, on in zip(fate, exciting, strict=True)]
    frame = table.select("benchmark", "item_id", "prompt", "response", "answer", "score").with_columns(
        pl.lit(target.concept, pl.Int32).alias("concept"),
        pl.Series("cas", cas, pl.Float64),
        pl.Series("ncas", ncas, pl.Float64),
        pl.Series("role", roles, pl.String),
    )
    return result, frame.filter(pl.Series(own))


@dataclass(frozen=True, kw_only=True)
class _Row(ProbeResult):
    """What is read of a concept's verdict."""

    concept: Annotated[int, pydantic.Field(ge=0)]
    label: str | None
    status: str | None


def probe_rows(raw: bytes, file: Path) -> list[dict[str, Any]]:
    """The verdicts in a probe's document, a row per concept.

    Raises
    ------
    UserError
        If it is another document.
    """
    try:
        rows = json.loads(raw)["concepts"]
        return [asdict(row) for row in pydantic.TypeAdapter(list[_Row]).validate_python(rows)]
    except (ValueError, KeyError, TypeError) as error:
        raise damaged(file, error, "Run 'cgaps probe' again.") from error


def sentence(row: Mapping[str, Any]) -> str:
    """A verdict in words, without the concept's name."""
    claim = "weakness" if row["claim"] == "weak" else "strength"
    if row["verdict"] == "too few items":
        return (
            f"Too few fresh items to say whether its {claim} holds "
            f"({row['exciting']:,} that excite it, {row['comparison']:,} beside them)."
        )
    mean = f"{decimal(row['mean'])} ({decimal(row['mean_low'])} to {decimal(row['mean_high'])})"
    if row["kind"] == "contrast":
        body = (
            f"{plural(row['exciting'], 'fresh item')} that excite it score {mean}; items of the same families that do "
            f"not would give {decimal(row['expected'])} (from {row['comparison']:,})"
        )
    else:
        body = (
            "Its families have too few items either with or without it to compare the two, so strength counts: "
            f"{plural(row['exciting'], 'fresh item')}, weighted by activation, score {mean}; their families' "
            f"average is {decimal(row['expected'])}"
        )
    spread = f"{signed(row['difference_low'])} to {signed(row['difference_high'])}"
    tests = f"p = {magnitude(row['p_value'])}, q = {magnitude(row['q_value'])}"
    heads = {"holds": f"The {claim} holds.", "not shown": f"Fresh items do not show the {claim}."}
    head = heads.get(row["verdict"], f"Fresh items show the opposite of the {claim}.")
    return f"{head} {body}. Difference {signed(row['difference'])} ({spread}), {tests}."


def named_sentence(row: Mapping[str, Any]) -> str:
    """A verdict in words, with the concept's number and label."""
    label = f" ({shorten(visible(row['label']), 80)})" if row["label"] else ""
    status = f", {row['status']} in the run" if row["status"] != row["claim"] else ""
    return f"Concept {row['concept']}{label}{status}: {sentence(row)}"
