"""Outcomes of a run: another model's scores, its scores against peers, or a difference of two.

An outcome lies in a folder of its own inside the run's, or of the cache where that cannot be written, and is opened
like a run: everything that reads a run reads it.
It is made from the run's tables and rows of activations, without a model, and made again when the scores it rests on
have changed.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import shutil
from pathlib import Path

import numpy as np
import polars as pl

from competency_gaps.checked import FILES, digest
from competency_gaps.dictionary.themes.store import NAMES, THEMES
from competency_gaps.embedded.cache import CACHE_VARIABLE, cache_folder
from competency_gaps.errors import CompetencyGapsError, MachineError, UserError, argument
from competency_gaps.files import can_write
from competency_gaps.lock import FILE as LOCK
from competency_gaps.lock import hold
from competency_gaps.outcomes import (
    FARTHEST_PEERS,
    FEWEST_PEERS,
    Kind,
    Outcome,
    choose_peers,
    difference,
    distances,
    expected_scores,
)
from competency_gaps.progress import Progress
from competency_gaps.runs.manifest import FILE, read_whole_manifest
from competency_gaps.runs.open import RunFolder
from competency_gaps.runs.scores import ModelScores, model_scores, read_scores
from competency_gaps.runs.settings import evidence_config
from competency_gaps.stages.outcome_tables import VERSION, Peers, write_tables
from competency_gaps.text import plural

log = logging.getLogger(__name__)

FOLDER = "outcomes"
ANSWERS = "answers"
"""Folder of a run with the answers of language models, kept by what they were asked."""
_NAMED = ("concepts.parquet", THEMES, NAMES)
"""Tables that hold labels and themes, which ``cgaps name`` replaces."""


def outcome_run(
    run: RunFolder,
    model: str,
    kind: Kind = "score",
    *,
    against: tuple[str, ...] = (),
    all_kinds: bool = False,
    progress: Progress | None = None,
) -> RunFolder:
    """Open a run as the scores of one of its models, making the tables where they are missing or out of date.

    Parameters
    ----------
    run
        The run, or any outcome of it.
    model
        Name of the model.
    kind
        ``score``, ``peers`` (the score less what models of its level make of the item), ``difference``, or ``parsed``
        (1 where an answer got a score, 0 where none could be read from it).
    against
        For ``peers`` their names, at least two (empty: models whose mean lies within 12 points); for ``difference`` the
        other model.
    all_kinds
        Rank and test concepts of every kind, whatever the run does.

    Returns
    -------
    RunFolder
        The run itself for the scores of its own model, unless it ranks other concepts.

    Raises
    ------
    UserError
        If the run has no scores of a model, or too few peers.
    """
    base = run.run_itself()
    config = evidence_config(base)
    all_kinds = all_kinds and config.kinds != "all"
    scores = _with_own(base, model_scores(base)) if all_kinds else model_scores(base)
    scores.row(model)
    if kind == "score" and model == base.own_model and not all_kinds:
        return base
    outcome, peers = _outcome(base, scores, model, kind, against)
    chosen = kind == "peers" and not against
    name = _folder_name(outcome, chosen=chosen, all_kinds=all_kinds)
    rests_on = _digest(base, scores, outcome)
    for place in _places(base.path):
        folder = place / name
        made = _made(folder)
        if made is not None and made.manifest["outcome"].get("digest") == rests_on:
            return made
        if can_write(folder):
            break
    else:
        raise MachineError(
            f"the tables of {model} can be kept neither in {base.path / FOLDER} nor in {folder}: neither can be "
            f"written. Set {CACHE_VARIABLE} to a writable folder, or copy the run."
        )
    record = {
        "kind": kind,
        "model": model,
        "against": list(outcome.against),
        "chosen": chosen,
        "all_kinds": all_kinds,
        "limits": list(outcome.limits),
        "slopes": peers.slopes if peers else {},
        "distance": peers.distance if peers else None,
        "digest": rests_on,
        **({"run": str(base.path.resolve())} if folder.parent != base.path / FOLDER else {}),
    }
    progress = progress or Progress(quiet=True)
    with hold(folder), progress.stage(f"evidence of {model}"):
        made = _made(folder)
        if made is not None and made.manifest["outcome"].get("digest") == rests_on:  # by another process, meanwhile
            return made
        _clear(folder)
        return write_tables(base, folder, outcome, record, scores, peers)


def _places(run: Path) -> tuple[Path, Path]:
    """Where outcomes of a run are kept: in it, or in the cache folder if it cannot be written, as on a shared disk."""
    key = hashlib.sha256(str(run.resolve()).encode()).hexdigest()[:16]
    return run / FOLDER, cache_folder() / FOLDER / key


def _made(folder: Path) -> RunFolder | None:
    """An outcome that was made; None: there is none, another version wrote it, or it is damaged: it is made again."""
    if not (folder / FILE).is_file():
        return None
    try:
        made = RunFolder(folder, read_whole_manifest(folder))
    except CompetencyGapsError as error:
        log.warning("%s is left out, and made again when it is asked for: %s", folder, error)
        return None
    if made.files.is_whole():
        return made
    log.warning("%s is damaged or out of date: it is left out, and made again when it is asked for.", folder)
    return None


def _with_own(run: RunFolder, scores: ModelScores) -> ModelScores:
    """Add the run's own model to the scores of a run that has none of it, all missing: its coverage is still read."""
    if run.scored_model in scores.models:
        return scores
    nothing = np.full((1, run.items.height), np.nan)
    values, asked = np.concatenate([scores.values, nothing]), np.concatenate([scores.asked, nothing == 0])
    return ModelScores((*scores.models, run.scored_model), values, asked)


def _clear(folder: Path) -> None:
    """Remove an outcome that is out of date, but not what language models answered, which may have cost money."""
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.is_dir() and path.name != ANSWERS:
            shutil.rmtree(path)
        elif not path.is_dir() and path.name != LOCK:
            path.unlink()


def made_outcomes(run: RunFolder) -> list[RunFolder]:
    """Open the outcomes of a run that were made, by model; those that rest on something else by now are left out."""
    folders = [path for place in _places(run.path) for path in sorted(place.glob("*")) if path.is_dir()]
    for folder in folders:
        if not (folder / FILE).is_file() and any(folder.glob("*.parquet")):
            log.warning("%s is not finished: it is left out, and made again when it is asked for.", folder)
    if not folders:
        return []
    known = model_scores(run)
    every = _with_own(run, known)
    made: dict[str, RunFolder] = {}
    for folder in folders:
        held = _made(folder)
        if held is None:
            continue
        record = held.manifest["outcome"]
        against = () if record.get("chosen") else tuple(record["against"])
        scores = every if record.get("all_kinds") else known
        try:
            outcome = outcome_of(run, scores, record["model"], record["kind"], against)
        except UserError:  # a model is gone
            continue
        if record.get("digest") == _digest(run, scores, outcome):
            made.setdefault(folder.name, held)
    return sorted(made.values(), key=lambda outcome: every.row(outcome.scored_model))


def outcome_of(run: RunFolder, scores: ModelScores, model: str, kind: Kind, against: tuple[str, ...] = ()) -> Outcome:
    """One number per item of a run: the outcome of a model; arguments as of :func:`outcome_run`."""
    return _outcome(run, scores, model, kind, against)[0]


def _outcome(
    run: RunFolder, scores: ModelScores, model: str, kind: Kind, against: tuple[str, ...]
) -> tuple[Outcome, Peers | None]:
    row, own, against = scores.row(model), Outcome("score", model, scores.of(model)), tuple(dict.fromkeys(against))
    if kind == "score":
        return own, None
    if kind == "parsed":
        return Outcome(kind, model, np.where(scores.asked[row], ~np.isnan(own.values), np.nan)), None
    if kind == "difference":
        if len(against) != 1:
            raise UserError(f"{argument('against')}: expected one other model, got {list(against)}.")
        return difference(own, Outcome("score", against[0], scores.of(against[0]))), None
    peers = np.array([scores.row(name) for name in against]) if against else choose_peers(scores.values, row)
    if len(peers) < FEWEST_PEERS or row in peers:
        raise UserError(
            f"{model} has {plural(len(peers), 'peer')} ({', '.join(scores.models[peer] for peer in peers) or 'none'}): "
            f"scores against peers need at least {FEWEST_PEERS} other models with scores on the same items. Add "
            "models, or compare with a single one."
        )
    away = distances(scores.values, row)[peers]
    known = np.isfinite(away)
    distance = float(away[known].mean()) if known.any() else 0.0
    if distance > FARTHEST_PEERS:
        levels = ", ".join(
            f"{scores.models[peer]} by {100 * far:.0f}" for peer, far in zip(peers[known], away[known], strict=True)
        )
        raise UserError(
            f"the peers of {model} are not of its level: their mean scores differ from its own by {100 * distance:.0f} "
            f"points of 100 on average ({levels}). Beyond {100 * FARTHEST_PEERS:.0f}, what is hard for everybody can "
            "look like a weakness of its own. Add models of its level, or compare it with a single one "
            f"({argument('against')})."
        )
    names = run.items["benchmark"].unique(maintain_order=True).to_list()
    group = run.items["benchmark"].replace_strict(names, range(len(names)), return_dtype=pl.Int64).to_numpy()
    expected = expected_scores(scores.values, row, peers, group)
    if not expected.slopes:
        raise UserError(
            f"no benchmark has scores of {model} and of {FEWEST_PEERS} of its peers: "
            f"{', '.join(scores.models[peer] for peer in peers)}."
        )
    slopes = {names[number]: slope for number, slope in expected.slopes.items()}
    against = tuple(scores.models[peer] for peer in peers)
    outcome = Outcome("peers", model, own.values - expected.values, against)
    return outcome, Peers(peers, expected.values, slopes, distance)


def _folder_name(outcome: Outcome, *, chosen: bool, all_kinds: bool) -> str:
    """One for each model and kind, each set of models that were asked for by name, and all kinds of concepts."""
    words = re.sub(r"[^A-Za-z0-9._-]+", "-", outcome.model).strip(".-")[:60]
    key = json.dumps([outcome.kind, outcome.model, *(() if chosen else sorted(outcome.against))])
    words = f"{words}-all-kinds" if all_kinds else words
    return f"{outcome.kind}-{words}-{hashlib.sha256(key.encode()).hexdigest()[:8]}"


def _digest(run: RunFolder, scores: ModelScores, outcome: Outcome) -> str:
    """What the tables of an outcome rest on: the run with its labels and themes, scores, answers, what was asked."""
    kept = {key: value for key, value in run.manifest.items() if key not in ("command", "read", "timings", FILES)}
    named = [digest(file) for file in map(run.path.joinpath, _NAMED) if file.is_file()]
    known = hashlib.sha256(json.dumps([VERSION, kept, named], sort_keys=True, default=str).encode())
    for model in (outcome.model, *sorted(outcome.against)):
        known.update(scores.of(model).tobytes())
    known.update(scores.asked[scores.row(outcome.model)].tobytes())
    rows = read_scores(run.path).filter(pl.col("model") == outcome.model).drop("model")
    known.update(rows.sort("item").write_json().encode())
    return known.hexdigest()
