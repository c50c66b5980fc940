"""Makes the table of public SAEs that ``cgaps sae`` reads, from the directory of the installed SAELens.

    python recipes/sae_directory.py

writes ``src/competency_gaps/sae/directory.json.gz``: facts only, as SAELens' loaders would state them. SAEs of a
release that differ in their layer and L0 alone share a row, with ``{}`` for the layer and ``[]`` for the L0.
"""

from __future__ import annotations

import gzip
import importlib.util
import json
import re
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

OUT = Path(__file__).parents[1] / "src" / "competency_gaps" / "sae" / "directory.json.gz"
HOOK = re.compile(r"^blocks\.\d+\.(?:attn\.)?hook_(resid_pre|resid_mid|resid_post|mlp_out|attn_out|z)(?![a-z])")
LAYER = re.compile(r"(?:^|[._/])(?:blocks\.|layer_?|l)(\d+)(?=[._/ram]|$)")
LLAMA_SCOPE = {"r": "resid_post", "m": "mlp_out", "a": "attn_out"}
GEMMA_3 = {"resid_post": "resid_post", "mlp_out": "mlp_out", "attn_out": "attn_z", "transcoder": "transcoder"}
GEMMA_2 = {"-res": "resid_post", "-mlp": "mlp_out", "-att": "attn_z"}
# Formats whose SAEs all read the same place, by SAELens' loaders.
ONE_PLACE = {
    "dictionary_learning_1": "resid_post",
    "llama_scope_r1_distill": "resid_post",
    "goodfire": "resid_post",
    "deepseek_r1": "resid_post",
    "qwen_scope": "resid_post",
    "temporal": "temporal",
    "gemma_2_transcoder": "transcoder",
    "mwhanna_transcoder": "transcoder",
    "mntss_clt_layer_transcoder": "cross_layer",
}
# Places where the width is written, the most reliable first.
WIDTHS = (
    ("id", re.compile(r"width_(\d+[km])|hook_resid_pre_(\d+)$")),
    ("path", re.compile(r"width_(\d+[km])|(?:_ds|hook_[a-z_]+_)(\d{4,6})(?!\d)")),
    ("neuronpedia", re.compile(r"/.*[-_](\d+[km])(?:-|__|$)")),
    ("release", re.compile(r"-(?:v5-|w)(\d+k)")),
    ("repo", re.compile(r"-w-(\d+k)-")),
)
STATED_L0 = re.compile(r"average_l0_(\d+)")
# The directory's file names the base model, but SAELens' loader and the repository name this one.
MODELS = {"gemma-scope-9b-it-res": "gemma-2-9b-it"}


def main() -> None:
    text = json.dumps(table(), separators=(",", ":"), ensure_ascii=False)
    OUT.write_bytes(gzip.compress(text.encode(), 9, mtime=0))
    print(f"{OUT}: {OUT.stat().st_size:,} bytes")


def table() -> dict[str, Any]:
    """The version of SAELens, and the rows: release, model, id, place, width, labels, then layer and L0 of each SAE."""
    rows: dict[tuple[Any, ...], list[tuple[int, float | None]]] = {}
    for release, sae_id, model, layer, place, width, l0, labels in saes():
        name, number = _without(sae_id, str(layer), "{}"), None if l0 is None else f"{l0:g}"
        if number is not None:
            name = _without(name, number, "[]")
        row = (release, model, name, place, width, None if labels is None else _without(labels, str(layer), "{}"))
        rows.setdefault(row, []).append((layer, l0))
    return {"saelens": version("sae-lens"), "rows": [[*row, at] for row, at in rows.items()]}


def _without(text: str, number: str, mark: str) -> str:
    return re.sub(rf"(?<![\d.]){re.escape(number)}(?![\d])", mark, text, count=1)


def saes() -> Iterator[tuple[str, str, str, int, str, str | None, float | None, str | None]]:
    """Release, id, model, layer (-1: unknown), place, width, L0 and labels of each SAE of SAELens' directory."""
    spec = importlib.util.find_spec("sae_lens")
    assert spec is not None and spec.submodule_search_locations
    file = Path(spec.submodule_search_locations[0]) / "pretrained_saes.yaml"
    with file.open(encoding="utf-8") as stream:
        releases = yaml.load(stream, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    for release, facts in releases.items():
        for sae in facts["saes"]:
            yield (release, *_facts(release, facts, sae))


def _facts(release: str, facts: Mapping[str, Any], sae: Mapping[str, Any]) -> tuple[Any, ...]:
    sae_id, path, repo, labels = str(sae["id"]), str(sae["path"]), str(facts["repo_id"]), sae.get("neuronpedia")
    place = _place(facts.get("conversion_func"), sae_id, path, repo) or "unknown"
    layer, stated, l0 = LAYER.search(sae_id), STATED_L0.search(path), sae.get("l0")
    return (
        sae_id,
        MODELS.get(release, str(facts["model"])),
        int(layer[1]) if layer and place != "embedding" else -1,
        place,
        _width({"id": sae_id, "path": path, "neuronpedia": labels or "", "release": release, "repo": repo}),
        float(l0) if l0 is not None else float(stated[1]) if stated else None,
        labels,
    )


def _place(form: str | None, sae_id: str, path: str, repo: str) -> str | None:
    """Where an SAE reads, as SAELens' loader of its form (``conversion_func``) would say."""
    if form in ONE_PLACE:
        return ONE_PLACE[form]
    if form is None or form == "connor_rob_hook_z":
        hook = HOOK.match(sae_id)
        return None if hook is None else "attn_z" if hook[1] == "z" else hook[1]
    if form == "llama_scope":
        sublayer = re.match(r"l\d+([rma])_", sae_id)
        return LLAMA_SCOPE[sublayer[1]] if sublayer else None
    if form == "gemma_2":
        if "embedding" in path:
            return "embedding"
        return next((place for part, place in GEMMA_2.items() if part in repo), None)
    if form == "gemma_3":
        return next((place for part, place in GEMMA_3.items() if part in path), None)
    return None


def _width(texts: Mapping[str, str]) -> str | None:
    for where, pattern in WIDTHS:
        match = pattern.search(texts[where])
        if match:
            return next(group for group in match.groups() if group is not None)
    return None


if __name__ == "__main__":
    main()
