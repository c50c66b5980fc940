"""SAELens' directory of public SAEs, read without importing SAELens, whose import takes seconds."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from competency_gaps.errors import MissingExtraError, UserError, nearest

PLACES = {
    "resid_post": "residual stream after a layer",
    "resid_pre": "residual stream before a layer",
    "resid_mid": "residual stream between attention and MLP",
    "mlp_out": "output of the MLP",
    "attn_out": "output of the attention",
    "attn_z": "attention heads before their output projection",
}
"""Places at which this package reads activations -> what they are."""
UNREAD = {"transcoder": "transcoder", "temporal": "temporal SAE", "embedding": "embedding SAE"}
"""Kinds of SAEs that this package does not read -> what they are called."""

_HOOK = re.compile(r"^blocks\.\d+\.(?:attn\.)?hook_(resid_pre|resid_mid|resid_post|mlp_out|attn_out|z)(?![a-z])")
_LAYER = re.compile(r"(?:^|[._/])(?:blocks\.|layer_?|l)(\d+)(?=[._/ram]|$)")
_LLAMA_SCOPE = {"r": "resid_post", "m": "mlp_out", "a": "attn_out"}
_GEMMA_3 = {"resid_post": "resid_post", "mlp_out": "mlp_out", "attn_out": "attn_z", "transcoder": "transcoder"}
_GEMMA_2 = {"-res": "resid_post", "-mlp": "mlp_out", "-att": "attn_z"}
# Formats whose SAEs all read the same place, by SAELens' loaders.
_ONE_PLACE = {
    "dictionary_learning_1": "resid_post",
    "llama_scope_r1_distill": "resid_post",
    "goodfire": "resid_post",
    "deepseek_r1": "resid_post",
    "qwen_scope": "resid_post",
    "temporal": "temporal",
    "gemma_2_transcoder": "transcoder",
    "mwhanna_transcoder": "transcoder",
    "mntss_clt_layer_transcoder": "transcoder",
}
# Places where the width is written, the most reliable first.
_WIDTHS = (
    ("id", re.compile(r"width_(\d+[km])|hook_resid_pre_(\d+)$")),
    ("path", re.compile(r"width_(\d+[km])|(?:_ds|hook_[a-z_]+_)(\d{4,6})(?!\d)")),
    ("neuronpedia", re.compile(r"/.*[-_](\d+[km])(?:-|__|$)")),
    ("release", re.compile(r"-(?:v5-|w)(\d+k)")),
    ("repo", re.compile(r"-w-(\d+k)-")),
)
_FILE = "pretrained_saes.yaml"
_L0 = re.compile(r"average_l0_(\d+)")
# The directory's file names the base model, but SAELens' loader and the repository name this one.
_MODELS = {"gemma-scope-9b-it-res": "gemma-2-9b-it"}


@dataclass(frozen=True)
class DirectoryEntry:
    """An SAE as SAELens' directory describes it."""

    name: str
    """``RELEASE/ID``."""
    release: str
    model: str
    """The model that it was trained on, as the directory names it."""
    layer: int | None
    """Decoder block that it reads; None if unknown."""
    place: str | None
    """Key of :data:`PLACES` or :data:`UNREAD`; None if unknown."""
    width: str | None
    """Number of latents as the directory writes it: ``16k``, ``24576``; None if unknown."""
    l0: float | None
    """Active latents per token; None if unknown."""
    explained_variance: float | None
    """In [0, 1]; None if unknown."""
    labels: str | None
    """``MODEL/SOURCE`` on Neuronpedia, which has public labels; None: it has no page there."""


def saelens_installed() -> bool:
    """Whether the package sae-lens is installed; it is not imported."""
    return importlib.util.find_spec("sae_lens") is not None


@cache
def read_directory() -> dict[str, list[DirectoryEntry]]:
    """All SAEs of SAELens' directory, by release.

    Raises
    ------
    MissingExtraError
        If sae-lens is not installed.
    """
    return {
        release: [_entry(release, facts, sae) for sae in facts["saes"]] for release, facts in _read_releases().items()
    }


def check_release(release: str, sae_id: str) -> None:
    """Refuse a release or an id that SAELens' directory does not have; hub repositories (``a/b``) pass.

    Raises
    ------
    MissingExtraError
        If sae-lens is not installed.
    UserError
        If the release or the id is unknown.
    """
    directory = _read_releases()
    if release not in directory:
        if "/" in release:
            return
        raise UserError(f"SAE release {release!r} is not in SAELens' directory.{nearest(release, directory)}")
    ids = [str(sae["id"]) for sae in directory[release]["saes"]]
    if sae_id not in ids:
        shown = ", ".join(ids[:20]) + (f", and {len(ids) - 20} more" if len(ids) > 20 else "")
        raise UserError(f"SAE id {sae_id!r} is not in release {release!r}.{nearest(sae_id, ids)} It has: {shown}")


@cache
def _read_releases() -> Mapping[str, dict[str, Any]]:
    """The directory's file: release -> ``model``, ``repo_id``, ``conversion_func`` and ``saes``, a list of mappings."""
    spec = importlib.util.find_spec("sae_lens")
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtraError("sae-lens", "run", "Reading SAELens' directory")
    file = Path(spec.submodule_search_locations[0]) / _FILE
    if not file.is_file():
        raise UserError(f"SAELens' directory {file} is missing: this version keeps it elsewhere. Install sae-lens 6.")
    import yaml

    with file.open(encoding="utf-8") as stream:
        return dict(yaml.load(stream, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))


def _entry(release: str, facts: Mapping[str, Any], sae: Mapping[str, Any]) -> DirectoryEntry:
    sae_id, path = str(sae["id"]), str(sae["path"])
    texts = {
        "id": sae_id,
        "path": path,
        "neuronpedia": sae.get("neuronpedia") or "",
        "release": release,
        "repo": facts["repo_id"],
    }
    place = _place(facts.get("conversion_func"), sae_id, path, str(facts["repo_id"]))
    layer = _LAYER.search(sae_id)
    l0 = sae.get("l0")
    stated = _L0.search(path)
    return DirectoryEntry(
        name=f"{release}/{sae_id}",
        release=release,
        model=_MODELS.get(release, str(facts["model"])),
        layer=int(layer[1]) if layer and place != "embedding" else None,
        place=place,
        width=_width(texts),
        l0=float(l0) if l0 is not None else float(stated[1]) if stated else None,
        explained_variance=sae.get("variance_explained"),
        labels=sae.get("neuronpedia"),
    )


def _place(form: str | None, sae_id: str, path: str, repo: str) -> str | None:
    """Where an SAE reads, as SAELens' loader of its form (``conversion_func``) would say."""
    if form in _ONE_PLACE:
        return _ONE_PLACE[form]
    if form is None or form == "connor_rob_hook_z":
        hook = _HOOK.match(sae_id)
        return None if hook is None else "attn_z" if hook[1] == "z" else hook[1]
    if form == "llama_scope":
        sublayer = re.match(r"l\d+([rma])_", sae_id)
        return _LLAMA_SCOPE[sublayer[1]] if sublayer else None
    if form == "gemma_2":
        if "embedding" in path:
            return "embedding"
        return next((place for part, place in _GEMMA_2.items() if part in repo), None)
    if form == "gemma_3":
        return next((place for part, place in _GEMMA_3.items() if part in path), None)
    return None


def _width(texts: Mapping[str, str]) -> str | None:
    for where, pattern in _WIDTHS:
        match = pattern.search(texts[where])
        if match:
            return next(group for group in match.groups() if group is not None)
    return None
