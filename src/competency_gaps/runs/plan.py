"""The plan of a run folder: it identifies the run, so that a folder is resumed only by the same run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from competency_gaps.items.config import DType, RunConfig, as_dict
from competency_gaps.items.item import Benchmark
from competency_gaps.items.registry import SCORERS, SOURCES
from competency_gaps.model.load import versions
from competency_gaps.reading.extract import Extractor
from competency_gaps.util.checked import damaged, read_document, write_document
from competency_gaps.util.errors import UserError
from competency_gaps.util.lock import FILE as LOCK
from competency_gaps.util.text import listing, shorten, visible

FILE = "plan.json"
FORMAT = 5
"""Version of what a reading stores and of what sampled answers depend on: another format makes another run."""
_BY_PACKAGE = {"transformers": ("model.settings_sha256", "model.tokenizer.class"), "sae-lens": ("sae.settings_sha256",)}
"""Package -> keys of the plan that depend on its version; compared only if both plans have the same version."""
_RESULTS = ("gate.json", "responses", "activations")
# Settings that do not change the rows or scores on disk: tables are made anew at every run.
# batch_tokens is among them, so that a run that is out of memory can go on with a lower value; it changes rows by
# rounding only.
_FREE = (
    *("out", "scores", "metrics", "evidence", "near_repeats", "reference", "paper", "batch_tokens", "judge", "ray"),
    *("keep_token_activations", "slices", "accept_versions"),
)


def claim(folder: Path, identity: Mapping[str, Any]) -> bool:
    """Claim a folder for a run, or resume the same run in it.

    Parameters
    ----------
    identity
        The run's plan, from :func:`plan_identity`.

    Returns
    -------
    bool
        Whether the folder already had results of this run.

    Raises
    ------
    UserError
        If the folder holds another run (the message names the differences) or other files.
    """
    if known := begun(folder):
        if differing := plan_differences(known, identity):
            raise UserError(
                f"{str(folder)!r} holds a run that differs in {differing}. "
                f"Choose another run folder, or delete this one to start again."
            )
        return True
    # Refused by the gate, or stopped before it: there are no results that another run would mix with.
    if not (folder / FILE).is_file():
        refuse_strangers(folder)
    write_document(folder / FILE, identity)
    return False


def claim_without_reading(folder: Path) -> None:
    """Claim a folder for a run that no model reads.

    Raises
    ------
    UserError
        If a model has read items there, or the folder holds other files.
    """
    if begun(folder):
        raise UserError(
            f"a model has read items of the run in {str(folder)!r}: repeat the command that did, or choose another run "
            "folder."
        )
    if not (folder / FILE).is_file():
        refuse_strangers(folder)
        write_document(folder / FILE, {"format": FORMAT})


def begun(folder: Path) -> dict[str, Any]:
    """Return the plan of the run in a folder; empty if nothing has been computed there yet."""
    return _read_json(folder / FILE) if any((folder / name).exists() for name in _RESULTS) else {}


def planned(config: RunConfig, plan: Mapping[str, Any] | None) -> RunConfig:
    """Return the configuration with ``auto`` precision replaced by that of the plan; unchanged without one."""
    dtype = (plan or {}).get("model", {}).get("dtype")
    if config.model.dtype != "auto" or dtype not in get_args(DType):
        return config
    return config.model_copy(update={"model": config.model.model_copy(update={"dtype": dtype})})


def _read_json(path: Path) -> dict[str, Any]:
    """Return the content of a checked JSON file; empty if it does not exist. Raises UserError if it is damaged."""
    try:
        return read_document(path) if path.is_file() else {}
    except (OSError, ValueError) as error:
        again = "Restore it from a copy, or choose another run folder; finished work here can still be read."
        raise damaged(path, error, again) from error


def read_plan(folder: Path) -> dict[str, Any]:
    """Return the plan of the run in a folder.

    Raises
    ------
    UserError
        If the folder holds no run, or its plan is damaged.
    """
    plan = _read_json(folder / FILE)
    if not plan:
        kind = "holds no run" if folder.exists() else "does not exist"
        raise UserError(f"{str(folder)!r} {kind}: expected a run folder.")
    return plan


def plan_differences(a: Mapping[str, Any], b: Mapping[str, Any]) -> str:
    """Return in words where two plans differ, with both values; empty if they do not.

    Settings are named by their keys, anything else by its path in the plan. Versions of packages may differ: each shard
    records those it was read with.
    """
    first, second = json.loads(json.dumps(a)), json.loads(json.dumps(b))
    was, now = first.pop("versions", {}), second.pop("versions", {})
    free = [key for package, keys in _BY_PACKAGE.items() if was.get(package) != now.get(package) for key in keys]
    differing = sorted(pair for pair in _differences(first, second).items() if pair[0] not in free)
    return listing((f"{key} ({_brief(x)} and {_brief(y)})" for key, (x, y) in differing), len(differing))


def _brief(value: Any) -> str:
    return "nothing" if value is None else shorten(visible(json.dumps(value, ensure_ascii=False)), 60)


def refuse_strangers(folder: Path) -> None:
    """Raise UserError if a folder without a plan holds files that are not a run's."""
    # A run killed while writing its plan leaves only the partial file.
    known = (f".{FILE}.part", LOCK)
    if folder.exists() and not (folder.is_dir() and all(path.name.startswith(known) for path in folder.iterdir())):
        raise UserError(f"{str(folder)!r} is not empty and does not hold a run. Choose another run folder.")


def plan_identity(
    config: RunConfig, extractor: Extractor, bos_id: int | None, suite: list[Benchmark]
) -> dict[str, Any]:
    """Return the plan that identifies a run: its settings, and hashes of the model, the SAE and the items."""
    lm, sae, hook = extractor.lm, extractor.sae, extractor.hook
    return {
        "format": FORMAT,
        "config": _settings(config),
        "model": {k: lm.identity[k] for k in ("content_sha256", "settings_sha256", "dtype", "tokenizer")},
        "sae": {k: sae.identity[k] for k in ("content_sha256", "settings_sha256")},
        "hook": [hook.path, hook.side],
        "bos_id": bos_id,
        "versions": versions(),
        "benchmarks": {benchmark.name: benchmark.content_hash() for benchmark in suite},
        "plugins": _plugins(config, suite),
    }


def _plugins(config: RunConfig, suite: list[Benchmark]) -> dict[str, str]:
    """Return the version of each plug-in source and scorer in use: another version may give other scores."""
    used = [(SOURCES, source.kind) for benchmark in config.benchmarks for source in benchmark.all_sources]
    used += [(SCORERS, name) for name in {item.scorer for benchmark in suite for item in benchmark.items} if name]
    versions = {f"{registry.kind} {name}": registry.version(name) for registry, name in used}
    return {name: version for name, version in sorted(versions.items()) if version is not None}


def _settings(config: RunConfig) -> dict[str, Any]:
    """Return the settings that identify a run: those that may change its rows or scores."""
    settings = {key: value for key, value in as_dict(config).items() if key not in _FREE}
    del settings["model"]["dtype"]  # which stands, as it was chosen, beside the hashes of the weights
    settings["sae"] = {key: value for key, value in settings["sae"].items() if key not in ("dictionary", "force")}
    return settings


def _differences(a: Any, b: Any, where: str = "") -> dict[str, tuple[Any, Any]]:
    """Return both values of whatever differs, by its dotted path."""
    if isinstance(a, dict) and isinstance(b, dict):
        pairs = {str(k): (a.get(k), b.get(k)) for k in {*a, *b}}
    elif isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        pairs = {str(i): pair for i, pair in enumerate(zip(a, b, strict=True))}
    else:
        return {} if a == b else {where.removeprefix("config."): (a, b)}
    nested = (_differences(x, y, f"{where}.{k}" if where else k) for k, (x, y) in pairs.items())
    return {name: values for differing in nested for name, values in differing.items()}
