"""Recognise names of the same model, or of another version of it."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, NamedTuple

Relation = Literal["same", "base", "tuned"]
"""An SAE's model is the requested model, its base model, or an instruction-tuned version of it."""

_CACHE = re.compile(r"(?:^|.*/)models--.+?--(.+?)(?:/snapshots/[^/]+)?")
_GENERIC = re.compile(
    r"(checkpoint|ckpt|step|epoch)[-_]?\d*|\d+|final|last|latest|best|main|model|merged|weights|output"
)
_QUANTISED_FILE = re.compile(r"[.-](?:i?q\d\w*|b?f16|fp16|f32)$")
_TUNED = {"it", "instruct", "chat"}
_BASE = {"pt", "base"}
_SAME_WEIGHTS = {"hf", "gguf", "awq", "gptq", "bnb", "fp8", "int4", "int8", "4bit", "8bit"}
"""Parts of a name that say how the weights are stored."""
_ALIASES = {"gpt2-small": "gpt2", "mistral-7b": "mistral-7b-v0.1"}
"""TransformerLens' names that are not the last part of the hub's; a test compares them with its table."""


class ModelName(NamedTuple):
    """A model's name, independent of its spelling."""

    core: str
    """Family, generation and size in lower case: ``gemma-2-2b``."""
    version: Literal["plain", "base", "tuned"]
    """What the name says about training: nothing, ``-pt`` or ``-base``, or ``-it``, ``-instruct`` or ``-chat``."""


def read_model_name(name: str) -> ModelName:
    """The parts of a hub id, a folder, a ``.gguf`` file, ``embedded:NAME`` or a name of TransformerLens.

    The organisation is ignored, since mirrors have another one, and TransformerLens' names have none.
    """
    name = name.strip().removeprefix("embedded:").replace("\\", "/").rstrip("/")
    cached = _CACHE.fullmatch(name)
    parts = [part for part in (cached[1] if cached else name).lower().split("/") if part]
    last = next((part for part in reversed(parts) if not _GENERIC.fullmatch(part)), parts[-1] if parts else "")
    if last.endswith(".gguf"):
        last = _QUANTISED_FILE.sub("", last.removesuffix(".gguf"))
    last = last.replace("_", "-").removeprefix("meta-")
    words = last.split("-")
    version: Literal["plain", "base", "tuned"] = "plain"
    if _TUNED & set(words[1:]):
        version = "tuned"
    elif _BASE & set(words[1:]):
        version = "base"
    dropped = _TUNED | _BASE | _SAME_WEIGHTS
    core = "-".join(word for place, word in enumerate(words) if place == 0 or word not in dropped)
    return ModelName(_ALIASES.get(core, core), version)


def names_of(model: str) -> list[str]:
    """Names of a model: as given and, for a folder of transformers, the name in its configuration."""
    file = Path(model).expanduser() / "config.json"
    names = [model]
    if file.is_file():
        try:
            config = json.loads(file.read_text(encoding="utf-8"))
        except ValueError:
            return names
        recorded = config.get("_name_or_path") if isinstance(config, dict) else None
        if recorded:
            names.append(str(recorded))
    return names


def relation(theirs: str, ours: Iterable[str]) -> Relation | None:
    """How a model that SAEs were trained on is related to the requested model; None: another model.

    Parameters
    ----------
    theirs
        Name of the model that the SAEs were trained on.
    ours
        Names of the requested model.
    """
    their = read_model_name(theirs)
    relations: list[Relation] = []
    for name in ours:
        our = read_model_name(name)
        if their.core != our.core:
            continue
        if their.version == our.version:
            relations.append("same")
        elif their.version == "base" or our.version == "tuned":
            relations.append("base")
        else:
            relations.append("tuned")
    return min(relations, key=("same", "base", "tuned").index, default=None)


def nearest_models(model: str, known: Iterable[str]) -> list[str]:
    """Up to three known names that are spelt most like a model's name."""
    by_core: dict[str, list[str]] = {}
    for name in known:
        by_core.setdefault(read_model_name(name).core, []).append(name)
    near = difflib.get_close_matches(read_model_name(model).core, list(by_core), n=3, cutoff=0.5)
    return [name for core in near for name in by_core[core]][:3]
